// The structs of two plugins; nobody else knows them.
#pragma once

#include <cstdint>
#include <type_traits>

namespace survey {

struct Square {
  std::uint64_t number = 0;
};
struct Squared {
  std::uint64_t number = 0;
  std::uint64_t square = 0;
};

// What survey says of itself.
struct Tally {
  std::uint64_t messages = 0; // that were no requests
  std::uint64_t bytes = 0;    // of these
  std::uint64_t slow = 0;     // requests that it never answers
  std::uint64_t cancelled = 0;
};

inline constexpr std::uint32_t kEvent = 5;      // a Squared
inline constexpr std::uint32_t kUndeclared = 6; // is in nobody's manifest

static_assert(std::has_unique_object_representations_v<Square> &&
              std::has_unique_object_representations_v<Squared>);

} // namespace survey
