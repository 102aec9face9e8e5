#include "monitor/logs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mohhos::monitor {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

std::vector<std::string> lines_of(std::initializer_list<std::string_view> pieces,
                                  bool finish = true) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  const auto take = [&](std::string_view line) { lines.emplace_back(line); };
  for (const std::string_view piece : pieces) splitter.feed(piece, take);
  if (finish) splitter.finish(take);
  return lines;
}

TEST(LineSplitter, PutsLinesTogetherFromAnyPieces) {
  EXPECT_THAT(lines_of({"one\ntw", "o\n", "\nthree"}), ElementsAre("one", "two", "", "three"));
  EXPECT_THAT(lines_of({"half"}, false), ElementsAre());
}

TEST(LineSplitter, CutsALineThatIsTooLong) {
  const auto lines = lines_of({std::string(2 * kLongestLine + 5, 'x')});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].size(), kLongestLine);
  EXPECT_EQ(lines[2].size(), 5U);
}

TEST(LineSplitter, ALineOfExactlyTheLongestLengthIsOne) {
  const auto lines = lines_of({std::string(kLongestLine, 'x'), "\nend"});
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(lines.front().size(), kLongestLine);
  EXPECT_EQ(lines.back(), "end");
}

TEST(LogStore, KeepsTheNewestLines) {
  LogStore store;
  Monotonic now{1s};
  for (std::size_t i = 0; i < kKeptLines + 10; ++i) {
    now += 1ms;
    ASSERT_TRUE(store.add({0, Stream::Stdout, std::to_string(i), 0}, now));
  }
  EXPECT_EQ(store.lines().size(), kKeptLines);
  EXPECT_EQ(store.lines().front().text, "10");
  EXPECT_EQ(store.total_dropped(), 0U);
}

TEST(LogStore, IsBoundedInBytesToo) {
  LogStore store;
  Monotonic now{1s};
  for (int i = 0; i < 1000; ++i) {
    now += 1ms;
    static_cast<void>(store.add({0, Stream::Stdout, std::string(kLongestLine, 'x'), 0}, now));
  }
  EXPECT_LE(store.lines().size() * kLongestLine, kKeptBytes);
}

TEST(LogStore, CountsExactlyWhatAFloodLoses) {
  LogStore store;
  const Monotonic now{1s};
  std::uint64_t kept = 0;
  for (int i = 0; i < 100000; ++i) kept += store.add({0, Stream::Stdout, "x", 0}, now) ? 1 : 0;
  EXPECT_EQ(kept + store.total_dropped(), 100000U);
  ASSERT_TRUE(store.add({0, Stream::Stdout, "after", 0}, now + 10s));
  EXPECT_EQ(store.lines().back().dropped, 100000U - kept)
      << "the next line says how many are missing before it";
  EXPECT_EQ(kept + 1 + store.total_dropped(), 100001U);
}

TEST(LogStore, PassesOnWhatThePluginsOwnSideLost) {
  LogStore store;
  ASSERT_TRUE(store.add({0, Stream::Info, "x", 7}, Monotonic{1s}));
  EXPECT_EQ(store.lines().back().dropped, 7U);
  EXPECT_EQ(store.total_dropped(), 7U);
}

TEST(EscapeControls, LeavesTextAndNeutralisesTerminals) {
  EXPECT_EQ(escape_controls("grüße, 世界 🙂"), "grüße, 世界 🙂");
  EXPECT_EQ(escape_controls("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(escape_controls("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(escape_controls(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(escape_controls("\x7f"), "\\x7f");
}

TEST(EscapeControls, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(escape_controls("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(escape_controls("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(escape_controls("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(escape_controls("\xe2\x82"), "\\xe2\\x82") << "cut short";
}

TEST(EscapeControls, ShowsC1ControlsAndBidiMarks) {
  EXPECT_EQ(escape_controls("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(escape_controls("a\xe2\x80\xae"
                            "b"),
            "a\\xe2\\x80\\xaeb");
}

} // namespace
} // namespace mohhos::monitor
