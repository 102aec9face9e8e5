// A channel to send on: bytes, structs and protobuf messages, copied or written in place; requests
// with a callback, with a coroutine (task.hpp) or waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "mohhos/sdk/failure.hpp"
#include "mohhos/sdk/message.hpp"
#include "mohhos/sdk/options.hpp"
#include "mohhos/sdk/payload.hpp"

namespace mohhos {

namespace detail {
// The loan of each channel that counts: a later one takes back the one before.
inline std::map<mohhos_channel_t, std::uint64_t> latest_loan;
} // namespace detail

// Memory of the ring to write a message into: zero copy, whatever its size. send() publishes all of
// it; a loan that is not sent is taken back, as is one whose channel was sent on meanwhile.
class [[nodiscard]] Loan {
public:
  Loan(const mohhos_host_t* host, mohhos_channel_t channel, std::span<std::byte> bytes)
      : host_(host), channel_(channel), bytes_(bytes), number_(++detail::latest_loan[channel]) {}
  Loan(Loan&& other) noexcept
      : host_(std::exchange(other.host_, nullptr)), channel_(other.channel_),
        bytes_(std::exchange(other.bytes_, {})), number_(other.number_) {}
  Loan& operator=(Loan&&) = delete;
  ~Loan() = default; // what was not sent was never in the ring

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; } // aligned to 8, not zeroed
  [[nodiscard]] std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // A struct at the beginning of it, zeroed; what follows is for what belongs to it.
  template <class T>
  [[nodiscard]] T& make() const {
    detail::check_struct<T>();
    if (bytes_.size() < sizeof(T))
      throw Failure(MOHHOS_E_INVALID, "a loan of " + std::to_string(bytes_.size()) +
                                          " bytes is too small for " +
                                          std::string(detail::type_name<T>()) + ", which has " +
                                          std::to_string(sizeof(T)));
    return *::new (static_cast<void*>(bytes_.data())) T{};
  }

  // Published when it returns. Failure BAD_STATE: it was sent or taken back before.
  void send() {
    const mohhos_host_t* const host = std::exchange(host_, nullptr);
    const bool gone = host == nullptr || detail::latest_loan[channel_] != number_;
    bytes_ = {};
    if (gone) throw Failure(MOHHOS_E_BAD_STATE, "the loan was sent or taken back already");
    detail::demand(host->commit(host, channel_), "sending a loan");
  }

private:
  const mohhos_host_t* host_;
  mohhos_channel_t channel_;
  std::span<std::byte> bytes_;
  std::uint64_t number_;
};

template <class R>
class PendingCall; // task.hpp
class PendingSync; // task.hpp

// A request under way, to take it back. A handle: it may be dropped or kept after the end.
class CallHandle {
public:
  CallHandle() = default;
  CallHandle(const mohhos_host_t* host, std::int32_t number) : host_(host), number_(number) {}

  // Its callback gets MOHHOS_E_CANCELLED, later, and the peer's on_cancel hears of it. False: it
  // has ended already.
  bool cancel() const {
    if (host_ == nullptr) return false;
    if (!detail::has(host_, &mohhos_host_t::cancel))
      throw Failure(MOHHOS_E_UNSUPPORTED, "cancel: this host cannot take requests back");
    const auto result = host_->cancel(host_, number_);
    if (result != MOHHOS_E_NOT_FOUND) detail::demand(result, "cancel");
    return result >= 0;
  }

private:
  const mohhos_host_t* host_ = nullptr;
  std::int32_t number_ = 0;
};

// A directed channel to one peer. A handle: copies name the same channel; the host closes it at the
// end.
class Channel {
public:
  Channel() = default;
  Channel(const mohhos_host_t* host, mohhos_channel_t channel) : host_(host), channel_(channel) {}
  [[nodiscard]] explicit operator bool() const { return channel_ != 0; }
  [[nodiscard]] mohhos_channel_t raw() const { return channel_; }

  // A payload (payload.hpp): bytes, a struct, or a protobuf message, which is serialised straight
  // into the ring. Published when it returns; throws Failure otherwise.
  template <class T>
  void send(const T& payload, const SendOptions& options = {}) const {
    detail::demand(try_send(payload, options), "send");
  }
  // The same with the outcome as a number: MOHHOS_OK, MOHHOS_E_REFUSED when the ring is full, ….
  template <class T>
  [[nodiscard]] std::int32_t try_send(const T& payload, const SendOptions& options = {}) const {
    const auto raw = detail::raw(options);
    if constexpr (!ProtobufMessage<T>) {
      const detail::Flat<T> flat(payload);
      return host_->send(host_, channel_, &raw, flat.data(), flat.size());
    } else {
      const std::size_t size = detail::payload_size(payload);
      void* data = nullptr;
      const auto lent = host_->loan(host_, channel_, &raw, size, &data);
      if (lent < 0) return lent;
      detail::write_payload(payload, {static_cast<std::byte*>(data), size});
      return host_->commit(host_, channel_);
    }
  }

  // Zero copy: `size` bytes of the ring. At most a ring's size.
  Loan loan(std::size_t size, const SendOptions& options = {}) const {
    const auto raw = detail::raw(options);
    void* data = nullptr;
    detail::demand(host_->loan(host_, channel_, &raw, size, &data), "loan");
    return {host_, channel_, {static_cast<std::byte*>(data), size}};
  }

  // Waits until all that was sent here as durable is on disk, or was acknowledged: it survives
  // everything then. Throws Failure: DENIED (the manifest's [channels] durable), EXHAUSTED (the
  // disk is full, or the operator's limit reached; the messages are sent all the same), ….
  void sync(Duration timeout = std::chrono::seconds(5)) const {
    if (!detail::has(host_, &mohhos_host_t::sync))
      throw Failure(MOHHOS_E_UNSUPPORTED, "sync: this host has no durable messages");
    detail::demand(host_->sync(host_, channel_, detail::nanoseconds(timeout)), "sync");
  }

  // The same for a coroutine, which lets everything else go on meanwhile:
  // `co_await ledger.synced();`. Asked for at once, and about what was sent before.
  [[nodiscard]] PendingSync synced(Duration timeout = std::chrono::seconds(5)) const;

  // Asks, and has `done` called with the answer (or with why there is none) in a later callback.
  template <class Q>
  CallHandle call(const Q& request, Duration timeout, std::function<void(const Reply&)> done,
                  const SendOptions& options = {}) const;

  // Asks, and waits for the answer: simple, and deaf to everything else meanwhile. Throws Failure
  // when there is none, with the peer's or the host's sentence. Two plugins that ask each other
  // like this wait in vain; the host finds the cycle and says so (BAD_STATE).
  template <class R = std::string, class Q>
  R ask(const Q& request, Duration timeout, const SendOptions& options = {}) const;

  // Asks, for a coroutine: `Position p = co_await radar.call<Position>(Where{7}, 1s);`. Sent at
  // once, so several can be under way before the first is awaited.
  template <class R, class Q>
  [[nodiscard]] PendingCall<R> call(const Q& request, Duration timeout,
                                    const SendOptions& options = {}) const;

private:
  const mohhos_host_t* host_ = nullptr;
  mohhos_channel_t channel_ = 0;
};

namespace detail {

// A request's callback, until it was called.
struct WaitingCallback {
  const mohhos_host_t* host;
  std::function<void(const Reply&)> done;

  static std::int32_t finish(void* user, std::int32_t status,
                             const mohhos_message_t* reply) noexcept {
    const std::unique_ptr<WaitingCallback> call(static_cast<WaitingCallback*>(user));
    return guard(call->host, [&] {
      call->done(Reply(status, *reply));
      return MOHHOS_OK;
    });
  }
};

} // namespace detail

template <class Q>
CallHandle Channel::call(const Q& request, Duration timeout, std::function<void(const Reply&)> done,
                         const SendOptions& options) const {
  const detail::Flat<Q> flat(request);
  auto waiting =
      std::make_unique<detail::WaitingCallback>(detail::WaitingCallback{host_, std::move(done)});
  const auto raw = detail::raw(options);
  const auto number = detail::demand(
      host_->request(host_, channel_, &raw, flat.data(), flat.size(), detail::nanoseconds(timeout),
                     &detail::WaitingCallback::finish, waiting.get()),
      "call");
  static_cast<void>(waiting.release()); // finish() owns it now
  return {host_, number};
}

template <class R, class Q>
R Channel::ask(const Q& request, Duration timeout, const SendOptions& options) const {
  if (!detail::has(host_, &mohhos_host_t::call))
    throw Failure(MOHHOS_E_UNSUPPORTED, "ask: this host has no blocking calls");
  const detail::Flat<Q> flat(request);
  const auto raw = detail::raw(options);
  mohhos_message_t answer{};
  const auto status = host_->call(host_, channel_, &raw, flat.data(), flat.size(),
                                  detail::nanoseconds(timeout), &answer);
  return Reply(status, answer).as<R>();
}

} // namespace mohhos
