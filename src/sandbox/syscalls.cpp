#include "sandbox/syscalls.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace mohhos::sandbox {
namespace {

using Arguments = std::array<std::uint64_t, 6>;

// --- values in words ---

struct Word {
  std::uint64_t value;
  std::string_view name;
};

constexpr std::array kOpenFlags = {Word{O_CREAT, "O_CREAT"},
                                   Word{O_EXCL, "O_EXCL"},
                                   Word{O_NOCTTY, "O_NOCTTY"},
                                   Word{O_TRUNC, "O_TRUNC"},
                                   Word{O_APPEND, "O_APPEND"},
                                   Word{O_NONBLOCK, "O_NONBLOCK"},
                                   Word{O_DIRECTORY, "O_DIRECTORY"},
                                   Word{O_NOFOLLOW, "O_NOFOLLOW"},
                                   Word{O_CLOEXEC, "O_CLOEXEC"},
                                   Word{O_PATH, "O_PATH"},
                                   Word{O_SYNC, "O_SYNC"}};
constexpr std::array kProtections = {Word{PROT_READ, "PROT_READ"}, Word{PROT_WRITE, "PROT_WRITE"},
                                     Word{PROT_EXEC, "PROT_EXEC"}};
constexpr std::array kMapFlags = {
    Word{MAP_SHARED, "MAP_SHARED"}, Word{MAP_PRIVATE, "MAP_PRIVATE"},
    Word{MAP_FIXED, "MAP_FIXED"},   Word{MAP_ANONYMOUS, "MAP_ANONYMOUS"},
    Word{MAP_STACK, "MAP_STACK"},   Word{MAP_NORESERVE, "MAP_NORESERVE"}};
constexpr std::array kCloneFlags = {Word{CLONE_VM, "CLONE_VM"},
                                    Word{CLONE_FS, "CLONE_FS"},
                                    Word{CLONE_FILES, "CLONE_FILES"},
                                    Word{CLONE_SIGHAND, "CLONE_SIGHAND"},
                                    Word{CLONE_VFORK, "CLONE_VFORK"},
                                    Word{CLONE_PARENT, "CLONE_PARENT"},
                                    Word{CLONE_THREAD, "CLONE_THREAD"},
                                    Word{CLONE_NEWNS, "CLONE_NEWNS"},
                                    Word{CLONE_SYSVSEM, "CLONE_SYSVSEM"},
                                    Word{CLONE_SETTLS, "CLONE_SETTLS"},
                                    Word{CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"},
                                    Word{CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"},
                                    Word{CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"},
                                    Word{CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
                                    Word{CLONE_NEWUTS, "CLONE_NEWUTS"},
                                    Word{CLONE_NEWIPC, "CLONE_NEWIPC"},
                                    Word{CLONE_NEWUSER, "CLONE_NEWUSER"},
                                    Word{CLONE_NEWPID, "CLONE_NEWPID"},
                                    Word{CLONE_NEWNET, "CLONE_NEWNET"}};
constexpr std::array kFamilies = {Word{AF_UNIX, "AF_UNIX"},     Word{AF_INET, "AF_INET"},
                                  Word{AF_INET6, "AF_INET6"},   Word{AF_NETLINK, "AF_NETLINK"},
                                  Word{AF_PACKET, "AF_PACKET"}, Word{AF_ALG, "AF_ALG"},
                                  Word{AF_VSOCK, "AF_VSOCK"}};
constexpr std::array kSocketTypes = {Word{SOCK_STREAM, "SOCK_STREAM"},
                                     Word{SOCK_DGRAM, "SOCK_DGRAM"}, Word{SOCK_RAW, "SOCK_RAW"},
                                     Word{SOCK_SEQPACKET, "SOCK_SEQPACKET"}};
constexpr std::array kSocketFlags = {Word{SOCK_CLOEXEC, "SOCK_CLOEXEC"},
                                     Word{SOCK_NONBLOCK, "SOCK_NONBLOCK"}};
constexpr std::array kTraceRequests = {
    Word{PTRACE_TRACEME, "PTRACE_TRACEME"}, Word{PTRACE_PEEKDATA, "PTRACE_PEEKDATA"},
    Word{PTRACE_POKEDATA, "PTRACE_POKEDATA"}, Word{PTRACE_ATTACH, "PTRACE_ATTACH"},
    Word{PTRACE_SEIZE, "PTRACE_SEIZE"}};
constexpr std::array kFcntlCommands = {Word{F_SETFL, "F_SETFL"}, Word{F_SETOWN, "F_SETOWN"},
                                       Word{F_ADD_SEALS, "F_ADD_SEALS"},
                                       Word{F_SETPIPE_SZ, "F_SETPIPE_SZ"}};
constexpr std::array kAdvice = {Word{MADV_REMOVE, "MADV_REMOVE"},
                                Word{MADV_MERGEABLE, "MADV_MERGEABLE"}};

// "A|B|0x40": the known bits by name, the rest as one number.
std::string join(std::uint64_t bits, std::span<const Word> words, std::string text = {}) {
  const auto add = [&](std::string_view part) {
    if (!text.empty()) text += '|';
    text += part;
  };
  for (const Word& word : words) {
    if ((bits & word.value) != word.value) continue;
    add(word.name);
    bits &= ~word.value;
  }
  if (bits != 0) add(fmt::format("{:#x}", bits));
  return text.empty() ? "0" : text;
}

std::string one_of(std::uint64_t value, std::span<const Word> words) {
  const auto found = std::ranges::find(words, value, &Word::value);
  return found != words.end() ? std::string(found->name) : fmt::format("{}", value);
}

// --- the usual calls, by the kinds of their arguments ---

enum class Kind : unsigned char {
  None,
  Path,
  DirectoryFd,
  OpenFlags,
  Mode,
  Number,
  Hex,
  Protection,
  MapFlags,
  CloneFlags,
  Family,
  SocketType,
  TraceRequest,
  FcntlCommand,
  Advice
};
using enum Kind;

struct Shape {
  int number;
  std::array<Kind, 6> kinds;
};
constexpr std::array kShapes = {
    Shape{SYS_open, {Path, OpenFlags, Mode}},
    Shape{SYS_openat, {DirectoryFd, Path, OpenFlags, Mode}},
    Shape{SYS_openat2, {DirectoryFd, Path, Hex, Number}},
    Shape{SYS_creat, {Path, Mode}},
    Shape{SYS_socket, {Family, SocketType, Number}},
    Shape{SYS_socketpair, {Family, SocketType, Number, Hex}},
    Shape{SYS_connect, {Number, Hex, Number}},
    Shape{SYS_bind, {Number, Hex, Number}},
    Shape{SYS_sendmsg, {Number, Hex, Hex}},
    Shape{SYS_sendto, {Number, Hex, Number, Hex, Hex, Number}},
    Shape{SYS_mmap, {Hex, Number, Protection, MapFlags, Number, Hex}},
    Shape{SYS_mprotect, {Hex, Number, Protection}},
    Shape{SYS_pkey_mprotect, {Hex, Number, Protection, Number}},
    Shape{SYS_madvise, {Hex, Number, Advice}},
    Shape{SYS_memfd_create, {Hex, Hex}},
    Shape{SYS_clone, {CloneFlags, Hex, Hex, Hex, Hex}},
    Shape{SYS_unshare, {CloneFlags}},
    Shape{SYS_setns, {Number, CloneFlags}},
    Shape{SYS_execve, {Hex, Hex, Hex}},
    Shape{SYS_execveat, {DirectoryFd, Hex, Hex, Hex, Hex}},
    Shape{SYS_ptrace, {TraceRequest, Number, Hex, Hex}},
    Shape{SYS_process_vm_readv, {Number, Hex, Number, Hex, Number, Number}},
    Shape{SYS_process_vm_writev, {Number, Hex, Number, Hex, Number, Number}},
    Shape{SYS_pidfd_open, {Number, Number}},
    Shape{SYS_pidfd_getfd, {Number, Number, Number}},
    Shape{SYS_kill, {Number, Number}},
    Shape{SYS_tgkill, {Number, Number, Number}},
    Shape{SYS_fcntl, {Number, FcntlCommand, Hex}},
    Shape{SYS_ioctl, {Number, Hex, Hex}},
    Shape{SYS_prctl, {Number, Hex, Hex, Hex, Hex}},
    Shape{SYS_mount, {Hex, Hex, Hex, Hex, Hex}},
    Shape{SYS_fork, {}},
    Shape{SYS_vfork, {}},
    Shape{SYS_userfaultfd, {Hex}},
    Shape{SYS_bpf, {Number, Hex, Number}},
    Shape{SYS_io_uring_setup, {Number, Hex}},
    Shape{SYS_chmod, {Path, Mode}},
};

std::string render(Kind kind, std::uint64_t value, std::string_view path) {
  const auto low = static_cast<std::uint32_t>(value);
  switch (kind) {
  case Kind::None: break;
  case Kind::Path: return path.empty() ? fmt::format("{:#x}", value) : quote(path);
  case Kind::DirectoryFd:
    return static_cast<std::int32_t>(low) == AT_FDCWD
               ? "AT_FDCWD"
               : fmt::format("{}", static_cast<std::int32_t>(low));
  case Kind::OpenFlags: {
    constexpr std::array<std::string_view, 4> kModes = {"O_RDONLY", "O_WRONLY", "O_RDWR",
                                                        "O_ACCMODE"};
    return join(low & ~static_cast<std::uint32_t>(O_ACCMODE), kOpenFlags,
                std::string(kModes[low & O_ACCMODE]));
  }
  case Kind::Mode: return fmt::format("{:#o}", low);
  case Kind::Number: return fmt::format("{}", static_cast<std::int64_t>(value));
  case Kind::Hex: return value == 0 ? "NULL" : fmt::format("{:#x}", value);
  case Kind::Protection: return value == 0 ? "PROT_NONE" : join(value, kProtections);
  case Kind::MapFlags: return join(low, kMapFlags);
  case Kind::CloneFlags: return join(value, kCloneFlags);
  case Kind::Family: return one_of(low, kFamilies);
  case Kind::SocketType: {
    const std::uint32_t flags = low & (SOCK_CLOEXEC | SOCK_NONBLOCK);
    return join(flags, kSocketFlags, one_of(low & ~flags, kSocketTypes));
  }
  case Kind::TraceRequest: return one_of(low, kTraceRequests);
  case Kind::FcntlCommand: return one_of(low, kFcntlCommands);
  case Kind::Advice: return one_of(low, kAdvice);
  }
  return {};
}

// open's mode is an argument only when something is created.
bool is_left_out(int number, Kind kind, const Arguments& arguments) {
  if (kind != Kind::Mode || (number != SYS_open && number != SYS_openat)) return false;
  const std::uint64_t flags = arguments[number == SYS_open ? 1 : 2];
  return (flags & O_CREAT) == 0;
}

} // namespace

std::string quote(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c >= 0x20 && c < 0x7F)
      result += c;
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return result + '"';
}

std::string syscall_name(int number) {
  struct Free {
    void operator()(char* text) const noexcept { std::free(text); } // libseccomp's
  };
  const std::unique_ptr<char, Free> name(
      seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number));
  return name ? std::string(name.get()) : fmt::format("syscall_{}", number);
}

std::string render_call(int number, const Arguments& arguments, std::string_view path) {
  constexpr std::array<Kind, 6> kUnknown = {Hex, Hex, Hex};
  const auto found = std::ranges::find(kShapes, number, &Shape::number);
  const std::array<Kind, 6>& kinds = found != kShapes.end() ? found->kinds : kUnknown;
  std::string text;
  for (std::size_t i = 0; i < kinds.size() && kinds[i] != Kind::None; ++i) {
    if (is_left_out(number, kinds[i], arguments)) continue;
    if (number == SYS_openat && kinds[i] == Kind::DirectoryFd && path.starts_with('/'))
      continue; // says nothing
    if (!text.empty()) text += ", ";
    text += render(kinds[i], arguments[i], path);
  }
  return fmt::format("{}({})", syscall_name(number), text);
}

} // namespace mohhos::sandbox
