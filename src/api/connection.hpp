// One client: its socket, the frame that is arriving, the answers that wait to be read, and the
// streams that are open. Part of rpc_server; nobody else includes it.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "api/rpc_server.hpp"
#include "api/wire.hpp"

namespace mohhos::api {

class Connection;

// A call in flight. Responders share it; the connection forgets it when it has ended.
struct Stream {
  std::weak_ptr<Connection> connection;
  std::uint32_t id = 0;
  Method method{};
  unsigned cost = 0;
  bool ended = false;
  std::vector<std::shared_ptr<void>> held;
  sys::Source deadline;
};

// What all connections share. Owned by the server, which outlives them.
struct ServerState {
  struct Usage {
    unsigned connections = 0;
    unsigned cost = 0;
  };
  sys::Loop& loop;
  ServerLimits limits;
  Service service;
  std::unordered_map<std::uint32_t, Usage> by_uid;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
  // What has ended is destroyed on the loop's next turn: a reader that is too slow is dropped in
  // the middle of a callback of the very subscription that its stream holds.
  std::vector<std::shared_ptr<void>> dead;
  sys::Source burial;

  void bury(std::shared_ptr<void> what);
  void forget(Connection& connection);
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
  Connection(ServerState& server, sys::Fd socket, manager::Caller caller, Role role);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  [[nodiscard]] Result<> start();
  // No more from or to this client. Its streams end; the object goes on the loop's next turn.
  void close();
  // Says why, then closes as soon as that has been read (or the deadline for frames has passed).
  void refuse(std::uint32_t stream, const Error& error);

  void end_stream(Stream& stream);
  void enqueue(std::string frame, sys::Fd fd);
  [[nodiscard]] bool is_open() const { return open_; }

private:
  struct Outgoing {
    std::string bytes;
    std::size_t sent = 0;
    sys::Fd fd;
  };

  void on_ready(std::uint32_t events);
  void read_some();
  // False: nothing more now.
  [[nodiscard]] bool read_once();
  void take_fds(std::vector<sys::Fd> fds, bool at_start);
  void on_frame(const Frame& frame);
  void on_request(const Frame& frame);
  void on_data(const Frame& frame);
  [[nodiscard]] Result<Method> admit(const Frame& frame, std::string& payload,
                                     std::int64_t& timeout_ns);
  void answer_error(std::uint32_t stream, const Error& error);
  void open_stream(std::uint32_t id, Method method, std::string payload, std::int64_t timeout_ns);
  void flush();
  void update_interest();
  void arm_deadline();

  ServerState& server_;
  sys::Fd socket_;
  manager::Caller caller_;
  Role role_;
  FrameAssembler assembler_;
  sys::Fd fd_; // that came beside the current frame
  std::uint32_t last_stream_ = 0;
  std::unordered_map<std::uint32_t, std::shared_ptr<Stream>> streams_;
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  bool open_ = true;
  bool draining_ = false; // a last word is on its way
  sys::Source ready_;
  sys::Source deadline_;
};

} // namespace mohhos::api
