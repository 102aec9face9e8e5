// The manager's end of the conversation with the warden: requests with numbers and their answers,
// descriptors beside them, a queue where the socket is full. It knows the messages and not what
// they are for.
//
// A message that waits needs descriptors of its own, and those on their way count against what the
// kernel lets one user have there. Where there are none to be had, who asked is told, and the
// conversation goes on: a manager that ended for it would end everybody's requests for the sake of
// one, and its successor would find the same.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
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
// Exhausted: the kernel had no room for its descriptors for half a second. Those behind it go on.
using NotSent = std::function<void(const Error&)>;

class WardenPort {
public:
  // `on_message` gets everything but answers; `on_end` is called once when the warden is gone or
  // spoke wrongly.
  [[nodiscard]] static Result<std::unique_ptr<WardenPort>>
  open(sys::Loop& loop, sys::Fd socket, std::function<void(WardenMessage)> on_message,
       std::function<void(const Error&)> on_end);
  WardenPort(const WardenPort&) = delete;
  WardenPort& operator=(const WardenPort&) = delete;

  // Sends a request; `answered` (may be empty) is called when its Answer comes. [loop]
  template <class T>
    requires warden::kIsMessage<T>
  void send(T message, Answered answered = {}) {
    // Without descriptors nothing can be lacking.
    (void)send(message, std::span<const int>(), std::move(answered));
  }
  // The same with descriptors, which are duplicated if the message has to wait. Exhausted: it would
  // have to, and there are none left; it is not sent, and nothing is called. [loop]
  template <class T>
    requires warden::kIsMessage<T>
  [[nodiscard]] Result<> send(T message, std::span<const int> fds, Answered answered = {},
                              NotSent not_sent = {}) {
    message.header.sequence = ++sequence_;
    return push(std::as_bytes(std::span(&message, 1)), fds,
                {sequence_, std::move(answered), std::move(not_sent)});
  }

private:
  struct Request {
    std::uint32_t sequence = 0;
    Answered answered;
    NotSent not_sent;
  };
  struct Queued {
    std::vector<std::byte> bytes;
    std::vector<sys::Fd> fds;
    Request request;
  };
  WardenPort(sys::Loop& loop, sys::Fd socket, std::function<void(WardenMessage)> on_message,
             std::function<void(const Error&)> on_end);
  [[nodiscard]] Result<> push(std::span<const std::byte> bytes, std::span<const int> fds,
                              Request request);
  [[nodiscard]] Result<> put(std::span<const std::byte> bytes, std::span<const int> fds,
                             Request& request);
  void on_events(std::uint32_t events);
  void flush();
  void try_again();
  void give_up_first(const Error& why);
  void receive();
  void take(std::size_t size, std::vector<sys::Fd> fds);
  void end(const Error& why);

  sys::Loop& loop_;
  sys::Fd socket_;
  sys::Source source_;
  sys::Source again_; // until the kernel may have room for what waits
  std::optional<Monotonic> starved_since_;
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
