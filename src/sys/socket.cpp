#include "sys/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.hpp"

namespace mohhos::sys {
namespace {

// The address of a path; through /proc/self/fd/<directory> where the path is too long for sun_path.
struct Address {
  sockaddr_un address{};
  socklen_t size = 0;
  Fd directory;
};

Result<Address> address_of(const std::filesystem::path& path) {
  Address result;
  result.address.sun_family = AF_UNIX;
  std::string text = path.native();
  if (text.size() >= sizeof result.address.sun_path) {
    const auto parent = path.parent_path();
    result.directory = Fd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!result.directory) return fail_errno(fmt::format("opening {}", parent.native()));
    text = fmt::format("/proc/self/fd/{}/{}", result.directory.get(), path.filename().native());
    if (text.size() >= sizeof result.address.sun_path)
      return fail(Code::Invalid, "the socket's name {} is too long", path.filename().native());
  }
  std::memcpy(result.address.sun_path, text.c_str(), text.size() + 1);
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
  return result;
}

bool somebody_answers(const Address& address) {
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return true; // unknown: treat as alive
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address.address), address.size) ==
      0)
    return true;
  return errno != ECONNREFUSED && errno != ENOENT;
}

void take_fds(msghdr& header, std::vector<Fd>& fds) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

} // namespace

Result<SocketPair> make_seqpacket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return fail_errno("socketpair");
  return SocketPair{Fd(ends[0]), Fd(ends[1])};
}

Result<> send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  CHECK(fds.size() <= kMaxFdsPerMessage);
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  ssize_t put = 0;
  do put = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (put < 0 && errno == EINTR);
  if (put == static_cast<ssize_t>(bytes.size())) return {};
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return fail(Code::Refused, "the peer's queue is full");
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    return fail(Code::Unreachable, "the peer is gone");
  if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM) {
    auto lack = fail_errno("the kernel has no room for more on the way to the peer");
    lack.error().code = Code::Exhausted;
    return lack;
  }
  return fail_errno("sendmsg");
}

Result<std::optional<Received>> receive_message(int socket, std::span<std::byte> buffer,
                                                LostFds lost) {
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const auto receive = [&] {
    ssize_t size = 0;
    do size = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    return size;
  };
  ssize_t got = receive();
  // A peer that left with something unread: the kernel says so once, before what it had sent.
  if (got < 0 && errno == ECONNRESET) got = receive();
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<Received>();
  if (got < 0 && errno == ECONNRESET) return Received{};
  if (got < 0) return fail_errno("recvmsg");
  Received received;
  received.size = static_cast<std::size_t>(got);
  take_fds(header, received.fds);
  received.fds_lost = (header.msg_flags & MSG_CTRUNC) != 0;
  if (received.fds_lost && lost == LostFds::Accept)
    received.fds.clear();
  else if (received.fds_lost)
    return fail(Code::Malformed,
                "a message with more than {} file descriptors, or than there is room for here "
                "(RLIMIT_NOFILE)",
                kMaxFdsPerMessage);
  if ((header.msg_flags & MSG_TRUNC) != 0)
    return fail(Code::Malformed, "a message of more than {} bytes", buffer.size());
  return received;
}

Result<PeerCredentials> peer_credentials(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail_errno("SO_PEERCRED");
  if (size != sizeof credentials) return fail(Code::Failed, "SO_PEERCRED gave {} bytes", size);
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Result<std::vector<gid_t>> peer_groups(int socket) {
  std::vector<gid_t> groups(64);
  for (;;) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int result = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    if (result != 0 && errno != ERANGE) return fail_errno("SO_PEERGROUPS");
    groups.resize(size / sizeof(gid_t)); // ERANGE: what it would take
    if (result == 0) return groups;
  }
}

std::size_t unread_bytes(int socket) {
  int size = 0;
  return ::ioctl(socket, SIOCOUTQ, &size) == 0 ? static_cast<std::size_t>(size) : 0;
}

std::size_t waiting_bytes(int socket) {
  int size = 0;
  return ::ioctl(socket, FIONREAD, &size) == 0 ? static_cast<std::size_t>(size) : 0;
}

Result<std::optional<Fd>> accept_connection(int listening) {
  for (;;) {
    Fd fd(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) return fd;
    switch (errno) {
    case EINTR:
    case ECONNABORTED: continue; // that one is gone, the next may be there
    case EAGAIN: return std::optional<Fd>();
    default: return fail_errno("accept");
    }
  }
}

Result<std::size_t> send_some(int socket, std::span<const std::byte> bytes, int fd) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  ssize_t put = 0;
  do put = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (put < 0 && errno == EINTR);
  if (put >= 0) return static_cast<std::size_t>(put);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    return fail(Code::Unreachable, "the peer is gone");
  return fail_errno("sendmsg");
}

Result<bool> wait_for(int fd, short events, std::optional<Monotonic> deadline) {
  for (;;) {
    pollfd item{fd, events, 0};
    timespec left{};
    if (deadline) {
      const auto rest = std::max(*deadline - std::chrono::steady_clock::now(),
                                 std::chrono::steady_clock::duration::zero());
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
      left.tv_sec = seconds.count();
      left.tv_nsec = std::chrono::nanoseconds(rest - seconds).count();
    }
    const int ready = ::ppoll(&item, 1, deadline ? &left : nullptr, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return fail_errno("poll");
  }
}

namespace {

// What answers may be on its way out: the child of a daemon that was killed a moment ago.
bool still_answers(const Address& address) {
  constexpr auto kPatience = std::chrono::seconds(2);
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 10'000'000};
  const Monotonic deadline = std::chrono::steady_clock::now() + kPatience;
  while (somebody_answers(address)) {
    if (std::chrono::steady_clock::now() >= deadline) return true;
    ::ppoll(nullptr, 0, &kPause, nullptr);
  }
  return false;
}

} // namespace

Result<Fd> listen_unix(const std::filesystem::path& path, mode_t mode) {
  TRY(const Address address, address_of(path));
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode))
      return fail(Code::Exists, "{} exists and is not a socket; move it away", path.native());
    if (still_answers(address))
      return fail(Code::Exists, "{} is in use: another mohhosd answers there", path.native());
    if (::unlink(path.c_str()) != 0)
      return fail_errno(fmt::format("removing the stale {}", path.native()));
  }
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket");
  // Until chmod nobody but the owner may connect.
  const mode_t umask_before = ::umask(0177);
  const int bound =
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.address), address.size);
  const int bind_error = errno;
  ::umask(umask_before);
  if (bound != 0) return fail_errno(bind_error, fmt::format("binding {}", path.native()));
  if (::listen(fd.get(), 128) != 0)
    return fail_errno(fmt::format("listening on {}", path.native()));
  if (::chmod(path.c_str(), mode) != 0)
    return fail_errno(fmt::format("chmod of {}", path.native()));
  return fd;
}

Result<Fd> connect_unix(const std::filesystem::path& path) {
  auto address = address_of(path);
  if (!address) return fail(Code::Unreachable, "{}", address.error().text);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address->address), address->size) !=
      0) {
    const int reason = errno;
    if (reason == EACCES || reason == EPERM)
      return fail(
          Code::Denied,
          "{}: you may not connect to it: it is another user's, and you are not in its group",
          path.native());
    return fail(Code::Unreachable,
                "no mohhosd answers at {}: {}; is it running, and with this socket?", path.native(),
                std::strerror(reason));
  }
  return fd;
}

} // namespace mohhos::sys
