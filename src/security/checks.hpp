// The rules that manifests and the operator's files share: what a name, a path, a text, a limit may
// be. Each check takes the place of the value (Source), so that the error names file, line, key,
// value and what is allowed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/capability.hpp"
#include "model/limits.hpp"
#include "security/toml_message.hpp"

namespace mohhos::v1 {
class Limits;
}

namespace mohhos::security {

inline constexpr std::size_t kMostEntries = 64;    // of a list or a table
inline constexpr std::size_t kLongestPath = 255;   // sandbox::kPathSize with its terminator
inline constexpr std::size_t kLongestValue = 4096; // of a setting

// "FILE:12: limits.max_memory_mb = 4: it must be …", the form of every error here. [pure]
[[nodiscard]] std::unexpected<Error> not_allowed(const Source& source, std::string_view path,
                                                 std::string_view value, std::string_view allowed);

// Valid UTF-8 without control characters, at most `longest` bytes. [pure]
[[nodiscard]] Result<> check_text(const Source& source, std::string_view path,
                                  std::string_view text, std::size_t longest);
// Absolute, in normal form (no '.', '..', '//', no '/' at the end but for "/" itself), printable.
// [pure]
[[nodiscard]] Result<> check_path(const Source& source, std::string_view path,
                                  std::string_view text);
// A setting's name: letters, digits, '_', '-', '.'; at most 63. [pure]
[[nodiscard]] Result<> check_setting(const Source& source, std::string_view path,
                                     std::string_view key, std::string_view value);
[[nodiscard]] Result<> check_count(const Source& source, std::string_view path, std::size_t count);

// "can_access_filesystem, can_access_network, …" [pure]
[[nodiscard]] std::string capability_names();

// "input" of "${input}"; nothing for anything else. [pure]
[[nodiscard]] std::optional<std::string_view> reference_of(std::string_view entry);

struct LimitRange {
  std::string_view name; // US-004's, or the proto's
  std::uint64_t min;
  std::uint64_t max;
};
// One row for each limit, in the order of model::ResourceLimits.
inline constexpr std::array<LimitRange, 8> kLimitRanges = {{
    {"max_memory_mb", 8, 1'048'576},
    {"max_cpu_percent", 1, 102'400},
    {"max_file_descriptors", 16, 65'536},
    {"max_network_connections", 0, 65'536},
    {"max_execution_time_ms", 1, 3'600'000},
    {"max_processes", 1, 32'768},
    {"max_tmp_mb", 1, 65'536},
    {"max_tmp_files", 16, 16'777'216},
}};
// The value of a limit by its row. [pure]
[[nodiscard]] std::uint64_t limit_at(const model::ResourceLimits& limits, std::size_t row);
void set_limit(model::ResourceLimits& limits, std::size_t row, std::uint64_t value);
[[nodiscard]] std::uint64_t limit_at(const v1::Limits& limits, std::size_t row);
// A value in its row's range. [pure]
[[nodiscard]] Result<> check_limit(const Source& source, std::string_view path, std::uint64_t value,
                                   std::size_t row);

} // namespace mohhos::security
