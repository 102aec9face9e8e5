// The keys of a map, for a walk during which the map may change.
#pragma once

#include <vector>

namespace mohhos {

// [pure]
template <class Map>
[[nodiscard]] std::vector<typename Map::key_type> keys_of(const Map& map) {
  std::vector<typename Map::key_type> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

} // namespace mohhos
