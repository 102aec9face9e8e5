// An endpoint beside a peer that speaks the link and the rings itself, and as it likes: what it
// does ends in a verdict, costs the others no time, and nobody else's call.
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

// A party without an Endpoint: its link, and whatever ring it asks for, to fill as it likes.
class Outlaw {
public:
  explicit Outlaw(sys::Fd link) : link_(std::move(link)) {}

  template <class T>
  void say(const T& record) {
    EXPECT_TRUE(send_link_record(link_.get(), record));
  }
  // Waits for the record that answers; all others are dropped.
  LinkRecord answer() {
    for (;;) {
      pollfd wait{link_.get(), POLLIN, 0};
      EXPECT_EQ(::poll(&wait, 1, 10'000), 1) << "no answer";
      auto record = receive_link_record(link_.get(), LinkSide::Manager);
      EXPECT_TRUE(record && *record);
      if ((*record)->header.sequence == sequence_) return std::move(**record);
    }
  }
  Result<SendingChannel> open(PluginId target, Lane lane, std::uint64_t ring_bytes = 0) {
    OpenChannel question;
    question.header.sequence = ++sequence_;
    question.target_id = target.value;
    question.ring_bytes = ring_bytes;
    question.lane = lane;
    say(question);
    LinkRecord record = answer();
    TRY(check_answer(record, LinkType::ChannelOpened));
    const auto opened = record.as<ChannelOpened>();
    return SendingChannel::attach({std::move(record.fds[0]), std::move(record.fds[1]),
                                   std::move(record.fds[2]), std::move(record.fds[3])},
                                  opened.ring_bytes, 1,
                                  {.loss = lane == Lane::Lossy ? Loss::Oldest : Loss::Never});
  }
  static void send(SendingChannel& channel, const Outgoing& about, std::string_view text = {}) {
    std::span<std::byte> space;
    ASSERT_EQ(channel.ring().loan(static_cast<std::uint32_t>(text.size()), about, space),
              RingSender::Outcome::Ok);
    std::ranges::copy(bytes_of(text), space.begin());
    channel.commit();
  }
  // How many went in until the ring was full.
  static std::uint64_t fill(SendingChannel& channel, const Outgoing& about) {
    std::span<std::byte> space;
    std::uint64_t count = 0;
    while (channel.ring().loan(0, about, space) == RingSender::Outcome::Ok) {
      channel.commit();
      ++count;
    }
    return count;
  }

private:
  // Endpoint's own is in its private header.
  static Result<> check_answer(const LinkRecord& record, LinkType expected) {
    if (record.type() == expected) return {};
    const auto refused = record.as<ChannelRefused>();
    return std::unexpected(Error{static_cast<Code>(refused.code), refused.text});
  }
  sys::Fd link_;
  std::uint32_t sequence_ = 0;
};

class HostileEndpoint : public EndpointTest {
protected:
  HostileEndpoint() : outlaw(board.connect(plugin(9, "outlaw"))) {}
  Outlaw outlaw;
};

// --- floods of what never reaches the owner ---

TEST_F(HostileEndpoint, AFloodOfWrongAnswersDoesNotHoldACallBeyondItsDeadline) {
  const auto a = open(plugin(1, "a"));
  const ChannelId to_outlaw = channel_to(*a, "outlaw");
  auto replies = outlaw.open({1}, Lane::Reply, 16U << 20);
  ASSERT_TRUE(replies) << replies.error().text;
  const Outgoing wrong{.type = MessageType::DataResponse, .correlation = 12345};
  const std::uint64_t flood = Outlaw::fill(*replies, wrong);
  EXPECT_EQ(a->call_and_wait(to_outlaw, {.type = MessageType::DataRequest}, bytes_of("?"), in(1ms))
                .error()
                .code,
            Code::TimedOut);
  EXPECT_LT(a->counters().late_answers, flood);
}

TEST_F(HostileEndpoint, AFloodOfWrongAnswersDoesNotHoldAReceiverThatOnlyLooks) {
  const auto a = open(plugin(1, "a"));
  channel_to(*a, "outlaw");
  auto replies = outlaw.open({1}, Lane::Reply);
  ASSERT_TRUE(replies) << replies.error().text;
  const std::uint64_t flood =
      Outlaw::fill(*replies, {.type = MessageType::DataResponse, .correlation = 12345});
  EXPECT_FALSE(*a->receive(kNoWait));
  EXPECT_LT(a->counters().received, flood);
  // And there is more: whoever asks before he sleeps is told.
  EXPECT_FALSE(a->prepare_wait());
}

TEST_F(HostileEndpoint, AStormOfCancellationsDoesNotHoldAReceiverThatOnlyLooks) {
  const auto a = open(plugin(1, "a"));
  auto channel = outlaw.open({1}, Lane::Normal);
  ASSERT_TRUE(channel) << channel.error().text;
  std::uint64_t heard = 0;
  a->on_cancel([&](const ReplyTo&) { ++heard; });
  const std::uint64_t flood =
      Outlaw::fill(*channel, {.type = MessageType::DataRequest, .cancels = true, .correlation = 7});
  EXPECT_FALSE(*a->receive(kNoWait));
  EXPECT_LT(heard, flood);
  while (heard < flood) ASSERT_FALSE(*a->receive(kNoWait)); // no harm in them
}

TEST_F(HostileEndpoint, AStormOfRequestsThatAreTooLateDoesNotHoldAReceiverThatOnlyLooks) {
  const auto a = open(plugin(1, "a"));
  auto channel = outlaw.open({1}, Lane::Normal);
  ASSERT_TRUE(channel) << channel.error().text;
  const std::uint64_t flood = Outlaw::fill(
      *channel, {.type = MessageType::DataRequest, .correlation = 7, .deadline_ns = 1});
  EXPECT_FALSE(*a->receive(kNoWait));
  EXPECT_LT(a->counters().received, flood);
  const auto id = board.channel({9}, {1}, Lane::Normal)->channel;
  while (a->counters().received < flood) ASSERT_FALSE(*a->receive(kNoWait));
  EXPECT_EQ(board.counters(ChannelId{id}).second.expired, flood);
}

TEST_F(HostileEndpoint, DeadlinesAndTimesFromTheFutureAreJustNumbers) {
  const auto a = open(plugin(1, "a"));
  auto channel = outlaw.open({1}, Lane::Normal);
  ASSERT_TRUE(channel) << channel.error().text;
  std::span<std::byte> space;
  ASSERT_EQ(channel->ring().loan(
                1, {.type = MessageType::DataRequest, .correlation = 1, .deadline_ns = UINT64_MAX},
                space),
            RingSender::Outcome::Ok);
  // The header lies before the extension: the timestamp is written by commit(), so again after it.
  auto* const record = space.data() - sizeof(RecordExtension) - sizeof(RecordHeader);
  channel->commit();
  reinterpret_cast<RecordHeader*>(record)->timestamp_ns = UINT64_MAX;
  auto message = a->receive(soon());
  ASSERT_TRUE(message && *message);
  EXPECT_EQ((*message)->info.deadline_ns, UINT64_MAX);
  EXPECT_EQ((*message)->info.timestamp_ns, UINT64_MAX);
  a->release(**message);
}

// --- bells ---

TEST_F(HostileEndpoint, ABellForSpaceThatRingsWithoutEndEndsTheChannel) {
  const auto a = open(plugin(1, "a"), {.spin = 0us});
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelEnd hostile = board.receiver_end(to_b);
  std::optional<Ended> end;
  a->on_ended([&](const Ended& ended) { end = ended; });
  for (int i = 0; i < 5000 && !end; ++i) {
    const std::uint64_t once = 1;
    ASSERT_EQ(::write(hostile.space_bell.get(), &once, sizeof once), 8);
    EXPECT_FALSE(*a->receive(kNoWait));
  }
  ASSERT_TRUE(end);
  EXPECT_EQ(end->channel, to_b);
  EXPECT_NE(end->why.text.find("bell"), std::string::npos) << end->why.text;
}

TEST_F(HostileEndpoint, BellsThatAreRungForSpaceDoNotEndAChannel) {
  const auto a = open(plugin(1, "a"), {.spin = 0us, .ring_bytes = 4096});
  const auto b = open(plugin(2, "b"), {.spin = 0us});
  const ChannelId to_b = channel_to(*a, "b");
  constexpr int kCount = 100'000;
  std::thread receiving([&] {
    for (int i = 0; i < kCount; ++i) ASSERT_EQ(take(*b), "x");
  });
  for (int i = 0; i < kCount; ++i) send(*a, to_b, "x");
  receiving.join();
  EXPECT_TRUE(a->peer(to_b));
}

// --- lies about who waits for whom ---

Waiting waiting_for(std::uint64_t peer) {
  Waiting record;
  record.peer_id = peer;
  return record;
}

// a asks b, b waits for outlaw, and outlaw says that it waits for a: so a's call would close a
// circle, were it true.
TEST_F(HostileEndpoint, AClaimToWaitForSomebodyEndsNobodysCall) {
  const auto a = open(plugin(1, "a"));
  Outlaw b(board.connect(plugin(2, "b"))); // honest, but its waiting is said here
  auto to_outlaw = b.open({9}, Lane::Normal);
  ASSERT_TRUE(to_outlaw) << to_outlaw.error().text;
  auto to_a = outlaw.open({1}, Lane::Normal); // it may; it has sent nothing
  ASSERT_TRUE(to_a) << to_a.error().text;
  const ChannelId to_b = channel_to(*a, "b");
  b.say(waiting_for(9));
  outlaw.say(waiting_for(1));
  ASSERT_TRUE(board.await_waiting({2}, kLong) && board.await_waiting({9}, kLong));
  // While a waits, and has told that it does. Its verdict lies on its link before the news of b's
  // channel for answers, so it has come when the answer does.
  std::thread answering([&] {
    ASSERT_TRUE(board.await_waiting({1}, kLong));
    auto replies = b.open({1}, Lane::Reply);
    ASSERT_TRUE(replies) << replies.error().text;
    const auto numbers = board.sender_end(to_b);
    const auto ring =
        sys::map_shared(numbers.data.get(), 0, kHeaderPage + 4096, sys::Access::ReadOnly);
    ASSERT_TRUE(ring);
    const auto* const request =
        reinterpret_cast<const RecordExtension*>(ring->data() + kHeaderPage + sizeof(RecordHeader));
    Outlaw::send(*replies, {.type = MessageType::DataResponse, .correlation = request->correlation},
                 "without it");
  });
  const auto answer =
      a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon());
  answering.join();
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(text_of(answer->payload), "without it");
}

TEST_F(HostileEndpoint, AVerdictAboutACallThatHasEndedDoesNotEndTheNext) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelId from_b = channel_to(*b, "a");
  send(*b, from_b, "so that a owes b something");
  Deadlock late;
  late.header.sequence = 4242; // of a call that has ended
  late.peer_id = 2;
  put_text(late.text, "too late");
  std::thread answering([&] {
    auto request = b->receive(soon());
    ASSERT_TRUE(request && *request);
    board.say({1}, late);
    EXPECT_TRUE(b->respond(reply_to(**request), bytes_of("answer"), in(10s)));
    b->release(**request);
  });
  const auto answer =
      a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon());
  answering.join();
  ASSERT_TRUE(answer) << answer.error().text;
}

// --- what is still in hand ---

TEST_F(HostileEndpoint, ACallInsideTheCallbackOfAnAnswerKeepsThatAnswer) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::thread answering([&] {
    for (int i = 0; i < 3; ++i) {
      auto request = b->receive(soon());
      ASSERT_TRUE(request && *request);
      EXPECT_TRUE(b->respond(reply_to(**request), (*request)->payload, soon()));
      b->release(**request);
    }
  });
  std::string first;
  std::string second;
  ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("first"), soon(),
                      [&](Result<const Message*> got) {
                        ASSERT_TRUE(got);
                        const auto inner = a->call_and_wait(
                            to_b, {.type = MessageType::DataRequest}, bytes_of("second"), soon());
                        second = inner ? text_of(inner->payload) : inner.error().text;
                        first = text_of((*got)->payload);
                        a->interrupt();
                      }));
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(first, "first");
  EXPECT_EQ(second, "second");
  const auto third =
      a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("third"), soon());
  ASSERT_TRUE(third) << third.error().text;
  answering.join();
  const auto replies = board.channel({2}, {1}, Lane::Reply);
  ASSERT_TRUE(replies);
  EXPECT_EQ(board.counters(ChannelId{replies->channel}).second.acknowledged, 3U);
}

// What the owner never sees lies between what he holds: it must not be released before that.
TEST_F(HostileEndpoint, WhatTheOwnerHoldsIsNotReleasedWithWhatHeDoesNotSee) {
  const auto a = open(plugin(1, "a"));
  auto channel = outlaw.open({1}, Lane::Normal);
  ASSERT_TRUE(channel) << channel.error().text;
  const auto send_unseen = [&] {
    Outlaw::send(*channel, {.type = MessageType::DataRequest, .cancels = true, .correlation = 7});
    Outlaw::send(*channel, {.type = MessageType::DataRequest, .correlation = 7, .deadline_ns = 1});
    Outlaw::send(*channel, {.type = MessageType::DataResponse, .correlation = 7});
  };
  const auto acknowledged = [&] {
    const ChannelId id{board.channel({9}, {1}, Lane::Normal)->channel};
    return board.counters(id).second.acknowledged;
  };
  for (std::uint64_t round = 0; round < 3; ++round) {
    send_unseen();
    Outlaw::send(*channel, {}, "one");
    send_unseen();
    Outlaw::send(*channel, {}, "two");
    send_unseen();
    auto one = a->receive(soon());
    auto two = a->receive(soon());
    ASSERT_TRUE(one && *one && two && *two);
    EXPECT_FALSE(*a->receive(kNoWait));
    EXPECT_EQ(acknowledged(), round * 11 + 3);
    EXPECT_EQ(text_of((*one)->payload), "one");
    a->release(**one);
    EXPECT_EQ(acknowledged(), round * 11 + 4);
    a->release(**two);
    EXPECT_EQ(acknowledged(), round * 11 + 11);
  }
}

TEST_F(HostileEndpoint, AnAnswerToNothingAtAllBreaksTheRingForAnswers) {
  const auto a = open(plugin(1, "a"));
  channel_to(*a, "outlaw");
  auto replies = outlaw.open({1}, Lane::Reply);
  ASSERT_TRUE(replies) << replies.error().text;
  Outlaw::send(*replies, {.type = MessageType::DataResponse});
  const LastEnd end(*a);
  while (!end) ASSERT_TRUE(a->receive(soon()));
  EXPECT_EQ(end->why.code, Code::Malformed);
}

// --- a ring of one's own ---

// A sender that takes the memory of its own unread messages away: nothing there, or a broken ring.
TEST_F(HostileEndpoint, ARingWhoseMemoryIsTakenAwayIsEmptyOrBrokenAndTheOthersGoOn) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId from_b = channel_to(*b, "a");
  auto channel = outlaw.open({1}, Lane::Normal, 4096);
  ASSERT_TRUE(channel) << channel.error().text;
  Outlaw::fill(*channel, {});
  auto first = a->receive(soon());
  ASSERT_TRUE(first && *first);
  const auto id = board.channel({9}, {1}, Lane::Normal)->channel;
  const ChannelEnd mine = board.sender_end(ChannelId{id});
  const auto data = sys::map_shared(mine.data.get(), 0, kHeaderPage + 4096, sys::Access::ReadWrite);
  ASSERT_TRUE(data);
  ASSERT_EQ(::madvise(data->data(), kHeaderPage + 4096, MADV_REMOVE), 0);
  EXPECT_FALSE(*a->receive(kNoWait));
  a->release(**first);
  send(*b, from_b, "others go on");
  EXPECT_EQ(take(*a), "others go on");
}

} // namespace
} // namespace mohhos::ipc
