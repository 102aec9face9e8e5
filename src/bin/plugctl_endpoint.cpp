#include "plugctl_endpoint.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <unistd.h>

#include "api/utf8.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/layout.hpp"
#include "sys/file.hpp"

namespace mohhos::plugctl {
namespace {

constexpr Bytes kLargestPayload = mib(1024);

std::atomic<int> caught_signal{0};
std::atomic<int> signal_bell{-1};

void on_signal(int number) {
  const int error = errno;
  if (caught_signal != 0) std::signal(number, SIG_DFL); // the third ends us at once
  caught_signal = number;
  ipc::ring_doorbell(signal_bell);
  errno = error;
}

} // namespace

Result<Connection> open_endpoint(const Context& context, api::Timeout timeout,
                                 std::string_view name) {
  TRY(api::Client client, context.connect());
  v1::OpenEndpointRequest request;
  request.set_name(std::string(name));
  sys::Fd link;
  TRY(const auto answer, client.call<v1::OpenEndpointResponse>(api::Method::OpenEndpoint, request,
                                                               timeout, -1, &link));
  return make_connection(std::move(client), std::move(link), answer.id());
}

Result<Connection> make_connection(api::Client client, sys::Fd link, std::uint64_t id) {
  if (!link) return fail(Code::Malformed, "the daemon's answer came without a descriptor");
  TRY(auto endpoint, ipc::Endpoint::open(std::move(link), {}));
  return Connection{std::move(client), std::move(endpoint), PluginId{id}};
}

// Room for two, so that one can be read while the next is written.
std::uint64_t ring_for(std::uint64_t largest) {
  const std::uint64_t wish = 2 * (largest + ipc::kHeaderPage);
  return wish > ipc::kDefaultRing ? wish : 0;
}

Result<ChannelId> open_channel(ipc::Endpoint& endpoint, const std::string& plugin,
                               Monotonic deadline, std::uint64_t largest) {
  const std::uint64_t ring = ring_for(largest);
  const v1::PluginRef ref = plugin_ref(plugin);
  if (ref.id() != 0) return endpoint.open_channel(PluginId{ref.id()}, deadline, ring);
  return endpoint.open_channel(std::string_view(plugin), deadline, ring);
}

CLI::Validator at_least_one() {
  return {[](const std::string& text) {
            const bool none = text.find_first_not_of('0') == std::string::npos;
            return none || text.starts_with('-') ? text + ": give a number of 1 or more" : "";
          },
          "NUMBER"};
}

Result<std::string> read_payload(const std::string& text, const std::string& file) {
  if (text.empty() == file.empty())
    return fail(Code::Invalid, "give the message as TEXT, as '-' for stdin, or with --file");
  if (!file.empty()) return sys::read_file(file, kLargestPayload);
  if (text == "-") return sys::read_all(STDIN_FILENO, kLargestPayload);
  return text;
}

bool is_text(std::string_view payload) {
  for (const char c : payload) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t' && c != '\r' && c != '\n') || byte == 0x7F) return false;
  }
  return api::as_utf8(payload) == payload;
}

std::string to_hex(std::string_view payload) {
  std::string hex;
  hex.reserve(2 * payload.size());
  for (const char c : payload)
    for (const int shift : {4, 0})
      hex += "0123456789abcdef"[static_cast<unsigned char>(c) >> shift & 15];
  return hex;
}

std::string_view as_text(std::span<const std::byte> payload) {
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

Result<Interrupt> Interrupt::open(ipc::Endpoint& endpoint) {
  TRY(sys::Fd bell, ipc::make_doorbell());
  TRY(endpoint.wake_by(bell.get()));
  signal_bell = bell.get();
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
  return Interrupt(std::move(bell));
}

int Interrupt::signal() noexcept {
  return caught_signal;
}

} // namespace mohhos::plugctl
