// Finds the control page of the ring that a message came through, writes nonsense into its words,
// and dies with the message in hand. Which nonsense: the message says.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include <mohhos/sdk.hpp>

namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr std::uintptr_t kAround = std::uintptr_t{64} << 20; // where mappings of the process lie
constexpr std::uint64_t kRing = std::uint64_t{2} << 20;
constexpr std::uint32_t kMagic = 0x474E4952; // docs/ring-format.md
constexpr std::uint64_t kFar = std::uint64_t{1} << 63;

// tail, begun, buried
constexpr std::uint64_t kNonsense[][3] = {
    {1, 2, 3},
    {~0ULL, ~0ULL, ~0ULL},
    {64, 0, 0},
    {kFar, kFar + 64, kFar + 65},
    {0, 64, 1 + kRing},
    {0, kRing, 0},
    {kRing, kRing + 64, 0},
    {~std::uint64_t{63}, 64, 1},
};

class Vandal : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    const std::string text = message.copy();
    if (text == "ping") return reply(message, "pong");
    const auto which = static_cast<std::size_t>(std::atoi(text.c_str()));
    if (which < std::size(kNonsense) && vandalise(message.bytes().data(), kNonsense[which]))
      std::abort();
    reply(message, "found no control page");
  }

private:
  // Whether the page can be read, without dying of it.
  bool readable(std::uintptr_t page) {
    if (pipe_[0] < 0 && pipe(pipe_) != 0) return false;
    char byte = 0;
    return write(pipe_[1], reinterpret_cast<const void*>(page), 1) == 1 &&
           read(pipe_[0], &byte, 1) == 1;
  }

  bool vandalise(const void* data, const std::uint64_t (&words)[3]) {
    const std::uintptr_t near = reinterpret_cast<std::uintptr_t>(data) & ~(kPage - 1);
    bool found = false;
    for (std::uintptr_t page = near - kAround; page < near + kAround; page += kPage) {
      if (!readable(page)) continue;
      std::uint32_t magic = 0;
      std::uint64_t capacity = 0;
      std::memcpy(&magic, reinterpret_cast<const void*>(page), sizeof magic);
      std::memcpy(&capacity, reinterpret_cast<const void*>(page + 8), sizeof capacity);
      if (magic != kMagic || capacity != 0) continue; // the data's header has one
      std::memcpy(reinterpret_cast<void*>(page + 64), words, sizeof words);
      found = true;
    }
    return found;
  }

  int pipe_[2] = {-1, -1};
};

} // namespace

MOHHOS_PLUGIN(Vandal)
