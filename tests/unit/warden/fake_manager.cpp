// Stands in the place of mohhos-manager: does what the file etc/mohhos/behaviour says, and tells on
// standard error what it hears.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "sys/socket.hpp"
#include "warden/messages.hpp"

namespace {

using namespace mohhos;
using namespace mohhos::warden;

template <class T>
T as(const std::vector<std::byte>& bytes) {
  T message;
  std::memcpy(&message, bytes.data(), sizeof message);
  return message;
}

void say(std::span<const std::byte> bytes, std::span<const int> fds = {}) {
  if (!sys::send_message(kFdWarden, bytes, fds)) std::exit(9);
}

void say(MessageType type) {
  Signal signal;
  signal.header.type = type;
  say(bytes_of(signal));
}

void keep(std::uint64_t plugin, KeepKind kind) {
  const sys::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::array fds = {null.get()};
  Keep message;
  message.plugin_id = plugin;
  message.kind = kind;
  say(bytes_of(message), fds);
}

void launch_unsigned() {
  const sys::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::array fds = {null.get(), null.get(), null.get(), null.get(), null.get()};
  Launch order;
  order.plugin_id = order.generation = 1;
  put_text(order.name, "unsigned");
  say(bytes_of(order), fds);
}

// The first life does what is asked for, the later ones only say Ready.
void act(const std::string& behaviour, unsigned restarts) {
  if (behaviour == "refuse") std::exit(3);
  if (restarts == 0 && behaviour == "junk") say(std::as_bytes(std::span("junk", 4)));
  if (restarts == 0 && behaviour == "keep") {
    keep(5, KeepKind::Stdout);
    keep(5, KeepKind::Record);
    keep(0, KeepKind::Record);
    ::raise(SIGKILL);
  }
  say(MessageType::Ready);
  if (behaviour == "launch") launch_unsigned();
}

void hear(const std::vector<std::byte>& bytes, const std::string& behaviour) {
  static unsigned restarts = 0; // this whole program is one conversation
  switch (as<Header>(bytes).type) {
  case MessageType::Hello:
    restarts = as<Hello>(bytes).restarts;
    std::fprintf(stderr, "hello %u\n", restarts);
    break;
  case MessageType::Kept: {
    const auto kept = as<Kept>(bytes);
    std::fprintf(stderr, "kept %llu %u\n", static_cast<unsigned long long>(kept.plugin_id),
                 static_cast<unsigned>(kept.kind));
    break;
  }
  case MessageType::HelloEnd:
    std::fputs("hello-end\n", stderr);
    act(behaviour, restarts);
    break;
  case MessageType::LaunchFailed:
    std::fprintf(stderr, "launch-failed %s\n",
                 std::string(code_name(static_cast<Code>(as<LaunchFailed>(bytes).code))).c_str());
    break;
  case MessageType::Reload: std::fputs("reload\n", stderr); break;
  case MessageType::Shutdown:
    std::fputs("shutdown\n", stderr);
    if (behaviour != "deaf") say(MessageType::Goodbye);
    break;
  default: break;
  }
}

} // namespace

int main(int argc, char** argv) {
  std::string root;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::string_view(argv[i]) == "--root") root = argv[i + 1];
  std::string behaviour;
  std::ifstream(root + "/etc/mohhos/behaviour") >> behaviour;
  if (argc > 1 && std::string_view(argv[1]) == "--check-config")
    return behaviour == "refuse" ? 3 : 0;
  std::vector<std::byte> bytes(kMaxMessage);
  for (;;) {
    pollfd ready{kFdWarden, POLLIN, 0};
    ::poll(&ready, 1, -1);
    const auto received = sys::receive_message(kFdWarden, bytes);
    if (!received || (*received && (*received)->size == 0)) return 0;
    if (*received) hear(bytes, behaviour);
  }
}
