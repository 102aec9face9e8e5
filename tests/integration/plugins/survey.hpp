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
static_assert(std::has_unique_object_representations_v<Square> &&
              std::has_unique_object_representations_v<Squared>);

} // namespace survey
