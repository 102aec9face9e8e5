#include "manager/config.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::manager {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(std::string_view text) {
  Config config;
  const auto parsed = parse_config(text, "mohhosd.toml", config);
  return parsed ? "" : parsed.error().text;
}

TEST(Config, TakesEveryKeyItDocuments) {
  Config config;
  const auto parsed = parse_config(R"(
[control]
observe_uids = [1000]
operate_gids = [100, 101]
admin_uids = [1001]
max_connections_per_uid = 8
max_endpoints_per_uid = 4
[limits]
max_memory_mb = 512
max_execution_time_ms = 1000
[plugins]
max_count = 10
max_file_mb = 8
[deadletters]
max_count = 5
max_mb = 2
[sandbox]
min_level = "L2"
allowed_libraries = ["libicuuc.so.72"]
[data]
spin_us = 0
ring_kb = 64
)",
                                   "mohhosd.toml", config);
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_THAT(config.observe.uids, ElementsAre(1000));
  EXPECT_THAT(config.operate.gids, ElementsAre(100, 101));
  EXPECT_EQ(config.max_connections_per_uid, 8U);
  EXPECT_EQ(config.max_limits.max_memory_mb, 512U);
  EXPECT_EQ(config.max_plugins, 10U);
  EXPECT_EQ(config.max_plugin_bytes, mib(8));
  EXPECT_EQ(config.min_level, model::SandboxLevel::L2);
  EXPECT_THAT(config.allowed_libraries, ElementsAre("libicuuc.so.72"));
  EXPECT_EQ(config.spin.count(), 0);
  EXPECT_EQ(config.ring_bytes, kib(64));
}

TEST(Config, NamesFileLineAndKeyOfWhatItDoesNotKnow) {
  EXPECT_EQ(error_of("[plugins]\nmax_cuont = 3\n"),
            "mohhosd.toml:2: unknown key max_cuont in [plugins]; there are max_count, max_file_mb");
  EXPECT_THAT(error_of("[plugin]\n"),
              HasSubstr("mohhosd.toml:1: unknown section [plugin]; there are control, limits"));
  EXPECT_THAT(error_of("limits = 3\n"), HasSubstr("limits must be a section"));
}

TEST(Config, NamesTheValueAndWhatIsAllowed) {
  EXPECT_EQ(error_of("[plugins]\nmax_count = -1\n"),
            "mohhosd.toml:2: plugins.max_count: -1 is not between 1 and 100000");
  EXPECT_THAT(error_of("[plugins]\nmax_count = \"3\"\n"), HasSubstr("must be a number between"));
  EXPECT_THAT(error_of("[sandbox]\nmin_level = \"L9\"\n"), HasSubstr("\"L1\", \"L2\" or \"L3\""));
  EXPECT_THAT(error_of("[data]\nring_kb = 100\n"), HasSubstr("not a power of two"));
  EXPECT_THAT(error_of("[sandbox]\nallowed_libraries = [\"../x\"]\n"), HasSubstr("library names"));
  EXPECT_THAT(error_of("[control]\nadmin_uids = 3\n"), HasSubstr("list of numbers"));
}

TEST(Config, SaysWhereTheTomlIsBroken) {
  EXPECT_THAT(error_of("[plugins]\nmax_count = \n"), HasSubstr("mohhosd.toml:2"));
}

TEST(Config, LaterFilesWin) {
  const test::TemporaryDirectory directory;
  const auto paths = model::paths_under(directory);
  std::filesystem::create_directories(paths.etc / "conf.d");
  std::ofstream(paths.config()) << "[plugins]\nmax_count = 1\nmax_file_mb = 2\n";
  std::ofstream(paths.etc / "conf.d/20-b.toml") << "[plugins]\nmax_count = 3\n";
  std::ofstream(paths.etc / "conf.d/10-a.toml") << "[plugins]\nmax_count = 2\n";
  std::ofstream(paths.etc / "conf.d/notes.txt") << "not TOML";
  const auto config = read_config(paths);
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->max_plugins, 3U);
  EXPECT_EQ(config->max_plugin_bytes, mib(2));
}

TEST(Config, NoFileAtAllIsFine) {
  EXPECT_TRUE(read_config(model::paths_under("/nonexistent")));
}

TEST(Config, TheDocumentIsWhatTheTableSays) {
  std::ifstream page(MOHHOS_CONFIG_DOC);
  ASSERT_TRUE(page) << MOHHOS_CONFIG_DOC;
  std::stringstream text;
  text << page.rdbuf();
  EXPECT_EQ(text.str(), describe_config())
      << "print it again: build config_doc and redirect it to docs/configuration.md";
}

TEST(Config, KeysOfManyPartsAreRefused) {
  std::string text = "a";
  for (int i = 0; i < 20000; ++i) text += ".a";
  EXPECT_THAT(error_of(text + " = 1\n"), HasSubstr("mohhosd.toml:1: a key of too many parts"));
}

TEST(Roles, RootAndTheOwnerAreAdmins) {
  const Config config;
  EXPECT_EQ(role_of(config, 0, {0}, 1000), Role::Admin);
  EXPECT_EQ(role_of(config, 1000, {1000}, 1000), Role::Admin);
  EXPECT_EQ(role_of(config, 1001, {1001}, 1000), Role::None);
}

TEST(Roles, TheHighestThatFitsCounts) {
  Config config;
  config.observe.gids = {100};
  config.operate.gids = {101};
  config.admin.uids = {7};
  EXPECT_EQ(role_of(config, 5, {100}, 0), Role::Observe);
  EXPECT_EQ(role_of(config, 5, {100, 101}, 0), Role::Operate);
  EXPECT_EQ(role_of(config, 7, {100}, 0), Role::Admin);
}

TEST(Limits, AreLoweredAndNeverRaised) {
  model::ResourceLimits asked{.max_memory_mb = 1000, .max_cpu_percent = 10};
  const auto got = lower_limits(asked, {.max_memory_mb = 64, .max_cpu_percent = 400});
  EXPECT_EQ(got.max_memory_mb, 64U);
  EXPECT_EQ(got.max_cpu_percent, 10U);
}

} // namespace
} // namespace mohhos::manager
