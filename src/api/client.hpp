// A blocking client of the control plane: one connection, one call at a time. plugctl and libmohhos
// use it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "api/methods.hpp"
#include "api/wire.hpp"
#include "base/units.hpp"
#include "mohhos/v1/control.pb.h"
#include "sys/fd.hpp"

namespace mohhos::api {

inline constexpr Bytes kLargestPlugin = mib(256);

// No value: wait for as long as it takes.
using Timeout = std::optional<std::chrono::milliseconds>;

class Client {
public:
  // Unreachable (exit 69) names the socket and the reason.
  [[nodiscard]] static Result<Client> connect(const std::filesystem::path& socket);

  // One call: the request, at most one descriptor beside it, and the answer (with its descriptor in
  // *received where the method gives one). TimedOut: the connection is of no more use. [any]
  template <class Answer>
  [[nodiscard]] Result<Answer> call(Method method, const google::protobuf::Message& request,
                                    Timeout timeout, int fd = -1, sys::Fd* received = nullptr) {
    Answer answer;
    TRY(call_into(method, request, answer, timeout, fd, received));
    return answer;
  }

  // The same into a message that is there already. [any]
  [[nodiscard]] Result<> call_into(Method method, const google::protobuf::Message& request,
                                   google::protobuf::Message& answer, Timeout timeout, int fd,
                                   sys::Fd* received);

  // A streaming call; `each` gets every message and returns whether it wants more. Returns when the
  // stream ends, `each` has enough, or the time is over (TimedOut). The connection is of no more
  // use afterwards unless the server ended the stream. [any]
  template <class Message>
  [[nodiscard]] Result<> stream(Method method, const google::protobuf::Message& request,
                                Timeout timeout, const std::function<bool(const Message&)>& each) {
    return stream_payloads(method, request, timeout,
                           [&](const std::string& payload) -> Result<bool> {
                             Message message;
                             if (!message.ParseFromString(payload))
                               return fail(Code::Malformed, "the daemon's answer cannot be read");
                             return each(message);
                           });
  }

  // Whether the other side has closed (a daemon that restarted). [any]
  [[nodiscard]] bool is_closed() const;

private:
  explicit Client(sys::Fd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] Result<>
  stream_payloads(Method method, const google::protobuf::Message& request, Timeout timeout,
                  const std::function<Result<bool>(const std::string&)>& each);
  struct Deadline;
  [[nodiscard]] Result<std::uint32_t> send_request(Method method,
                                                   const google::protobuf::Message& request,
                                                   const Deadline& deadline, int fd);
  [[nodiscard]] Result<Frame> receive_frame(std::uint32_t stream, const Deadline& deadline,
                                            sys::Fd* received);
  sys::Fd socket_;
  std::uint32_t next_stream_ = 1; // odd, rising
};

// A plugin's file as Load wants it: a sealed copy of its bytes, read with the caller's own rights,
// and the signature beside it. Untrusted when there is no signature; TooLarge before anything is
// copied. [any]
struct PluginFile {
  sys::Fd image;
  v1::LoadRequest request;
};
[[nodiscard]] Result<PluginFile> read_plugin_file(const std::filesystem::path& path);

} // namespace mohhos::api
