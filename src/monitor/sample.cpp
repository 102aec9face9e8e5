#include "monitor/sample.hpp"

#include <array>
#include <charconv>
#include <filesystem>

#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::monitor {
namespace {

// The knob that tells, in version 2 and in version 1.
constexpr std::array kMemoryFiles = {"memory.current", "memory.usage_in_bytes"};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// The n-th (from 0) field of a line of words separated by single blanks.
std::string_view field(std::string_view text, unsigned n) {
  for (; n > 0; --n) {
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos) return {};
    text.remove_prefix(blank + 1);
  }
  return text.substr(0, text.find(' '));
}

std::optional<Bytes> memory_of_cgroup(const std::string& directory) {
  if (directory.empty()) return std::nullopt;
  for (const char* file : kMemoryFiles) {
    const auto text = sys::read_file(std::filesystem::path(directory) / file, kib(4));
    if (!text) continue;
    if (const auto count = parse_number(*text)) return Bytes{*count};
  }
  return std::nullopt;
}

// cpu.stat of version 2; version 1's cpu hierarchy has no such count (cpuacct has, and need not be
// beside it).
std::optional<std::chrono::microseconds> cpu_of_cgroup(const std::string& directory) {
  if (directory.empty()) return std::nullopt;
  const auto text = sys::read_file(std::filesystem::path(directory) / "cpu.stat", kib(4));
  if (!text) return std::nullopt;
  constexpr std::string_view kKey = "usage_usec ";
  if (!text->starts_with(kKey)) return std::nullopt;
  const auto count = parse_number(std::string_view(*text).substr(kKey.size()));
  if (!count) return std::nullopt;
  return std::chrono::microseconds(static_cast<std::int64_t>(*count));
}

} // namespace

std::optional<std::chrono::microseconds> parse_stat(std::string_view text, long ticks_per_second) {
  // pid (comm) S …: comm is the process's own and may hold anything, even ')'; so from the last one
  // on.
  const auto end_of_name = text.rfind(')');
  if (end_of_name == std::string_view::npos || ticks_per_second <= 0) return std::nullopt;
  text.remove_prefix(end_of_name);
  constexpr unsigned kUserTime = 12; // counted from the ')' itself
  const auto user = parse_number(field(text, kUserTime));
  const auto system = parse_number(field(text, kUserTime + 1));
  if (!user || !system) return std::nullopt;
  const auto ticks = *user + *system;
  if (ticks < *user || ticks > UINT64_MAX / 2'000'000) return std::nullopt;
  return std::chrono::microseconds(
      static_cast<std::int64_t>(ticks * 1'000'000 / static_cast<std::uint64_t>(ticks_per_second)));
}

std::optional<Bytes> parse_statm(std::string_view text, std::uint64_t page_size) {
  const auto resident = parse_number(field(text, 1));
  if (!resident || (page_size != 0 && *resident > UINT64_MAX / page_size)) return std::nullopt;
  return Bytes{*resident * page_size};
}

Result<Sample> take_sample(const Sources& sources, Monotonic now) {
  Sample sample;
  sample.at = now;
  const auto process = std::filesystem::path("/proc") / std::to_string(sources.pid);
  if (const auto memory = memory_of_cgroup(sources.memory_cgroup)) {
    sample.memory = *memory;
  } else {
    TRY(const std::string text, sys::read_file(process / "statm", kib(4)));
    sample.memory =
        parse_statm(text, static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))).value_or(Bytes{});
  }
  if (const auto cpu = cpu_of_cgroup(sources.cpu_cgroup)) {
    sample.cpu = *cpu;
  } else {
    TRY(const std::string text, sys::read_file(process / "stat", kib(4)));
    sample.cpu = parse_stat(text, ::sysconf(_SC_CLK_TCK)).value_or(std::chrono::microseconds{});
  }
  return sample;
}

double cpu_percent(const Sample& before, const Sample& now) noexcept {
  const double elapsed = std::chrono::duration<double>(now.at - before.at).count();
  const double used = std::chrono::duration<double>(now.cpu - before.cpu).count();
  return elapsed > 0 && used > 0 ? 100.0 * used / elapsed : 0.0;
}

std::optional<std::string> judge(const Sample& sample, const model::ResourceLimits& limits,
                                 bool kernel_limits_memory) {
  if (kernel_limits_memory || sample.memory <= mib(limits.max_memory_mb)) return std::nullopt;
  return fmt::format("it used {} MB of memory and its limit is {} MB", sample.memory.count >> 20,
                     limits.max_memory_mb);
}

} // namespace mohhos::monitor
