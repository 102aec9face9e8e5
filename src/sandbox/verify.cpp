#include "sandbox/verify.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "sandbox/probe.hpp"

namespace mohhos::sandbox {
namespace {

struct Bound {
  std::string_view name;
  std::uint64_t value;
  std::uint64_t least;
  std::uint64_t most;
};

Result<> check_bounds(const Spec& spec) {
  const std::array bounds = {
      Bound{"version", spec.version, kSpecVersion, kSpecVersion},
      Bound{"memory_bytes", spec.memory_bytes, std::uint64_t{1} << 20, std::uint64_t{1} << 44},
      Bound{"cpu_percent", spec.cpu_percent, 1, 100'000},
      Bound{"processes", spec.processes, 1, 65'536},
      Bound{"descriptors", spec.descriptors, 16, 65'536},
      Bound{"create_processes", spec.create_processes, 0, 1},
      Bound{"tmp_bytes", spec.tmp_bytes, 4096, std::uint64_t{1} << 36},
      Bound{"tmp_inodes", spec.tmp_inodes, 2, 1'000'000},
      Bound{"mount_count", spec.mount_count, 0, kMaxMounts},
      Bound{"reserved", spec.reserved, 0, 0},
  };
  for (const Bound& bound : bounds)
    if (bound.value < bound.least || bound.value > bound.most)
      return fail(Code::Invalid, "sandbox spec: {} is {}, allowed is {} to {}", bound.name,
                  bound.value, bound.least, bound.most);
  if (spec.required >> model::kWallCount != 0)
    return fail(Code::Invalid, "sandbox spec: required has unknown walls ({:#x})", spec.required);
  if (const model::WallSet missing = model::required_walls() & ~spec.required; missing != 0)
    return fail(Code::Invalid, "sandbox spec: required lacks {}", model::wall_names(missing));
  return {};
}

// Terminated, and nothing behind the end: no room for what nobody looks at.
bool is_clean(const char (&text)[kPathSize]) {
  const auto* end = static_cast<const char*>(std::memchr(text, 0, kPathSize));
  return end != nullptr && std::all_of(end, text + kPathSize, [](char c) { return c == 0; });
}

// "/a/b": absolute, no empty, "." or ".." components, no slash at the end.
bool is_normal(std::string_view path) {
  if (path.size() < 2 || path.front() != '/' || path.back() == '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(part.size());
  }
  return true;
}

bool lies_in(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// Places that are ours, or that must not exist.
constexpr std::array<std::string_view, 4> kReserved = {"/plugin", "/proc", "/sys", kProbePath};

Result<> check_mount(const Mount& mount, std::size_t index) {
  const auto bad = [&](std::string_view what) {
    return fail(Code::Invalid, "sandbox spec: mount {}: {}", index, what);
  };
  if (!is_clean(mount.source) || !is_clean(mount.target)) return bad("a path does not end");
  if (!is_normal(mount.target))
    return bad(fmt::format("target '{}' is not absolute and normal", mount.target));
  for (const std::string_view reserved : kReserved)
    if (lies_in(mount.target, reserved))
      return bad(fmt::format("target '{}' is reserved", mount.target));
  // (Below them it may: the operator's files can lie anywhere.)
  for (const std::string_view whole : {"/dev", "/tmp"})
    if (lies_in(whole, mount.target))
      return bad(fmt::format("a target may not be {} itself", whole));
  switch (mount.kind) {
  case MountKind::Link:
    if (mount.source[0] == 0) return bad("a link without text");
    break;
  case MountKind::SystemReadOnly:
  case MountKind::ReadOnly:
  case MountKind::ReadWrite:
  case MountKind::Device:
    if (!is_normal(mount.source))
      return bad(fmt::format("source '{}' is not absolute and normal", mount.source));
    if (lies_in(mount.source, "/proc") || lies_in(mount.source, "/sys"))
      return bad(fmt::format("source '{}' is the kernel's", mount.source));
    break;
  default: return bad(fmt::format("kind {}", static_cast<std::uint32_t>(mount.kind)));
  }
  if (mount.kind == MountKind::Device) {
    if (mount.device_type != S_IFCHR && mount.device_type != S_IFBLK)
      return bad("a device of no type");
  } else if (mount.device_type != 0 || mount.device_major != 0 || mount.device_minor != 0) {
    return bad("a device number without a device");
  }
  return {};
}

std::string normalize(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  std::string result;
  for (const std::string_view part : parts) result.append("/").append(part);
  return result.empty() ? "/" : result;
}

// The devices that every plugin has: nothing to log.
bool is_plain_device(const Mount& mount) {
  return mount.device_type == S_IFCHR && mount.device_major == 1;
}

} // namespace

Result<> verify_spec(const Spec& spec) {
  TRY(check_bounds(spec));
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    TRY(check_mount(spec.mounts[i], i));
    for (std::size_t j = 0; j < i; ++j)
      if (std::strcmp(spec.mounts[i].target, spec.mounts[j].target) == 0)
        return fail(Code::Invalid, "sandbox spec: two mounts at {}", spec.mounts[i].target);
  }
  const Mount unused{};
  for (std::size_t i = spec.mount_count; i < kMaxMounts; ++i)
    if (std::memcmp(&spec.mounts[i], &unused, sizeof unused) != 0)
      return fail(Code::Invalid, "sandbox spec: mount {} is beyond the count but not empty", i);
  return {};
}

PathClass classify_path(const Spec& spec, std::string_view path) {
  const std::string normal = normalize(path);
  const Mount* best = nullptr;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < spec.mount_count && i < kMaxMounts; ++i) {
    const Mount& mount = spec.mounts[i];
    const std::string_view target(mount.target, ::strnlen(mount.target, kPathSize));
    if (!lies_in(normal, target) || target.size() <= longest) continue;
    best = &mount;
    longest = target.size();
  }
  if (best != nullptr) {
    if (best->kind == MountKind::ReadOnly || best->kind == MountKind::ReadWrite)
      return PathClass::Granted;
    return best->kind == MountKind::Device && !is_plain_device(*best) ? PathClass::Granted
                                                                      : PathClass::Silent;
  }
  return lies_in(normal, "/tmp") || lies_in(normal, "/plugin") ? PathClass::Silent
                                                               : PathClass::Outside;
}

} // namespace mohhos::sandbox
