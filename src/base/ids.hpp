// Numbers that name things, each a type of its own, so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace mohhos {

template <class Tag, class Rep>
struct Id {
  Rep value = 0;
  friend constexpr auto operator<=>(Id, Id) = default;
  [[nodiscard]] constexpr explicit operator bool() const { return value != 0; }
};

// Never reused while a daemon's state lives: a handle, not a slot. 0 is nobody.
using PluginId = Id<struct PluginTag, std::uint64_t>;
// Counts the processes that a plugin id has had; 1 is the first.
using Generation = Id<struct GenerationTag, std::uint32_t>;
// A directed channel between two endpoints; never reused.
using ChannelId = Id<struct ChannelTag, std::uint64_t>;

} // namespace mohhos

template <class Tag, class Rep>
struct std::hash<mohhos::Id<Tag, Rep>> {
  std::size_t operator()(mohhos::Id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
