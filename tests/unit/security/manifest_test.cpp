#include "security/manifest.hpp"

#include "support.hpp"

namespace mohhos::security {
namespace {

using model::Capability;

constexpr std::string_view kWhole = R"(
name = "reader"
version = "1.4.2"
type = "ai-model"
description = "reads « everything » it may"
author = "Ada"
api = 1
min_sandbox_level = "L2"
[capabilities]
can_access_filesystem = true
can_access_hardware = true
can_access_network = true
custom_capabilities = 0x80000001
[acl]
read = ["${input}", "/usr/share/common-licenses"]
write = ["/var/lib/reader"]
devices = ["/dev/dri/renderD128"]
connect = ["api.example.org:443"]
send_to = ["tokenizer", "type:prompt-processor"]
receive_from = ["*", "application"]
[depends]
tokenizer = { min = "1.0", max = "2" }
metrics = { optional = true }
[platform]
os = "linux"
machine = "x86_64"
min_kernel = "6.1"
[limits]
max_memory_mb = 64
max_cpu_percent = 150
max_file_descriptors = 32
max_network_connections = 4
max_execution_time_ms = 1000
max_processes = 8
max_tmp_mb = 2
max_tmp_files = 100
[config]
input = ""
"dotted.key" = "a \"quoted\" \\ value\nof two lines"
[events]
"7" = "none"
"8" = "newest"
"4294967295" = "oldest"
[channels]
ring_bytes = "300 KiB"
huge_pages = true
[restart]
on_crash = true
backoff_ms = 0
limit = 4
dead_letter_after = 2
)";

constexpr std::string_view kSmall = "name = \"a\"\nversion = \"1\"\n";

void expect_whole(const model::Metadata& m) {
  EXPECT_EQ(m.name, "reader");
  EXPECT_EQ(model::to_string(m.version), "1.4.2");
  EXPECT_EQ(m.type, model::PluginType::AiModel);
  EXPECT_EQ(m.description, "reads « everything » it may");
  EXPECT_EQ(m.author, "Ada");
  EXPECT_EQ(m.min_sandbox_level, model::SandboxLevel::L2);
  EXPECT_TRUE(m.capabilities.has(Capability::Filesystem));
  EXPECT_TRUE(m.capabilities.has(Capability::Hardware));
  EXPECT_FALSE(m.capabilities.has(Capability::CreateProcesses));
  EXPECT_EQ(m.capabilities.custom, 0x80000001U);
  EXPECT_EQ(m.acl.read, (std::vector<std::string>{"${input}", "/usr/share/common-licenses"}));
  EXPECT_EQ(m.acl.write, (std::vector<std::string>{"/var/lib/reader"}));
  EXPECT_EQ(m.acl.devices, (std::vector<std::string>{"/dev/dri/renderD128"}));
  EXPECT_EQ(m.acl.connect, (std::vector<std::string>{"api.example.org:443"}));
  EXPECT_EQ(m.acl.send_to, (std::vector<std::string>{"tokenizer", "type:prompt-processor"}));
  EXPECT_EQ(m.acl.receive_from, (std::vector<std::string>{"*", "application"}));
  ASSERT_EQ(m.dependencies.size(), 2U);
  EXPECT_EQ(m.dependencies[0].name, "metrics");
  EXPECT_TRUE(m.dependencies[0].optional);
  EXPECT_EQ(model::to_string(m.dependencies[1].versions), ">= 1.0.0, <= 2.0.0");
  EXPECT_EQ(m.platform.min_kernel, (model::Version{6, 1, 0}));
  EXPECT_EQ(m.limits.max_memory_mb, 64U);
  EXPECT_EQ(m.limits.max_tmp_files, 100U);
  EXPECT_EQ(m.config.at("dotted.key"), "a \"quoted\" \\ value\nof two lines");
  using model::Lossiness;
  EXPECT_EQ(m.events,
            (model::Events{
                {7, Lossiness::None}, {8, Lossiness::Newest}, {4294967295U, Lossiness::Oldest}}));
  EXPECT_EQ(m.channels.ring, kib(512)); // rounded up to a power of two
  EXPECT_TRUE(m.channels.huge_pages);
  EXPECT_TRUE(m.restart.on_crash);
  EXPECT_EQ(m.restart.backoff, std::chrono::milliseconds(0));
  EXPECT_EQ(m.restart.limit, 4U);
  EXPECT_EQ(m.restart.dead_letter_after, 2U);
}

TEST(Manifest, EveryFieldArrivesFromToml) {
  const auto metadata = parse_manifest_toml(kWhole, "plugin.toml");
  ASSERT_TRUE(metadata) << metadata.error().text;
  expect_whole(*metadata);
}

TEST(Manifest, EveryFieldArrivesFromTheCompiledBytes) {
  const auto bytes = compile_manifest(kWhole, "plugin.toml");
  ASSERT_TRUE(bytes) << bytes.error().text;
  const auto metadata = parse_manifest(as_bytes(*bytes));
  ASSERT_TRUE(metadata) << metadata.error().text;
  expect_whole(*metadata);
  EXPECT_EQ(compile_manifest(kWhole, "plugin.toml").value(), *bytes); // the same each time
}

TEST(Manifest, TheSmallestOneHasTheDefaults) {
  const auto metadata = parse_manifest_toml(kSmall, "plugin.toml");
  ASSERT_TRUE(metadata) << metadata.error().text;
  EXPECT_EQ(metadata->type, model::PluginType::Custom);
  EXPECT_EQ(metadata->required_api_version, 1U);
  EXPECT_EQ(metadata->limits.max_memory_mb, model::ResourceLimits{}.max_memory_mb);
  EXPECT_EQ(metadata->capabilities, model::CapabilitySet{});
  EXPECT_TRUE(metadata->events.empty());
  EXPECT_EQ(metadata->channels.ring, Bytes{});
  EXPECT_FALSE(metadata->restart.on_crash);
  EXPECT_EQ(metadata->restart.backoff, std::chrono::milliseconds(100));
  EXPECT_EQ(metadata->restart.limit, 10U);
  EXPECT_EQ(metadata->restart.dead_letter_after, 3U);
}

TEST(Manifest, JsonShowsTheFieldsByTheirNames) {
  const auto json = manifest_json(as_bytes(compile_manifest(kWhole, "x").value()));
  ASSERT_TRUE(json) << json.error().text;
  EXPECT_NE(json->find("\"max_memory_mb\": \"64\""), std::string::npos) << *json;
}

struct Wrong {
  const char* toml;  // after name and version (or in their place, when it begins with '!')
  const char* words; // of the error, with its place
};
class WrongManifest : public ::testing::TestWithParam<Wrong> {};
TEST_P(WrongManifest, IsRefusedWithPlaceKeyValueAndWhatIsAllowed) {
  const std::string_view toml = GetParam().toml;
  const std::string text =
      toml.starts_with('!') ? std::string(toml.substr(1)) : std::string(kSmall) + GetParam().toml;
  EXPECT_REFUSED(parse_manifest_toml(text, "p.toml"), Code::Invalid, GetParam().words);
}

constexpr Wrong kUnknownKeys[] = {
    {"nmae = \"a\"", "p.toml:3: unknown key 'nmae'; did you mean 'name'?"},
    {"[capabilities]\ncan_acess_filesystem = true",
     "p.toml:4: unknown key 'capabilities.can_acess_filesystem'; did you"},
    {"[limits]\nmax_memory = 3",
     "p.toml:4: unknown key 'limits.max_memory'; did you mean 'max_memory_mb'?"},
    {"[depends]\nx = { version = \"1\" }",
     "p.toml:4: unknown key 'depends.x.version'; known: min, max, optional"},
    {"minSandboxLevel = \"L1\"", "p.toml:3: unknown key 'minSandboxLevel'"},
};
INSTANTIATE_TEST_SUITE_P(UnknownKeys, WrongManifest, ::testing::ValuesIn(kUnknownKeys));

constexpr Wrong kWrongKinds[] = {
    {"description = 3", "p.toml:3: description = 3: it must be a text in quotes"},
    {"api = \"1\"", "p.toml:3: api = \"1\": it must be a whole number"},
    {"api = 1.5", "p.toml:3: api = 1.5: it must be a whole number"},
    {"api = -1", "p.toml:3: api = -1: it must be a whole number from 0 to 4294967295"},
    {"api = 4294967296", "p.toml:3: api = 4294967296: it must be"},
    {"author = 2020-01-01", "p.toml:3: author = (a date or time): it must be a text"},
    {"capabilities = true", "p.toml:3: capabilities = true: it must be a table"},
    {"[capabilities]\ncan_access_network = \"yes\"",
     "p.toml:4: capabilities.can_access_network = \"yes\": it must be true or"},
    {"[acl]\nsend_to = \"x\"", "p.toml:4: acl.send_to = \"x\": it must be a list"},
    {"[acl]\nsend_to = [\n\"x\",\n1]", "p.toml:6: acl.send_to[1] = 1: it must be a text"},
    {"[depends]\nx = \"1.0\"", "p.toml:4: depends.x = \"1.0\": it must be a table"},
    {"config = []", "p.toml:3: config = [...]: it must be a table"},
    {"x = [", "p.toml:"},
    {"name = \"b\"", "p.toml:3: "},
};
INSTANTIATE_TEST_SUITE_P(WrongKinds, WrongManifest, ::testing::ValuesIn(kWrongKinds));

constexpr Wrong kWrongValues[] = {
    {"!version = \"1\"", "p.toml: name is missing"},
    {"!name = \"a\"", "p.toml: version is missing"},
    {"!name = \"A\"\nversion = \"1\"", "p.toml:1: name = \"A\": it must be [a-z0-9][a-z0-9_-]*"},
    {"!name = \"../x\"\nversion = \"1\"", "p.toml:1: name = \"../x\""},
    {"!name = \"application\"\nversion = \"1\"", "stands for programs outside"},
    {"!name = \"a\"\nversion = \"1.2.3.4\"",
     "p.toml:2: version = \"1.2.3.4\": it must be up to three numbers"},
    {"type = \"model\"", "p.toml:3: type = \"model\": it must be one of ai-model, web-extension"},
    {"description = \"a\\u001b[31m\"",
     "p.toml:3: description = \"a\\x1b[31m\": it must be at most 255 bytes of UTF-8"},
    {"description = \"a\\u202e\"", "p.toml:3: description"},
    {"min_sandbox_level = \"L4\"", "p.toml:3: min_sandbox_level = \"L4\": it must be L1, L2 or L3"},
    {"api = 70000", "p.toml:3: api = \"70000\": it must be from 1 to 1000"},
    {"[platform]\nos = \"windows\"", "p.toml:4: platform.os = \"windows\""},
    {"[platform]\nmachine = \"vax\"", "p.toml:4: platform.machine = \"vax\""},
    {"[platform]\nmin_kernel = \"six\"", "p.toml:4: platform.min_kernel = \"six\""},
    {"[depends]\na = {}", "p.toml:4: a depends on itself"},
    {"[depends]\nB = {}", "\"B\": it must be a plugin's name"},
    {"[depends]\nb = { min = \"2\", max = \"1\" }",
     "p.toml:4: depends.b: no version is at least 2 and at most 1"},
    {"[depends]\nb = { min = \"x\" }", "p.toml:4: depends.b.min = \"x\""},
    {"[acl]\nsend_to = [\"X\"]",
     "p.toml:4: acl.send_to[0] = \"X\": it must be a plugin's name, \"application\""},
    {"[acl]\nsend_to = [\"type:x\"]", "p.toml:4: acl.send_to[0] = \"type:x\""},
    {"[config]\n\"a b\" = \"\"", "p.toml:4: 'a b' is no name of a setting"},
};
INSTANTIATE_TEST_SUITE_P(WrongValues, WrongManifest, ::testing::ValuesIn(kWrongValues));

constexpr Wrong kWrongAcls[] = {
    {"[acl]\nread = [\"/a\"]", "p.toml:4: acl.read needs the capability can_access_filesystem: add "
                               "can_access_filesystem = true"},
    {"[acl]\nwrite = [\"/a\"]", "acl.write needs the capability can_access_filesystem"},
    {"[acl]\ndevices = [\"/dev/null\"]", "acl.devices needs the capability can_access_hardware"},
    {"[acl]\nconnect = [\"a:1\"]", "acl.connect needs the capability can_access_network"},
};
INSTANTIATE_TEST_SUITE_P(WrongAcls, WrongManifest, ::testing::ValuesIn(kWrongAcls));

constexpr Wrong kWrongMessaging[] = {
    {"[events]\n\"7\" = \"some\"",
     "p.toml:4: events.7 = \"some\": it must be none, newest or oldest"},
    {"[events]\n7 = 1", "p.toml:4: events.7 = 1: it must be a text"},
    {"[events]\nnews = \"none\"",
     "p.toml:4: events.news = \"none\": it must be an entry whose key"},
    {"[events]\n-1 = \"none\"", "p.toml:4: events.-1"},
    {"[events]\n07 = \"none\"", "p.toml:4: events.07"},
    {"[events]\n\"\" = \"none\"", "p.toml:4: events."},
    {"[events]\n4294967296 = \"none\"", "p.toml:4: events.4294967296"},
    {"[channels]\nring_bytes = 65536", "p.toml:4: channels.ring_bytes = 65536: it must be a text"},
    {"[channels]\nring_bytes = \"\"", "p.toml:4: channels.ring_bytes = \"\": it must be from"},
    {"[channels]\nring_bytes = \"64\"", "p.toml:4: channels.ring_bytes = \"64\": it must be from"},
    {"[channels]\nring_bytes = \"64 KB\"", "p.toml:4: channels.ring_bytes"},
    {"[channels]\nring_bytes = \"-1 KiB\"", "p.toml:4: channels.ring_bytes"},
    {"[channels]\nring_bytes = \"15 KiB\"", "p.toml:4: channels.ring_bytes"},
    {"[channels]\nring_bytes = \"1025 MiB\"", "p.toml:4: channels.ring_bytes"},
    {"[channels]\nring_bytes = \"4294967295 GiB\"", "p.toml:4: channels.ring_bytes"},
    {"[channels]\nring_bytes = \"1 GiB\"", "it must be at most limits.max_memory_mb, 256 MiB here"},
    {"[channels]\nhuge_pages = \"yes\"",
     "p.toml:4: channels.huge_pages = \"yes\": it must be true or false"},
    {"[restart]\nbackoff_ms = 5",
     "p.toml:4: restart.backoff_ms means nothing without on_crash = true under [restart]"},
    {"[restart]\non_crash = 1", "p.toml:4: restart.on_crash = 1: it must be true or false"},
    {"[restart]\non_crash = true\nbackoff_ms = 3600001",
     "p.toml:5: restart.backoff_ms = 3600001: it must be from 0 to 3600000"},
    {"[restart]\non_crash = true\nlimit = 0",
     "p.toml:5: restart.limit = 0: it must be from 1 to 1000000"},
    {"[restart]\non_crash = true\ndead_letter_after = 1001",
     "p.toml:5: restart.dead_letter_after = 1001: it must be from 1 to 1000"},
    {"[restart]\non_crash = true\nafter = 2", "p.toml:5: unknown key 'restart.after'"},
    {"[channels]\nring_byte = \"\"",
     "p.toml:4: unknown key 'channels.ring_byte'; did you mean 'ring_bytes'?"},
};
INSTANTIATE_TEST_SUITE_P(WrongMessaging, WrongManifest, ::testing::ValuesIn(kWrongMessaging));

TEST(Manifest, RingsGoFrom16KiBToOneGiB) {
  const auto ring = [](std::string_view bytes) {
    return parse_manifest_toml(
               fmt::format("{}[limits]\nmax_memory_mb = 2048\n[channels]\nring_bytes = \"{}\"",
                           kSmall, bytes),
               "p.toml")
        .value()
        .channels.ring;
  };
  EXPECT_EQ(ring("16 KiB"), model::kSmallestRing);
  EXPECT_EQ(ring("17KiB"), kib(32));
  EXPECT_EQ(ring("3 MiB"), mib(4));
  EXPECT_EQ(ring("1 GiB"), model::kLargestRing);
  EXPECT_EQ(ring("1048576 KiB"), model::kLargestRing);
}

TEST(Manifest, PathsAreAbsoluteAndNormal) {
  for (const auto* path : {"a", "", "/a/../b", "/a/..", "/./a", "//a", "/a//b", "/a/", "${other}",
                           "/x/${input}/..", "/a\\u0000b"}) {
    const auto text = fmt::format("{}[capabilities]\ncan_access_filesystem = true\n[config]\ninput "
                                  "= \"\"\n[acl]\nread = [\"{}\"]",
                                  kSmall, path);
    EXPECT_REFUSED(parse_manifest_toml(text, "p.toml"), Code::Invalid, "p.toml:8: acl.read[0] = ");
  }
}

TEST(Manifest, AddressesHaveAHostAndAPort) {
  for (const auto* address : {"host", "host:", ":1", "host:0", "host:65536", "host:1x", "a b:1",
                              "http://host:1", "u@h:1"}) {
    const auto text = fmt::format(
        "{}[capabilities]\ncan_access_network = true\n[acl]\nconnect = [\"{}\"]", kSmall, address);
    EXPECT_REFUSED(parse_manifest_toml(text, "p.toml"), Code::Invalid,
                   "p.toml:6: acl.connect[0] = ");
  }
}

TEST(Manifest, LimitsHaveRanges) {
  for (const auto* limit :
       {"max_memory_mb = 7", "max_memory_mb = 1048577", "max_memory_mb = 0", "max_cpu_percent = 0",
        "max_file_descriptors = 15", "max_execution_time_ms = 0", "max_processes = 0",
        "max_tmp_mb = 0", "max_tmp_files = 1"})
    EXPECT_REFUSED(parse_manifest_toml(fmt::format("{}[limits]\n{}", kSmall, limit), "p.toml"),
                   Code::Invalid, fmt::format("p.toml:4: limits.{}: it must be from ", limit));
  EXPECT_TRUE(parse_manifest_toml(fmt::format("{}[limits]\nmax_network_connections = 0", kSmall),
                                  "p.toml"));
}

TEST(Manifest, TextIsBounded) {
  EXPECT_REFUSED(parse_manifest_toml(std::string(70000, '#'), "p.toml"), Code::TooLarge,
                 "the limit is 65536");
  std::string many(kSmall);
  many += "[acl]\nsend_to = [";
  for (int i = 0; i < 65; ++i) many += "\"x\",";
  EXPECT_REFUSED(parse_manifest_toml(many + "]", "p.toml"), Code::Invalid,
                 "65 entries, and the limit is 64");
}

TEST(Manifest, DeepTextIsRefusedBeforeAnythingRecurses) {
  std::string dots(kSmall);
  for (int i = 0; i < 30000; ++i) dots += "a.";
  EXPECT_REFUSED(parse_manifest_toml(dots + "a = 1", "p.toml"), Code::Invalid,
                 "p.toml:3: a key of more than");
  EXPECT_REFUSED(parse_manifest_toml(std::string(kSmall) + "x = [\"\"\"a\"\"\"\", {" +
                                         dots.substr(kSmall.size()) + "b=1}]",
                                     "p.toml"),
                 Code::Invalid, "a key of more than");
  EXPECT_REFUSED(
      parse_manifest_toml(std::string(kSmall) + "x = " + std::string(30000, '['), "p.toml"),
      Code::Invalid, "p.toml:3");
  std::string inline_tables(kSmall);
  inline_tables += "x = ";
  for (int i = 0; i < 10000; ++i) inline_tables += "{a=";
  EXPECT_REFUSED(parse_manifest_toml(inline_tables, "p.toml"), Code::Invalid, "p.toml:3");
  // Dots in a text are not parts of a key.
  EXPECT_TRUE(parse_manifest_toml(
      std::string(kSmall) + "description = \"" + std::string(200, '.') + "\"", "p.toml"));
}

TEST(Manifest, BeyondAsciiIsForTextsAndComments) {
  EXPECT_REFUSED(parse_manifest_toml(std::string(kSmall) + "\u022f = 1", "p.toml"), Code::Invalid,
                 "p.toml:3: ");
  EXPECT_TRUE(parse_manifest_toml(
      "\xEF\xBB\xBF" + std::string(kSmall) + "author = \"\u022f\" # \u022f", "p.toml"));
}

TEST(Manifest, WhatBeginsNoKeyIsShown) {
  for (const char* line : {"[?]", "[[?]]", "[]", "? = 1"})
    EXPECT_REFUSED(parse_manifest_toml(std::string(kSmall) + line, "p.toml"), Code::Invalid,
                   "p.toml:3: ");
}

TEST(Manifest, NumbersThatAreNoNumbersAreShown) {
  EXPECT_REFUSED(parse_manifest_toml(std::string(kSmall) + "api = inf", "p.toml"), Code::Invalid,
                 "p.toml:3: api = inf");
  EXPECT_REFUSED(parse_manifest_toml(std::string(kSmall) + "api = [nan]", "p.toml"), Code::Invalid,
                 "p.toml:3: api = [...]");
}

TEST(ManifestBytes, ThatAreNoManifestAreMalformed) {
  EXPECT_REFUSED(parse_manifest({}), Code::Malformed, "is no manifest");
  EXPECT_REFUSED(parse_manifest(as_bytes("\x0A\xFFxxxx")), Code::Malformed, "is no manifest");
  EXPECT_REFUSED(parse_manifest(as_bytes(std::string(70000, '\x0A'))), Code::TooLarge, "65536");
}

TEST(ManifestBytes, OfANewerVersionAreIncompatible) {
  const std::string bytes = compile_manifest(kSmall, "x").value() + "\xF8\x06\x01"; // field 111
  EXPECT_REFUSED(parse_manifest(as_bytes(bytes)), Code::Incompatible, "number 111");
}

TEST(ManifestBytes, AreCheckedAsTheTextIs) {
  const std::string name = "\x0A\x02../\x12\x01"
                           "1"; // a length that does not fit is malformed already
  EXPECT_FALSE(parse_manifest(as_bytes(name)));
  const std::string path = std::string("\x0A\x04..\x1b/", 6) + "\x12\x01"
                                                               "1";
  EXPECT_REFUSED(parse_manifest(as_bytes(path)), Code::Invalid, "name = \"..\\x1b/\"");
}

TEST(ManifestBytes, DeepNestingIsNotFollowed) {
  std::string groups; // unknown groups inside each other
  for (int i = 0; i < 20000; ++i) groups += "\xFB\x06";
  EXPECT_REFUSED(parse_manifest(as_bytes(groups)), Code::Malformed, "no manifest");
}

TEST(PluginName, IsAlsoAFileName) {
  for (const auto* name : {"a", "0", "ocr-2_x", "a--b"})
    EXPECT_TRUE(model::is_plugin_name(name)) << name;
  for (const auto* name : {"", "-a", "_a", "A", "a.b", "a/b", "..", "é", "a b"})
    EXPECT_FALSE(model::is_plugin_name(name)) << name;
  EXPECT_TRUE(model::is_plugin_name(std::string(63, 'a')));
  EXPECT_FALSE(model::is_plugin_name(std::string(64, 'a')));
}

} // namespace
} // namespace mohhos::security
