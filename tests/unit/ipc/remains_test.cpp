#include "ipc/remains.hpp"

#include <random>

#include <unistd.h>

#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using testing::bytes_of;
using testing::Pair;
using testing::text_of;

Remains remains_of(const Pair& pair) {
  return {pair.memory.data.get(), pair.memory.control.get(), pair.capacity};
}

std::vector<std::string> unread(const Pair& pair) {
  const Remains remains = remains_of(pair);
  std::vector<std::string> texts;
  std::uint64_t position = remains.progress()->tail;
  for (;;) {
    const auto record = remains.at(position);
    EXPECT_TRUE(record) << record.error().text;
    if (!record || !*record) return texts;
    texts.push_back(text_of((*record)->payload));
    position = (*record)->end;
  }
}

TEST(Remains, AreWhatWasSentAndNotReleased) {
  Pair pair;
  for (const char* text : {"a", "b", "c"}) ASSERT_EQ(pair.send(text), RingSender::Outcome::Ok);
  EXPECT_EQ(pair.take(), "a");
  pair.receiver.reset();
  EXPECT_EQ(unread(pair), (std::vector<std::string>{"b", "c"}));
}

TEST(Remains, AreWholeAcrossTheEndOfTheRing) {
  Pair pair;
  const std::string large(1500, 'x');
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(pair.send(large + std::to_string(i)), RingSender::Outcome::Ok);
    EXPECT_EQ(unread(pair), std::vector<std::string>{large + std::to_string(i)});
    ASSERT_TRUE(pair.take());
  }
}

TEST(Remains, CarryWhatTheSenderSaid) {
  Pair pair;
  ASSERT_EQ(pair.send("?", {.type = MessageType::DataRequest,
                            .priority = Priority::High,
                            .event = 3,
                            .correlation = 4,
                            .deadline_ns = 5}),
            RingSender::Outcome::Ok);
  const auto record = remains_of(pair).at(0);
  ASSERT_TRUE(record && *record);
  const MessageInfo& info = (*record)->info;
  EXPECT_EQ(info.type, MessageType::DataRequest);
  EXPECT_EQ(info.priority, Priority::High);
  EXPECT_EQ(info.event, 3U);
  EXPECT_EQ(info.correlation, 4U);
  EXPECT_EQ(info.deadline_ns, 5U);
  EXPECT_EQ(info.id, 1U);
}

TEST(Remains, AMessageInHandIsSuspected) {
  Pair pair;
  ASSERT_EQ(pair.send("a"), RingSender::Outcome::Ok);
  EXPECT_FALSE(suspect_after(*remains_of(pair).progress(), {7}, {})) << "nobody has begun it";
  View view;
  ASSERT_EQ(pair.receiver->next(view), RingReceiver::Outcome::Message);
  const auto suspect = suspect_after(*remains_of(pair).progress(), {7}, {});
  ASSERT_TRUE(suspect);
  EXPECT_EQ(*suspect, (Suspect{.channel = 7, .position = 0, .deaths = 1}));
  pair.receiver->release(view);
  EXPECT_FALSE(suspect_after(*remains_of(pair).progress(), {7}, {})) << "it is done with";
}

TEST(Remains, DeathsOnTheSameMessageAreCountedAndOnAnotherAnew) {
  const Progress progress{.tail = 128, .begun = 192};
  std::vector<Suspect> before;
  for (std::uint32_t deaths = 1; deaths <= 3; ++deaths) {
    const auto suspect = suspect_after(progress, {7}, before);
    ASSERT_TRUE(suspect);
    EXPECT_EQ(suspect->deaths, deaths);
    before = {*suspect};
  }
  EXPECT_EQ(suspect_after({.tail = 192, .begun = 256}, {7}, before)->deaths, 1U);
  EXPECT_EQ(suspect_after(progress, {8}, before)->deaths, 1U);
}

TEST(Remains, TheNextReceiverBeginsBehindWhatIsBuried) {
  Pair pair;
  for (const char* text : {"a", "poison", "c"}) ASSERT_EQ(pair.send(text), RingSender::Outcome::Ok);
  EXPECT_EQ(pair.take(), "a");
  View view;
  ASSERT_EQ(pair.receiver->next(view), RingReceiver::Outcome::Message);
  pair.receiver.reset();
  const Remains remains = remains_of(pair);
  const auto record = remains.at(remains.progress()->tail);
  ASSERT_TRUE(record && *record);
  EXPECT_EQ(text_of((*record)->payload), "poison");
  ASSERT_TRUE(remains.bury_before((*record)->end));
  EXPECT_EQ(remains.progress()->tail, (*record)->end);
  EXPECT_FALSE(suspect_after(*remains.progress(), {7}, {}));
  pair.new_sender(2); // it finds the end all the same
  pair.new_receiver();
  ASSERT_EQ(pair.send("d"), RingSender::Outcome::Ok);
  ASSERT_EQ(pair.receiver->next(view), RingReceiver::Outcome::Message);
  EXPECT_EQ(text_of(view.payload), "c");
  EXPECT_FALSE(view.info.redelivered);
  pair.receiver->release(view);
  EXPECT_EQ(pair.take(), "d");
  pair.receiver.reset();
  pair.new_receiver(); // what was buried once is behind, and nothing is skipped again
  EXPECT_FALSE(pair.take());
  EXPECT_EQ(pair.sender->ring().breach(), Breach::None);
}

TEST(Remains, NonsenseInTheControlPageIsAnErrorOrNothing) {
  EXPECT_FALSE(judge_progress(1, 0, 0, 4096));
  EXPECT_EQ(judge_progress(64, 63, 0, 4096)->begun, 64U);
  EXPECT_EQ(judge_progress(64, 0, 0, 4096)->begun, 64U);         // went back
  EXPECT_EQ(judge_progress(64, 64 + 8192, 0, 4096)->begun, 64U); // further than the ring
  EXPECT_EQ(judge_progress(64, 64, 65 + 8192, 4096)->tail, 64U); // not to be believed
  EXPECT_EQ(judge_progress(64, 64, 128, 4096)->tail, 64U);       // no mark
  EXPECT_EQ(judge_progress(64, 64, 129, 4096)->tail, 128U);
  const std::uint64_t last = ~std::uint64_t{63};
  EXPECT_EQ(judge_progress(last, 64, 0, 4096)->begun, 64U); // over the end of all positions
  std::mt19937_64 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto progress = judge_progress(random() & ~std::uint64_t{63}, random(), random(), 4096);
    ASSERT_TRUE(progress);
    ASSERT_LE(progress->begun - progress->tail, 4096U);
  }
}

TEST(Remains, RandomBytesAreReadInsideTheRing) {
  Pair pair;
  pair.sender.reset();
  pair.receiver.reset();
  std::mt19937_64 random(2);
  std::vector<std::uint64_t> words(4096 / sizeof(std::uint64_t));
  for (int round = 0; round < 200; ++round) {
    for (std::uint64_t& word : words) word = random();
    const std::uint64_t position = (random() % 64) * 64;
    // The right tag, so that sizes are judged too.
    words[position / 8] = PublishWord{.size = static_cast<std::uint32_t>(random() % 8192),
                                      .tag = tag_of(position),
                                      .type = static_cast<std::uint8_t>(random() % 9),
                                      .flags = static_cast<std::uint8_t>(random() % 64)}
                              .pack();
    ASSERT_EQ(::pwrite(pair.memory.data.get(), words.data(), 4096, kHeaderPage), 4096);
    const auto record = remains_of(pair).at(position);
    if (record && *record) {
      EXPECT_LE((*record)->payload.size(), largest_payload(4096));
    }
  }
}

} // namespace
} // namespace mohhos::ipc
