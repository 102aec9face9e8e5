// Unix sockets that carry fixed-size records and file descriptors.
//
// A receiver closes every descriptor that it did not expect, and a message whose ancillary data was
// cut (MSG_CTRUNC) is an error: a peer that sends too many must cost nothing and gain nothing.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include <sys/types.h>

#include "base/units.hpp"
#include "sys/fd.hpp"

namespace mohhos::sys {

inline constexpr std::size_t kMaxFdsPerMessage = 16;

struct SocketPair {
  Fd first;
  Fd second;
};
// SOCK_SEQPACKET, close-on-exec, non-blocking at both ends. [any]
[[nodiscard]] Result<SocketPair> make_seqpacket_pair();

struct Received {
  std::size_t size = 0; // 0: the peer closed
  std::vector<Fd> fds;
  bool fds_lost = false; // there was no room for them in our table, or they were too many
};

// One message, never blocking. Refused: the peer's queue is full. Unreachable: the peer is gone.
// [any]
[[nodiscard]] Result<> send_message(int socket, std::span<const std::byte> bytes,
                                    std::span<const int> fds = {});
// What to do with a message whose descriptors do not all find room: it is an error, or it comes
// without any.
enum class LostFds : bool { Refuse, Accept };
// One message into `buffer`; nothing when none is waiting. Malformed: longer than the buffer, or
// descriptors cut off (all that came are closed). size 0: the peer closed. [any]
[[nodiscard]] Result<std::optional<Received>>
receive_message(int socket, std::span<std::byte> buffer, LostFds lost = LostFds::Refuse);

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
// SO_PEERCRED; an error is an error, never uid 0. [any]
[[nodiscard]] Result<PeerCredentials> peer_credentials(int socket);

// SO_PEERGROUPS: the peer's supplementary groups as they were at connect. [any]
[[nodiscard]] Result<std::vector<gid_t>> peer_groups(int socket);

// How much of what was sent the peer has not read (the kernel's own costs counted); 0 also when the
// kernel does not say. [any]
[[nodiscard]] std::size_t unread_bytes(int socket);
// What the peer has sent and we have not read. [any]
[[nodiscard]] std::size_t waiting_bytes(int socket);

// The next connection, non-blocking; nothing when none is waiting (any more). Exhausted: out of
// descriptors, and the connection is still waiting. [any]
[[nodiscard]] Result<std::optional<Fd>> accept_connection(int listening);

// As many of the bytes as a stream takes now (0: none), with the descriptor beside the first of
// them. Unreachable: the peer is gone. [any]
[[nodiscard]] Result<std::size_t> send_some(int socket, std::span<const std::byte> bytes,
                                            int fd = -1);

// Waits until poll(2) finds one of `events`, an error or a hang-up; false: the deadline passed. No
// deadline: forever. [any]
[[nodiscard]] Result<bool> wait_for(int fd, short events, std::optional<Monotonic> deadline);

// Binds and listens on a stream socket, mode as given. A path longer than sun_path is reached
// through its directory's descriptor. A stale socket (nobody answers) is replaced; a live one is
// Exists; anything else at the path is left alone and an error. [any]
[[nodiscard]] Result<Fd> listen_unix(const std::filesystem::path& path, mode_t mode);
// Connects a stream socket (blocking mode as asked). Unreachable names the path and the reason.
// [any]
[[nodiscard]] Result<Fd> connect_unix(const std::filesystem::path& path);

} // namespace mohhos::sys
