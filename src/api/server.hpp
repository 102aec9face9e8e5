// The control plane: the services of control.proto over the Manager, behind the permit table.
#pragma once

#include <memory>

#include "api/rpc_server.hpp"

namespace mohhos::manager {
class Manager;
}

namespace mohhos::api {

class Server {
public:
  // Serves on a listening, non-blocking Unix socket (which it takes) until destroyed. The loop and
  // the manager outlive it. [loop]
  [[nodiscard]] static Result<Server> open(sys::Loop& loop, sys::Fd listening,
                                           manager::Manager& manager);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

private:
  explicit Server(RpcServer transport);
  RpcServer transport_;
};

} // namespace mohhos::api
