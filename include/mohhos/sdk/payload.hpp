// What a message can be made of, without framing of one's own:
//
//   bytes     a std::string, a std::string_view, a span of std::byte
//   protobuf  a generated message, told by its members; this header needs nothing of protobuf
//   a struct  of plain members, as it lies in memory
//
// A struct travels byte for byte, so both plugins must have the same definition of it, and the
// compiler cannot check everything: a pointer among its members would arrive as a number, and the
// padding between members travels too, with whatever was in it. Members of fixed width, in an order
// without gaps, and `static_assert(std::has_unique_object_representations_v<T>)` settle that.
//
// What arrives is judged on a private copy, because its sender can still change the original.
#pragma once

#include <array>
#include <climits>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "mohhos/sdk/failure.hpp"

namespace mohhos {

template <class T>
concept TextLike = std::convertible_to<const T&, std::string_view>;
template <class T>
concept ByteSpan = std::convertible_to<const T&, std::span<const std::byte>>;

template <class T>
concept ProtobufMessage =
    requires(const T& constant, T& message, void* out, const void* in, int size) {
      { constant.ByteSizeLong() } -> std::convertible_to<std::size_t>;
      { constant.SerializeToArray(out, size) } -> std::convertible_to<bool>;
      { message.ParseFromArray(in, size) } -> std::convertible_to<bool>;
    };

namespace detail {

// "Position" of a type; for errors.
template <class T>
[[nodiscard]] constexpr std::string_view type_name() {
  constexpr std::string_view kText = __PRETTY_FUNCTION__;
  constexpr std::string_view kBefore = "T = ";
  constexpr std::size_t kBegin = kText.find(kBefore) + kBefore.size();
  return kText.substr(kBegin, kText.find_first_of(";]", kBegin) - kBegin);
}

// What of a struct can be checked: that its bytes are all of it.
template <class T>
constexpr void check_struct() {
  static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_null_pointer_v<T>,
                "a pointer means nothing in another process");
  static_assert(std::is_trivially_copyable_v<T>,
                "not bytes, not a protobuf message, and not a struct that is its bytes: strings, "
                "containers and smart pointers must be serialised");
  static_assert(
      !requires(const T& t) {
        t.data();
        t.size();
      } || requires { std::tuple_size<T>::value; }, "a view means nothing in another process");
  static_assert(std::default_initializable<T>, "the receiver makes one before it fills it");
  static_assert(alignof(T) <= 8, "messages are aligned to 8 bytes");
}

[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
[[nodiscard]] std::size_t payload_size(const T& value) {
  if constexpr (TextLike<T>) {
    return std::string_view(value).size();
  } else if constexpr (ByteSpan<T>) {
    return std::span<const std::byte>(value).size();
  } else if constexpr (ProtobufMessage<T>) {
    return value.ByteSizeLong();
  } else {
    check_struct<T>();
    return sizeof(T);
  }
}

// Into memory of payload_size() bytes.
template <class T>
void write_payload(const T& value, std::span<std::byte> out) {
  if constexpr (ProtobufMessage<T>) {
    if (out.size() > INT_MAX || !value.SerializeToArray(out.data(), static_cast<int>(out.size())))
      throw Failure(MOHHOS_E_INVALID, std::string(type_name<T>()) + " of " +
                                          std::to_string(out.size()) +
                                          " bytes cannot be serialised");
  } else if constexpr (TextLike<T>) {
    const std::string_view text = value;
    if (!text.empty()) std::memcpy(out.data(), text.data(), text.size());
  } else if constexpr (ByteSpan<T>) {
    const std::span<const std::byte> bytes = value;
    if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  } else {
    std::memcpy(out.data(), &value, sizeof value);
  }
}

// A value as bytes in a row: in place where they lie so, else serialised.
template <class T>
class Flat {
public:
  explicit Flat(const T& value) {
    if constexpr (TextLike<T>) {
      bytes_ = std::string_view(value);
    } else if constexpr (ByteSpan<T>) {
      bytes_ = text_of(value);
    } else if constexpr (ProtobufMessage<T>) {
      serialised_.resize(payload_size(value));
      write_payload(value, std::as_writable_bytes(std::span(serialised_)));
      bytes_ = serialised_;
    } else {
      check_struct<T>();
      bytes_ = {reinterpret_cast<const char*>(&value), sizeof value};
    }
  }
  Flat(const Flat&) = delete;
  Flat& operator=(const Flat&) = delete;
  [[nodiscard]] const char* data() const { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

private:
  std::string serialised_;
  std::string_view bytes_;
};

// Bytes that somebody else can change, copied: on the stack while they are few.
class PrivateCopy {
public:
  explicit PrivateCopy(std::string_view shared) : size_(shared.size()) {
    char* data = few_.data();
    if (size_ > few_.size()) {
      many_ = std::make_unique_for_overwrite<char[]>(size_);
      data = many_.get();
    }
    if (size_ != 0) std::memcpy(data, shared.data(), size_);
    data_ = data;
  }
  PrivateCopy(const PrivateCopy&) = delete;
  PrivateCopy& operator=(const PrivateCopy&) = delete;
  [[nodiscard]] const char* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

private:
  alignas(8) std::array<char, 512> few_;
  std::unique_ptr<char[]> many_;
  std::size_t size_;
  const char* data_ = nullptr;
};

template <class T>
[[noreturn]] void malformed(std::size_t size, const std::string& wanted) {
  throw Failure(MOHHOS_E_MALFORMED, "a message of " + std::to_string(size) + " bytes is no " +
                                        std::string(type_name<T>()) + ", " + wanted);
}

// The bytes of a message as a T. Failure MALFORMED: they are none.
template <class T>
[[nodiscard]] T read_payload(std::string_view shared) {
  if constexpr (std::same_as<T, std::string>) {
    return std::string(shared);
  } else if constexpr (ProtobufMessage<T>) {
    const PrivateCopy copy(shared);
    T message;
    if (copy.size() > INT_MAX ||
        !message.ParseFromArray(copy.data(), static_cast<int>(copy.size())))
      malformed<T>(shared.size(), "which these bytes do not parse as (understood: " +
                                      std::to_string(message.ByteSizeLong()) + " bytes)");
    return message;
  } else {
    static_assert(!TextLike<T> && !ByteSpan<T>, "a view of a message is text() or bytes()");
    check_struct<T>();
    if (shared.size() != sizeof(T))
      malformed<T>(shared.size(), "which has " + std::to_string(sizeof(T)));
    T value{};
    std::memcpy(&value, shared.data(), sizeof value);
    return value;
  }
}

} // namespace detail
} // namespace mohhos
