// What arrives: a message, as a view and as a copy that may be kept, and the end of a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mohhos/sdk/options.hpp"
#include "mohhos/sdk/payload.hpp"

namespace mohhos {

class OwnedMessage;

// A received message: a view that lives as long as the callback, and so cannot be copied. The
// sender can still change the bytes under text() and bytes(), and they are overwritten once the
// callback has returned: as<T>(), copy() and keep() give what stays.
class Message {
public:
  explicit Message(const mohhos_message_t& message) : message_(&message) {}
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  [[nodiscard]] MessageType type() const { return static_cast<MessageType>(message_->type); }
  [[nodiscard]] std::uint64_t id() const { return message_->id; }
  [[nodiscard]] std::uint64_t sender() const { return message_->sender; }
  [[nodiscard]] std::string_view sender_name() const { return message_->sender_name; }
  [[nodiscard]] std::int32_t priority() const { return message_->priority; }
  [[nodiscard]] std::uint32_t event() const { return message_->event; }
  [[nodiscard]] std::uint32_t generation() const { return message_->generation; }
  [[nodiscard]] std::uint64_t sent_at_ns() const { return message_->sent_at_ns; }
  [[nodiscard]] std::uint64_t received_at_ns() const { return message_->received_at_ns; }
  [[nodiscard]] std::uint64_t deadline_ns() const { return message_->deadline_ns; }
  // A process of this plugin died while it had this very message: it may be half done already, or
  // be what killed it.
  [[nodiscard]] bool redelivered() const {
    return (message_->flags & MOHHOS_MESSAGE_REDELIVERED) != 0;
  }
  [[nodiscard]] bool wants_reply() const {
    return message_->correlation != 0 && type() != MessageType::DataResponse;
  }
  [[nodiscard]] Request request() const {
    return {message_->sender, message_->correlation, message_->deadline_ns};
  }

  [[nodiscard]] std::size_t size() const { return message_->size; }
  [[nodiscard]] bool empty() const { return message_->size == 0; }
  // The bytes as a struct, a protobuf message or a std::string of one's own. Failure MALFORMED:
  // they are none, with both sizes in its text. An OwnedMessage: keep().
  template <class T>
  [[nodiscard]] T as() const {
    if constexpr (std::is_same_v<T, OwnedMessage>)
      return T(*this);
    else
      return detail::read_payload<T>(text());
  }
  [[nodiscard]] std::string_view text() const {
    return {static_cast<const char*>(message_->data), message_->size};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(message_->data), message_->size};
  }
  [[nodiscard]] std::string copy() const { return std::string(text()); }
  // The memory that came along, the first time: to be kept as long as one likes. None: nothing
  // came, whatever its sender says, or it was taken before. While the callback lasts; what is not
  // taken then is gone. Failure EXHAUSTED: there was no descriptor for it.
  [[nodiscard]] MemoryView memory() const {
    if (kept_memory_ != nullptr) return std::exchange(*kept_memory_, {});
    const mohhos_host_t* const host = detail::process_host;
    if ((message_->flags & MOHHOS_MESSAGE_MEMORY) == 0 || memory_taken_) return {};
    mohhos_memory_t number = 0;
    const void* data = nullptr;
    std::uint64_t size = 0;
    const auto taken = host->take_memory(host, message_, &number, &data, &size);
    if (taken == MOHHOS_E_NOT_FOUND) return {};
    detail::demand(taken, "taking the memory of a message");
    memory_taken_ = true;
    return {host, number, {static_cast<const std::byte*>(data), size}};
  }
  // All of it, with its memory if that was not taken, for longer than the callback: for coroutines
  // and queues. Without a memory also for threads of one's own. Failure: as memory().
  [[nodiscard]] OwnedMessage keep() const;
  [[nodiscard]] const mohhos_message_t& raw() const { return *message_; }

protected:
  Message(const mohhos_message_t& message, MemoryView& kept_memory)
      : message_(&message), kept_memory_(&kept_memory) {}
  Message(Message&&) = default;
  Message& operator=(Message&&) = default;

private:
  const mohhos_message_t* message_;
  MemoryView* kept_memory_ = nullptr; // of an OwnedMessage
  mutable bool memory_taken_ = false; // the host gives the same one again, and one drop ends it
};

namespace detail {
struct KeptMessage {
  mohhos_message_t raw;
  std::string bytes;
  std::string sender_name;
  MemoryView memory;
};
struct KeptHolder {
  std::unique_ptr<KeptMessage> kept; // never moves, so the view of it stays right
};
} // namespace detail

// A message with its bytes, and the memory that came with it. Moves. One with a memory belongs to
// the plugin's main thread, as the memory does.
class OwnedMessage : private detail::KeptHolder, public Message {
public:
  explicit OwnedMessage(const Message& message)
      : OwnedMessage(copy_of(message.raw(), message.memory())) {}
  OwnedMessage(OwnedMessage&&) = default;
  OwnedMessage& operator=(OwnedMessage&&) = default;
  ~OwnedMessage() = default;

private:
  explicit OwnedMessage(std::unique_ptr<detail::KeptMessage> copy)
      : KeptHolder{std::move(copy)}, Message(kept->raw, kept->memory) {}
  static std::unique_ptr<detail::KeptMessage> copy_of(const mohhos_message_t& message,
                                                      MemoryView memory) {
    auto copy = std::make_unique<detail::KeptMessage>();
    copy->raw = message;
    if (!memory) copy->raw.flags &= ~std::uint32_t{MOHHOS_MESSAGE_MEMORY};
    copy->memory = std::move(memory);
    copy->bytes.assign(static_cast<const char*>(message.data), message.size);
    copy->sender_name = message.sender_name;
    copy->raw.data = message.size == 0 ? nullptr : copy->bytes.data();
    copy->raw.sender_name = copy->sender_name.c_str();
    return copy;
  }
};

inline OwnedMessage Message::keep() const {
  return OwnedMessage(*this);
}

// How a call ended: with an answer, or with a sentence that says why there is none. A view like
// Message.
class Reply {
public:
  Reply(std::int32_t status, const mohhos_message_t& message)
      : status_(status), message_(message) {}

  [[nodiscard]] bool ok() const { return status_ >= 0; }
  [[nodiscard]] std::int32_t status() const { return status_; } // MOHHOS_E_… when not ok()
  [[nodiscard]] const Message& message() const { return message_; }
  [[nodiscard]] std::string copy() const { return message_.copy(); }
  // The answer's value; throws Failure with status() and the sentence if there is no answer.
  template <class T>
  [[nodiscard]] T as() const {
    if (!ok()) throw Failure(status_, copy());
    return message_.as<T>();
  }

private:
  std::int32_t status_;
  Message message_;
};

} // namespace mohhos
