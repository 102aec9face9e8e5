// An owned file descriptor: closed once, moved, never copied by accident.
#pragma once

#include <utility>

#include "base/error.hpp"

namespace mohhos::sys {

class Fd {
public:
  constexpr Fd() = default;
  constexpr explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  // Gives up ownership. [any]
  [[nodiscard]] int take() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

  // A second descriptor of the same description, close-on-exec. [any]
  [[nodiscard]] Result<Fd> duplicate() const;

private:
  int fd_ = -1;
};

} // namespace mohhos::sys
