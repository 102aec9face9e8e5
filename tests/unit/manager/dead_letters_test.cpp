#include "manager/dead_letters.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::manager {
namespace {

using testing::HasSubstr;

DeadLetter letter(std::uint64_t position, std::string_view text = "poison") {
  DeadLetter one;
  one.head.to = "phoenix";
  one.head.from = "feeder";
  one.head.to_id = {1};
  one.head.from_id = {2};
  one.head.to_generation = {3};
  one.head.reason = "it was the last that 3 processes had in hand";
  one.head.deaths = 3;
  one.head.buried_us = 4;
  one.head.epoch = 5;
  one.head.channel = {6};
  one.head.position = position;
  one.head.info = {.id = position / 16 + 1,
                   .type = ipc::MessageType::DataRequest,
                   .priority = ipc::Priority::High,
                   .size = static_cast<std::uint32_t>(text.size()),
                   .event = 7,
                   .correlation = 8};
  const auto bytes = std::as_bytes(std::span(text));
  one.payload.assign(bytes.begin(), bytes.end());
  return one;
}

class DeadLettersTest : public testing::Test {
protected:
  DeadLetters open(LetterBounds bounds = {}) {
    problems_.clear();
    return DeadLetters::open(root_ / "deadletters", bounds, problems_);
  }
  static std::size_t put(DeadLetters& store, DeadLetter one) {
    const auto taken = store.put(std::span(&one, 1));
    EXPECT_TRUE(taken) << taken.error().text;
    return taken.value_or(0);
  }

  test::TemporaryDirectory scratch_;
  const std::filesystem::path& root_ = scratch_.path();
  std::vector<std::string> problems_;
};

TEST_F(DeadLettersTest, IsEmptyWhereThereIsNoDirectory) {
  EXPECT_TRUE(open().heads().empty());
  EXPECT_TRUE(problems_.empty());
}

TEST_F(DeadLettersTest, KeepsALetterWithAllThatIsKnownOfIt) {
  {
    DeadLetters store = open();
    EXPECT_EQ(put(store, letter(64)), 1U);
  }
  const DeadLetters store = open(); // the next manager
  ASSERT_EQ(store.heads().size(), 1U);
  const auto back = store.read(1);
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->head.to, "phoenix");
  EXPECT_EQ(back->head.from, "feeder");
  EXPECT_EQ(back->head.deaths, 3U);
  EXPECT_EQ(back->head.reason, letter(64).head.reason);
  EXPECT_EQ(back->head.info.type, ipc::MessageType::DataRequest);
  EXPECT_EQ(back->head.info.priority, ipc::Priority::High);
  EXPECT_EQ(back->head.info.correlation, 8U);
  EXPECT_EQ(back->head.info.size, 6U);
  EXPECT_EQ(back->payload, letter(64).payload);
}

TEST_F(DeadLettersTest, TheSameMessageBuriedTwiceIsOneLetter) {
  DeadLetters store = open();
  EXPECT_EQ(put(store, letter(64)), 1U);
  EXPECT_EQ(put(store, letter(64)), 1U);
  EXPECT_EQ(put(store, letter(128)), 1U);
  EXPECT_EQ(store.heads().size(), 2U);
}

TEST_F(DeadLettersTest, RefusesTheNewOneWhenItIsFullAndDropsNone) {
  DeadLetters store = open({.count = 2, .bytes = mib(1)});
  std::vector<DeadLetter> letters = {letter(0), letter(64), letter(128)};
  EXPECT_EQ(*store.put(letters), 2U);
  EXPECT_EQ(store.heads().size(), 2U);
  EXPECT_TRUE(store.heads().contains(letters[0].head.id));
  ASSERT_TRUE(store.drop(letters[0].head.id));
  EXPECT_EQ(put(store, letter(128)), 1U);
  EXPECT_EQ(put(store, letter(192)), 0U);
}

// Who has others send it what it never reads cannot keep what kills somebody else from being
// buried.
TEST_F(DeadLettersTest, LeavesAQuarterToOtherReceivers) {
  DeadLetters store = open({.count = 8, .bytes = mib(1)});
  std::vector<DeadLetter> letters;
  letters.reserve(10);
  for (std::uint64_t i = 0; i < 10; ++i) letters.push_back(letter(i * 64));
  EXPECT_EQ(*store.put(letters), 6U);
  EXPECT_EQ(store.room_for(letters[0].head.to).count, 0U);
  EXPECT_EQ(*store.put(letters), 6U); // those that are there
  DeadLetter other = letter(640);
  other.head.to = "another";
  EXPECT_EQ(put(store, other), 1U);
  EXPECT_EQ(store.room_for("another").count, 1U);
  ASSERT_TRUE(store.drop(letters[0].head.id));
  EXPECT_EQ(store.room_for(letters[0].head.to).count, 1U);
}

TEST_F(DeadLettersTest, BoundsTheBytes) {
  DeadLetters store = open({.count = 100, .bytes = kib(96)});
  EXPECT_EQ(put(store, letter(0, std::string(60'000, 'x'))), 0U);
  EXPECT_EQ(put(store, letter(0, std::string(40'000, 'x'))), 1U);
  EXPECT_EQ(put(store, letter(64, std::string(40'000, 'x'))), 0U);
}

TEST_F(DeadLettersTest, ADroppedOneIsGoneAndItsNumberIsNotGivenAgain) {
  DeadLetters store = open();
  EXPECT_EQ(put(store, letter(0)), 1U);
  EXPECT_EQ(put(store, letter(64)), 1U);
  ASSERT_TRUE(store.drop(1));
  EXPECT_EQ(store.drop(1).error().code, Code::NotFound);
  EXPECT_EQ(store.read(1).error().code, Code::NotFound);
  EXPECT_EQ(put(store, letter(0)), 1U);
  EXPECT_TRUE(store.heads().contains(3));
}

TEST_F(DeadLettersTest, ANumberIsNotGivenAgainByWhoComesLater) {
  {
    DeadLetters store = open();
    for (const std::uint64_t at : {0U, 64U, 128U}) EXPECT_EQ(put(store, letter(at)), 1U);
    ASSERT_TRUE(store.drop(2));
    ASSERT_TRUE(store.drop(3));
  }
  {
    DeadLetters store = open();
    EXPECT_TRUE(problems_.empty());
    EXPECT_EQ(put(store, letter(192)), 1U);
    EXPECT_TRUE(store.heads().contains(4));
    ASSERT_TRUE(store.drop(4));
    ASSERT_TRUE(store.drop(1)); // none is left
  }
  DeadLetters store = open();
  EXPECT_EQ(put(store, letter(256)), 1U);
  EXPECT_TRUE(store.heads().contains(5));
}

TEST_F(DeadLettersTest, AFileThatIsNoLetterIsNamedAndLeftAlone) {
  {
    DeadLetters store = open();
    EXPECT_EQ(put(store, letter(0)), 1U);
  }
  std::ofstream(root_ / "deadletters/00000007.letter") << "nonsense";
  std::ofstream(root_ / "deadletters/00000008.letter.new") << "half";
  DeadLetters store = open();
  ASSERT_EQ(problems_.size(), 1U);
  EXPECT_THAT(problems_[0], HasSubstr("00000007.letter"));
  EXPECT_EQ(store.heads().size(), 1U);
  EXPECT_EQ(put(store, letter(64)), 1U);
  EXPECT_TRUE(store.heads().contains(8)); // 7 is taken
  EXPECT_TRUE(std::filesystem::exists(root_ / "deadletters/00000007.letter"));
}

TEST(DeadLetter, EveryCutAndEveryFlippedByteIsAnError) {
  const std::string bytes = serialize(letter(64));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(parse_letter(std::as_bytes(std::span(bytes).first(i)))) << i;
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x41);
    EXPECT_FALSE(parse_letter(std::as_bytes(std::span(flipped)))) << i;
  }
}

} // namespace
} // namespace mohhos::manager
