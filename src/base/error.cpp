#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>

namespace mohhos {
namespace {

struct Row {
  Code code;
  std::string_view name;
  int exit;
};

constexpr std::array kCodes = {
    Row{Code::Failed, "failed", 1},
    Row{Code::Invalid, "invalid", 2},
    Row{Code::NotFound, "not-found", 4},
    Row{Code::Exists, "exists", 1},
    Row{Code::BadState, "bad-state", 1},
    Row{Code::NotRunning, "not-running", 3},
    Row{Code::Denied, "denied", 5},
    Row{Code::Untrusted, "untrusted", 6},
    Row{Code::NoSandbox, "no-sandbox", 7},
    Row{Code::Dependency, "dependency", 8},
    Row{Code::Incompatible, "incompatible", 9},
    Row{Code::ConsentNeeded, "consent-needed", 10},
    Row{Code::Unreachable, "unreachable", 69},
    Row{Code::TimedOut, "timed-out", 124},
    Row{Code::Malformed, "malformed", 1},
    Row{Code::TooLarge, "too-large", 1},
    Row{Code::Exhausted, "exhausted", 1},
    Row{Code::PluginFailed, "plugin-failed", 1},
    Row{Code::PeerGone, "peer-gone", 1},
    Row{Code::PeerRestarted, "peer-restarted", 1},
    Row{Code::Refused, "refused", 1},
    Row{Code::Cancelled, "cancelled", 1},
    Row{Code::Unsupported, "unsupported", 1},
};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kCodes.size(); ++i)
    if (kCodes[i].code != static_cast<Code>(i + 1)) return false;
  return kCodes.size() == static_cast<std::size_t>(Code::Unsupported);
}
static_assert(rows_in_order(), "every code has its row, in the order of the enum");

constexpr const Row& row_of(Code code) {
  const auto index = static_cast<std::size_t>(code) - 1;
  return index < kCodes.size() ? kCodes[index] : kCodes[0];
}

Code code_of_errno(int error_number) {
  switch (error_number) {
  case ENOSPC:
  case EDQUOT:
  case ENOMEM:
  case EMFILE:
  case ENFILE:
  case EAGAIN: return Code::Exhausted;
  case ENOENT:
  case ENOTDIR: return Code::NotFound;
  case EACCES:
  case EPERM: return Code::Denied;
  case EEXIST: return Code::Exists;
  case ETIMEDOUT: return Code::TimedOut;
  case ENOSYS: return Code::Unsupported;
  default: return Code::Failed;
  }
}

} // namespace

std::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  return fail(code_of_errno(error_number), "{}: {}", what, std::strerror(error_number));
}

std::unexpected<Error> fail_errno(std::string_view what) {
  return fail_errno(errno, what);
}

std::string_view code_name(Code code) noexcept {
  return row_of(code).name;
}

int exit_code(Code code) noexcept {
  return row_of(code).exit;
}

} // namespace mohhos
