// The manager's ends of its sockets while the kernel has no room for descriptors on their way: this
// program has its own sendmsg().
#include <cerrno>
#include <chrono>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "manager/link_port.hpp"
#include "manager/warden_port.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLast = 2; // that the kernel has no room for
int refusals = 0;                  // that are still to come, of messages with descriptors

class LinkStarved : public testing::Test {
protected:
  LinkStarved() {
    port = *LinkPort::open(
        loop, std::move(pair.first), [](const ipc::LinkRecord&) {},
        [this](const Error& why) { end = why; });
  }
  ~LinkStarved() override { refusals = 0; }
  void send_with_descriptor(std::uint64_t memory) {
    ipc::MemoryMade made;
    made.memory = memory;
    made.bytes = 4096;
    std::vector<sys::Fd> fds;
    fds.emplace_back(::dup(STDIN_FILENO));
    port->send(made, std::move(fds), [this, memory](const Error& why) {
      EXPECT_EQ(why.code, Code::Exhausted) << why.text;
      given_up.push_back(memory);
      if (memory != kLast) return;
      refusals = 0;
      send_with_descriptor(kLast + 1);
    });
  }
  void send_plain() { port->send(ipc::MemorySent{}); }
  // What arrives at the other end until there are so many.
  std::vector<ipc::LinkRecord> receive(std::size_t count) {
    std::vector<ipc::LinkRecord> records;
    auto tick = loop.every(1ms, [&] {
      for (;;) {
        auto record = ipc::receive_link_record(pair.second.get(), ipc::LinkSide::Manager);
        EXPECT_TRUE(record) << record.error().text;
        if (!record || !*record) break;
        records.push_back(*std::move(*record));
      }
      if (records.size() >= count) loop.stop();
    });
    auto late = loop.after(10s, [&] { loop.stop(1); });
    EXPECT_EQ(*loop.run(), 0) << "only " << records.size() << " of " << count;
    return records;
  }

  sys::Loop loop = *sys::Loop::open();
  sys::SocketPair pair = *sys::make_seqpacket_pair();
  std::unique_ptr<LinkPort> port;
  std::optional<Error> end;
  std::vector<std::uint64_t> given_up;
};

TEST_F(LinkStarved, WhatTheKernelHasNoRoomForIsTriedAgainInItsOrder) {
  refusals = 3;
  send_with_descriptor(1);
  send_plain();
  send_with_descriptor(2);
  const auto records = receive(3);
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].as<ipc::MemoryMade>().memory, 1U);
  EXPECT_EQ(records[0].fds.size(), 1U);
  EXPECT_EQ(records[1].type(), ipc::LinkType::MemorySent);
  EXPECT_EQ(records[2].as<ipc::MemoryMade>().memory, 2U);
  EXPECT_FALSE(end) << end->text;
  EXPECT_TRUE(given_up.empty());
}

TEST_F(LinkStarved, ARecordIsGivenUpAfterAWhileAndTheLinkGoesOn) {
  refusals = INT_MAX;
  send_with_descriptor(1);
  send_plain();
  send_with_descriptor(2);
  send_plain();
  const auto records = receive(3); // those without, and one when there is room again
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[2].as<ipc::MemoryMade>().memory, 3U);
  EXPECT_EQ(given_up, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_FALSE(end) << end->text;
}

class WardenStarved : public testing::Test {
protected:
  WardenStarved() {
    port = *WardenPort::open(
        loop, std::move(pair.first), [](const WardenMessage&) {},
        [](const Error& why) { FAIL() << why.text; });
  }
  ~WardenStarved() override { refusals = 0; }
  template <class T>
  void send_with_descriptor(T message, const std::string& name) {
    const int fd = STDIN_FILENO;
    const auto answered = [](const Result<>&) { FAIL() << "nobody has answered it"; };
    EXPECT_TRUE(port->send(message, std::span(&fd, 1), answered, [this, name](const Error& why) {
      EXPECT_EQ(why.code, Code::Exhausted);
      EXPECT_NE(why.text.find("RLIMIT_NOFILE"), std::string::npos) << why.text;
      given_up.push_back(name);
      if (name != "launch") return;
      refusals = 0;
      keep();
    }));
  }
  void keep() { send_with_descriptor(warden::Keep{.plugin_id = 1}, "keep"); }
  void forget() { port->send(warden::Forget{.plugin_id = 1}); }
  std::vector<warden::MessageType> receive(std::size_t count) {
    std::vector<warden::MessageType> types;
    std::vector<std::byte> buffer(warden::kMaxMessage);
    auto tick = loop.every(1ms, [&] {
      for (;;) {
        auto received = sys::receive_message(pair.second.get(), buffer);
        EXPECT_TRUE(received) << received.error().text;
        if (!received || !*received) break;
        warden::Header header;
        std::memcpy(&header, buffer.data(), sizeof header);
        types.push_back(header.type);
      }
      if (types.size() >= count) loop.stop();
    });
    auto late = loop.after(10s, [&] { loop.stop(1); });
    EXPECT_EQ(*loop.run(), 0) << "only " << types.size() << " of " << count;
    return types;
  }

  using Types = std::vector<warden::MessageType>;
  sys::Loop loop = *sys::Loop::open();
  sys::SocketPair pair = *sys::make_seqpacket_pair();
  std::unique_ptr<WardenPort> port;
  std::vector<std::string> given_up;
};

TEST_F(WardenStarved, WhatTheKernelHasNoRoomForIsTriedAgainInItsOrder) {
  refusals = 3;
  keep();
  forget();
  keep();
  EXPECT_EQ(receive(3), (Types{warden::MessageType::Keep, warden::MessageType::Forget,
                               warden::MessageType::Keep}));
  EXPECT_TRUE(given_up.empty());
}

TEST_F(WardenStarved, WhoAskedIsToldAfterAWhileAndTheOthersGoOn) {
  refusals = INT_MAX;
  keep();
  forget();
  send_with_descriptor(warden::Launch(), "launch");
  forget();
  // Those without, and one when there is room again.
  EXPECT_EQ(receive(3), (Types{warden::MessageType::Forget, warden::MessageType::Forget,
                               warden::MessageType::Keep}));
  EXPECT_EQ(given_up, (std::vector<std::string>{"keep", "launch"}));
}

} // namespace
} // namespace mohhos::manager

// The whole program's.
extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  using mohhos::manager::refusals;
  if (message->msg_controllen != 0 && refusals > 0) {
    if (refusals != INT_MAX) --refusals;
    errno = ETOOMANYREFS;
    return -1;
  }
  return ::syscall(SYS_sendmsg, socket, message, flags);
}
