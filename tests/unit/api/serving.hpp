// A server on a socket in a temporary directory, with its loop on a thread of its own, and
// connections to it that speak bytes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "../../harness/temporary_directory.hpp"
#include "api/rpc_server.hpp"
#include "api/wire.hpp"
#include "ttrpc.pb.h"

namespace mohhos::api::test {

class Serving {
public:
  explicit Serving(ServerLimits limits, std::function<void(Call, Responder)> dispatch,
                   Role role = Role::Admin);
  ~Serving();
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  [[nodiscard]] std::filesystem::path socket() const { return directory_.path() / "socket"; }
  // Runs on the loop's thread, and returns when it has run.
  void on_loop(const std::function<void()>& what);
  [[nodiscard]] std::size_t connections();

private:
  mohhos::test::TemporaryDirectory directory_;
  sys::Loop loop_;
  std::optional<RpcServer> server_;
  sys::Fd wake_;
  sys::Source waker_;
  std::function<void()> job_;
  std::thread thread_;
};

// A client that can do everything wrong.
class RawClient {
public:
  explicit RawClient(const std::filesystem::path& socket);

  void send(std::string_view bytes, const std::vector<int>& fds = {});
  void request(std::uint32_t stream, std::string_view method, std::string_view payload = {},
               std::int64_t timeout_ns = 0, const std::vector<int>& fds = {});
  // The next frame; nothing when the server closed (or ten seconds passed).
  [[nodiscard]] std::optional<Frame> receive();
  // The next frame as a response's gRPC code and sentence.
  [[nodiscard]] std::pair<int, std::string> receive_status();
  [[nodiscard]] bool is_closed() { return !receive().has_value(); }
  void close() { socket_.reset(); }
  sys::Fd received_fd;

private:
  sys::Fd socket_;
  FrameAssembler assembler_;
};

} // namespace mohhos::api::test
