// The manager's end of a plugin's stdout or stderr: bytes → lines, with a budget. A plugin that
// writes more than its budget is not read from for a moment, so that it waits in its own write(2)
// and nobody else does.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "monitor/logs.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

struct PipePair {
  sys::Fd read;  // non-blocking
  sys::Fd write; // blocking, as a program expects of its stdout
};
[[nodiscard]] Result<PipePair> make_log_pipe();

class LogPipe {
public:
  using OnLine = std::function<void(std::string_view)>;
  [[nodiscard]] static Result<std::unique_ptr<LogPipe>> open(sys::Loop& loop, sys::Fd read_end,
                                                             OnLine on_line);
  LogPipe(const LogPipe&) = delete;
  LogPipe& operator=(const LogPipe&) = delete;

  // Reads what is still there, at most a pipe full, and gives out the unfinished last line. [loop]
  void drain();
  [[nodiscard]] int fd() const { return fd_.get(); }

private:
  LogPipe(sys::Loop& loop, sys::Fd fd, OnLine on_line)
      : loop_(loop), fd_(std::move(fd)), on_line_(std::move(on_line)) {}
  void on_ready();
  // Bytes read; 0 when there was nothing or the other end is closed (then the source is gone).
  std::size_t read_some();

  sys::Loop& loop_;
  sys::Fd fd_;
  OnLine on_line_;
  monitor::LineSplitter splitter_;
  sys::Source source_;
  sys::Source rest_; // while we do not read
};

} // namespace mohhos::manager
