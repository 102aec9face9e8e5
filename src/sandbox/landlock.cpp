#include "sandbox/landlock.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mohhos::sandbox {
namespace {

// The kernel's interface, written out: the headers of the oldest supported system end at ABI 2.
constexpr std::uint64_t kExecute = 1U << 0;
constexpr std::uint64_t kWriteFile = 1U << 1;
constexpr std::uint64_t kReadFile = 1U << 2;
constexpr std::uint64_t kReadDirectory = 1U << 3;
constexpr std::uint64_t kRemoveDirectory = 1U << 4;
constexpr std::uint64_t kRemoveFile = 1U << 5;
constexpr std::uint64_t kMakeDirectory = 1U << 7;
constexpr std::uint64_t kMakeRegular = 1U << 8;
constexpr std::uint64_t kMakeFifo = 1U << 10;
constexpr std::uint64_t kMakeSymlink = 1U << 12;
constexpr std::uint64_t kRefer = 1U << 13;
constexpr std::uint64_t kTruncate = 1U << 14;
constexpr std::uint64_t kIoctlDevice = 1U << 15;
constexpr std::uint64_t kFirstThirteen = (1U << 13) - 1;

struct RulesetAttribute {
  std::uint64_t handled_fs = 0;
  std::uint64_t handled_net = 0; // from ABI 4
  std::uint64_t scoped = 0;      // from ABI 6
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed = 0;
  std::int32_t parent = -1;
};
constexpr unsigned kCreateRulesetVersion = 1U << 0;
constexpr int kRulePathBeneath = 1;

// What each version added: handled means forbidden unless a rule allows it.
struct Version {
  std::uint32_t abi;
  std::uint64_t fs;
  std::uint64_t net;
  std::uint64_t scoped;
  std::size_t attribute_size;
};
constexpr std::array kVersions = {
    Version{1, kFirstThirteen, 0, 0, 8}, Version{2, kRefer, 0, 0, 8},
    Version{3, kTruncate, 0, 0, 8},      Version{4, 0, 3, 0, 16}, // bind and connect TCP
    Version{5, kIoctlDevice, 0, 0, 16},  Version{6, 0, 0, 3, 24}, // abstract Unix sockets, signals
};

struct AccessRow {
  PathAccess access;
  std::uint64_t file;      // on files
  std::uint64_t directory; // what a directory has besides
};
constexpr std::array kAccess = {
    AccessRow{PathAccess::Read, kReadFile, kReadDirectory},
    AccessRow{PathAccess::ReadExecute, kReadFile | kExecute, kReadDirectory},
    AccessRow{PathAccess::ReadWrite, kReadFile | kWriteFile | kTruncate,
              kReadDirectory | kRemoveDirectory | kRemoveFile | kMakeDirectory | kMakeRegular |
                  kMakeFifo | kMakeSymlink | kRefer},
    AccessRow{PathAccess::Device, kReadFile | kWriteFile | kIoctlDevice, kReadDirectory},
};

Result<> add_rule(int ruleset, const LandlockRule& rule, std::uint64_t handled) {
  const sys::Fd path(::open(rule.path, O_PATH | O_CLOEXEC | O_NOFOLLOW));
  if (!path && errno == ENOENT && rule.optional != 0) return {};
  if (!path) return fail_errno(rule.path);
  struct stat info{};
  if (::fstat(path.get(), &info) != 0) return fail_errno(rule.path);
  std::uint64_t allowed = 0;
  for (const AccessRow& row : kAccess)
    if (row.access == rule.access)
      allowed = S_ISDIR(info.st_mode) ? row.file | row.directory : row.file;
  const PathBeneath attribute{allowed & handled, path.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &attribute, 0) != 0)
    return fail_errno(rule.path);
  return {};
}

} // namespace

std::uint32_t landlock_abi() noexcept {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion);
  return abi > 0 ? static_cast<std::uint32_t>(abi) : 0;
}

Result<> enter_landlock(std::span<const LandlockRule> rules, std::uint32_t abi) {
  if (abi == 0) return {};
  RulesetAttribute attribute;
  std::size_t size = 0;
  for (const Version& version : kVersions) {
    if (version.abi > abi) break;
    attribute.handled_fs |= version.fs;
    attribute.handled_net |= version.net;
    attribute.scoped |= version.scoped;
    size = version.attribute_size;
  }
  const sys::Fd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attribute, size, 0)));
  if (!ruleset) return fail_errno("landlock_create_ruleset");
  for (const LandlockRule& rule : rules) TRY(add_rule(ruleset.get(), rule, attribute.handled_fs));
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
    return fail_errno("landlock_restrict_self");
  return {};
}

} // namespace mohhos::sandbox
