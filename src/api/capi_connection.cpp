#include "api/capi.hpp"

#include "model/paths.hpp"

namespace mohhos::api::capi {
namespace {

using namespace std::chrono_literals;

// Longer than any operation that a default configuration allows.
constexpr Timeout kPatience = 60s;

thread_local std::string last_error;

Result<> connect_now(Connection& one) {
  const auto path = one.socket.empty() ? model::default_socket() : one.socket;
  TRY(Client client, Client::connect(path));
  one.client.emplace(std::move(client));
  return {};
}

// `data` and `control` are held.
void disconnect(Connection& one) {
  drop_endpoint(one);
  for (auto each = one.asked.begin(); each != one.asked.end();) {
    const auto asked = each++;
    if (asked->second.waited_for) continue; // by a thread, which hears of it
    drop_memory_of(asked->second);
    one.asked.erase(asked);
  }
  one.client.reset();
}

// Whether the connection is still in step after this error: it was the daemon's answer.
bool still_good(Code code) {
  return code != Code::TimedOut && code != Code::Unreachable && code != Code::Malformed &&
         code != Code::TooLarge;
}

} // namespace

Connection& connection() {
  static Connection& one = *new Connection; // see the head of capi.hpp
  return one;
}

int report(const Error& error) noexcept {
  try {
    last_error = error.text;
  } catch (...) { // no memory for the sentence: the number must do
    last_error.clear();
  }
  return -static_cast<int>(error.code);
}

void drop_endpoint(Connection& one) {
  for (auto& [id, asked] : one.asked) {
    if (asked.endpoint != one.endpoint || asked.end) continue;
    asked.end = fail(Code::Unreachable, "the connection to the daemon was closed");
    ring(asked);
  }
  for (auto& [target, durable] : one.durable) durable.lost |= durable.unsynced != 0;
  nudge_receivers(one);
  one.nudge.reset(); // nobody can read away what they have to hear
  one.undelivered.reset();
  one.endpoint.reset();
  one.own_id = {};
}

Result<> call_daemon(Method method, const google::protobuf::Message& request,
                     google::protobuf::Message& answer, int fd, sys::Fd* received) {
  Connection& one = connection();
  const std::scoped_lock lock(one.control);
  if (one.client && one.client->is_closed()) one.client.reset();
  if (!one.client) TRY(connect_now(one));
  auto called = one.client->call_into(method, request, answer, kPatience, fd, received);
  if (!called && !still_good(called.error().code)) one.client.reset();
  return called;
}

} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int mohhos_connect(const char* socket_path) {
  return guarded([&]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data, one.control);
    disconnect(one);
    one.socket = socket_path == nullptr ? "" : socket_path;
    return connect_now(one);
  });
}

void mohhos_disconnect(void) {
  (void)guarded([]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data, one.control);
    disconnect(one);
    return {};
  });
}

const char* plugin_strerror(int error) {
  if (error >= 0) return "ok";
  if (error < -static_cast<int>(Code::Unsupported)) return "failed";
  return code_name(static_cast<Code>(-error)).data(); // a literal: it ends in NUL
}

const char* plugin_last_error(void) {
  return last_error.c_str();
}
