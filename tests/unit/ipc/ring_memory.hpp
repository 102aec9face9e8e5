// Rings for tests: over one process's memory (both sides see the same addresses, as TSan needs it),
// or over a channel's real descriptors.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/channel.hpp"
#include "ipc/ring.hpp"

namespace mohhos::ipc::testing {

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Short laps of any flow that the receiver keeps up with, however quick the test is.
inline constexpr Laps kTestLaps{.bytes = 1024, .messages = 1, .dense_ns = 0};

// Both ends of a channel in one process.
struct Pair {
  explicit Pair(std::uint64_t ring_bytes = 4096, Loss when_full = Loss::Never,
                bool huge_pages = false, const Laps& laps = {})
      : capacity(ring_bytes), options{.loss = when_full, .huge_pages = huge_pages, .laps = laps} {
    auto made = make_channel_memory(ring_bytes, laps.bytes);
    EXPECT_TRUE(made) << made.error().text;
    memory = *std::move(made);
    new_sender();
    new_receiver();
  }
  void new_sender(std::uint32_t generation = 1) {
    sender.reset();
    auto end = make_sender_end(memory);
    ASSERT_TRUE(end) << end.error().text;
    auto attached = SendingChannel::attach(*std::move(end), capacity, generation, options);
    ASSERT_TRUE(attached) << attached.error().text;
    sender.emplace(*std::move(attached));
  }
  void new_receiver() {
    receiver.reset();
    auto end = make_receiver_end(memory);
    ASSERT_TRUE(end) << end.error().text;
    auto attached = ReceivingChannel::attach(*std::move(end), capacity, options);
    ASSERT_TRUE(attached) << attached.error().text;
    receiver.emplace(*std::move(attached));
  }
  RingSender::Outcome send(std::string_view text, const Outgoing& about = {},
                           Spacing spacing = Spacing::Apart) {
    std::span<std::byte> space;
    const auto outcome =
        sender->ring().loan(static_cast<std::uint32_t>(text.size()), about, space, spacing);
    if (outcome != RingSender::Outcome::Ok) return outcome;
    if (!text.empty()) std::memcpy(space.data(), text.data(), text.size());
    sender->commit();
    return outcome;
  }
  // The next message's text, released; nothing when the ring is empty.
  std::optional<std::string> take() {
    View view;
    if (receiver->next(view) != RingReceiver::Outcome::Message) return std::nullopt;
    std::string text = text_of(view.payload);
    receiver->release(view);
    return text;
  }

  std::uint64_t capacity;
  ChannelOptions options;
  ChannelMemory memory;
  std::optional<SendingChannel> sender;
  std::optional<ReceivingChannel> receiver;
};

// What a hostile peer has: the same memory, all of it writable.
struct Writable {
  explicit Writable(const Pair& pair)
      : data(*sys::map_shared(pair.memory.data.get(), 0, kHeaderPage + pair.capacity,
                              sys::Access::ReadWrite)),
        control_page(
            *sys::map_shared(pair.memory.control.get(), 0, kHeaderPage, sys::Access::ReadWrite)) {}
  [[nodiscard]] DataHeader* header() const { return reinterpret_cast<DataHeader*>(data.data()); }
  [[nodiscard]] Control* control() const { return reinterpret_cast<Control*>(control_page.data()); }
  [[nodiscard]] std::uint64_t* word(std::uint64_t position) const {
    const std::uint64_t capacity = data.size() - kHeaderPage;
    return reinterpret_cast<std::uint64_t*>(data.data() + kHeaderPage +
                                            (position & (capacity - 1)));
  }
  sys::Mapping data;
  sys::Mapping control_page;
};

} // namespace mohhos::ipc::testing
