#include "manager/disk_thread.hpp"

#include <csignal>
#include <cstdint>
#include <system_error>
#include <utility>

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mohhos::manager {

Result<std::unique_ptr<DiskThread>>
DiskThread::open(sys::Loop& loop, std::move_only_function<void(DiskThread&)> body) {
  std::unique_ptr<DiskThread> opened(new DiskThread());
  DiskThread* const self = opened.get();
  self->bell_ = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!self->bell_) return fail_errno("eventfd");
  TRY(self->source_,
      loop.on_fd(self->bell_.get(), EPOLLIN, [self](std::uint32_t) { self->serve_answers(); }));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the loop's
  try {
    self->thread_ = std::thread([self, body = std::move(body)]() mutable { body(*self); });
  } catch (const std::system_error& error) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return fail(Code::Exhausted, "a thread for the disk: {}", error.what());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return opened;
}

Result<std::unique_ptr<DiskThread>> DiskThread::open(sys::Loop& loop) {
  return open(loop, [](DiskThread& self) {
    for (bool stop = false; !stop;) {
      Turn turn = self.take(std::nullopt);
      for (Task& task : turn.tasks) task();
      stop = turn.stop;
    }
  });
}

DiskThread::~DiskThread() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void DiskThread::give(Task task) {
  {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void DiskThread::answer(Task what) {
  {
    const std::scoped_lock lock(mutex_);
    answers_.push_back(std::move(what));
  }
  const std::uint64_t one = 1;
  static_cast<void>(!::write(bell_.get(), &one, sizeof one)); // full is told, too
}

DiskThread::Turn DiskThread::take(std::optional<std::chrono::steady_clock::time_point> until) {
  std::unique_lock lock(mutex_);
  const auto something = [&] { return !tasks_.empty() || stopping_; };
  if (until)
    wake_.wait_until(lock, *until, something);
  else
    wake_.wait(lock, something);
  return {std::exchange(tasks_, {}), stopping_};
}

void DiskThread::serve_answers() {
  std::uint64_t rung = 0;
  static_cast<void>(!::read(bell_.get(), &rung, sizeof rung));
  std::deque<Task> ready;
  {
    const std::scoped_lock lock(mutex_);
    ready.swap(answers_);
  }
  for (Task& what : ready) what();
}

} // namespace mohhos::manager
