// What the manager hands to an endpoint and it cannot have: no room for the descriptors, a ring of
// another version, a peer that has gone by then. It is said to who asks, and nothing else ends.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

// As long as it lives, this process gets no more than three descriptors.
class FewDescriptors {
public:
  FewDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &usual_), 0);
    const sys::Fd next(::dup(0));
    const rlimit few{.rlim_cur = static_cast<rlim_t>(next.get()) + 3, .rlim_max = usual_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~FewDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &usual_), 0); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

private:
  rlimit usual_{};
};

// The test is the manager.
class OpenedEndpoint : public ::testing::Test {
protected:
  // As the answer to the endpoint's first question, there before it asks.
  void hand_over(Role role, std::uint64_t channel = 1) {
    ChannelOpened opened;
    opened.header.sequence = role == Role::Send ? 1 : 0;
    opened.channel_id = channel;
    opened.peer_id = 2;
    opened.ring_bytes = pair.capacity;
    opened.role = role;
    const auto end =
        role == Role::Send ? make_sender_end(pair.memory) : make_receiver_end(pair.memory);
    ASSERT_TRUE(end);
    ASSERT_TRUE(send_link_record(link.first.get(), opened, end->in_order()));
  }
  // What it says why it closes the channel.
  std::string refusal() {
    const auto answer = receive_link_record(link.first.get(), LinkSide::Endpoint);
    if (!answer || !*answer || (*answer)->type() != LinkType::CloseChannel) return "no refusal";
    return (*answer)->as<CloseChannel>().text;
  }

  sys::SocketPair link = *sys::make_seqpacket_pair();
  std::unique_ptr<Endpoint> endpoint = *Endpoint::open(std::move(link.second), {});
  Pair pair;
};

// Of as many channels as others like to open: the one that does not fit is refused, and that is
// all.
TEST_F(OpenedEndpoint, AChannelWhoseDescriptorsFindNoRoomIsRefusedAndTheOthersGoOn) {
  hand_over(Role::Receive);
  {
    const FewDescriptors few;
    const auto nothing = endpoint->receive(kNoWait);
    ASSERT_TRUE(nothing) << nothing.error().text;
  }
  EXPECT_NE(refusal().find("max_file_descriptors"), std::string::npos);
  hand_over(Role::Receive, 2);
  ASSERT_EQ(pair.send("goes on"), RingSender::Outcome::Ok);
  auto message = endpoint->receive(soon());
  ASSERT_TRUE(message && *message);
  EXPECT_EQ(text_of((*message)->payload), "goes on");
  endpoint->release(**message);
}

TEST_F(OpenedEndpoint, WhoAsksForAChannelHearsThatThereIsNoRoomForIt) {
  hand_over(Role::Send);
  const auto channel = [&] {
    const FewDescriptors few;
    return endpoint->open_channel(PluginId{2}, soon());
  }();
  ASSERT_FALSE(channel);
  EXPECT_EQ(channel.error().code, Code::Exhausted);
  EXPECT_NE(channel.error().text.find("max_file_descriptors"), std::string::npos);
}

TEST_F(OpenedEndpoint, AChannelToWhoLeavesAtOnceIsToNobody) {
  hand_over(Role::Send);
  ChannelClosed closed;
  closed.channel_id = 1;
  closed.reason = CloseReason::PeerGone;
  ASSERT_TRUE(send_link_record(link.first.get(), closed));
  const auto channel = endpoint->open_channel(PluginId{2}, soon());
  ASSERT_FALSE(channel);
  EXPECT_EQ(channel.error().code, Code::PeerGone) << channel.error().text;
}

// A manager of another generation than ours.
TEST_F(OpenedEndpoint, ARingOfAnotherVersionIsRefusedAndSaysSo) {
  const std::uint32_t other = kRingVersion + 1;
  ASSERT_EQ(::pwrite(pair.memory.data.get(), &other, sizeof other, offsetof(DataHeader, version)),
            4);
  hand_over(Role::Receive);
  EXPECT_FALSE(*endpoint->receive(kNoWait));
  EXPECT_NE(refusal().find("version"), std::string::npos);
}

} // namespace
} // namespace mohhos::ipc
