// What painter draws and gallery knows again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <mohhos/sdk.hpp>

inline std::byte pixel(int number, std::size_t at) {
  return static_cast<std::byte>((static_cast<std::size_t>(number) * 31 + at * 7 + 1) & 0xFF);
}

inline void paint(std::span<std::byte> bytes, int number) {
  for (std::size_t at = 0; at < bytes.size(); ++at) bytes[at] = pixel(number, at);
}

inline bool is_picture(std::span<const std::byte> bytes, int number, std::size_t size) {
  if (bytes.size() != size) return false;
  for (std::size_t at = 0; at < size; ++at)
    if (bytes[at] != pixel(number, at)) return false;
  return true;
}
