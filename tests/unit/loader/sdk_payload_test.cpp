// Structs, protobuf messages and loans: what goes into the ring, and what comes out of it.
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "mohhos/sdk.hpp"
#include "mohhos/v1/manifest.pb.h"

namespace {

using mohhos::test::FakeHost;

struct Position {
  double x = 0;
  double y = 0;
};
struct Small {
  std::uint32_t number = 0;
};

static_assert(mohhos::ProtobufMessage<mohhos::v1::Limits>);
static_assert(!mohhos::ProtobufMessage<Position> && !mohhos::ProtobufMessage<std::string>);
// A view ends with its callback; what may be kept says so.
static_assert(!std::is_copy_constructible_v<mohhos::Message> &&
              !std::is_move_constructible_v<mohhos::Message> &&
              !std::is_copy_constructible_v<mohhos::Reply> &&
              std::is_move_constructible_v<mohhos::OwnedMessage>);

std::string_view bytes_of(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::int32_t failure_code(auto step, std::string& words) {
  try {
    step();
  } catch (const mohhos::Failure& failure) {
    words = failure.what();
    return failure.code();
  }
  return MOHHOS_OK;
}

class Payload : public testing::Test {
protected:
  FakeHost host;
  mohhos::Channel channel{host.table(), 1};
  std::string words;
};

TEST_F(Payload, AStructTravelsAsItsBytes) {
  channel.send(Position{1.5, -2});
  ASSERT_EQ(host.sent.size(), 1U);
  EXPECT_EQ(host.sent[0].bytes, bytes_of(Position{1.5, -2}));
  const auto raw = FakeHost::message(host.sent[0].bytes);
  const auto back = mohhos::Message(raw).as<Position>();
  EXPECT_EQ(back.x, 1.5);
  EXPECT_EQ(back.y, -2);
}

TEST_F(Payload, BytesTravelInEveryForm) {
  const std::string text = "text";
  const std::array<std::byte, 2> raw = {std::byte{'o'}, std::byte{'k'}};
  channel.send(text);
  channel.send(std::string_view(text));
  channel.send("literal");
  channel.send(std::span<const std::byte>(raw));
  channel.send(raw);
  channel.send("");
  std::vector<std::string> sent;
  sent.reserve(host.sent.size());
  for (const auto& one : host.sent) sent.push_back(one.bytes);
  EXPECT_EQ(sent, (std::vector<std::string>{"text", "text", "literal", "ok", "ok", ""}));
}

TEST_F(Payload, ProtobufIsWrittenStraightIntoTheRing) {
  mohhos::v1::Limits limits;
  limits.set_max_memory_mb(300);
  channel.send(limits);
  ASSERT_EQ(host.sent.size(), 1U);
  EXPECT_EQ(host.loaned, limits.SerializeAsString()); // through a loan
  const auto raw = FakeHost::message(host.sent[0].bytes);
  EXPECT_EQ(mohhos::Message(raw).as<mohhos::v1::Limits>().max_memory_mb(), 300U);
  channel.send(mohhos::v1::Limits()); // of no bytes at all
  EXPECT_EQ(host.sent[1].bytes, "");
}

TEST_F(Payload, ProtobufLargerThanAStackBufferIsReadToo) {
  mohhos::v1::Acl acl;
  for (int i = 0; i < 1000; ++i) acl.add_send_to("peer-" + std::to_string(i));
  const std::string bytes = acl.SerializeAsString();
  const auto raw = FakeHost::message(bytes);
  EXPECT_EQ(mohhos::Message(raw).as<mohhos::v1::Acl>().send_to_size(), 1000);
}

TEST_F(Payload, AWrongSizeIsMalformedAndNamesBothSizes) {
  for (const std::size_t size : {0, 3, 5, 16}) {
    const std::string bytes(size, 'x');
    const auto raw = FakeHost::message(bytes);
    EXPECT_EQ(failure_code([&] { (void)mohhos::Message(raw).as<Small>(); }, words),
              MOHHOS_E_MALFORMED);
    EXPECT_NE(words.find("a message of " + std::to_string(size) + " bytes"), std::string::npos);
    EXPECT_NE(words.find("Small, which has 4"), std::string::npos) << words;
  }
}

TEST_F(Payload, BytesThatDoNotParseAreMalformedAndNameBothSizes) {
  const auto raw = FakeHost::message("\x08\x05\xFF\xFF");
  EXPECT_EQ(failure_code([&] { (void)mohhos::Message(raw).as<mohhos::v1::Limits>(); }, words),
            MOHHOS_E_MALFORMED);
  EXPECT_NE(words.find("a message of 4 bytes is no mohhos::v1::Limits"), std::string::npos)
      << words;
  EXPECT_NE(words.find("understood: 2 bytes"), std::string::npos) << words;
}

TEST_F(Payload, AKeptMessageOutlivesItsBytes) {
  std::string bytes = "a text that is too long to lie inside of a string itself";
  std::string name = "peer";
  auto raw = FakeHost::message(bytes, MOHHOS_MSG_DATA_REQUEST, 5);
  raw.sender_name = name.c_str();
  raw.flags = MOHHOS_MESSAGE_REDELIVERED;
  mohhos::OwnedMessage first = mohhos::Message(raw).keep();
  const mohhos::OwnedMessage kept = std::move(first);
  const std::string expected = bytes;
  bytes.assign(bytes.size(), '#'); // as a ring does once the callback has returned
  name = "####";
  raw = {};
  EXPECT_EQ(kept.text(), expected);
  EXPECT_EQ(kept.sender_name(), "peer");
  EXPECT_TRUE(kept.wants_reply());
  EXPECT_TRUE(kept.redelivered());
  EXPECT_EQ(kept.request().correlation, 5U);
}

TEST_F(Payload, ALoanIsSentOnce) {
  mohhos::Loan loan = channel.loan(16);
  EXPECT_EQ(loan.size(), 16U);
  loan.make<Small>().number = 7;
  loan.send();
  ASSERT_EQ(host.sent.size(), 1U);
  EXPECT_EQ(host.sent[0].bytes.substr(0, 4), bytes_of(Small{7}));
  EXPECT_EQ(failure_code([&] { loan.send(); }, words), MOHHOS_E_BAD_STATE);
  EXPECT_EQ(host.sent.size(), 1U);
}

TEST_F(Payload, ALoanThatIsNotSentIsTakenBack) {
  {
    const mohhos::Loan loan = channel.loan(16);
  }
  EXPECT_TRUE(host.sent.empty());
  channel.send("next");
  EXPECT_EQ(host.sent.size(), 1U);
}

TEST_F(Payload, ALaterLoanOfTheChannelTakesTheOneBeforeBack) {
  mohhos::Loan first = channel.loan(16);
  mohhos::Loan second = channel.loan(8);
  EXPECT_EQ(failure_code([&] { first.send(); }, words), MOHHOS_E_BAD_STATE);
  EXPECT_EQ(words, "the loan was sent or taken back already");
  second.send();
  ASSERT_EQ(host.sent.size(), 1U);
  EXPECT_EQ(host.sent[0].bytes.size(), 8U);
}

TEST_F(Payload, AStructThatDoesNotFitIntoALoanIsRefused) {
  const mohhos::Loan loan = channel.loan(8);
  EXPECT_EQ(failure_code([&] { (void)loan.make<Position>(); }, words), MOHHOS_E_INVALID);
  EXPECT_NE(words.find("8 bytes is too small for"), std::string::npos) << words;
  EXPECT_NE(words.find("Position, which has 16"), std::string::npos) << words;
}

TEST_F(Payload, ATypedCallGetsATypedAnswerOrTheReason) {
  double seen = 0;
  channel.call(Small{1}, std::chrono::seconds(1),
               [&](const mohhos::Reply& reply) { seen = reply.as<Position>().x; });
  EXPECT_EQ(host.asked.at(0), bytes_of(Small{1}));
  EXPECT_EQ(host.answer(bytes_of(Position{3, 4})), MOHHOS_OK);
  EXPECT_EQ(seen, 3);
  channel.call("again", std::chrono::seconds(1),
               [&](const mohhos::Reply& reply) { (void)reply.as<Position>(); });
  EXPECT_EQ(host.answer("too late", MOHHOS_E_TIMED_OUT), MOHHOS_E_TIMED_OUT);
  EXPECT_EQ(host.failure, "too late");
}

TEST_F(Payload, ABlockingCallGivesTheValueOrThrowsTheReason) {
  host.call_words = std::string(bytes_of(Small{42}));
  EXPECT_EQ(channel.ask<Small>(Small{1}, std::chrono::seconds(1)).number, 42U);
  EXPECT_EQ(channel.ask("bytes", std::chrono::seconds(1)), bytes_of(Small{42}));
  host.call_result = MOHHOS_E_BAD_STATE;
  host.call_words = "a → b → a";
  EXPECT_EQ(failure_code([&] { (void)channel.ask("x", std::chrono::seconds(1)); }, words),
            MOHHOS_E_BAD_STATE);
  EXPECT_EQ(words, "a → b → a");
}

TEST_F(Payload, ACallIsTakenBackByItsHandle) {
  std::int32_t status = MOHHOS_OK;
  const auto handle = channel.call("slow", std::chrono::seconds(1),
                                   [&](const mohhos::Reply& reply) { status = reply.status(); });
  EXPECT_TRUE(handle.cancel());
  EXPECT_EQ(host.cancelled, std::vector<std::int32_t>{1});
  EXPECT_EQ(status, MOHHOS_OK); // not inside of cancel()
  EXPECT_EQ(host.answer("taken back", MOHHOS_E_CANCELLED), MOHHOS_OK);
  EXPECT_EQ(status, MOHHOS_E_CANCELLED);
  EXPECT_FALSE(handle.cancel()); // it has ended
  EXPECT_FALSE(mohhos::CallHandle().cancel());
}

TEST_F(Payload, AnOlderHostWithoutTheFunctionIsUnsupported) {
  mohhos_host_t older = *host.table();
  older.struct_size = offsetof(mohhos_host_t, call);
  const mohhos::Channel old(&older, 1);
  EXPECT_EQ(failure_code([&] { (void)old.ask("x", std::chrono::seconds(1)); }, words),
            MOHHOS_E_UNSUPPORTED);
  const auto handle = old.call("x", std::chrono::seconds(1), [](const mohhos::Reply&) {});
  EXPECT_EQ(failure_code([&] { handle.cancel(); }, words), MOHHOS_E_UNSUPPORTED);
  EXPECT_EQ(host.answer("late"), MOHHOS_OK);
}

} // namespace
