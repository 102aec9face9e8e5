// What plugins say: lines from their stdout, their stderr and the SDK's log call, kept in a bounded
// ring per plugin. A plugin that floods pays with its own lines: it has a budget of lines per
// second, and what is over it is counted, never silently lost.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_bucket.hpp"
#include "base/units.hpp"

namespace mohhos::monitor {

enum class Stream : unsigned char { Stdout = 0, Stderr, Error, Warning, Info, Debug };
// "stdout", "stderr", "error", "warning", "info", "debug". [pure]
[[nodiscard]] std::string_view stream_name(Stream stream) noexcept;

struct LogLine {
  std::uint64_t when_us = 0; // wall clock
  Stream stream = Stream::Stdout;
  std::string text;          // as the plugin wrote it; escape_controls() before it meets a terminal
  std::uint64_t dropped = 0; // lines of this plugin lost just before this one
};

inline constexpr std::size_t kLongestLine = 4096;
inline constexpr std::size_t kKeptLines = 2000;
inline constexpr std::size_t kKeptBytes = 512 * 1024;
inline constexpr double kLinesPerSecond = 2000;
inline constexpr double kLinesSaved = 4000;

// Cuts a stream of bytes into lines; a line longer than kLongestLine is cut there and goes on in
// the next.
class LineSplitter {
public:
  // Calls `line` for each complete line, without its newline. [loop]
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& line);
  // The last line of a stream that ended without a newline. [loop]
  void finish(const std::function<void(std::string_view)>& line);

private:
  std::string rest_;
};

// The kept lines of one plugin.
class LogStore {
public:
  // True: the line was kept (and should be passed on to followers, as back()); false: it was over
  // the budget and counted.
  bool add(LogLine line, Monotonic now);
  // Counts lines that were lost before they reached us.
  void add_dropped(std::uint64_t lines) { dropped_ += lines; }

  [[nodiscard]] const std::deque<LogLine>& lines() const { return lines_; }
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::uint64_t total_dropped() const { return total_dropped_ + dropped_; }

private:
  std::deque<LogLine> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0; // since the last kept line
  std::uint64_t total_ = 0;
  std::uint64_t total_dropped_ = 0; // told with a line already
  TokenBucket budget_{kLinesPerSecond, kLinesSaved, Monotonic{}};
};

// Control characters (and bytes that are not UTF-8) as \n, \t, \x1b: what a stranger wrote cannot
// move a terminal's cursor. [pure]
[[nodiscard]] std::string escape_controls(std::string_view text);

} // namespace mohhos::monitor
