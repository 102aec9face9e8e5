#include <cstring>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "../../harness/temporary_directory.hpp"
#include "sandbox/compile.hpp"
#include "sandbox/verify.hpp"

namespace mohhos::sandbox {
namespace {

using model::Capability;
using testing::HasSubstr;

// Not under /tmp: that is the plugin's own inside.
class Compile : public testing::Test {
protected:
  void SetUp() override {
    std::ofstream(directory / "file") << "x";
    std::filesystem::create_directory(directory / "sub");
    std::filesystem::create_symlink("file", directory / "link");
  }

  Result<Spec> compile_with(const model::Grant& grant) { return compile(grant, metadata, {}); }
  static const Mount* find(const Spec& spec, const std::string& target) {
    for (std::size_t i = 0; i < spec.mount_count; ++i)
      if (target == spec.mounts[i].target) return &spec.mounts[i];
    return nullptr;
  }
  model::Grant files(std::vector<std::string> read, std::vector<std::string> write = {}) {
    model::Grant grant;
    grant.capabilities.add(Capability::Filesystem);
    grant.acl.read = std::move(read);
    grant.acl.write = std::move(write);
    return grant;
  }
  test::TemporaryDirectory scratch{"/var/tmp"};
  const std::filesystem::path& directory = scratch.path();
  model::Metadata metadata;
};

TEST_F(Compile, LimitsAndWallsComeFromTheGrantAndTheLevel) {
  model::Grant grant;
  grant.limits.max_memory_mb = 64;
  grant.limits.max_cpu_percent = 25;
  grant.limits.max_file_descriptors = 3;
  metadata.min_sandbox_level = model::SandboxLevel::L2;
  const auto spec = compile_with(grant);
  ASSERT_TRUE(spec) << spec.error().text;
  EXPECT_EQ(spec->memory_bytes, 64U << 20);
  EXPECT_EQ(spec->cpu_percent, 25U);
  EXPECT_EQ(spec->descriptors, 16U); // the host needs as many
  EXPECT_EQ(spec->create_processes, 0U);
  EXPECT_EQ(spec->required, model::walls_of(model::SandboxLevel::L2));
}

TEST_F(Compile, PathsAreNothingWithoutTheCapability) {
  model::Grant grant = files({directory / "file"});
  grant.capabilities = {};
  const auto spec = compile_with(grant);
  ASSERT_TRUE(spec);
  EXPECT_EQ(find(*spec, directory / "file"), nullptr);
}

TEST_F(Compile, ALinkKeepsItsNameAndLeadsToItsTarget) {
  const auto spec = compile_with(files({directory / "link"}));
  ASSERT_TRUE(spec) << spec.error().text;
  const Mount* mount = find(*spec, directory / "link");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->source, (directory / "file").string());
  EXPECT_EQ(mount->kind, MountKind::ReadOnly);
}

// Not every directory is shown to the manager: whether it is there is the warden's to say.
TEST_F(Compile, APathThatCannotBeSeenStaysAsItIs) {
  const auto spec = compile_with(files({directory / "missing"}));
  ASSERT_TRUE(spec) << spec.error().text;
  const Mount* mount = find(*spec, directory / "missing");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->source, (directory / "missing").string());
}

TEST_F(Compile, WritingIncludesReadingAndOuterPathsIncludeInnerOnes) {
  const auto spec =
      compile_with(files({directory, directory / "file", directory / "sub"}, {directory / "sub"}));
  ASSERT_TRUE(spec) << spec.error().text;
  EXPECT_EQ(find(*spec, directory / "file"), nullptr);
  const Mount* sub = find(*spec, directory / "sub");
  ASSERT_NE(sub, nullptr);
  EXPECT_EQ(sub->kind, MountKind::ReadWrite);
}

TEST_F(Compile, ReservedPlacesAndTooManyPathsAreRefused) {
  EXPECT_FALSE(compile_with(files({"/tmp"})));
  std::vector<std::string> many;
  for (int i = 0; i < 60; ++i) {
    const std::filesystem::path path = directory / fmt::format("f{}", i);
    std::ofstream(path) << "x";
    many.push_back(path);
  }
  const auto spec = compile_with(files(many));
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code, Code::TooLarge);
  const auto lengthy = compile_with(files({"/" + std::string(300, 'x')}));
  EXPECT_FALSE(lengthy);
}

TEST_F(Compile, DevicesCarryTheirNumbers) {
  model::Grant grant;
  grant.capabilities.add(Capability::Hardware);
  grant.acl.devices = {"/dev/random"};
  const auto spec = compile_with(grant);
  ASSERT_TRUE(spec) << spec.error().text;
  const Mount* mount = find(*spec, "/dev/random");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->device_type, static_cast<std::uint32_t>(S_IFCHR));
  EXPECT_EQ(mount->device_minor, 8U);
  grant.acl.devices = {directory / "file"};
  EXPECT_FALSE(compile_with(grant));
}

TEST_F(Compile, TheLandlockRulesSayTheSameAsTheMounts) {
  model::Grant grant = files({directory / "file"}, {directory / "sub"});
  const auto spec = compile_with(grant);
  ASSERT_TRUE(spec);
  const FilterPair filters{.confine = {BPF_STMT(BPF_RET | BPF_K, 0)}, .tighten = {}};
  metadata.name = "reader";
  const Boot boot = compile_boot(*spec, grant, metadata, filters, PluginId{1}, Generation{1});
  EXPECT_EQ(boot.landlock.size(), spec->mount_count + 2U); // and /tmp and the plugin
  for (const LandlockRule& rule : boot.landlock)
    if (std::strcmp(rule.path, (directory / "sub").c_str()) == 0) {
      EXPECT_EQ(rule.access, PathAccess::ReadWrite);
    }
  EXPECT_TRUE(parse_boot(serialize_boot(boot)));
}

TEST(SystemLayout, OfThisMachineMakesAVerifiedSpec) {
  const auto spec = compile({}, {}, find_system_layout());
  ASSERT_TRUE(spec) << spec.error().text;
  EXPECT_TRUE(verify_spec(*spec));
  EXPECT_GT(spec->mount_count, 5U);
}

} // namespace
} // namespace mohhos::sandbox
