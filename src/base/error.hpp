// Failures travel as values: a small closed code that programs branch on, and one sentence for
// people.
//
// The code maps one to one to plugctl's exit codes, to RPC statuses and to the negative ints of the
// C API; those maps are tables (kCodes here, api/convert.hpp for the rest), so that a new code
// cannot be forgotten in one of them. The sentence names the thing, the value and what to do.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace mohhos {

enum class Code : std::uint8_t {
  Failed = 1,    // none of the others fits
  Invalid,       // the caller's argument is wrong
  NotFound,      // no such plugin, channel, file
  Exists,        // the name is taken
  BadState,      // the plugin's state does not allow the operation
  NotRunning,    // the plugin is not RUNNING
  Denied,        // the caller may not do this
  Untrusted,     // signature or trust
  NoSandbox,     // a required wall cannot be built
  Dependency,    // missing, or version out of range
  Incompatible,  // another ABI, API version or machine
  ConsentNeeded, // a capability that nobody granted
  Unreachable,   // the daemon or the peer cannot be reached
  TimedOut,      // the deadline passed
  Malformed,     // the bytes are not what they should be
  TooLarge,      // a bound of ours
  Exhausted,     // a resource is full: disk, memory, table, quota
  PluginFailed,  // the plugin itself said no, threw, hung or died
  PeerGone,      // the other side of a channel is not there any more
  PeerRestarted, // the other side was replaced by a new generation
  Refused,       // the other side's limit: a full ring without a deadline
  Cancelled,     // the caller went away
  Unsupported,   // a part that this version or this kernel does not have
};

struct Error {
  Code code = Code::Failed;
  std::string text;

  // "loading ocr: " + text; the code stays.
  [[nodiscard]] Error within(std::string_view context) && {
    return {code, fmt::format("{}: {}", context, text)};
  }
};

template <class T = void>
using Result = std::expected<T, Error>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// A system call said no: "<what>: <strerror(errno)>". ENOSPC/EDQUOT/ENOMEM/EMFILE/ENFILE become
// Exhausted, ENOENT NotFound, EACCES/EPERM Denied, everything else Failed. Call it before errno
// changes.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string_view what);
[[nodiscard]] std::unexpected<Error> fail_errno(int error_number, std::string_view what);

// "untrusted", "no-sandbox", …: the stable word of a code in JSON and logs. [pure]
[[nodiscard]] std::string_view code_name(Code code) noexcept;
// plugctl's exit code. [pure]
[[nodiscard]] int exit_code(Code code) noexcept;

} // namespace mohhos

#define MOHHOS_CONCAT_(a, b) a##b
#define MOHHOS_CONCAT(a, b) MOHHOS_CONCAT_(a, b)
#define MOHHOS_TRY_VALUE_(name, declaration, ...)                                                  \
  auto name = (__VA_ARGS__);                                                                       \
  if (!name) return std::unexpected(std::move(name).error());                                      \
  declaration = *std::move(name)
#define MOHHOS_TRY_VOID_(name, ...)                                                                \
  do {                                                                                             \
    if (auto name = (__VA_ARGS__); !name) return std::unexpected(std::move(name).error());         \
  } while (false)
#define MOHHOS_TRY_PICK_(_1, _2, name, ...) name
#define MOHHOS_TRY_1_(expression) MOHHOS_TRY_VOID_(MOHHOS_CONCAT(try_, __LINE__), expression)
#define MOHHOS_TRY_2_(declaration, expression)                                                     \
  MOHHOS_TRY_VALUE_(MOHHOS_CONCAT(try_, __LINE__), declaration, expression)
// TRY(expression) or TRY(declaration, expression): returns the error of a Result, or goes on with
// its value. (libstdc++ 12 has std::expected without and_then; hence the one macro.) An expression
// with a bare comma outside parentheses needs parentheses around it.
#define TRY(...) MOHHOS_TRY_PICK_(__VA_ARGS__, MOHHOS_TRY_2_, MOHHOS_TRY_1_, )(__VA_ARGS__)
