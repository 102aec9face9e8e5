// A pair of Unix sockets that keep message boundaries: one system call to send, one to receive, the
// payload copied in and out.
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/shared_word.hpp"
#include "payload.hpp"
#include "peers.hpp"
#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

class SeqPacket {
public:
  SeqPacket(std::size_t size, Waiting waiting)
      : source_(size), buffer_(size), flags_(waiting == Waiting::Spins ? MSG_DONTWAIT : 0) {
    require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds_.data()) == 0,
            "socketpair");
    // Room for several messages; root may have more than net.core.wmem_max.
    const int wanted = static_cast<int>(std::max<std::size_t>(std::size_t{256} << 10, 4 * size));
    for (const int fd : fds_) {
      if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0)
        (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
    }
  }
  std::optional<std::string> open(Side side) {
    fd_ = fds_[index(side)];
    int room = 0;
    socklen_t length = sizeof room;
    require(::getsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &room, &length) == 0, "SO_SNDBUF");
    if (static_cast<std::size_t>(room) < source_.size() + 1024)
      return fmt::format("net.core.wmem_max allows {} bytes", room);
    return {};
  }
  void send() {
    while (::send(fd_, source_.bytes().data(), source_.size(), flags_ | MSG_NOSIGNAL) < 0) {
      require(errno == EAGAIN || errno == EINTR || errno == ENOBUFS, std::strerror(errno));
      ipc::spin_pause();
    }
  }
  void receive() {
    for (;;) {
      const ssize_t got = ::recv(fd_, buffer_.data(), buffer_.size(), flags_);
      if (got == static_cast<ssize_t>(buffer_.size())) break;
      require(got < 0 && (errno == EAGAIN || errno == EINTR), "a message of another size");
      ipc::spin_pause();
    }
    sum_ += look_at_all(buffer_);
  }

private:
  std::array<int, 2> fds_{};
  int fd_ = -1;
  Source source_;
  std::vector<std::byte> buffer_;
  int flags_;
  std::uint64_t sum_ = 0;
};

} // namespace

std::unique_ptr<Contestant> make_seqpacket(std::size_t size, Waiting waiting) {
  return make<SeqPacket>(size, waiting);
}

} // namespace mohhos::bench
