#include <cerrno>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "sandbox/gate.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace mohhos::sandbox {
namespace {

template <class T>
void put(int socket, const T& record) {
  ASSERT_EQ(::send(socket, &record, sizeof record, MSG_NOSIGNAL),
            static_cast<ssize_t>(sizeof record));
}

TEST(Gate, ReadsEachRecordAndTheEnd) {
  auto pair = sys::make_seqpacket_pair();
  ASSERT_TRUE(pair);
  auto nothing = receive_report(pair->first.get());
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  put(pair->second.get(), GateListening{.listener = 9});
  auto report = receive_report(pair->first.get());
  ASSERT_TRUE(report && *report);
  EXPECT_EQ(std::get<GateListening>(**report).listener, 9);
  pair->second.reset();
  report = receive_report(pair->first.get());
  ASSERT_TRUE(report && *report);
  EXPECT_TRUE(std::holds_alternative<GateClosed>(**report));
}

TEST(Gate, DislikesWrongSizesTypesAndVersions) {
  auto pair = sys::make_seqpacket_pair();
  ASSERT_TRUE(pair);
  put(pair->second.get(), GateHeader{.type = GateType::Confined}); // too short
  EXPECT_FALSE(receive_report(pair->first.get()));
  put(pair->second.get(), GateSignal{.header = {.type = GateType::Go}}); // the warden's own word
  EXPECT_FALSE(receive_report(pair->first.get()));
  GateListening other;
  other.header.version = 99;
  put(pair->second.get(), other);
  EXPECT_FALSE(receive_report(pair->first.get()));
}

TEST(Gate, EndsATextThatDoesNotEnd) {
  auto pair = sys::make_seqpacket_pair();
  ASSERT_TRUE(pair);
  GateConfined confined;
  std::ranges::fill(confined.text, 'x');
  put(pair->second.get(), confined);
  const auto report = receive_report(pair->first.get());
  ASSERT_TRUE(report && *report);
  EXPECT_EQ(std::string(std::get<GateConfined>(**report).text).size(), kGateText - 1);
}

TEST(Gate, SaysWhatFailedInOneSentence) {
  GateFailed failed{.step = Step::Root,
                    .error_number = ENOSPC,
                    .wall = static_cast<std::uint32_t>(model::Wall::PrivateRoot)};
  std::ranges::copy(std::string_view("size"), failed.text);
  const Error error = to_error(failed);
  EXPECT_EQ(error.code, Code::NoSandbox);
  EXPECT_EQ(error.text,
            "the sandbox cannot be built: mount the private root: size: No space left on device "
            "(wall: private-root)");
}

TEST(Gate, TakesOnlyAListenerForAListener) {
  auto self = sys::open_pidfd(::getpid());
  ASSERT_TRUE(self);
  const auto taken = take_listener(self->get(), {.listener = 0});
  EXPECT_FALSE(taken);
}

} // namespace
} // namespace mohhos::sandbox
