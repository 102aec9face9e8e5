// ttrpc over a listening Unix socket, on the manager's loop: connections, frames, streams, bounds.
// It knows nothing of plugins; what a method does is the Dispatch's business (server.hpp).
//
// Everything a stranger can make us keep is bounded before it exists: connections in all and per
// uid, bytes of a request, calls in flight per connection and their cost per uid, bytes of answers
// that were not read, and the time that a frame may take to arrive. Who runs into a bound gets one
// sentence, and, where the framing cannot go on after that, the end of the connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/permits.hpp"
#include "manager/manager.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::api {

struct ServerLimits {
  unsigned connections = 512; // in all, and kReservedForAdmins more
  unsigned connections_per_uid = 64;
  std::uint32_t request_bytes = 256U << 10;
  unsigned calls_per_connection = 64; // in flight
  unsigned cost_per_uid = 256;        // of the calls in flight, all connections of the uid together
  std::size_t unread_bytes =
      8U << 20; // of answers; more, and the reader is too slow and is dropped
  std::chrono::milliseconds frame_time{
      10'000}; // for a frame from its first byte to its last, and for the first
};

// What came in: a method that exists, from a caller who may call it.
struct Call {
  Method method{};
  manager::Caller caller;
  std::string payload; // the serialized request message
  sys::Fd fd;          // at most one; only Load expects it, everything else closes it
};

struct Stream;

// The way back. Copyable; answering after the client has gone, or twice, does nothing.
class Responder {
public:
  // Unary: the one answer, with at most one descriptor beside it.
  void answer(std::string payload, sys::Fd fd = {}) const;
  // Streaming: one more message. False: nobody is listening any more, stop.
  bool send(const std::string& payload) const;
  // Streaming: the end.
  void finish() const;
  // Either kind: the end, with what went wrong.
  void fail(const Error& error) const;
  // Keeps this until the stream has ended or the client has gone: a subscription, say.
  void hold(std::shared_ptr<void> what) const;

private:
  friend class Connection;
  explicit Responder(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  std::shared_ptr<Stream> stream_;
};

// What the transport asks of the rest of the daemon.
struct Service {
  // Whom the kernel says it is, with all groups (SO_PEERCRED's first). None: refused.
  std::function<Role(std::uint32_t uid, const std::vector<std::uint32_t>& groups)> role_of;
  // Somebody asked for what they may not do.
  std::function<void(const manager::Caller&, std::string_view method, std::string_view why)>
      on_denied;
  std::function<void(Call, Responder)> dispatch;
};

class RpcServer {
public:
  // Takes the listening socket (non-blocking). Callbacks run on the loop; the loop outlives the
  // server.
  [[nodiscard]] static Result<RpcServer> open(sys::Loop& loop, sys::Fd listening,
                                              ServerLimits limits, Service service);
  RpcServer(RpcServer&&) noexcept;
  RpcServer& operator=(RpcServer&&) noexcept;
  ~RpcServer(); // closes every connection

  [[nodiscard]] std::size_t connections() const;

private:
  struct State;
  explicit RpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace mohhos::api
