#include "ipc/breach.hpp"

#include <array>
#include <cstddef>

namespace mohhos::ipc {

const char* breach_text(Breach breach) noexcept {
  static constexpr std::array kTexts = {
      "no rule was broken",
      "the receiver's tail is not a multiple of 16",
      "the receiver's tail went back",
      "the receiver's tail passed what was sent",
      "a record carries the tag of another place",
      "a record has a type that does not exist",
      "a record has a flag that does not exist",
      "a record is longer than the ring",
      "a record overlaps one that is not released",
      "something else than a response came on a channel for responses",
      "the bell rings again and again without a message",
      "a lossy ring's oldest record is not at a multiple of 16",
  };
  static_assert(kTexts.size() == static_cast<std::size_t>(Breach::OldestUnaligned) + 1);
  const auto index = static_cast<std::size_t>(breach);
  return index < kTexts.size() ? kTexts[index] : "an unknown rule";
}

} // namespace mohhos::ipc
