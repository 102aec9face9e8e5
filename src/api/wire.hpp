// ttrpc's framing, as containerd speaks it: ten bytes (length u32, stream id u32, type u8, flags
// u8, big endian), then a protobuf message. Pure: bytes in, frames out; no descriptor, no clock.
//
// The peer is hostile. An announced length is judged before anything is allocated for it, and
// memory grows with the bytes that came, never with the bytes that were promised. The assembler
// asks for exactly what the frame still lacks and so never reads into the next one: a descriptor
// that came with a frame's first bytes is that frame's without doubt.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mohhos::api {

inline constexpr std::size_t kFrameHeaderSize = 10;
inline constexpr std::uint32_t kMaxFrame = 4U << 20; // the protocol's own limit

enum class FrameType : std::uint8_t { Request = 1, Response = 2, Data = 3 };

inline constexpr std::uint8_t kFlagRemoteClosed =
    1; // the sender of this frame sends no more on the stream
inline constexpr std::uint8_t kFlagRemoteOpen = 2; // the sender of this request will send more
inline constexpr std::uint8_t kFlagNoData = 4;     // a Data frame that only carries flags

struct FrameHeader {
  std::uint32_t length = 0; // of the payload
  std::uint32_t stream = 0;
  std::uint8_t type = 0; // as it came: unknown types are refused by whoever knows what is expected
  std::uint8_t flags = 0;
};

struct Frame {
  FrameHeader header;
  std::string payload;
};

// [pure]
[[nodiscard]] FrameHeader
decode_header(std::span<const std::byte, kFrameHeaderSize> bytes) noexcept;
// A whole frame, ready to send. payload.size() <= kMaxFrame. [pure]
[[nodiscard]] std::string encode_frame(std::uint32_t stream, FrameType type, std::uint8_t flags,
                                       std::string_view payload);

// Puts one frame after the other together from however the bytes arrive.
class FrameAssembler {
public:
  explicit FrameAssembler(std::uint32_t limit = kMaxFrame) : limit_(limit) {}

  // Where the next bytes go: never empty, never beyond the current frame. Valid until filled().
  // [pure]
  [[nodiscard]] std::span<std::byte> space();
  // `count` bytes were put into space(). A frame when it is whole. TooLarge: the header announced
  // more than the limit; header() tells which stream, and the assembler takes nothing more. [pure]
  [[nodiscard]] Result<std::optional<Frame>> filled(std::size_t count);

  // Whether some but not all bytes of a frame are there: the time to set a deadline. [pure]
  [[nodiscard]] bool in_the_middle() const noexcept { return have_ > 0; }
  // Whether the next byte is a frame's first. [pure]
  [[nodiscard]] bool at_start() const noexcept { return have_ == 0; }
  [[nodiscard]] const FrameHeader& header() const noexcept { return header_; }

private:
  std::uint32_t limit_;
  std::array<std::byte, kFrameHeaderSize> head_{};
  FrameHeader header_;
  std::string payload_;
  std::size_t have_ = 0; // bytes of the current frame, header included
  std::size_t offered_ = 0;
};

} // namespace mohhos::api
