// The boot block: what mohhos-plugin-host must know before it knows anybody, in one sealed memfd
// (kFdBoot).
//
// Written by the manager, passed through the warden unread, read once by the host and closed. The
// host links no libseccomp, so its two filters come as the bytes that the kernel takes. The format
// is a header and three arrays, nothing else; parse_boot is total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <linux/filter.h>

#include "base/ids.hpp"
#include "model/capability.hpp"
#include "sandbox/spec.hpp"
#include "sys/fd.hpp"

namespace mohhos::sandbox {

inline constexpr std::uint32_t kBootMagic = 0x424D484DU; // "MHMB"
inline constexpr std::uint32_t kBootVersion = 1;
inline constexpr std::size_t kBootNameSize = 64;
inline constexpr std::size_t kMaxLandlockRules = kMaxMounts + 8;
inline constexpr std::size_t kMaxFilterLength = 4096; // BPF_MAXINSNS

// What Landlock lets a path be used for.
enum class PathAccess : std::uint32_t {
  Read = 1,    // and list
  ReadExecute, // and execve
  ReadWrite,   // and create, remove, truncate
  Device,      // read, write, ioctl
};

struct LandlockRule {
  PathAccess access{};
  std::uint32_t optional = 0; // 1: the path may be absent
  char path[kPathSize] = {};
};
static_assert(std::is_trivially_copyable_v<LandlockRule> &&
              std::has_unique_object_representations_v<LandlockRule>);

struct Boot {
  PluginId plugin;
  Generation generation;
  std::string name;
  std::uint32_t plugin_type = 0;     // model::PluginType
  model::CapabilitySet capabilities; // granted, for check_capability
  std::uint32_t create_processes = 0;
  std::uint64_t execution_time_ms = 0; // max_execution_time_ms, for the host's own reports
  std::vector<LandlockRule> landlock;
  std::vector<sock_filter> confine; // stage 1: before anything of the plugin is mapped
  std::vector<sock_filter> tighten; // stage 2: after dlopen; empty: none
};

// The block as bytes. The caller keeps to the bounds above (CHECKed). [pure]
[[nodiscard]] std::vector<std::byte> serialize_boot(const Boot& boot);
// In a sealed memfd. [any]
[[nodiscard]] Result<sys::Fd> make_boot(const Boot& boot);

// Any bytes → Boot or Malformed, which names the field. [pure]
[[nodiscard]] Result<Boot> parse_boot(std::span<const std::byte> bytes);
// From kFdBoot: checks the seals, maps, parses. [any]
[[nodiscard]] Result<Boot> read_boot(int fd);

} // namespace mohhos::sandbox
