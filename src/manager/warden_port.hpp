// The manager's end of the conversation with the warden: requests with numbers and their answers,
// descriptors beside them, a queue where the socket is full. It knows the messages and not what
// they are for.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"
#include "warden/protocol.hpp"

namespace mohhos::manager {

// One message from the warden, checked for version, type and size.
struct WardenMessage {
  warden::Header header;
  std::vector<std::byte> bytes;
  std::vector<sys::Fd> fds;

  template <class T>
    requires warden::kIsMessage<T>
  [[nodiscard]] const T& as() const;
};

// 0: done; else what the warden said.
using Answered = std::function<void(Result<>)>;

class WardenPort {
public:
  // `on_message` gets everything but answers; `on_end` is called once when the warden is gone or
  // spoke wrongly.
  [[nodiscard]] static Result<std::unique_ptr<WardenPort>>
  open(sys::Loop& loop, sys::Fd socket, std::function<void(WardenMessage)> on_message,
       std::function<void(const Error&)> on_end);
  WardenPort(const WardenPort&) = delete;
  WardenPort& operator=(const WardenPort&) = delete;

  // Sends a request; `answered` (may be empty) is called when its Answer comes. The descriptors are
  // duplicated if the message has to wait. [loop]
  template <class T>
    requires warden::kIsMessage<T>
  void send(T message, std::span<const int> fds = {}, Answered answered = {}) {
    message.header.sequence = ++sequence_;
    if (answered) waiting_.emplace(sequence_, std::move(answered));
    push(std::as_bytes(std::span(&message, 1)), fds);
  }

private:
  struct Queued {
    std::vector<std::byte> bytes;
    std::vector<sys::Fd> fds;
  };
  WardenPort(sys::Fd socket, std::function<void(WardenMessage)> on_message,
             std::function<void(const Error&)> on_end);
  void push(std::span<const std::byte> bytes, std::span<const int> fds);
  void on_events(std::uint32_t events);
  void flush();
  void receive();
  void take(std::size_t size, std::vector<sys::Fd> fds);
  void end(const Error& why);

  sys::Fd socket_;
  sys::Source source_;
  std::function<void(WardenMessage)> on_message_;
  std::function<void(const Error&)> on_end_;
  std::deque<Queued> queue_;
  std::map<std::uint32_t, Answered> waiting_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_;
};

template <class T>
  requires warden::kIsMessage<T>
const T& WardenMessage::as() const {
  return *reinterpret_cast<const T*>(
      bytes.data()); // size and type were checked; vectors are aligned for it
}

} // namespace mohhos::manager
