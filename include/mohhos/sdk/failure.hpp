// Failures of the SDK: an exception with one of abi.h's codes, and what becomes of exceptions.
#pragma once

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "mohhos/abi.h"

namespace mohhos {

// A call that the host refused, or bytes that are not what they should be; code() is one of
// MOHHOS_E_....
class Failure : public std::runtime_error {
public:
  Failure(std::int32_t code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] std::int32_t code() const noexcept { return code_; }

private:
  std::int32_t code_;
};

[[nodiscard]] constexpr const char* describe(std::int32_t code) noexcept {
  switch (code) {
  case MOHHOS_E_INVALID: return "an argument is wrong";
  case MOHHOS_E_NOT_FOUND: return "there is no such plugin, channel, request or event";
  case MOHHOS_E_BAD_STATE: return "not legal in this callback or on this thread";
  case MOHHOS_E_NOT_RUNNING: return "the peer is not running";
  case MOHHOS_E_DENIED:
    return "the manifests of both plugins must allow it (acl.send_to, acl.receive_from)";
  case MOHHOS_E_UNREACHABLE: return "the manager cannot be reached";
  case MOHHOS_E_TIMED_OUT: return "the time is over";
  case MOHHOS_E_MALFORMED: return "the bytes are not what they should be";
  case MOHHOS_E_TOO_LARGE: return "larger than the channel carries";
  case MOHHOS_E_EXHAUSTED: return "a table or the memory is full";
  case MOHHOS_E_PLUGIN_FAILED: return "the peer failed";
  case MOHHOS_E_PEER_GONE: return "the peer is gone";
  case MOHHOS_E_PEER_RESTARTED: return "the peer was restarted";
  case MOHHOS_E_REFUSED: return "the peer's ring is full";
  case MOHHOS_E_CANCELLED: return "given up";
  case MOHHOS_E_UNSUPPORTED: return "this host does not have that";
  default: return "failed";
  }
}

namespace detail {

inline std::int32_t demand(std::int32_t result, std::string_view what) {
  if (result < 0) throw Failure(result, std::string(what) + ": " + describe(result));
  return result;
}

// Whether this host's table is new enough to have that function.
template <class Function>
[[nodiscard]] bool has(const mohhos_host_t* host, Function mohhos_host_t::* function) {
  const auto* const begin = reinterpret_cast<const char*>(host);
  const auto* const end = reinterpret_cast<const char*>(&(host->*function) + 1);
  return end - begin <= static_cast<std::ptrdiff_t>(host->struct_size) &&
         host->*function != nullptr;
}

// Runs a hook; its exception becomes the error of the callback. The host's code never sees one.
template <class Hook>
std::int32_t guard(const mohhos_host_t* host, Hook&& hook) noexcept {
  try {
    return std::forward<Hook>(hook)();
  } catch (const Failure& failure) {
    host->fail(host, failure.what());
    return failure.code() < 0 ? failure.code() : MOHHOS_E_PLUGIN_FAILED;
  } catch (const std::exception& exception) {
    host->fail(host, exception.what());
  } catch (...) {
    host->fail(host, "an exception that is not a std::exception");
  }
  return MOHHOS_E_PLUGIN_FAILED;
}

} // namespace detail
} // namespace mohhos
