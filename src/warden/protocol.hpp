// What the warden and the manager say to each other: fixed-size structs over SOCK_SEQPACKET,
// descriptors beside them. The warden acts and keeps; the manager decides. Identity is plugin id
// and generation.
//
// Conversation: the warden starts the manager with one end of the pair as descriptor kFdWarden. The
// warden sends Hello, then everything that it keeps (Kept…), then HelloEnd; the manager adopts,
// then says Ready. A manager that dies is replaced, and the conversation starts anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sandbox/spec.hpp"

namespace mohhos::warden {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr int kFdWarden = 3; // in the manager
inline constexpr std::size_t kNameSize = 64;
inline constexpr std::size_t kTextSize = 512;
inline constexpr std::size_t kSignatureSize = 2048;

enum class MessageType : std::uint16_t {
  // warden → manager
  Hello = 1, // fds: the listening control socket
  Kept,      // fds: one
  Running,   // a process that lives on from the manager before. fds: pidfd
  HelloEnd,
  Launched, // fds: pidfd
  LaunchFailed,
  Exited,
  Attempt,  // a system call that was refused, or an open that was allowed and is logged
  Answer,   // to everything else that was asked
  Shutdown, // SIGTERM: unload all, then say Goodbye
  Reload,   // SIGHUP: read the configuration again
  // manager → warden
  Ready = 64,
  Launch, // fds: image (sealed), boot (sealed), link, stdout, stderr: the child's ends
  Kill,   // SIGKILL for the whole cgroup; Exited follows
  Freeze,
  Thaw,
  Release, // after Exited: forget the process and remove its cgroups. Custody stays until Forget
  Keep,    // fds: one; replaces what was kept under the same plugin, kind and key
  Forget,  // kind 0: all of the plugin's
  Goodbye, // fds: none. The manager has nothing more to do
  Settle,  // the plugin is loaded: no code is mapped from now on (sandbox/ruling.hpp)
};

struct Header {
  std::uint32_t version = kProtocolVersion;
  MessageType type{};
  std::uint16_t reserved = 0;
  std::uint32_t size = 0;
  std::uint32_t sequence = 0; // the manager's number of a request; the answer carries the same
};

enum class Mode : std::uint32_t {
  Privileged = 1,      // root: own uids, cgroups
  UserWithSubuids = 2, // an ordinary user's namespace with a range of uids from newuidmap
  User = 3,            // an ordinary user's namespace with one uid: all plugins share it
};

struct Hello {
  Header header{.type = MessageType::Hello, .size = sizeof(Hello)};
  Mode mode{};
  std::uint32_t restarts = 0;   // of the manager, since the warden started
  model::WallSet buildable = 0; // what this kernel and this mode can give at all
  std::uint32_t landlock_abi = 0;
  std::uint32_t uid_base = 0; // plugin uids as the manager sees them: uid_base + n
  std::uint32_t uid_count = 0;
  std::int32_t warden_pid = 0;
  std::uint32_t limits_v1 = 0; // 1: cgroup v1 limits, 0: v2 (or none: see buildable)
};

// What the warden holds for the manager and does not understand. Key: whatever the manager likes.
enum class KeepKind : std::uint32_t {
  Record = 1, // a sealed memfd: the manager's own state of the plugin
  Image,      // the sealed plugin file
  Link,       // the manager's end of the link
  Stdout,
  Stderr,
  RingData, // key: channel id
  RingControl,
  DataBell,
  SpaceBell,
  Memory, // of plugin 0: one that rides along messages outlives who made it. Key: its number
};

struct Keep {
  Header header{.type = MessageType::Keep, .size = sizeof(Keep)};
  std::uint64_t plugin_id = 0; // 0: the manager's own (Record of the whole)
  std::uint64_t key = 0;
  KeepKind kind{};
  std::uint32_t reserved = 0;
};

struct Kept {
  Header header{.type = MessageType::Kept, .size = sizeof(Kept)};
  std::uint64_t plugin_id = 0;
  std::uint64_t key = 0;
  KeepKind kind{};
  std::uint32_t reserved = 0;
};

struct Forget {
  Header header{.type = MessageType::Forget, .size = sizeof(Forget)};
  std::uint64_t plugin_id = 0;
  std::uint64_t key = 0;
  KeepKind kind{};
  std::uint32_t reserved = 0;
};

struct Launch {
  Header header{.type = MessageType::Launch, .size = sizeof(Launch)};
  std::uint64_t plugin_id = 0;
  std::uint32_t generation = 0;
  std::uint32_t signature_size = 0;
  char name[kNameSize] = {};           // for cgroup names and logs: [a-z0-9_-]
  char signature[kSignatureSize] = {}; // the .minisig file
  sandbox::Spec spec;
};

struct Launched {
  Header header{.type = MessageType::Launched, .size = sizeof(Launched)};
  std::uint64_t plugin_id = 0;
  std::uint32_t generation = 0;
  std::int32_t pid = 0;
  model::WallSet standing = 0; // probed by the child and checked from outside
  std::uint32_t landlock_abi = 0;
  std::uint32_t spawn_us = 0;                  // clone3 to exec
  std::uint32_t confine_us = 0;                // exec to 'go'
  char memory_cgroup[sandbox::kPathSize] = {}; // directories to read from; empty: there is none
  char cpu_cgroup[sandbox::kPathSize] = {};
  char pids_cgroup[sandbox::kPathSize] = {};
};

struct LaunchFailed {
  Header header{.type = MessageType::LaunchFailed, .size = sizeof(LaunchFailed)};
  std::uint64_t plugin_id = 0;
  std::uint32_t generation = 0;
  std::int32_t code = 0; // mohhos::Code
  model::WallSet missing = 0;
  std::uint32_t reserved = 0;
  char text[kTextSize] = {};
};

struct Running {
  Header header{.type = MessageType::Running, .size = sizeof(Running)};
  Launched launched; // as it was said then (its own header is not used)
};

struct Exited {
  Header header{.type = MessageType::Exited, .size = sizeof(Exited)};
  std::uint64_t plugin_id = 0;
  std::uint32_t generation = 0;
  std::uint32_t signaled = 0; // 1: value is a signal
  std::int32_t value = 0;
  std::uint32_t out_of_memory = 0; // kills by its own memory limit
};

struct Attempt {
  Header header{.type = MessageType::Attempt, .size = sizeof(Attempt)};
  std::uint64_t plugin_id = 0;
  std::uint32_t generation = 0;
  std::int32_t syscall = 0;
  std::uint32_t allowed = 0; // 1: an open that was allowed
  std::uint32_t lost = 0;    // attempts before this one that nobody could be told of
  std::uint64_t arguments[6] = {};
  std::uint64_t instruction = 0;
  std::uint64_t when_us = 0; // wall clock
  char path[sandbox::kPathSize] = {};
};

struct Target { // Kill, Freeze, Thaw, Release, Settle
  Header header{.size = sizeof(Target)};
  std::uint64_t plugin_id = 0;
  std::uint32_t generation = 0;
  std::uint32_t reserved = 0;
};

struct Answer {
  Header header{.type = MessageType::Answer, .size = sizeof(Answer)};
  std::int32_t code = 0; // 0, or a mohhos::Code
  std::uint32_t reserved = 0;
  char text[kTextSize] = {};
};

struct Signal { // HelloEnd, Ready, Shutdown, Reload, Goodbye: no content
  Header header{.size = sizeof(Signal)};
};
[[nodiscard]] constexpr Signal signal_of(MessageType type) {
  return {.header = {.type = type, .size = sizeof(Signal)}};
}

inline constexpr std::size_t kMaxMessage = 65536;

template <class T>
inline constexpr bool kIsMessage =
    std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T> &&
    sizeof(T) <= kMaxMessage && offsetof(T, header) == 0;
static_assert(kIsMessage<Hello> && kIsMessage<Keep> && kIsMessage<Kept> && kIsMessage<Forget> &&
              kIsMessage<Launch> && kIsMessage<Launched> && kIsMessage<LaunchFailed> &&
              kIsMessage<Running> && kIsMessage<Exited> && kIsMessage<Attempt> &&
              kIsMessage<Target> && kIsMessage<Answer> && kIsMessage<Signal>);

} // namespace mohhos::warden
