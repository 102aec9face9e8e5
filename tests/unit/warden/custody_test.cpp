#include "warden/custody.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace mohhos::warden {
namespace {

sys::Fd any_descriptor() {
  return sys::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

Keep names(std::uint64_t plugin, KeepKind kind, std::uint64_t key = 0) {
  Keep keep;
  keep.plugin_id = plugin;
  keep.kind = kind;
  keep.key = key;
  return keep;
}

Forget forget(std::uint64_t plugin, KeepKind kind = {}, std::uint64_t key = 0) {
  Forget message;
  message.plugin_id = plugin;
  message.kind = kind;
  message.key = key;
  return message;
}

std::vector<std::tuple<std::uint64_t, KeepKind, std::uint64_t>> content(const Custody& custody) {
  std::vector<std::tuple<std::uint64_t, KeepKind, std::uint64_t>> list;
  custody.visit([&](const Kept& kept, const sys::SharedFd& fd) {
    EXPECT_TRUE(*fd);
    list.emplace_back(kept.plugin_id, kept.kind, kept.key);
  });
  return list;
}

TEST(Custody, HandsOverTheManagersOwnFirstAndEachRecordBeforeTheRest) {
  Custody custody({});
  for (const Keep& keep :
       {names(2, KeepKind::Link), names(1, KeepKind::RingData, 9), names(2, KeepKind::Record),
        names(1, KeepKind::Record), names(0, KeepKind::Record)})
    ASSERT_TRUE(custody.keep(keep, any_descriptor()));
  using Row = std::tuple<std::uint64_t, KeepKind, std::uint64_t>;
  EXPECT_EQ(content(custody), (std::vector<Row>{{0, KeepKind::Record, 0},
                                                {1, KeepKind::Record, 0},
                                                {1, KeepKind::RingData, 9},
                                                {2, KeepKind::Record, 0},
                                                {2, KeepKind::Link, 0}}));
}

TEST(Custody, ReplacesWhatWasKeptUnderTheSameNamesAndClosesIt) {
  Custody custody({.per_plugin = 1, .in_all = 1});
  sys::Fd first = any_descriptor();
  const int number = first.get();
  ASSERT_TRUE(custody.keep(names(1, KeepKind::Record), std::move(first)));
  ASSERT_TRUE(custody.keep(names(1, KeepKind::Record), any_descriptor()));
  EXPECT_EQ(custody.size(), 1U);
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST(Custody, RefusesWhatIsTooMuchForOnePluginAndNamesTheBound) {
  Custody custody({.per_plugin = 2, .in_all = 100});
  ASSERT_TRUE(custody.keep(names(7, KeepKind::RingData, 1), any_descriptor()));
  ASSERT_TRUE(custody.keep(names(7, KeepKind::RingData, 2), any_descriptor()));
  const auto third = custody.keep(names(7, KeepKind::RingData, 3), any_descriptor());
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::Exhausted);
  EXPECT_NE(third.error().text.find("2 descriptors"), std::string::npos);
  EXPECT_TRUE(custody.keep(names(8, KeepKind::RingData, 3), any_descriptor()));
}

TEST(Custody, RefusesWhatIsTooMuchInAll) {
  Custody custody({.per_plugin = 10, .in_all = 1});
  ASSERT_TRUE(custody.keep(names(1, KeepKind::Record), any_descriptor()));
  EXPECT_FALSE(custody.keep(names(2, KeepKind::Record), any_descriptor()));
}

TEST(Custody, ForgetsOneThingOrAllOfAPluginAndNothingOfOthers) {
  Custody custody({.per_plugin = 3, .in_all = 100});
  for (const std::uint64_t plugin : {1U, 2U, 3U})
    for (const KeepKind kind : {KeepKind::Record, KeepKind::Link, KeepKind::Stderr})
      ASSERT_TRUE(custody.keep(names(plugin, kind), any_descriptor()));
  custody.forget(forget(2, KeepKind::Link));
  EXPECT_EQ(custody.size(), 8U);
  custody.forget(forget(2, KeepKind::Link));
  EXPECT_EQ(custody.size(), 8U);
  custody.forget(forget(1));
  EXPECT_EQ(custody.size(), 5U);
  EXPECT_TRUE(custody.keep(names(1, KeepKind::Link), any_descriptor()))
      << "its count must be free again";
  for (const auto& [plugin, kind, key] : content(custody))
    EXPECT_TRUE(plugin != 1 || kind == KeepKind::Link);
}

} // namespace
} // namespace mohhos::warden
