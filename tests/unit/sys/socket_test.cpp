#include "sys/socket.hpp"

#include <array>
#include <cstring>
#include <fstream>

#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::sys {
namespace {

using test::TemporaryDirectory;

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(SeqPacket, CarriesBytesAndDescriptorsTogether) {
  auto pair = make_seqpacket_pair().value();
  const std::array fds = {pair.first.get()};
  ASSERT_TRUE(send_message(pair.first.get(), bytes_of("hello"), fds));
  std::array<std::byte, 64> buffer{};
  auto received = receive_message(pair.second.get(), buffer).value().value();
  EXPECT_EQ(std::memcmp(buffer.data(), "hello", 5), 0);
  EXPECT_EQ(received.size, 5U);
  EXPECT_EQ(received.fds.size(), 1U);
}

TEST(SeqPacket, NeverBlocks) {
  auto pair = make_seqpacket_pair().value();
  std::array<std::byte, 64> buffer{};
  EXPECT_FALSE(receive_message(pair.first.get(), buffer).value());
  Result<> sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = send_message(pair.first.get(), bytes_of("x"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::Refused);
}

TEST(SeqPacket, APeerThatLeftIsSeenByBothDirections) {
  auto pair = make_seqpacket_pair().value();
  pair.second.reset();
  EXPECT_EQ(send_message(pair.first.get(), bytes_of("x")).error().code, Code::Unreachable);
  std::array<std::byte, 64> buffer{};
  EXPECT_EQ(receive_message(pair.first.get(), buffer).value()->size, 0U);
}

TEST(SeqPacket, WhatAPeerSaidBeforeItLeftIsHeardThoughItHadNotReadEverything) {
  auto pair = make_seqpacket_pair().value();
  ASSERT_TRUE(send_message(pair.first.get(), bytes_of("unread")));
  ASSERT_TRUE(send_message(pair.second.get(), bytes_of("last")));
  ASSERT_TRUE(send_message(pair.second.get(), bytes_of("words")));
  pair.second.reset();
  std::array<std::byte, 64> buffer{};
  EXPECT_EQ(receive_message(pair.first.get(), buffer).value()->size, 4U);
  EXPECT_EQ(receive_message(pair.first.get(), buffer).value()->size, 5U);
  EXPECT_EQ(receive_message(pair.first.get(), buffer).value()->size, 0U);
}

TEST(SeqPacket, AMessageLongerThanTheBufferIsMalformedAndItsDescriptorsAreClosed) {
  auto pair = make_seqpacket_pair().value();
  const std::size_t before = open_descriptors();
  const std::array fds = {pair.first.get()};
  ASSERT_TRUE(send_message(pair.first.get(), bytes_of("too long for that"), fds));
  std::array<std::byte, 4> buffer{};
  EXPECT_EQ(receive_message(pair.second.get(), buffer).error().code, Code::Malformed);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(SeqPacket, MoreDescriptorsThanAllowedAreAllClosed) {
  auto pair = make_seqpacket_pair().value();
  const std::size_t before = open_descriptors();
  std::array<int, 200> many{};
  many.fill(pair.first.get());
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof many)> control{};
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof many);
  std::memcpy(CMSG_DATA(c), many.data(), sizeof many);
  ASSERT_EQ(::sendmsg(pair.first.get(), &header, 0), 1);
  std::array<std::byte, 64> buffer{};
  EXPECT_EQ(receive_message(pair.second.get(), buffer).error().code, Code::Malformed);
  EXPECT_EQ(open_descriptors(), before);
}

class UnixSocket : public ::testing::Test {
protected:
  TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "control.sock";
};

TEST_F(UnixSocket, AClientIsKnownByItsUid) {
  const Fd listener = listen_unix(path_, 0600).value();
  const Fd client = connect_unix(path_).value();
  const Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(peer_credentials(server.get()).value().uid, ::getuid());
}

TEST_F(UnixSocket, AStaleSocketIsReplacedAndALiveOneIsNot) {
  {
    const Fd dead = listen_unix(path_, 0600).value();
  }
  const Fd listener = listen_unix(path_, 0600).value();
  const auto second = listen_unix(path_, 0600);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Exists);
}

TEST_F(UnixSocket, AFileInTheWayIsLeftAlone) {
  std::ofstream(path_) << "mine";
  EXPECT_EQ(listen_unix(path_, 0600).error().code, Code::Exists);
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(UnixSocket, APathLongerThanSunPathWorks) {
  const auto deep = directory_.path() / std::string(60, 'a') / std::string(60, 'b');
  std::filesystem::create_directories(deep);
  const Fd listener = listen_unix(deep / "control.sock", 0600).value();
  EXPECT_TRUE(connect_unix(deep / "control.sock"));
}

TEST_F(UnixSocket, NobodyThereIsUnreachableAndNamed) {
  const auto refused = connect_unix(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unreachable);
  EXPECT_NE(refused.error().text.find(path_.native()), std::string::npos);
}

} // namespace
} // namespace mohhos::sys
