#include "sandbox/compile.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/check.hpp"
#include "base/units.hpp"
#include "sandbox/verify.hpp"

namespace mohhos::sandbox {
namespace {

namespace fs = std::filesystem;
using model::Capability;

constexpr std::array kPlainDevices = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"};
constexpr std::uint32_t kFewestDescriptors = 16; // what the host itself needs

bool is_directory(const char* path) {
  std::error_code ignored;
  return fs::is_directory(fs::symlink_status(path, ignored));
}

bool lies_in(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

bool put_text(char (&field)[kPathSize], std::string_view text) {
  if (text.size() >= kPathSize) return false;
  std::ranges::copy(text, field);
  return true;
}

Result<> append(Spec& spec, const Mount& mount) {
  if (spec.mount_count == kMaxMounts)
    return fail(Code::TooLarge, "more than {} paths are granted: grant a directory that holds them",
                kMaxMounts);
  spec.mounts[spec.mount_count++] = mount;
  return {};
}

Result<Mount> make_mount(MountKind kind, std::string_view source, std::string_view target) {
  Mount mount{.kind = kind};
  if (!put_text(mount.source, source) || !put_text(mount.target, target))
    return fail(Code::TooLarge, "{} is longer than {} bytes", target, kPathSize - 1);
  return mount;
}

// What the path leads to. One that we cannot look at stays as it is: not every directory is shown
// to the manager. The warden, who sees it, follows no links and says what is missing.
std::string resolve(const std::string& path) {
  std::error_code error;
  const fs::path resolved = fs::canonical(path, error);
  return error ? path : resolved.string();
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

Result<> append_device(Spec& spec, const std::string& path) {
  struct stat info{};
  const std::string source = resolve(path);
  if (::stat(source.c_str(), &info) != 0) return fail_errno(path);
  if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode))
    return fail(Code::Invalid, "{} is not a device", path);
  TRY(Mount mount, make_mount(MountKind::Device, source, path));
  mount.device_type = info.st_mode & S_IFMT;
  mount.device_major = major(info.st_rdev);
  mount.device_minor = minor(info.st_rdev);
  return append(spec, mount);
}

Result<> append_system(Spec& spec, const SystemLayout& system) {
  for (const std::string& directory : system.directories) {
    TRY(const Mount mount, make_mount(MountKind::SystemReadOnly, directory, directory));
    TRY(append(spec, mount));
  }
  for (const std::string& file : system.files) {
    TRY(const Mount mount, make_mount(MountKind::SystemReadOnly, file, file));
    TRY(append(spec, mount));
  }
  for (const SystemLayout::Link& link : system.links) {
    TRY(const Mount mount, make_mount(MountKind::Link, link.text, link.path));
    TRY(append(spec, mount));
  }
  for (const char* device : kPlainDevices) TRY(append_device(spec, device));
  return {};
}

struct Granted {
  MountKind kind{};
  std::string path;
};

// Outer paths first; a path that an outer one gives just as well is left out.
std::vector<Granted> tidy(const model::Acl& acl) {
  std::vector<Granted> wanted;
  for (const std::string& path : acl.write)
    wanted.push_back({MountKind::ReadWrite, without_slash(path)});
  for (const std::string& path : acl.read)
    wanted.push_back({MountKind::ReadOnly, without_slash(path)});
  std::ranges::stable_sort(wanted, {}, [](const Granted& granted) { return granted.path.size(); });
  std::vector<Granted> kept;
  for (Granted& granted : wanted) {
    const auto covers = [&](const Granted& outer) {
      return lies_in(granted.path, outer.path) &&
             (outer.kind == granted.kind || outer.path == granted.path);
    };
    if (std::ranges::none_of(kept, covers)) kept.push_back(std::move(granted));
  }
  return kept;
}

Result<> append_granted(Spec& spec, const model::Grant& grant) {
  if (grant.capabilities.has(Capability::Filesystem))
    for (const Granted& granted : tidy(grant.acl)) {
      const std::string source = resolve(granted.path);
      TRY(const Mount mount, make_mount(granted.kind, source, granted.path));
      TRY(append(spec, mount));
    }
  if (grant.capabilities.has(Capability::Hardware))
    for (const std::string& device : grant.acl.devices) {
      const bool plain = std::ranges::find(kPlainDevices, device) != kPlainDevices.end();
      if (!plain) TRY(append_device(spec, device));
    }
  return {};
}

PathAccess access_of(MountKind kind, bool create_processes) {
  switch (kind) {
  case MountKind::ReadWrite: return PathAccess::ReadWrite;
  case MountKind::Device: return PathAccess::Device;
  case MountKind::SystemReadOnly:
  case MountKind::ReadOnly:
  case MountKind::Link: break;
  }
  return create_processes ? PathAccess::ReadExecute : PathAccess::Read;
}

LandlockRule make_rule(PathAccess access, std::string_view path, bool optional) {
  LandlockRule rule{.access = access, .optional = optional ? 1U : 0U};
  CHECK(put_text(rule.path, path));
  return rule;
}

} // namespace

SystemLayout find_system_layout() {
  SystemLayout layout;
  constexpr const char* kMultiarch = "/usr/lib/x86_64-linux-gnu";
  if (is_directory(kMultiarch)) {
    layout.directories.emplace_back(kMultiarch);
    if (is_directory("/usr/lib/locale")) layout.directories.emplace_back("/usr/lib/locale");
  } else if (is_directory("/usr/lib")) {
    layout.directories.emplace_back("/usr/lib");
  }
  if (is_directory("/usr/lib64")) layout.directories.emplace_back("/usr/lib64");
  for (const char* path : {"/lib", "/lib64"}) { // links where /usr is merged
    std::error_code error;
    const fs::path text = fs::read_symlink(path, error);
    if (!error)
      layout.links.push_back({path, text.string()});
    else if (is_directory(path))
      layout.directories.emplace_back(path);
  }
  std::error_code ignored;
  if (fs::is_regular_file("/etc/ld.so.cache", ignored))
    layout.files.emplace_back("/etc/ld.so.cache");
  return layout;
}

Result<Spec> compile(const model::Grant& grant, const model::Metadata& metadata,
                     const SystemLayout& system, const CompileOptions& options) {
  const model::ResourceLimits& limits = grant.limits;
  const model::SandboxLevel level = std::max(options.floor, metadata.min_sandbox_level);
  Spec spec;
  spec.required = model::required_walls() | model::walls_of(level) | options.extra_walls;
  spec.memory_bytes = mib(limits.max_memory_mb).count;
  spec.cpu_percent = limits.max_cpu_percent;
  spec.processes = limits.max_processes;
  spec.descriptors = std::max(limits.max_file_descriptors, kFewestDescriptors);
  spec.create_processes = grant.capabilities.has(Capability::CreateProcesses) ? 1 : 0;
  spec.tmp_bytes = mib(limits.max_tmp_mb).count;
  spec.tmp_inodes = limits.max_tmp_files;
  TRY(append_system(spec, system));
  TRY(append_granted(spec, grant));
  if (auto verified = verify_spec(spec); !verified)
    return std::unexpected(std::move(verified).error());
  return spec;
}

std::vector<LandlockRule> landlock_rules(const Spec& spec) {
  const bool create_processes = spec.create_processes != 0;
  std::vector<LandlockRule> rules;
  for (std::size_t i = 0; i < spec.mount_count; ++i)
    if (spec.mounts[i].kind != MountKind::Link)
      rules.push_back(make_rule(access_of(spec.mounts[i].kind, create_processes),
                                spec.mounts[i].target, false));
  rules.push_back(make_rule(PathAccess::ReadWrite, "/tmp", false));
  rules.push_back(make_rule(PathAccess::Read, kPluginPath, true));
  return rules;
}

Boot compile_boot(const Spec& spec, const model::Grant& grant, const model::Metadata& metadata,
                  const FilterPair& filters, PluginId plugin, Generation generation) {
  return Boot{
      .plugin = plugin,
      .generation = generation,
      .name = metadata.name,
      .plugin_type = static_cast<std::uint32_t>(metadata.type),
      .capabilities = grant.capabilities,
      .create_processes = spec.create_processes,
      .execution_time_ms = grant.limits.max_execution_time_ms,
      .landlock = landlock_rules(spec),
      .confine = filters.confine,
      .tighten = filters.tighten,
  };
}

} // namespace mohhos::sandbox
