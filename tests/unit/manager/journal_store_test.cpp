#include "manager/journal_store.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"
#include "ipc/layout.hpp"

namespace mohhos::manager {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class JournalStoreTest : public testing::Test {
protected:
  JournalStore open(const JournalLimits& limits = {}) { return open_at(directory, limits); }
  static JournalStore open_at(const fs::path& where, const JournalLimits& limits = {}) {
    auto store = JournalStore::open(where, limits);
    EXPECT_TRUE(store) << store.error().text;
    return *std::move(store);
  }
  static LogInfo info(const std::string& sender = "from", std::uint64_t channel = 1) {
    return {.life = 1,
            .channel = channel,
            .ring_bytes = 4096,
            .sender_type = 6,
            .sender = sender,
            .receiver = "to"};
  }
  // Message n lies at n * 64.
  static Result<> append(JournalStore& store, JournalStore::LogId log, std::uint64_t n,
                         std::string_view text) {
    return store.append(log, {.place = {n * 64, n * 64 + 64}, .payload = bytes_of(text)});
  }
  // Everything that a new receiver would get, in order.
  static std::vector<std::string> contents(JournalStore& store, std::uint64_t channel = 99) {
    std::vector<std::string> texts;
    for (const Leftovers& group : store.leftovers("to", [](const LogInfo&) { return false; })) {
      std::uint64_t position = 0;
      LogInfo into = info(group.sender, channel++);
      into.life = 2;
      const auto adopted =
          store.adopt(group, into, [&](const JournalMessage& message) -> Result<Place> {
            texts.push_back(text_of(message.payload));
            const std::uint64_t begin = position;
            return Place{begin, position += 64};
          });
      EXPECT_TRUE(adopted) << adopted.error().text;
    }
    return texts;
  }
  std::vector<std::string> contents_of_copy() {
    const fs::path copy = top_.path() / "copy";
    fs::remove_all(copy);
    fs::copy(directory, copy);
    JournalStore store = open_at(copy);
    return contents(store);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& each : fs::directory_iterator(directory)) all.push_back(each.path());
    std::ranges::sort(all);
    return all;
  }

  test::TemporaryDirectory top_{test::fast_place()}; // what is tested here is not the disk
  const fs::path directory = top_.path() / "journal";
};

using Texts = std::vector<std::string>;

TEST_F(JournalStoreTest, KeepsWhatWasCommitted) {
  {
    JournalStore store = open();
    const auto log = store.begin(info());
    ASSERT_TRUE(append(store, log, 0, "a"));
    ASSERT_TRUE(append(store, log, 1, "b"));
    ASSERT_TRUE(store.commit());
    ASSERT_TRUE(append(store, log, 2, "never committed"));
  }
  JournalStore store = open();
  EXPECT_EQ(contents(store), (Texts{"a", "b"}));
  EXPECT_TRUE(store.take_remarks().empty());
}

TEST_F(JournalStoreTest, ForgetsWhatWasAcknowledged) {
  {
    JournalStore store = open();
    const auto log = store.begin(info());
    for (std::uint64_t n = 0; n < 5; ++n) ASSERT_TRUE(append(store, log, n, std::to_string(n)));
    ASSERT_TRUE(store.commit());
    store.acknowledge(log, 3 * 64);
    store.acknowledge(log, 64); // a tail that went back is none
    store.tidy();
  }
  JournalStore store = open();
  EXPECT_EQ(contents(store), (Texts{"3", "4"}));
}

TEST_F(JournalStoreTest, GroupsBySenderAndLaneInTheOrderOfTheLogs) {
  JournalStore store = open();
  const auto first = store.begin(info("a", 1));
  const auto other = store.begin(info("b", 2));
  const auto second = store.begin(info("a", 3)); // a was loaded again
  LogInfo high = info("a", 4);
  high.lane = ipc::Lane::High;
  const auto urgent = store.begin(high);
  ASSERT_TRUE(append(store, second, 0, "a2"));
  ASSERT_TRUE(append(store, first, 0, "a1"));
  ASSERT_TRUE(append(store, other, 0, "b"));
  ASSERT_TRUE(append(store, urgent, 0, "a high"));
  ASSERT_TRUE(store.commit());
  const auto groups = store.leftovers("to", [](const LogInfo&) { return false; });
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(contents(store), (Texts{"a1", "a2", "a high", "b"}));
  EXPECT_TRUE(store.leftovers("somebody else", [](const LogInfo&) { return false; }).empty());
}

// Programs call themselves whatever they like: a thousand of them must not become as many rings.
TEST_F(JournalStoreTest, GivesNoMoreThanSomeAtATime) {
  JournalStore store = open();
  for (std::uint64_t i = 0; i < 100; ++i) {
    LogInfo one = info("program " + std::to_string(i), i + 1);
    one.sender_type = i == 99 ? 6 : kNoPluginType;
    ASSERT_TRUE(append(store, store.begin(one), 0, std::to_string(i)));
  }
  ASSERT_TRUE(store.commit());
  const auto groups = store.leftovers("to", [](const LogInfo&) { return false; });
  ASSERT_EQ(groups.size(), 64U);
  EXPECT_EQ(groups[0].sender, "program 99");
  EXPECT_EQ(store.take_remarks().size(), 1U);
  // These are given to their receiver, which is done with them, and so on.
  const auto is_first = [&](const LogInfo& one) {
    return std::ranges::find(groups, one.sender, &Leftovers::sender) != groups.end();
  };
  EXPECT_EQ(store.leftovers("to", is_first).size(), 36U);
}

TEST_F(JournalStoreTest, LeavesAloneWhatARingStillHolds) {
  JournalStore store = open();
  const auto log = store.begin(info());
  ASSERT_TRUE(append(store, log, 0, "x"));
  ASSERT_TRUE(store.commit());
  EXPECT_TRUE(store.leftovers("to", [](const LogInfo& one) { return one.channel == 1; }).empty());
}

TEST_F(JournalStoreTest, SaysWhichLimitIsReachedAndChangesNothing) {
  JournalStore store = open({.per_log = 1000, .in_all = 1500});
  const auto one = store.begin(info("a", 1));
  const auto two = store.begin(info("b", 2));
  ASSERT_TRUE(append(store, one, 0, std::string(500, 'x')));
  const auto own = append(store, one, 1, std::string(500, 'x'));
  ASSERT_FALSE(own);
  EXPECT_EQ(own.error().code, Code::Exhausted);
  EXPECT_NE(own.error().text.find("max_channel_mb"), std::string::npos) << own.error().text;
  ASSERT_TRUE(append(store, two, 0, std::string(500, 'y')));
  const auto all = append(store, two, 1, std::string(300, 'y'));
  ASSERT_FALSE(all);
  EXPECT_NE(all.error().text.find("max_mb"), std::string::npos) << all.error().text;
  ASSERT_TRUE(store.commit());
  store.acknowledge(one, 64);
  EXPECT_TRUE(append(store, one, 1, std::string(500, 'z')));
  ASSERT_TRUE(store.commit());
  EXPECT_EQ(contents(store).size(), 2U);
}

TEST_F(JournalStoreTest, NobodyTakesMoreThanHalf) {
  JournalStore store = open({.in_all = 4000});
  LogInfo program = info("a", 3); // that calls itself like a plugin
  program.sender_type = kNoPluginType;
  LogInfo other = info("b", 4);
  other.sender_type = kNoPluginType;
  std::vector<JournalStore::LogId> logs;
  for (const LogInfo& one : {info("a", 1), info("a", 2), program, other})
    logs.push_back(store.begin(one));
  const std::string text(700, 'x');
  EXPECT_TRUE(append(store, logs[0], 0, text));
  EXPECT_TRUE(append(store, logs[1], 0, text));
  const auto third = append(store, logs[1], 1, text);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::Exhausted);
  EXPECT_NE(third.error().text.find("half"), std::string::npos) << third.error().text;
  EXPECT_TRUE(append(store, logs[2], 0, text)); // programs are somebody else, and all one
  EXPECT_TRUE(append(store, logs[3], 0, text));
  EXPECT_FALSE(append(store, logs[3], 1, text));
  ASSERT_TRUE(store.commit());
  store.acknowledge(logs[2], 64);
  EXPECT_TRUE(append(store, logs[3], 1, text));
  store.acknowledge(logs[0], 64);
  EXPECT_TRUE(append(store, logs[1], 1, text));
}

TEST_F(JournalStoreTest, BoundsTheChannelsThatItKeepsMessagesOf) {
  JournalStore store = open({.logs = 2});
  EXPECT_TRUE(store.has_room(info("a", 1), std::nullopt, 1));
  const auto one = store.begin(info("a", 1));
  (void)store.begin(info("a", 2));
  EXPECT_EQ(store.has_room(info("a", 3), std::nullopt, 1).error().code, Code::Exhausted);
  EXPECT_TRUE(store.has_room(info("a", 1), one, 1));
}

// What nobody acknowledges lies where it is: nothing is gained by writing it again and again.
TEST_F(JournalStoreTest, DoesNotCopyWhatIsNeededRoundAndRound) {
  JournalStore store = open({.segment = 4096});
  const auto log = store.begin(info());
  for (std::uint64_t n = 0; n < 400; ++n) {
    ASSERT_TRUE(append(store, log, n, std::string(900, 'x')));
    ASSERT_TRUE(store.commit());
  }
  const auto before = files();
  ASSERT_GT(before.size(), 64U);
  for (int i = 0; i < 100; ++i) store.tidy();
  EXPECT_EQ(files(), before);
}

TEST_F(JournalStoreTest, GivesTheDiskBack) {
  JournalStore store = open({.segment = 16'384});
  const auto log = store.begin(info());
  for (std::uint64_t n = 0; n < 1000; ++n) {
    ASSERT_TRUE(append(store, log, n, std::string(900, 'x')));
    ASSERT_TRUE(store.commit());
    store.acknowledge(log, n * 64);
    store.tidy();
    ASSERT_LT(store.disk_bytes(), 64'000U);
  }
  EXPECT_LE(files().size(), 4U);
}

// One receiver never comes; the others' traffic must not fill the disk because of it.
TEST_F(JournalStoreTest, ASlowReceiverDoesNotHoldUpTheSegmentsOfTheOthers) {
  {
    JournalStore store = open({.segment = 16'384});
    const auto slow = store.begin(info("slow", 1));
    const auto fast = store.begin(info("fast", 2));
    for (std::uint64_t n = 0; n < 1000; ++n) {
      if (n % 100 == 0) {
        ASSERT_TRUE(append(store, slow, n, "kept " + std::to_string(n)));
      }
      ASSERT_TRUE(append(store, fast, n, std::string(900, 'x')));
      ASSERT_TRUE(store.commit());
      store.acknowledge(fast, n * 64 + 64);
      store.tidy();
      ASSERT_LT(store.disk_bytes(), 100'000U);
    }
  }
  JournalStore store = open();
  Texts expected;
  for (int n = 0; n < 1000; n += 100) expected.push_back("kept " + std::to_string(n));
  EXPECT_EQ(contents(store), expected);
}

// The last segment cut at every length: what was committed before it is whole, in order.
TEST_F(JournalStoreTest, SurvivesEveryTruncation) {
  {
    JournalStore store = open();
    const auto log = store.begin(info());
    for (std::uint64_t n = 0; n < 6; ++n) {
      ASSERT_TRUE(append(store, log, n, std::to_string(n)));
      ASSERT_TRUE(store.commit());
    }
  }
  const fs::path file = files().at(0);
  for (std::uintmax_t size = fs::file_size(file); size-- > 0;) {
    fs::resize_file(file, size);
    const Texts found = contents_of_copy();
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], std::to_string(i));
  }
}

TEST_F(JournalStoreTest, ReportsABitFlipAndLosesNoMoreThanThatMessage) {
  {
    JournalStore store = open();
    const auto log = store.begin(info());
    for (std::uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(append(store, log, n, std::to_string(n)));
    ASSERT_TRUE(store.commit());
  }
  const fs::path file = files().at(0);
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  for (std::streamoff at = 0; at < size; ++at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char before = static_cast<char>(stream.get());
    stream.seekp(at);
    stream.put(static_cast<char>(before ^ 0x10));
    stream.flush();
    ASSERT_GE(contents_of_copy().size(), 3U) << at;
    stream.seekp(at);
    stream.put(before);
  }
}

// Cut short at any byte, a move of leftovers into a new log has happened or has not.
TEST_F(JournalStoreTest, ARestoreIsAllOrNothing) {
  {
    JournalStore store = open();
    const auto log = store.begin(info());
    for (std::uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(append(store, log, n, std::to_string(n)));
    ASSERT_TRUE(store.commit());
  }
  {
    JournalStore store = open();
    ASSERT_EQ(contents(store), (Texts{"0", "1", "2", "3"}));
  }
  ASSERT_EQ(files().size(), 2U);
  const fs::path file = files().at(1);
  for (std::uintmax_t size = fs::file_size(file) + 1; size-- > 0;) {
    if (size < fs::file_size(file)) fs::resize_file(file, size);
    ASSERT_EQ(contents_of_copy(), (Texts{"0", "1", "2", "3"})) << size;
  }
}

TEST_F(JournalStoreTest, ARestoreThatFailsLeavesEverythingAsItWas) {
  JournalStore store = open();
  const auto log = store.begin(info());
  for (std::uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(append(store, log, n, std::to_string(n)));
  ASSERT_TRUE(store.commit());
  const auto groups = store.leftovers("to", [](const LogInfo&) { return false; });
  int placed = 0;
  const auto adopted =
      store.adopt(groups.at(0), info("from", 50), [&](const JournalMessage&) -> Result<Place> {
        if (++placed == 3) return fail(Code::Exhausted, "full");
        return Place{0, 64};
      });
  EXPECT_FALSE(adopted);
  EXPECT_EQ(contents(store), (Texts{"0", "1", "2", "3"}));
}

// A disk that takes no more: an own small file system, which needs root.
TEST_F(JournalStoreTest, AFullDiskIsAnAnswerAndNothingIsHalfThere) {
  fs::create_directory(directory);
  if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "mounting needs root";
  {
    JournalStore store = open();
    const auto log = store.begin(info());
    std::uint64_t n = 0;
    Result<> done;
    while (done) {
      ASSERT_LT(n, 1000U);
      ASSERT_TRUE(append(store, log, n, std::string(1000, 'x')));
      done = store.commit();
      if (done) ++n;
    }
    EXPECT_EQ(done.error().code, Code::Exhausted) << done.error().text;
    EXPECT_GT(n, 10U);
    EXPECT_EQ(store.end_of(log), n * 64);
    // The receiver comes along: then there is room again.
    store.acknowledge(log, n * 64);
    store.tidy();
    store.tidy();
    EXPECT_TRUE(append(store, log, n, "now"));
    const auto again = store.commit();
    EXPECT_TRUE(again) << again.error().text;
    EXPECT_EQ(contents(store), Texts{"now"});
  }
  ::umount2(directory.c_str(), MNT_DETACH);
}

} // namespace
} // namespace mohhos::manager
