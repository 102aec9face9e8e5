#include <cstring>

#include <gtest/gtest.h>
#include <unistd.h>

#include "sandbox/boot.hpp"
#include "sys/memfd.hpp"

namespace mohhos::sandbox {
namespace {

Boot example() {
  Boot boot;
  boot.plugin = PluginId{7};
  boot.generation = Generation{3};
  boot.name = "reader";
  boot.plugin_type = 2;
  boot.execution_time_ms = 5000;
  boot.landlock.resize(2);
  for (LandlockRule& rule : boot.landlock) {
    rule.access = PathAccess::Read;
    std::strcpy(rule.path, "/usr/lib");
  }
  boot.confine = {BPF_STMT(BPF_RET | BPF_K, 0)};
  boot.tighten = {BPF_STMT(BPF_RET | BPF_K, 1), BPF_STMT(BPF_RET | BPF_K, 2)};
  return boot;
}

TEST(Boot, ComesBackAsItWasWritten) {
  const auto parsed = parse_boot(serialize_boot(example()));
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed->plugin, PluginId{7});
  EXPECT_EQ(parsed->generation, Generation{3});
  EXPECT_EQ(parsed->name, "reader");
  EXPECT_EQ(parsed->landlock.size(), 2U);
  EXPECT_STREQ(parsed->landlock[1].path, "/usr/lib");
  ASSERT_EQ(parsed->tighten.size(), 2U);
  EXPECT_EQ(parsed->tighten[1].k, 2U);
}

TEST(Boot, CutAnywhereIsMalformed) {
  const std::vector<std::byte> whole = serialize_boot(example());
  for (std::size_t size = 0; size < whole.size(); ++size)
    ASSERT_FALSE(parse_boot(std::span(whole).first(size))) << size;
  std::vector<std::byte> longer = whole;
  longer.push_back({});
  EXPECT_FALSE(parse_boot(longer));
}

TEST(Boot, AnyByteChangedIsReadWithinBoundsOrRefused) {
  const std::vector<std::byte> whole = serialize_boot(example());
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const unsigned value : {0x00U, 0x7FU, 0xFFU}) {
      std::vector<std::byte> changed = whole;
      changed[at] = static_cast<std::byte>(value);
      const auto parsed = parse_boot(changed);
      if (parsed) {
        ASSERT_LE(parsed->landlock.size(), kMaxLandlockRules);
      }
    }
}

TEST(Boot, AMissingFirstFilterIsMalformed) {
  Boot boot = example();
  std::vector<std::byte> bytes = serialize_boot(boot);
  boot.confine.push_back(boot.confine[0]);
  EXPECT_NE(serialize_boot(boot).size(), bytes.size());
  boot.tighten.clear();
  EXPECT_TRUE(parse_boot(serialize_boot(boot)));
}

TEST(Boot, IsReadOnlyFromSealedMemory) {
  auto sealed = make_boot(example());
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(read_boot(sealed->get()));
  auto open = sys::make_memfd("open", 0600);
  ASSERT_TRUE(open);
  const std::vector<std::byte> bytes = serialize_boot(example());
  ASSERT_EQ(::write(open->get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_FALSE(read_boot(open->get()));
}

} // namespace
} // namespace mohhos::sandbox
