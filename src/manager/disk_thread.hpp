// A thread beside the loop for what has to wait for a disk, so that the loop never does. Work goes
// there in order, answers come back in order and are called on the loop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

class DiskThread {
public:
  using Task = std::move_only_function<void()>;
  struct Turn {
    std::deque<Task> tasks;
    bool stop = false; // the last one
  };
  // `body` is what the thread does: take() and do, until it has done the last turn.
  [[nodiscard]] static Result<std::unique_ptr<DiskThread>>
  open(sys::Loop& loop, std::move_only_function<void(DiskThread&)> body);
  // One that does the tasks and nothing else.
  [[nodiscard]] static Result<std::unique_ptr<DiskThread>> open(sys::Loop& loop);
  // Waits for all that was given. Answers that have not been called by then are not.
  ~DiskThread();
  DiskThread(const DiskThread&) = delete;
  DiskThread& operator=(const DiskThread&) = delete;

  void give(Task task); // [loop]
  // To be called on the loop, later. [the thread]
  void answer(Task what);
  // What was given meanwhile; waits for that, though not beyond `until`. [the thread]
  [[nodiscard]] Turn take(std::optional<std::chrono::steady_clock::time_point> until);

private:
  DiskThread() = default;
  void serve_answers();

  sys::Fd bell_;
  sys::Source source_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;   // under mutex_
  std::deque<Task> answers_; // under mutex_
  bool stopping_ = false;    // under mutex_
  std::thread thread_;
};

} // namespace mohhos::manager
