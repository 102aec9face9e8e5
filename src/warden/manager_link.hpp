// The warden's end of the conversation: what cannot be sent at once waits in order; what the
// manager says is handed on whole. A manager that does not read is not read from either.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sys/fd.hpp"
#include "sys/loop.hpp"
#include "warden/custody.hpp"
#include "warden/messages.hpp"

namespace mohhos::warden {

class ManagerLink {
public:
  // Called for every message: bytes and descriptors as they came. False: stop, the link is going
  // away.
  using Receive = std::function<bool(std::span<const std::byte>, std::vector<sys::Fd>)>;
  // `broken` is called once when the link cannot go on: the peer closed it or a message was not
  // one.
  [[nodiscard]] static Result<std::unique_ptr<ManagerLink>>
  open(sys::Loop& loop, sys::Fd socket, Receive receive, std::function<void(const Error&)> broken);

  template <class T>
  void post(const T& message, std::vector<SharedFd> fds = {}) {
    post_bytes(bytes_of(message), std::move(fds));
  }
  // False: too much is waiting; the message is dropped. [loop]
  [[nodiscard]] bool post_if_room(const Attempt& message);
  // Reads what is still there, without waiting: the last words of a manager that has died. [loop]
  void drain();

private:
  struct Waiting {
    std::vector<std::byte> bytes;
    std::vector<SharedFd> fds;
  };
  ManagerLink(sys::Loop& loop, sys::Fd socket, Receive receive,
              std::function<void(const Error&)> broken);
  void post_bytes(std::span<const std::byte> bytes, std::vector<SharedFd> fds);
  void flush();
  void watch();
  [[nodiscard]] bool receive_one();

  sys::Loop& loop_;
  sys::Fd socket_;
  Receive receive_;
  std::function<void(const Error&)> broken_;
  std::deque<Waiting> waiting_;
  std::vector<std::byte> buffer_;
  sys::Source ready_;
  sys::Source retry_;
  bool closed_ = false;
};

} // namespace mohhos::warden
