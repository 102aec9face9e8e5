#include <chrono>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::text_of;

using testing::EndpointTest;
using testing::in;
using testing::plugin;
using testing::soon;

// Answers every request with its own text and an exclamation mark, until it is told "stop".
void answer_requests(Endpoint& endpoint) {
  for (;;) {
    auto message = endpoint.receive(soon());
    if (!message || !*message) return;
    const std::string text = text_of((*message)->payload);
    const ReplyTo to = reply_to(**message);
    endpoint.release(**message);
    if (text == "stop") return;
    if (text == "no")
      (void)endpoint.respond(to, bytes_of("I would rather not"), soon(), true);
    else if (to.correlation != 0)
      (void)endpoint.respond(to, bytes_of(text + "!"), soon());
  }
}

TEST_F(EndpointTest, SendsAndReceivesByName) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "hello");
  auto message = b->receive(soon());
  ASSERT_TRUE(message && *message);
  EXPECT_EQ(text_of((*message)->payload), "hello");
  EXPECT_EQ((*message)->sender, PluginId{1});
  EXPECT_EQ((*message)->info.generation, 1U);
  EXPECT_EQ(b->peer((*message)->channel)->name, "a");
  b->release(**message);
}

// Messages that lie in the ring together share a look at the clock, but never one from before they
// were sent.
TEST_F(EndpointTest, NothingIsReceivedBeforeItWasSent) {
  constexpr std::uint64_t kClockError = 1000; // of FastClock, in nanoseconds
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  send(*a, to_b, "second");
  EXPECT_EQ(take(*b), "first");
  const std::uint64_t later = monotonic_ns() + 100'000;
  while (monotonic_ns() < later) {
  }
  send(*a, to_b, "third");
  EXPECT_EQ(take(*b), "second");
  auto third = b->receive(soon());
  ASSERT_TRUE(third && *third);
  EXPECT_GE((*third)->received_ns + kClockError, (*third)->info.timestamp_ns);
  b->release(**third);
}

TEST_F(EndpointTest, OpensAChannelOnceAndSaysWhyItCannot) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  Party deaf = plugin(3, "deaf");
  deaf.acl.receive_from.clear();
  const auto c = open(deaf);
  EXPECT_EQ(channel_to(*a, "b"), *a->open_channel(PluginId{2}, soon()));
  EXPECT_EQ(a->open_channel("nobody", soon()).error().code, Code::NotFound);
  EXPECT_EQ(a->open_channel("deaf", soon()).error().code, Code::Denied);
  board.answer_nothing(true);
  EXPECT_EQ(a->open_channel("c", in(20ms)).error().code, Code::TimedOut);
}

TEST_F(EndpointTest, GivesUpReceivingAtTheDeadline) {
  const auto a = open(plugin(1, "a"));
  const auto begin = std::chrono::steady_clock::now();
  const auto nothing = a->receive(in(30ms));
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  EXPECT_FALSE(*a->receive(kNoWait));
}

TEST_F(EndpointTest, WakesASleepingReceiver) {
  const auto a = open(plugin(1, "a"), {.spin = 0us});
  const auto b = open(plugin(2, "b"), {.spin = 0us});
  std::thread echo([&] { answer_requests(*b); });
  const ChannelId to_b = channel_to(*a, "b");
  for (int i = 0; i < 2000; ++i) {
    const auto answer = a->call_and_wait(to_b, {.type = MessageType::DataRequest},
                                         bytes_of(std::to_string(i)), soon());
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_EQ(text_of(answer->payload), std::to_string(i) + "!");
  }
  send(*a, to_b, "stop");
  echo.join();
  EXPECT_GT(b->counters().sleeps, 0U);
  EXPECT_GT(a->counters().bells, 0U);
}

TEST_F(EndpointTest, ASenderThatHasMoreWakesTheReceiverWhenItComesBack) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  EXPECT_EQ(take(*b), "first");
  ASSERT_TRUE(b->prepare_wait()); // b sleeps from here on
  const std::uint64_t before = a->counters().bells;
  ASSERT_TRUE(a->send(to_b, {.more = true}, bytes_of("second"), soon()));
  EXPECT_EQ(a->counters().bells, before);
  EXPECT_FALSE(*a->receive(kNoWait)); // the sender comes back
  EXPECT_EQ(a->counters().bells, before + 1);
  EXPECT_EQ(take(*b), "second");
}

TEST_F(EndpointTest, ASenderThatAlwaysHasMoreStillWakesTheReceiverSoon) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  EXPECT_EQ(take(*b), "first");
  ASSERT_TRUE(b->prepare_wait());
  const std::uint64_t before = a->counters().bells;
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(a->send(to_b, {.more = true}, bytes_of("more"), soon()));
  EXPECT_EQ(a->counters().bells, before + 1);
}

TEST_F(EndpointTest, KeepsEveryMessageInOrderBetweenTwoThreadsThroughASmallRing) {
  const auto a = open(plugin(1, "a"), {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  constexpr int kCount = 100'000;
  std::thread sending([&] {
    const ChannelId to_b = channel_to(*a, "b");
    for (int i = 0; i < kCount; ++i)
      ASSERT_TRUE(a->send(to_b, {}, bytes_of(std::to_string(i)), soon()));
  });
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(take(*b), std::to_string(i));
  sending.join();
}

TEST_F(EndpointTest, IsFairToAQuietSenderBesideALoudOne) {
  const auto loud = open(plugin(1, "loud"));
  const auto quiet = open(plugin(2, "quiet"));
  const auto b = open(plugin(3, "b"));
  const ChannelId from_loud = channel_to(*loud, "b");
  const ChannelId from_quiet = channel_to(*quiet, "b");
  while (loud->send(from_loud, {}, bytes_of("loud"), kNoWait)) {
  }
  send(*quiet, from_quiet, "quiet");
  int before = 0;
  while (take(*b) != "quiet") ++before;
  EXPECT_LE(before, 300);
}

TEST_F(EndpointTest, RefusesAtOnceOrWaitsUntilTheDeadlineWhenTheRingIsFull) {
  const auto a = open(plugin(1, "a"), {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  Result<std::uint64_t> sent = std::uint64_t{0};
  while (sent) sent = a->send(to_b, {}, bytes_of("x"), kNoWait);
  EXPECT_EQ(sent.error().code, Code::Refused);
  EXPECT_EQ(a->send(to_b, {}, bytes_of("x"), in(20ms)).error().code, Code::TimedOut);
  std::thread reading([&] { EXPECT_EQ(take(*b), "x"); });
  EXPECT_TRUE(a->send(to_b, {}, bytes_of("x"), soon()));
  reading.join();
  EXPECT_EQ(a->send(to_b, {}, std::vector<std::byte>(5000), soon()).error().code, Code::TooLarge);
}

TEST_F(EndpointTest, AFullRingWhosePeerGoesEndsTheWait) {
  const auto a = open(plugin(1, "a"), {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  while (a->send(to_b, {}, bytes_of("x"), kNoWait)) {
  }
  std::thread leaving([&] { board.leave({2}); });
  EXPECT_EQ(a->send(to_b, {}, bytes_of("x"), soon()).error().code, Code::PeerGone);
  leaving.join();
}

// --- requests ---

TEST_F(EndpointTest, AnswersReachTheCallbackOfTheirRequest) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  std::thread echo([&] { answer_requests(*b); });
  const ChannelId to_b = channel_to(*a, "b");
  std::map<int, std::string> answers;
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of(std::to_string(i)),
                        soon(), [&answers, i, &a](Result<const Message*> got) {
                          answers[i] = got ? text_of((*got)->payload) : got.error().text;
                          if (answers.size() == 100) a->interrupt();
                        }));
  EXPECT_FALSE(*a->receive(soon()));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(answers[i], std::to_string(i) + "!");
  send(*a, to_b, "stop");
  echo.join();
}

TEST_F(EndpointTest, ANoOfTheResponderIsATypedError) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  std::thread echo([&] { answer_requests(*b); });
  const ChannelId to_b = channel_to(*a, "b");
  const auto answer =
      a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("no"), soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::PluginFailed);
  EXPECT_EQ(answer.error().text, "b: I would rather not");
  send(*a, to_b, "stop");
  echo.join();
}

TEST_F(EndpointTest, ARequestThatNobodyAnswersTimesOutAndItsLateAnswerIsDropped) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::optional<Code> outcome;
  ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), in(500ms),
                      [&](Result<const Message*> answer) {
                        outcome = answer ? Code{} : answer.error().code;
                        a->interrupt();
                      }));
  auto request = b->receive(soon());
  ASSERT_TRUE(request && *request);
  ReplyTo to = reply_to(**request);
  b->release(**request);
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(outcome, Code::TimedOut);
  EXPECT_EQ(b->respond(to, bytes_of("late"), soon()).error().code, Code::TimedOut);
  to.deadline_ns = 0; // insists
  ASSERT_TRUE(b->respond(to, bytes_of("late"), soon()));
  EXPECT_FALSE(*a->receive(in(20ms)));
  EXPECT_EQ(a->counters().late_answers, 1U);
}

TEST_F(EndpointTest, ARequestWhoseTimeHasPassedInTheRingIsNotDelivered) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  EXPECT_EQ(a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), in(1ms))
                .error()
                .code,
            Code::TimedOut);
  send(*a, to_b, "next");
  EXPECT_EQ(take(*b), "next");
}

TEST_F(EndpointTest, ARequestThatIsTakenBackEndsAtBothSides) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::optional<Code> outcome;
  const auto number = a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon(),
                              [&](Result<const Message*> answer) {
                                outcome = answer ? Code{} : answer.error().code;
                                a->interrupt();
                              });
  ASSERT_TRUE(number);
  ASSERT_TRUE(a->cancel(*number));
  EXPECT_EQ(a->cancel(*number).error().code, Code::NotFound);
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(outcome, Code::Cancelled);
  std::optional<ReplyTo> cancelled;
  b->on_cancel([&](const ReplyTo& request) {
    cancelled = request;
    b->interrupt();
  });
  EXPECT_EQ(take(*b), "?");
  EXPECT_FALSE(*b->receive(soon()));
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(cancelled->correlation, *number);
  EXPECT_EQ(cancelled->asker, PluginId{1});
}

TEST_F(EndpointTest, OfCallsThatWaitForEachOtherTheLastEndsWithTheCyclesNames) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelId to_a = channel_to(*b, "a");
  const auto error_of_call = [](Endpoint& from, ChannelId to) {
    const auto answer =
        from.call_and_wait(to, {.type = MessageType::DataRequest}, bytes_of("?"), in(2s));
    return answer ? Error{} : answer.error();
  };
  Error of_b;
  std::thread other([&] { of_b = error_of_call(*b, to_a); });
  const Error of_a = error_of_call(*a, to_b);
  other.join();
  // Whoever closed the cycle hears of it; the other one would get its answer now.
  const bool a_closed_it = of_a.code == Code::BadState;
  const Error& closing = a_closed_it ? of_a : of_b;
  EXPECT_EQ(closing.code, Code::BadState) << of_a.text << "; " << of_b.text;
  EXPECT_NE(closing.text.find(a_closed_it ? "a → b → a" : "b → a → b"), std::string::npos)
      << closing.text;
  EXPECT_EQ((a_closed_it ? of_b : of_a).code, Code::TimedOut);
}

// --- priorities ---

TEST_F(EndpointTest, ServesPrioritiesByTheirSharesAndStarvesNobody) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  constexpr std::array kNames{"low", "normal", "high", "urgent"};
  for (std::size_t priority = 0; priority < kNames.size(); ++priority)
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(a->send(to_b, {.priority = static_cast<Priority>(priority)},
                          bytes_of(kNames[priority]), soon()));
  std::map<std::string, int> share;
  while (take(*b) != "urgent") {
  } // from the beginning of a round
  for (int i = 0; i < 84; ++i) ++share[take(*b)];
  share["urgent"] += 1;
  EXPECT_EQ(share["urgent"], 64);
  EXPECT_EQ(share["high"], 16);
  EXPECT_EQ(share["normal"], 4);
  EXPECT_EQ(share["low"], 1);
}

TEST_F(EndpointTest, AnUrgentMessageOvertakesAllThatWait) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  EXPECT_EQ(take(*b), "first");
  for (int i = 0; i < 50; ++i) send(*a, to_b, "waits");
  ASSERT_TRUE(a->send(to_b, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  // It comes on a ring that b hears of by its link: after b has looked there.
  bool found = false;
  for (int i = 0; i < 51 && !found; ++i) found = take(*b) == "now";
  EXPECT_TRUE(found);
  ASSERT_TRUE(a->send(to_b, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  EXPECT_EQ(take(*b), "now");
}

TEST_F(EndpointTest, HoldsMessagesInTheirRingsWhileToldTo) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  b->hold_messages(true);
  send(*a, channel_to(*a, "b"), "later");
  EXPECT_FALSE(*b->receive(in(20ms)));
  b->hold_messages(false);
  EXPECT_EQ(take(*b), "later");
}

TEST_F(EndpointTest, AnEventThatMayLoseItsOldestNeverMakesItsPublisherWait) {
  Party publisher = plugin(1, "a");
  publisher.events = model::Events{{7, model::Lossiness::Oldest}, {8, model::Lossiness::Newest}};
  const auto a = open(publisher, {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  const std::array<std::uint32_t, 2> events{7, 8};
  ASSERT_TRUE(b->subscribe({}, events, soon()));
  constexpr int kCount = 20'000; // more than a ring of the usual size holds
  int dropped = 0;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(a->publish(7, {}, bytes_of(std::to_string(i)), kForever)->sent, 1U);
    const auto newest = a->publish(8, {}, bytes_of(std::to_string(i)), kForever);
    dropped += static_cast<int>(newest->dropped);
  }
  int first_of_newest = -1;
  int last_of_oldest = -1;
  int of_newest = 0;
  for (;;) {
    auto message = b->receive(in(20ms));
    if (!*message) break;
    const int number = std::stoi(text_of((*message)->payload));
    if ((*message)->info.event == 7) {
      EXPECT_GT(number, last_of_oldest);
      last_of_oldest = number;
    } else {
      if (of_newest == 0) first_of_newest = number;
      ++of_newest;
    }
    b->release(**message);
  }
  EXPECT_EQ(last_of_oldest, kCount - 1);
  EXPECT_EQ(first_of_newest, 0);
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(of_newest + dropped, kCount);
}

TEST_F(EndpointTest, ARequestToAPeerThatGoesEndsWithPeerGone) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::thread leaving([&] {
    EXPECT_EQ(take(*b), "?");
    board.leave({2});
  });
  EXPECT_EQ(a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon())
                .error()
                .code,
            Code::PeerGone);
  leaving.join();
}

TEST_F(EndpointTest, ARequestToAPeerThatIsRestartedEndsWithPeerRestartedAndTheChannelGoesOn) {
  const auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  Result<const Message*> outcome = nullptr;
  ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon(),
                      [&](Result<const Message*> got) {
                        outcome = std::move(got);
                        a->interrupt();
                      }));
  send(*a, to_b, "unread");
  EXPECT_EQ(take(*b), "?");
  board.lose({2}); // before its link closes, which would be the end for good
  b.reset();
  Party successor = plugin(2, "b");
  successor.generation = {2};
  b = open(successor);
  EXPECT_FALSE(*a->receive(soon()));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::PeerRestarted);
  send(*a, to_b, "to the new one");
  EXPECT_EQ(take(*b), "unread");
  EXPECT_EQ(take(*b), "to the new one");
}

TEST_F(EndpointTest, AnAnswerThatWasSentBeforeThePeerWentStillArrives) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::string answer;
  ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon(),
                      [&](Result<const Message*> got) {
                        answer = got ? text_of((*got)->payload) : got.error().text;
                        a->interrupt();
                      }));
  auto request = b->receive(soon());
  ASSERT_TRUE(b->respond(reply_to(**request), bytes_of("my last words"), soon()));
  b->release(**request);
  board.leave({2});
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(answer, "my last words");
}

TEST_F(EndpointTest, MessagesThatArriveDuringACallAreKeptInOrder) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::thread answering([&] {
    const ChannelId to_a = channel_to(*b, "a");
    auto request = b->receive(soon());
    send(*b, to_a, "first");
    send(*b, to_a, "second");
    EXPECT_TRUE(b->respond(reply_to(**request), bytes_of("answer"), soon()));
    b->release(**request);
    send(*b, to_a, "third");
  });
  const auto answer =
      a->call_and_wait(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon());
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(text_of(answer->payload), "answer");
  EXPECT_EQ(take(*a), "first");
  EXPECT_EQ(take(*a), "second");
  EXPECT_EQ(take(*a), "third");
  answering.join();
}

TEST_F(EndpointTest, AChannelForRepliesIsHeldToReplies) {
  Party asker = plugin(1, "a");
  asker.acl.receive_from.clear();
  const auto a = open(asker);
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  bool answered = false;
  ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon(),
                      [&](Result<const Message*>) {
                        answered = true;
                        a->interrupt();
                      }));
  auto request = b->receive(soon());
  ASSERT_TRUE(request && *request);
  ASSERT_TRUE(b->respond(reply_to(**request), bytes_of("!"), soon()));
  b->release(**request);
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_TRUE(answered);
  auto forger = SendingChannel::attach(board.sender_end(ChannelId{2}), kDefaultRing, 1);
  ASSERT_TRUE(forger) << forger.error().text;
  std::optional<Ended> end;
  a->on_ended([&](const Ended& ended) {
    end = ended;
    a->interrupt();
  });
  std::span<std::byte> space;
  ASSERT_EQ(forger->ring().loan(1, {}, space), RingSender::Outcome::Ok); // Custom: no reply
  forger->commit();
  forger->wake();
  EXPECT_FALSE(*a->receive(soon()));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why.code, Code::Malformed);
  EXPECT_NE(end->why.text.find("responses"), std::string::npos);
}

// --- groups ---

TEST_F(EndpointTest, BroadcastReachesEveryPluginOfTheType) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const auto c = open(plugin(3, "c"));
  auto delivered = a->broadcast(model::PluginType::Custom, {}, bytes_of("all"), soon());
  ASSERT_TRUE(delivered) << delivered.error().text;
  EXPECT_EQ(delivered->sent, 2U);
  EXPECT_EQ(take(*b), "all");
  EXPECT_EQ(take(*c), "all");
  const auto d = open(plugin(4, "d"));
  EXPECT_EQ(a->broadcast(model::PluginType::Custom, {}, bytes_of("more"), soon())->sent, 3U);
  EXPECT_EQ(take(*d), "more");
}

TEST_F(EndpointTest, EventsReachTheirSubscribersOnly) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const auto c = open(plugin(3, "c"));
  const std::array<std::uint32_t, 1> events{7};
  ASSERT_TRUE(b->subscribe({}, events, soon()));
  EXPECT_EQ(a->publish(7, {}, bytes_of("seven"), soon())->sent, 1U);
  EXPECT_EQ(a->publish(8, {}, bytes_of("eight"), soon())->sent, 0U);
  auto message = b->receive(soon());
  EXPECT_EQ((*message)->info.type, MessageType::EventNotify);
  EXPECT_EQ((*message)->info.event, 7U);
  b->release(**message);
  EXPECT_FALSE(*c->receive(kNoWait));
}

// --- the link, other loops, ends ---

TEST_F(EndpointTest, OtherRecordsOfTheLinkReachTheOwnerInOrderAndNotDuringACall) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  std::vector<std::string> keys;
  a->on_record([&](const LinkRecord& record) {
    keys.emplace_back(record.as<SetConfig>().key);
    if (keys.size() == 2) a->interrupt();
  });
  for (const char* key : {"first", "second"}) {
    SetConfig config;
    put_text(config.key, key);
    board.say({1}, config);
  }
  channel_to(*a, "b");
  EXPECT_TRUE(keys.empty());
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(keys, (std::vector<std::string>{"first", "second"}));
}

TEST_F(EndpointTest, CanBeWaitedForInALoopOfOnesOwn) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  EXPECT_FALSE(*b->receive(kNoWait));
  ASSERT_TRUE(b->prepare_wait());
  pollfd wait{b->wait_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  send(*a, to_b, "ring");
  EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
  auto message = b->receive(kNoWait);
  ASSERT_TRUE(message && *message);
  b->release(**message);
}

TEST_F(EndpointTest, WhatAPeerSentBeforeItWentIsReadBeforeItsEndIsTold) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "one");
  send(*a, to_b, "two");
  board.leave({1});
  std::optional<Ended> end;
  b->on_ended([&](const Ended& ended) {
    end = ended;
    b->interrupt();
  });
  EXPECT_EQ(take(*b), "one");
  EXPECT_FALSE(end);
  EXPECT_EQ(take(*b), "two");
  EXPECT_FALSE(*b->receive(soon()));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why.code, Code::PeerGone);
  EXPECT_EQ(end->peer, PluginId{1});
}

TEST_F(EndpointTest, AMessageThatIsOutKeepsItsMemoryWhenItsChannelEnds) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  send(*a, channel_to(*a, "b"), "held");
  auto message = b->receive(soon());
  ASSERT_TRUE(message && *message);
  board.leave({1});
  EXPECT_FALSE(*b->receive(in(20ms)));
  EXPECT_EQ(text_of((*message)->payload), "held");
  b->release(**message);
  bool ended = false;
  b->on_ended([&](const Ended&) {
    ended = true;
    b->interrupt();
  });
  EXPECT_FALSE(*b->receive(soon()));
  EXPECT_TRUE(ended);
}

TEST_F(EndpointTest, AnOpenLoanKeepsItsMemoryWhenItsChannelEnds) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  const auto loan = a->loan(to_b, 10'000, {}, soon());
  ASSERT_TRUE(loan) << loan.error().text;
  bool ended = false;
  a->on_ended([&](const Ended&) { ended = true; });
  board.leave({2});
  while (!ended) ASSERT_TRUE(a->receive(in(1ms)));
  std::ranges::fill(*loan, std::byte{7}); // a fault, were it unmapped
  EXPECT_EQ(a->commit(to_b), 0U);
}

TEST_F(EndpointTest, ABrokenRingEndsItsChannelAndTellsTheManagerWhichRule) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const auto c = open(plugin(3, "c"));
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelId also_to_b = channel_to(*c, "b");
  const auto data = sys::map_shared(board.sender_end(to_b).data.get(), 0, kHeaderPage + 64,
                                    sys::Access::ReadWrite);
  *reinterpret_cast<std::uint64_t*>(data->data() + kHeaderPage) = 12345;
  std::optional<Ended> end;
  b->on_ended([&](const Ended& ended) {
    end = ended;
    b->interrupt();
  });
  EXPECT_FALSE(*b->receive(soon()));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why.code, Code::Malformed);
  send(*c, also_to_b, "others go on");
  EXPECT_EQ(take(*b), "others go on");
  EXPECT_EQ(a->send(to_b, {}, bytes_of("x"), kNoWait).value_or(0) != 0, true); // not told yet, or
  while (a->peer(to_b)) (void)a->receive(in(1ms));                             // told by now
  ASSERT_EQ(board.complaints().size(), 1U);
  EXPECT_NE(board.complaints()[0].find("tag"), std::string::npos);
}

TEST_F(EndpointTest, ABellThatRingsWithoutEndAndWithoutAMessageEndsTheChannel) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"), {.spin = 0us});
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelEnd hostile = board.sender_end(to_b);
  std::optional<Ended> end;
  b->on_ended([&](const Ended& ended) { end = ended; });
  for (int i = 0; i < 5000 && !end; ++i) {
    const std::uint64_t once = 1;
    ASSERT_EQ(::write(hostile.data_bell.get(), &once, sizeof once), 8);
    EXPECT_FALSE(*b->receive(kNoWait));
  }
  ASSERT_TRUE(end);
  EXPECT_NE(end->why.text.find("bell"), std::string::npos);
}

TEST_F(EndpointTest, AnotherManagerTakesOverUnnoticed) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "before");
  board.restart_manager({plugin(1, "a"), plugin(2, "b")});
  send(*a, to_b, "after");
  EXPECT_EQ(take(*b), "before");
  EXPECT_EQ(take(*b), "after");
  const ChannelId to_a = channel_to(*b, "a");
  EXPECT_GT(to_a.value, to_b.value);
  send(*b, to_a, "back");
  EXPECT_EQ(take(*a), "back");
}

TEST_F(EndpointTest, ALinkThatIsCutIsAnErrorAndRingsGoOn) {
  auto pair = sys::make_seqpacket_pair();
  const auto lonely = *Endpoint::open(std::move(pair->second), {});
  pair->first.reset();
  EXPECT_EQ(lonely->receive(soon()).error().code, Code::Unreachable);
  EXPECT_EQ(lonely->open_channel("b", soon()).error().code, Code::Unreachable);
}

// --- durable messages ---

TEST_F(EndpointTest, SyncAsksForEveryLaneThatHasSomethingNew) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  send(*a, channel, "not durable");
  ASSERT_TRUE(a->sync(channel, soon()));
  EXPECT_TRUE(board.syncs().empty());
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  send(*a, channel, "not durable");
  ASSERT_TRUE(
      a->send(channel, {.priority = Priority::High, .durable = true}, bytes_of("y"), soon()));
  ASSERT_TRUE(a->sync(channel, soon()));
  ASSERT_EQ(board.syncs().size(), 2U);
  EXPECT_EQ(board.syncs()[0].channel_id, channel.value);
  EXPECT_EQ(board.syncs()[0].upto, 128U); // behind the durable one, not behind the last
  EXPECT_EQ(board.syncs()[1].upto, 64U);
  ASSERT_TRUE(a->sync(soon())); // nothing new
  EXPECT_EQ(board.syncs().size(), 2U);
}

TEST_F(EndpointTest, ASyncThatFailsIsAskedForAgain) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  board.disk_is_full = true;
  const auto full = a->sync(soon());
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::Exhausted);
  EXPECT_EQ(full.error().text, "the disk is full");
  board.disk_is_full = false;
  EXPECT_TRUE(a->sync(soon()));
  EXPECT_EQ(take(*b), "x");
  EXPECT_EQ(a->sync(ChannelId{99}, soon()).error().code, Code::PeerGone);
}

TEST_F(EndpointTest, ASyncThatIsToldLaterLetsMessagesComeMeanwhile) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  const ChannelId back = channel_to(*b, "a");
  std::vector<Result<>> ends;
  const SyncCallback note = [&](const Result<>& end) { ends.push_back(end); };
  board.answer_nothing(true);
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  ASSERT_TRUE(
      a->send(channel, {.priority = Priority::Normal, .durable = true}, bytes_of("y"), soon()));
  ASSERT_TRUE(a->sync_later(channel, soon(), note));
  ASSERT_TRUE(a->sync_later({}, in(1ms), note)); // of all channels, and in vain
  send(*b, back, "meanwhile");
  b->flush();
  EXPECT_EQ(take(*a), "meanwhile");
  while (ends.empty()) ASSERT_FALSE(*a->receive(in(5ms)));
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].error().code, Code::TimedOut);
  board.answer_nothing(false);
  while (ends.size() < 2) ASSERT_FALSE(*a->receive(in(5ms)));
  EXPECT_TRUE(ends[1]);
  // What is on disk is not asked for again, and the end comes in a receive() all the same.
  const std::size_t asked = board.syncs().size();
  ASSERT_TRUE(a->sync_later(channel, soon(), note));
  EXPECT_EQ(ends.size(), 2U);
  ASSERT_FALSE(*a->receive(kNoWait));
  ASSERT_EQ(ends.size(), 3U);
  EXPECT_TRUE(ends[2]);
  EXPECT_EQ(board.syncs().size(), asked);
  EXPECT_EQ(a->sync_later(ChannelId{99}, soon(), note).error().code, Code::PeerGone);
}

TEST_F(EndpointTest, ASyncThatIsToldLaterIsAskedForAgainOfAnotherManager) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  board.lose_next_sync = true;
  std::optional<Result<>> end;
  ASSERT_TRUE(a->sync_later(channel, soon(), [&](const Result<>& told) { end = told; }));
  while (!end) ASSERT_FALSE(*a->receive(soon()));
  EXPECT_TRUE(*end);
  EXPECT_EQ(board.syncs().size(), 2U);
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("y"), soon()));
  board.disk_is_full = true;
  end.reset();
  ASSERT_TRUE(a->sync_later(channel, soon(), [&](const Result<>& told) { end = told; }));
  while (!end) ASSERT_FALSE(*a->receive(soon()));
  EXPECT_EQ(end->error().code, Code::Exhausted);
}

} // namespace
} // namespace mohhos::ipc
