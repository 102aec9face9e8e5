// The ring as a hostile sender leaves it: any bytes in the data memory, any tail in the control
// memory. Input: 8 bytes of tail, then the ring. Whatever is there, the receiver reads inside the
// ring and ends; and so does a sender that takes up after it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/check.hpp"
#include "ipc/ring.hpp"

using namespace mohhos::ipc;

namespace {

constexpr std::uint64_t kCapacity = 4096;

struct Memory {
  alignas(kLine) DataHeader header;
  alignas(kLine) Control control;
  alignas(kLine) std::array<std::byte, 2 * kCapacity> data{};
};

void receive_all(Memory& memory) {
  RingReceiver receiver({.header = &memory.header,
                         .map = RingMap<const std::byte>::of(memory.data.data(), kCapacity),
                         .control = &memory.control});
  unsigned sum = 0;
  for (std::uint64_t records = 0;; ++records) {
    CHECK(records <= 2 * kCapacity / kLine); // the walk ends: a tag fits one lap only
    View view;
    if (receiver.next(view) != RingReceiver::Outcome::Message) break;
    CHECK(view.payload.size() <= kCapacity);
    for (const std::byte byte : view.payload) sum += std::to_integer<unsigned>(byte);
    receiver.release(view);
    (void)receiver.must_wake(false);
  }
  volatile unsigned sink = sum; // the bytes were really read
  (void)sink;
}

void send_some(Memory& memory) {
  RingSender sender({.header = &memory.header,
                     .map = RingMap<std::byte>::of(memory.data.data(), kCapacity),
                     .control = &memory.control},
                    1);
  for (const std::uint32_t size : {0U, 48U, 500U, 4000U}) {
    std::span<std::byte> space;
    if (sender.loan(size, {.correlation = size}, space,
                    size % 2 != 0 ? Spacing::Close : Spacing::Apart) != RingSender::Outcome::Ok)
      continue;
    std::ranges::fill(space, std::byte{1});
    sender.commit();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto memory = std::make_unique<Memory>();
  if (size < sizeof memory->control.tail) return 0;
  std::memcpy(&memory->control.tail, data, sizeof memory->control.tail);
  const std::size_t length = std::min<std::size_t>(size - 8, kCapacity);
  std::memcpy(memory->data.data(), data + 8, length);
  std::memcpy(memory->data.data() + kCapacity, data + 8, length); // as the second mapping shows it
  send_some(*memory);
  receive_all(*memory);
  return 0;
}
