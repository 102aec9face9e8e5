// Requests and their ends: an answer, a no, the deadline, a peer that goes.
#include <map>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

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

// The sentence may be as long as the responder's ring; who asked keeps a part of it.
TEST_F(EndpointTest, ALongNoIsCutShort) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  std::string text;
  ASSERT_TRUE(a->call(to_b, {.type = MessageType::DataRequest}, bytes_of("?"), soon(),
                      [&](Result<const Message*> answer) {
                        if (!answer) text = answer.error().text;
                        a->interrupt();
                      }));
  auto request = b->receive(soon());
  ASSERT_TRUE(request && *request);
  const ReplyTo to = reply_to(**request);
  b->release(**request);
  ASSERT_TRUE(b->respond(to, bytes_of("no" + std::string(60'000, '!')), soon(), true));
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(text.substr(0, 7), "b: no!!");
  EXPECT_LT(text.size(), 5000U);
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
  const LastEnd end(*a);
  std::span<std::byte> space;
  ASSERT_EQ(forger->ring().loan(1, {}, space), RingSender::Outcome::Ok); // Custom: no reply
  forger->commit();
  forger->wake();
  EXPECT_FALSE(*a->receive(soon()));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why.code, Code::Malformed);
  EXPECT_NE(end->why.text.find("responses"), std::string::npos);
}

} // namespace
} // namespace mohhos::ipc
