#include "api/wire.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace mohhos::api {
namespace {

constexpr std::size_t kStep = 64U << 10; // how far ahead of the bytes that came memory may be

std::uint32_t read_u32(const std::byte* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

} // namespace

FrameHeader decode_header(std::span<const std::byte, kFrameHeaderSize> bytes) noexcept {
  return {.length = read_u32(bytes.data()),
          .stream = read_u32(bytes.data() + 4),
          .type = std::to_integer<std::uint8_t>(bytes[8]),
          .flags = std::to_integer<std::uint8_t>(bytes[9])};
}

std::string encode_frame(std::uint32_t stream, FrameType type, std::uint8_t flags,
                         std::string_view payload) {
  CHECK(payload.size() <= kMaxFrame);
  std::string frame;
  frame.reserve(kFrameHeaderSize + payload.size());
  append_u32(frame, static_cast<std::uint32_t>(payload.size()));
  append_u32(frame, stream);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  frame.append(payload);
  return frame;
}

std::span<std::byte> FrameAssembler::space() {
  if (have_ < kFrameHeaderSize) {
    offered_ = kFrameHeaderSize - have_;
    return std::span(head_).subspan(have_);
  }
  const std::size_t got = have_ - kFrameHeaderSize;
  offered_ = std::min(header_.length - got, kStep);
  payload_.resize(got + offered_);
  return std::as_writable_bytes(std::span(payload_)).subspan(got);
}

Result<std::optional<Frame>> FrameAssembler::filled(std::size_t count) {
  CHECK(count <= offered_);
  offered_ = 0;
  have_ += count;
  if (have_ < kFrameHeaderSize) return std::nullopt;
  if (have_ == kFrameHeaderSize) {
    header_ = decode_header(head_);
    if (header_.length > limit_)
      return fail(Code::TooLarge, "a message of {} bytes was announced, and the limit is {}",
                  header_.length, limit_);
  }
  if (have_ < kFrameHeaderSize + header_.length) return std::nullopt;
  Frame frame{.header = header_, .payload = std::move(payload_)};
  frame.payload.resize(header_.length);
  payload_.clear();
  have_ = 0;
  return frame;
}

} // namespace mohhos::api
