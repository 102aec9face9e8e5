// Memories that ride along messages, between endpoints over a real broker.
#include <fcntl.h>
#include <sys/mman.h>

#include "endpoints.hpp"

namespace mohhos::ipc::testing {
namespace {

class Memories : public EndpointTest {
protected:
  void SetUp() override {
    maker = open(plugin(1, "maker"));
    reader = open(plugin(2, "reader"));
    way = channel_to(*maker, "reader");
  }
  // One of 64 KiB that begins with this text.
  static OwnMemory make(Endpoint& endpoint, std::string_view text) {
    const auto made = endpoint.make_memory(65536, soon());
    EXPECT_TRUE(made) << made.error().text;
    if (!made) return {};
    std::memcpy(made->bytes.data(), text.data(), text.size());
    return *made;
  }
  Result<std::uint64_t> send_with(std::uint64_t memory, std::string_view text = "look") {
    return maker->send(way, {.attachment = memory}, bytes_of(text), soon());
  }
  static Message next(Endpoint& endpoint) {
    auto message = endpoint.receive(soon());
    EXPECT_TRUE(message && *message);
    return **message;
  }
  static std::string beginning_of(const GivenMemory& memory, std::size_t size) {
    return text_of(memory.bytes.first(size));
  }
  bool eventually_needed(std::size_t memories, std::size_t passages) {
    const Monotonic deadline = soon();
    while (board.memories() != std::pair(memories, passages)) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::unique_ptr<Endpoint> maker;
  std::unique_ptr<Endpoint> reader;
  ChannelId way;
};

TEST_F(Memories, ArriveWithTheirMessageAndOutliveIt) {
  const OwnMemory memory = make(*maker, "a picture");
  ASSERT_TRUE(send_with(memory.number));
  const Message message = next(*reader);
  const auto given = reader->take_memory(message);
  ASSERT_TRUE(given) << given.error().text;
  EXPECT_EQ(given->bytes.size(), 65536U);
  reader->release(message);
  EXPECT_EQ(beginning_of(*given, 9), "a picture");
  EXPECT_TRUE(maker->drop_memory(memory.number));
  EXPECT_FALSE(maker->drop_memory(memory.number));
  EXPECT_EQ(beginning_of(*given, 9), "a picture");
  EXPECT_TRUE(eventually_needed(1, 1));
  EXPECT_TRUE(reader->drop_memory(given->number));
  EXPECT_TRUE(eventually_needed(0, 0));
}

TEST_F(Memories, GoWithSeveralMessagesAndToSeveralReceivers) {
  auto other = open(plugin(3, "other"));
  const ChannelId there = channel_to(*maker, "other");
  const OwnMemory memory = make(*maker, "shared");
  ASSERT_TRUE(send_with(memory.number));
  ASSERT_TRUE(send_with(memory.number, "again"));
  ASSERT_TRUE(maker->send(there, {.priority = Priority::High, .attachment = memory.number},
                          bytes_of("too"), soon()));
  maker->drop_memory(memory.number);
  for (Endpoint* const endpoint : {reader.get(), reader.get(), other.get()}) {
    const Message message = next(*endpoint);
    const auto given = endpoint->take_memory(message);
    ASSERT_TRUE(given) << given.error().text;
    EXPECT_EQ(endpoint->take_memory(message)->number, given->number) << "taken twice";
    EXPECT_EQ(beginning_of(*given, 6), "shared");
    endpoint->drop_memory(given->number);
    endpoint->release(message);
  }
  EXPECT_TRUE(eventually_needed(0, 0));
}

TEST_F(Memories, NobodyTookEndsWithItsMessage) {
  const OwnMemory memory = make(*maker, "unwanted");
  ASSERT_TRUE(send_with(memory.number));
  maker->drop_memory(memory.number);
  EXPECT_TRUE(eventually_needed(1, 1));
  const Message message = next(*reader);
  reader->release(message);
  // Its descriptor may still be in the link.
  const Monotonic deadline = soon();
  while (board.memories().first != 0 && std::chrono::steady_clock::now() < deadline)
    EXPECT_FALSE(*reader->receive(in(1ms)));
  EXPECT_EQ(board.memories().first, 0U);
}

TEST_F(Memories, CannotBeSentWhileSomebodyElseHasItMappedForWriting) {
  const OwnMemory memory = make(*maker, "mine");
  const sys::Fd fd = board.memory(memory.number);
  void* const kept = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(kept, MAP_FAILED);
  const auto refused = send_with(memory.number);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::BadState);
  EXPECT_EQ(board.memories(), (std::pair<std::size_t, std::size_t>{1, 0}));
  ASSERT_EQ(::munmap(kept, 4096), 0);
  EXPECT_TRUE(send_with(memory.number)) << "the first try has done no harm";
  send(*maker, way, "behind");
  EXPECT_EQ(take(*reader), "look");
  EXPECT_EQ(take(*reader), "behind");
}

TEST_F(Memories, RefusesNumbersThatAreNotItsOwn) {
  const OwnMemory memory = make(*reader, "the reader's");
  for (const std::uint64_t number : {memory.number, std::uint64_t{999}, UINT64_MAX})
    EXPECT_EQ(send_with(number).error().code, Code::NotFound);
  send(*maker, way, "still fine");
  EXPECT_EQ(take(*reader), "still fine");
}

TEST_F(Memories, DoNotGoWithWhatIsDurable) {
  const OwnMemory memory = make(*maker, "short-lived");
  const auto refused =
      maker->send(way, {.durable = true, .attachment = memory.number}, bytes_of("x"), soon());
  EXPECT_EQ(refused.error().code, Code::Invalid);
}

TEST_F(Memories, AMessageThatNamesOneThatNeverCameHasNone) {
  const auto record = board.channel({1}, {2}, Lane::Normal);
  ASSERT_TRUE(record);
  auto raw =
      SendingChannel::attach(board.sender_end({record->channel}), record->ring_bytes, 1).value();
  for (const std::uint64_t number : {std::uint64_t{1}, std::uint64_t{77}, UINT64_MAX}) {
    std::span<std::byte> space;
    ASSERT_EQ(raw.ring().loan(3, {.attachment = number}, space), RingSender::Outcome::Ok);
    std::memcpy(space.data(), "lie", 3);
    raw.commit();
    const Message message = next(*reader);
    EXPECT_EQ(reader->take_memory(message).error().code, Code::NotFound);
    reader->release(message);
  }
}

TEST_F(Memories, IsBoundToTheMessageThatItWasSentWith) {
  const OwnMemory memory = make(*maker, "for the first");
  ASSERT_TRUE(send_with(memory.number));
  // The second names it too, and nobody was asked.
  auto raw = SendingChannel::attach(board.sender_end(way), kDefaultRing, 1);
  if (!raw) GTEST_SKIP() << raw.error().text;
  std::span<std::byte> space;
  ASSERT_EQ(raw->ring().loan(3, {.attachment = memory.number}, space), RingSender::Outcome::Ok);
  raw->commit();
  const Message first = next(*reader);
  EXPECT_TRUE(reader->take_memory(first));
  reader->release(first);
  const Message second = next(*reader);
  EXPECT_EQ(reader->take_memory(second).error().code, Code::NotFound);
  reader->release(second);
}

TEST_F(Memories, AreThereAgainForWhoComesAfterTheReceiver) {
  const OwnMemory memory = make(*maker, "survives");
  ASSERT_TRUE(send_with(memory.number, "one"));
  ASSERT_TRUE(send_with(memory.number, "two"));
  {
    const Message message = next(*reader);
    ASSERT_TRUE(reader->take_memory(message));
    reader->release(message);
    (void)next(*reader); // begun, and then it dies
  }
  board.lose({2});
  reader.reset();
  ASSERT_TRUE(send_with(memory.number, "three")) << "while nobody is there";
  maker->drop_memory(memory.number);
  Party successor = plugin(2, "reader");
  successor.generation = {2};
  reader = open(successor);
  for (const bool redelivered : {true, false}) {
    const Message message = next(*reader);
    EXPECT_EQ(message.info.redelivered, redelivered);
    const auto given = reader->take_memory(message);
    ASSERT_TRUE(given) << given.error().text;
    EXPECT_EQ(beginning_of(*given, 8), "survives");
    reader->release(message);
    reader->drop_memory(given->number);
  }
  EXPECT_TRUE(eventually_needed(0, 0)) << "also what its predecessor had taken";
}

TEST_F(Memories, OutliveTheirSender) {
  const OwnMemory memory = make(*maker, "a legacy");
  ASSERT_TRUE(send_with(memory.number));
  maker.reset();
  board.leave({1});
  const Message message = next(*reader);
  const auto given = reader->take_memory(message);
  ASSERT_TRUE(given) << given.error().text;
  EXPECT_EQ(beginning_of(*given, 8), "a legacy");
  reader->release(message);
}

TEST_F(Memories, OutliveTheManager) {
  const OwnMemory sent = make(*maker, "sent before");
  const OwnMemory kept = make(*maker, "sent after");
  ASSERT_TRUE(send_with(sent.number));
  board.restart_manager({plugin(1, "maker"), plugin(2, "reader")});
  ASSERT_TRUE(send_with(kept.number));
  for (const std::string text : {"sent before", "sent after"}) {
    const Message message = next(*reader);
    const auto given = reader->take_memory(message);
    ASSERT_TRUE(given) << given.error().text;
    EXPECT_EQ(beginning_of(*given, text.size()), text);
    board.restart_manager({plugin(1, "maker"), plugin(2, "reader")}); // tells all of it again
    reader->release(message);
    reader->drop_memory(given->number);
  }
  maker->drop_memory(sent.number);
  maker->drop_memory(kept.number);
  send(*maker, way, "last");
  EXPECT_EQ(take(*reader), "last");
  EXPECT_TRUE(eventually_needed(0, 0));
}

TEST_F(Memories, RideAlongRequestsAndAnswers) {
  const OwnMemory question = make(*maker, "question");
  const auto answered = [&](Result<const Message*> answer) {
    ASSERT_TRUE(answer) << answer.error().text;
    const auto given = maker->take_memory(**answer);
    ASSERT_TRUE(given) << given.error().text;
    EXPECT_EQ(beginning_of(*given, 6), "answer");
    maker->interrupt();
  };
  ASSERT_TRUE(maker->call(way, {.type = MessageType::DataRequest, .attachment = question.number},
                          bytes_of("?"), soon(), answered));
  const Message request = next(*reader);
  const auto given = reader->take_memory(request);
  ASSERT_TRUE(given) << given.error().text;
  EXPECT_EQ(beginning_of(*given, 8), "question");
  const OwnMemory answer = make(*reader, "answer");
  ASSERT_TRUE(reader->respond(reply_to(request), bytes_of("!"), soon(), false, answer.number));
  reader->release(request);
  EXPECT_FALSE(*maker->receive(soon()));
}

TEST_F(Memories, OfALoanThatWasNotCommittedIsLetGoOf) {
  const OwnMemory first = make(*maker, "never published");
  ASSERT_TRUE(maker->loan(way, 4, {.attachment = first.number}, soon()));
  const OwnMemory second = make(*maker, "published");
  ASSERT_TRUE(send_with(second.number));
  const Message message = next(*reader);
  const auto given = reader->take_memory(message);
  ASSERT_TRUE(given) << given.error().text;
  EXPECT_EQ(beginning_of(*given, 9), "published");
  reader->release(message);
  reader->drop_memory(given->number);
  maker->drop_memory(first.number);
  maker->drop_memory(second.number);
  EXPECT_TRUE(eventually_needed(0, 0));
}

// The manager does not read for a while, and afterwards nobody lets anything go any more.
TEST_F(Memories, AreLetGoOfAlsoWhenTheLinkHadNoRoomForThat) {
  const OwnMemory memory = make(*maker, "held");
  ASSERT_TRUE(send_with(memory.number));
  const Message message = next(*reader);
  const auto given = reader->take_memory(message);
  ASSERT_TRUE(given) << given.error().text;
  reader->release(message);
  ASSERT_TRUE(maker->drop_memory(memory.number));
  ASSERT_TRUE(eventually_needed(1, 1));
  board.answer_nothing(true);
  while (reader->send_record(LogLine{})) {
  }
  ASSERT_TRUE(reader->drop_memory(given->number));
  EXPECT_FALSE(*reader->receive(in(20ms)));
  board.answer_nothing(false);
  for (const Monotonic deadline = soon();
       board.memories().first != 0 && std::chrono::steady_clock::now() < deadline;)
    EXPECT_FALSE(*reader->receive(in(1ms)));
  EXPECT_TRUE(eventually_needed(0, 0));
}

// Its messages are read all the same, and what came with them is there and stays.
TEST_F(Memories, OutliveTheRightToSendThem) {
  const OwnMemory memory = make(*maker, "sent");
  ASSERT_TRUE(send_with(memory.number));
  ASSERT_TRUE(send_with(memory.number, "unread"));
  const Message first = next(*reader);
  const auto early = reader->take_memory(first);
  ASSERT_TRUE(early) << early.error().text;
  const auto lent = maker->loan(way, 4, {.attachment = memory.number}, soon());
  ASSERT_TRUE(lent) << lent.error().text; // bound, and not published yet
  board.regrant({1}, {});
  std::optional<Ended> ended;
  maker->on_ended([&](const Ended& what) { ended = what; });
  while (!ended) ASSERT_FALSE(*maker->receive(in(5ms)));
  EXPECT_EQ(ended->why.code, Code::Denied);
  EXPECT_EQ(maker->commit(way), 0U);
  EXPECT_EQ(send_with(memory.number).error().code, Code::PeerGone);
  EXPECT_EQ(maker->open_channel("reader", soon()).error().code, Code::Denied);
  reader->release(first);
  const Message unread = next(*reader);
  EXPECT_EQ(text_of(unread.payload), "unread");
  const auto late = reader->take_memory(unread);
  ASSERT_TRUE(late) << late.error().text;
  reader->release(unread);
  EXPECT_TRUE(maker->drop_memory(memory.number));
  EXPECT_EQ(beginning_of(*early, 4), "sent");
  EXPECT_EQ(beginning_of(*late, 4), "sent");
  EXPECT_TRUE(reader->drop_memory(early->number));
  EXPECT_TRUE(reader->drop_memory(late->number));
  for (const Monotonic deadline = soon();
       board.memories().first != 0 && std::chrono::steady_clock::now() < deadline;)
    EXPECT_FALSE(*reader->receive(in(1ms))); // hears of the end, and lets go of what never came
  EXPECT_EQ(board.memories().first, 0U);
}

TEST_F(Memories, AreRefusedToAReceiverThatLetsNothingGo) {
  const OwnMemory memory = make(*maker, "too many");
  std::uint32_t sent = 0;
  for (;; ++sent) {
    const auto one = send_with(memory.number);
    if (one) continue;
    EXPECT_EQ(one.error().code, Code::Exhausted);
    break;
  }
  EXPECT_EQ(sent, MemoryLimits{}.sent_per_pair);
  const Message message = next(*reader);
  (void)reader->take_memory(message);
  reader->drop_memory(reader->take_memory(message)->number);
  const Monotonic deadline = soon();
  while (!send_with(memory.number)) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

} // namespace
} // namespace mohhos::ipc::testing
