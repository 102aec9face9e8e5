#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "sandbox/verify.hpp"

namespace mohhos::sandbox {
namespace {

Spec example() {
  Spec spec;
  spec.required = model::required_walls();
  spec.memory_bytes = 64U << 20;
  spec.cpu_percent = 100;
  spec.processes = 32;
  spec.descriptors = 256;
  spec.tmp_bytes = 1U << 20;
  spec.tmp_inodes = 100;
  return spec;
}

Mount& add(Spec& spec, MountKind kind, const char* source, const char* target) {
  Mount& mount = spec.mounts[spec.mount_count++];
  mount.kind = kind;
  std::strcpy(mount.source, source);
  std::strcpy(mount.target, target);
  return mount;
}

TEST(VerifySpec, TakesAnOrdinaryOne) {
  Spec spec = example();
  add(spec, MountKind::SystemReadOnly, "/usr/lib", "/usr/lib");
  add(spec, MountKind::Link, "usr/lib", "/lib");
  Mount& null = add(spec, MountKind::Device, "/dev/null", "/dev/null");
  null.device_type = S_IFCHR;
  null.device_major = 1;
  null.device_minor = 3;
  EXPECT_TRUE(verify_spec(spec));
}

struct BadField {
  const char* name;
  void (*spoil)(Spec&);
};
constexpr BadField kBadFields[] = {
    {"version", [](Spec& s) { s.version = 2; }},
    {"required", [](Spec& s) { s.required = 0; }},
    {"required", [](Spec& s) { s.required = 0xFFFFFFFF; }},
    {"memory_bytes", [](Spec& s) { s.memory_bytes = 0; }},
    {"memory_bytes", [](Spec& s) { s.memory_bytes = ~std::uint64_t{0}; }},
    {"cpu_percent", [](Spec& s) { s.cpu_percent = 0; }},
    {"processes", [](Spec& s) { s.processes = 0; }},
    {"descriptors", [](Spec& s) { s.descriptors = 3; }},
    {"create_processes", [](Spec& s) { s.create_processes = 2; }},
    {"tmp_bytes", [](Spec& s) { s.tmp_bytes = 0; }},
    {"mount_count", [](Spec& s) { s.mount_count = kMaxMounts + 1; }},
    {"reserved", [](Spec& s) { s.reserved = 1; }},
};
TEST(VerifySpec, NamesTheFieldThatIsOutOfBounds) {
  for (const BadField& bad : kBadFields) {
    Spec spec = example();
    bad.spoil(spec);
    const auto verified = verify_spec(spec);
    ASSERT_FALSE(verified) << bad.name;
    EXPECT_THAT(verified.error().text, testing::HasSubstr(bad.name));
  }
}

TEST(VerifySpec, RefusesPathsThatAreNotNormalOrOurs) {
  for (const char* target :
       {"", "/", "usr", "/a/", "/a//b", "/a/./b", "/a/../b", "/..", "/proc", "/proc/1", "/sys",
        "/tmp", "/plugin", "/plugin/plugin.so", "/dev", "/.wall"}) {
    Spec spec = example();
    add(spec, MountKind::ReadOnly, "/usr/share", target);
    EXPECT_FALSE(verify_spec(spec)) << target;
  }
  for (const char* source : {"", "/", "relative", "/a/..", "/proc/self", "/sys/kernel"}) {
    Spec spec = example();
    add(spec, MountKind::ReadOnly, source, "/data");
    EXPECT_FALSE(verify_spec(spec)) << source;
  }
}

TEST(VerifySpec, RefusesTwoMountsAtOnePlaceAndBytesBeyondTheCount) {
  Spec spec = example();
  add(spec, MountKind::ReadOnly, "/a", "/data");
  add(spec, MountKind::ReadWrite, "/b", "/data");
  EXPECT_FALSE(verify_spec(spec));
  spec.mount_count = 1;
  EXPECT_FALSE(verify_spec(spec)); // the second is still written
  Spec hidden = example();
  add(hidden, MountKind::ReadOnly, "/a", "/data").target[200] = 'x';
  EXPECT_FALSE(verify_spec(hidden));
}

TEST(VerifySpec, RefusesDevicesWithoutANumberAndNumbersWithoutADevice) {
  Spec spec = example();
  add(spec, MountKind::Device, "/dev/null", "/dev/null");
  EXPECT_FALSE(verify_spec(spec));
  Spec other = example();
  add(other, MountKind::ReadOnly, "/a", "/data").device_major = 8;
  EXPECT_FALSE(verify_spec(other));
}

TEST(ClassifyPath, KnowsWhatIsInsideAndWhatIsLogged) {
  Spec spec = example();
  add(spec, MountKind::SystemReadOnly, "/usr/lib", "/usr/lib");
  add(spec, MountKind::ReadOnly, "/srv/data", "/srv/data");
  Mount& null = add(spec, MountKind::Device, "/dev/null", "/dev/null");
  null.device_type = S_IFCHR;
  null.device_major = 1;
  Mount& card = add(spec, MountKind::Device, "/dev/dri/card0", "/dev/dri/card0");
  card.device_type = S_IFCHR;
  card.device_major = 226;
  EXPECT_EQ(classify_path(spec, "/usr/lib/libc.so.6"), PathClass::Silent);
  EXPECT_EQ(classify_path(spec, "/dev/null"), PathClass::Silent);
  EXPECT_EQ(classify_path(spec, "/tmp/x"), PathClass::Silent);
  EXPECT_EQ(classify_path(spec, "/plugin/plugin.so"), PathClass::Silent);
  EXPECT_EQ(classify_path(spec, "/dev/dri/card0"), PathClass::Granted);
  EXPECT_EQ(classify_path(spec, "/srv/data"), PathClass::Granted);
  EXPECT_EQ(classify_path(spec, "srv/data/x"), PathClass::Granted);
  EXPECT_EQ(classify_path(spec, "/srv/./data//x"), PathClass::Granted);
  EXPECT_EQ(classify_path(spec, "/srv/data/../../etc/shadow"), PathClass::Outside);
  EXPECT_EQ(classify_path(spec, "/srv/database"), PathClass::Outside);
  EXPECT_EQ(classify_path(spec, "/"), PathClass::Outside);
  EXPECT_EQ(classify_path(spec, ""), PathClass::Outside);
  EXPECT_EQ(classify_path(spec, "/../../usr/lib"), PathClass::Silent);
}

} // namespace
} // namespace mohhos::sandbox
