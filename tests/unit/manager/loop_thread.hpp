// A loop on a thread of its own, for what answers on a loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::test {

class LoopThread {
public:
  LoopThread() : bell_(::eventfd(0, EFD_CLOEXEC)) {
    source_ = *loop.on_fd(bell_.get(), EPOLLIN, [this](std::uint32_t) {
      std::uint64_t rung = 0;
      static_cast<void>(!::read(bell_.get(), &rung, sizeof rung));
      std::deque<std::function<void()>> ready;
      {
        const std::scoped_lock lock(mutex_);
        ready.swap(calls_);
      }
      for (const auto& call : ready) call();
    });
    thread_ = std::thread([this] { (void)loop.run(); });
  }
  ~LoopThread() {
    later([this] { loop.stop(); });
    thread_.join();
  }
  void later(std::function<void()> call) {
    {
      const std::scoped_lock lock(mutex_);
      calls_.push_back(std::move(call));
    }
    const std::uint64_t one = 1;
    static_cast<void>(!::write(bell_.get(), &one, sizeof one));
  }
  // Does it there, and waits for what it promises.
  template <class T>
  T wait_for(const std::function<void(std::promise<T>&)>& begin) {
    std::promise<T> promise;
    later([&] { begin(promise); });
    return promise.get_future().get();
  }
  void run(const std::function<void()>& call) {
    wait_for<bool>([&](std::promise<bool>& done) {
      call();
      done.set_value(true);
    });
  }

  sys::Loop loop = *sys::Loop::open();

private:
  sys::Fd bell_;
  sys::Source source_;
  std::mutex mutex_;
  std::deque<std::function<void()>> calls_;
  std::thread thread_;
};

} // namespace mohhos::test
