// Sends back to its sender what is no request, and answers a request with its size. With the answer
// to what came with a memory goes another one: of the same size, each byte one more. A sender that
// is gone meanwhile is nobody's trouble.
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Bounce : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    try {
      bounce(message);
    } catch (const mohhos::Failure& failure) {
      if (failure.code() != MOHHOS_E_NOT_FOUND && failure.code() != MOHHOS_E_PEER_GONE) throw;
    }
  }

private:
  void bounce(const mohhos::Message& message) {
    const mohhos::MemoryView came = message.memory();
    mohhos::Memory goes;
    if (came) goes = one_more(came.bytes());
    const std::string size = std::to_string(message.size());
    if (message.wants_reply() && came) return reply(message, size, goes);
    if (message.wants_reply()) return reply(message, size);
    open(message.sender())
        .send(message.bytes(), {.priority = message.priority(), .memory = came ? &goes : nullptr});
  }
  mohhos::Memory one_more(std::span<const std::byte> bytes) {
    mohhos::Memory memory = make_memory(bytes.size());
    std::ranges::transform(bytes, memory.bytes().begin(), [](std::byte value) {
      return static_cast<std::byte>(std::to_integer<unsigned>(value) + 1);
    });
    return memory;
  }
};

} // namespace

MOHHOS_PLUGIN(Bounce)
