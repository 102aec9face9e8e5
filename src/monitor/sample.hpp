// How a plugin is doing: memory and CPU, from its cgroup where it has one and from /proc/<pid>
// where it has not; and the judgement over it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/units.hpp"
#include "model/limits.hpp"

namespace mohhos::monitor {

// Where to look. Directories are empty where there is no such cgroup.
struct Sources {
  std::int32_t pid = 0;
  std::string memory_cgroup;
  std::string cpu_cgroup;
};

struct Sample {
  Bytes memory;
  std::chrono::microseconds cpu{}; // since the process began
  Monotonic at{};
};

// [loop] Reads two or three small files of the kernel's; NotFound when the process is gone.
[[nodiscard]] Result<Sample> take_sample(const Sources& sources, Monotonic now);

// Of one CPU, between two samples. [pure]
[[nodiscard]] double cpu_percent(const Sample& before, const Sample& now) noexcept;

// The text of /proc/<pid>/stat → user and system time; of /proc/<pid>/statm → resident memory.
// Total. [pure]
[[nodiscard]] std::optional<std::chrono::microseconds> parse_stat(std::string_view text,
                                                                  long ticks_per_second);
[[nodiscard]] std::optional<Bytes> parse_statm(std::string_view text, std::uint64_t page_size);

// Limits that the kernel does not enforce here are the monitor's: the sentence that ends the
// plugin, or nothing. [pure]
[[nodiscard]] std::optional<std::string>
judge(const Sample& sample, const model::ResourceLimits& limits, bool kernel_limits_memory);

} // namespace mohhos::monitor
