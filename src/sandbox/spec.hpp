// The sandbox as a value: everything that the warden needs to build one, nothing that it has to
// parse.
//
// The manager compiles it (compile.hpp) from a Grant; it crosses to the warden inside
// warden::Launch as these very bytes. The warden checks every field again (verify_spec): the
// manager is only less trusted than the warden, not untrusted, but a taken-over manager should gain
// little.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/error.hpp"
#include "model/wall.hpp"

namespace mohhos::sandbox {

inline constexpr std::uint32_t kSpecVersion = 1;
inline constexpr std::size_t kPathSize = 256;
inline constexpr std::size_t kMaxMounts = 40;

enum class MountKind : std::uint32_t {
  SystemReadOnly = 1, // libraries and the like: read-only, not logged as opens
  ReadOnly,           // the ACL's, read-only
  ReadWrite,          // the ACL's
  Device,             // a device node, its type and number checked after opening
  Link, // a symbolic link: `source` is its text, relative or absolute; nothing is bound
};

struct Mount {
  char source[kPathSize] =
      {}; // absolute, in the warden's view; opened once, O_PATH, then used by descriptor
  char target[kPathSize] = {}; // absolute, in the sandbox
  MountKind kind{};
  std::uint32_t device_type = 0; // S_IFCHR or S_IFBLK
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
};

struct Spec {
  std::uint32_t version = kSpecVersion;
  model::WallSet required = 0; // a missing one of these refuses the plugin
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpu_percent = 0;
  std::uint32_t processes = 0;
  std::uint32_t descriptors = 0;
  std::uint32_t create_processes = 0; // 1: fork and exec inside the pid namespace
  std::uint64_t tmp_bytes = 0;
  std::uint64_t tmp_inodes = 0;
  std::uint32_t mount_count = 0;
  std::uint32_t reserved = 0;
  Mount mounts[kMaxMounts] = {};
};
static_assert(std::is_trivially_copyable_v<Spec> && std::has_unique_object_representations_v<Spec>);

// Where the child finds its descriptors after exec. Nothing else is open.
inline constexpr int kFdLink = 3; // ipc/link.hpp, to the manager
inline constexpr int kFdBoot = 4; // sealed memfd, boot.hpp: filters, Landlock rules, names
inline constexpr int kFdGate =
    5; // SOCK_SEQPACKET to the warden: report, listener → 'go'; closed before dlopen

// Where the sandbox shows the plugin's verified bytes.
inline constexpr char kPluginPath[] = "/plugin/plugin.so";

// The whole environment of a plugin.
inline constexpr const char* kEnvironment[] = {"HOME=/tmp", "LANG=C.UTF-8", "PATH=/usr/bin:/bin",
                                               "TMPDIR=/tmp"};

} // namespace mohhos::sandbox
