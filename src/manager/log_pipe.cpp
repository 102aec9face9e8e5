#include "manager/log_pipe.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace mohhos::manager {
namespace {

// 64 KB every 5 ms are 13 MB/s: more than anybody reads, little enough that ten flooders do not
// matter.
constexpr std::size_t kBytesPerTurn = 64 * 1024;
constexpr std::chrono::milliseconds kRest{5};

} // namespace

Result<PipePair> make_log_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2");
  PipePair pair{sys::Fd(ends[0]), sys::Fd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("F_SETFL");
  return pair;
}

Result<std::unique_ptr<LogPipe>> LogPipe::open(sys::Loop& loop, sys::Fd read_end, OnLine on_line) {
  std::unique_ptr<LogPipe> pipe(new LogPipe(loop, std::move(read_end), std::move(on_line)));
  auto* self = pipe.get();
  TRY(pipe->source_,
      loop.on_fd(pipe->fd_.get(), EPOLLIN, [self](std::uint32_t) { self->on_ready(); }));
  return pipe;
}

std::size_t LogPipe::read_some() {
  std::array<char, 16384> chunk{};
  const ssize_t got = ::read(fd_.get(), chunk.data(), chunk.size());
  if (got > 0) splitter_.feed({chunk.data(), static_cast<std::size_t>(got)}, on_line_);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) source_.reset();
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

void LogPipe::on_ready() {
  std::size_t total = 0;
  while (total < kBytesPerTurn) {
    const std::size_t got = read_some();
    if (got == 0) return;
    total += got;
  }
  auto rest = loop_.after(kRest, [this] {
    if (source_) source_.resume();
  });
  if (!rest) return;
  rest_ = std::move(*rest);
  source_.pause();
}

void LogPipe::drain() {
  for (std::size_t total = 0; total < 2 * kBytesPerTurn;) {
    const std::size_t got = read_some();
    if (got == 0) break;
    total += got;
  }
  splitter_.finish(on_line_);
  source_.reset();
}

} // namespace mohhos::manager
