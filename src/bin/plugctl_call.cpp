// call: one request to a plugin over a channel of our own, and its answer.
#include <memory>
#include <unistd.h>

#include "ipc/endpoint.hpp"
#include "plugctl.hpp"
#include "plugctl_json.hpp"
#include "sys/file.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 10s;
constexpr Bytes kLargestRequest = mib(1);

Result<std::unique_ptr<ipc::Endpoint>> open_endpoint(api::Client& client, api::Timeout timeout) {
  v1::OpenEndpointRequest request;
  request.set_name("plugctl");
  sys::Fd link;
  TRY(client.call<v1::OpenEndpointResponse>(api::Method::OpenEndpoint, request, timeout, -1,
                                            &link));
  if (!link) return fail(Code::Malformed, "the daemon's answer came without a descriptor");
  return ipc::Endpoint::open(std::move(link), {});
}

Result<ChannelId> open_channel(ipc::Endpoint& endpoint, const std::string& plugin,
                               Monotonic deadline) {
  const v1::PluginRef ref = plugin_ref(plugin);
  if (ref.id() != 0) return endpoint.open_channel(PluginId{ref.id()}, deadline);
  return endpoint.open_channel(std::string_view(plugin), deadline);
}

Result<int> call(const Context& context, const std::string& plugin, const std::string& text) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  const Monotonic deadline = std::chrono::steady_clock::now() + timeout.value_or(kPatience);
  std::string request = text;
  if (text == "-") {
    TRY(request, sys::read_all(STDIN_FILENO, kLargestRequest));
  }
  TRY(api::Client client, context.connect());
  TRY(const auto endpoint, open_endpoint(client, timeout));
  TRY(const auto channel, open_channel(*endpoint, plugin, deadline));
  TRY(const ipc::Answer answer,
      endpoint->call_and_wait(channel, {.type = ipc::MessageType::DataRequest},
                              std::as_bytes(std::span(request)), deadline));
  const std::string response(reinterpret_cast<const char*>(answer.payload.data()),
                             answer.payload.size());
  if (context.json()) {
    Json json = envelope();
    json["plugin"] = plugin;
    json["response"] = response;
    print_json(json);
  } else {
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    fmt::print("{}{}", terminal ? escape_lines(response) : response,
               response.ends_with('\n') ? "" : "\n");
  }
  return 0;
}

} // namespace

void add_call_command(CLI::App& app, Context& context) {
  struct Options {
    std::string plugin;
    std::string text;
  };
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(app, "call", "Send a request to a plugin and print its answer");
  command.add_option("PLUGIN", options->plugin, "Name or id")->required();
  command.add_option("TEXT", options->text, "The request; '-' reads it from stdin")->required();
  command.callback([&context, options] {
    context.what = fmt::format("call {}", options->plugin);
    context.run = [&context, options] { return call(context, options->plugin, options->text); };
  });
}

} // namespace mohhos::plugctl
