// Clients that break the protocol: the daemon drops them and goes on serving the others.
#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class BadClient : public WithDaemon {
protected:
  int connect_raw() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw std::runtime_error("no socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = daemon.socket();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  // ttrpc: length, stream id (both big endian), type, flags.
  static std::string header(std::uint32_t length, std::uint32_t stream, std::uint8_t type,
                            std::uint8_t flags = 0) {
    std::string bytes;
    for (const std::uint32_t word : {length, stream}) {
      for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<char>(word >> shift & 0xFF));
    }
    bytes.push_back(static_cast<char>(type));
    bytes.push_back(static_cast<char>(flags));
    return bytes;
  }

  // Whether the daemon closes the connection (or resets it) within ten seconds; answers are read
  // and dropped.
  static bool is_dropped(int fd) {
    std::array<char, 4096> buffer;
    for (pollfd wait{fd, POLLIN, 0}; poll(&wait, 1, 10000) > 0;) {
      if (recv(fd, buffer.data(), buffer.size(), 0) <= 0) return true;
    }
    return false;
  }

  static void send_all(int fd, const std::string& bytes) {
    EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
};

TEST_F(BadClient, DisconnectsMidway) {
  for (std::size_t size = 0; size <= 10; ++size) {
    const int fd = connect_raw();
    if (size > 0) send_all(fd, header(100, 1, 1).substr(0, size));
    close(fd);
  }
  expect_serving();
}

TEST_F(BadClient, SendsHalfAFrameAndWaits) {
  const int fd = connect_raw();
  send_all(fd, header(1000, 1, 1) + std::string(500, 'x'));
  expect_serving(); // nobody else waits for it
  close(fd);
  expect_serving();
}

TEST_F(BadClient, AnnouncesFourGigabytes) {
  const int fd = connect_raw();
  send_all(fd, header(0xFFFFFFFF, 1, 1));
  EXPECT_TRUE(is_dropped(fd));
  close(fd);
  expect_serving();
}

TEST_F(BadClient, SendsNonsense) {
  const std::string nonsense(2000, '\xA5');
  const int fd = connect_raw();
  send_all(fd, nonsense);
  EXPECT_TRUE(is_dropped(fd));
  close(fd);
  for (const auto& [stream, type] : {std::pair{0U, 1}, std::pair{2U, 1}, std::pair{1U, 99}}) {
    const int other = connect_raw();
    send_all(other, header(4, stream, static_cast<std::uint8_t>(type)) + "abcd");
    pollfd wait{other, POLLIN, 0};
    EXPECT_GT(poll(&wait, 1, 10000), 0) << "neither an answer nor an end"; // one of the two
    close(other);
  }
  expect_serving();
}

TEST_F(BadClient, DisconnectsWhileItsLoadRuns) {
  const std::filesystem::path plugin = daemon.sign(plugin_file("init_hangs"));
  bool ended = false;
  // (On a busy machine it may be killed before it has asked for anything.)
  for (const int ms : {100, 200, 400}) {
    const Outcome killed = daemon.plugctl({"load", plugin}, std::chrono::milliseconds(ms));
    EXPECT_EQ(killed.code, 124);
    expect_serving();
    ended = daemon.wait_for_state("init_hangs", "ERROR");
    if (ended) break;
  }
  EXPECT_TRUE(ended);
}

TEST_F(BadClient, OpensMoreConnectionsThanItMay) {
  std::vector<int> all;
  for (int i = 0; i < 300; ++i) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ASSERT_GE(fd, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = daemon.socket();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    (void)connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    all.push_back(fd);
  }
  for (const int fd : all) close(fd);
  EXPECT_TRUE(Daemon::eventually([&] { return daemon.plugctl({"status"}).code == 0; }));
}

} // namespace
} // namespace mohhos::test
