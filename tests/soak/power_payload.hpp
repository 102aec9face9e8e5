// The messages of tests/soak/power: everything about one follows from its life, lane and number.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "ledger.hpp"

namespace mohhos::soak {

inline constexpr std::uint64_t kPowerLargest = 1024;

inline void write_power_message(std::vector<std::byte>& bytes, std::uint32_t life,
                                std::uint32_t lane, std::uint64_t number) {
  const std::uint64_t seed = seed_of(life, lane, number);
  const std::uint64_t words = (size_of(seed, kPowerLargest) - sizeof(Head)) / 8;
  bytes.resize(sizeof(Head) + words * 8);
  std::vector<std::uint64_t> filling(words);
  const Head head{.life = life,
                  .lane = lane,
                  .number = number,
                  .sent_at = 0,
                  .sum = fill(filling.data(), words, seed)};
  std::memcpy(bytes.data(), &head, sizeof head);
  if (words != 0) std::memcpy(bytes.data() + sizeof head, filling.data(), words * 8);
}

// Nothing when it is not, byte for byte, what was sent.
inline std::optional<Head> read_power_message(std::span<const std::byte> bytes) {
  Head head{};
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.lane >= kLanes) return std::nullopt;
  std::vector<std::byte> expected;
  write_power_message(expected, head.life, head.lane, head.number);
  if (expected.size() != bytes.size() ||
      std::memcmp(expected.data(), bytes.data(), bytes.size()) != 0)
    return std::nullopt;
  return head;
}

} // namespace mohhos::soak
