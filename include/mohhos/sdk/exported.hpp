// A class as the C table that the host looks up.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

#include "mohhos/sdk/plugin.hpp"

namespace mohhos {

namespace detail {

// An exception that nobody caught, on a thread of the plugin's own (or out of a noexcept function).
[[noreturn]] inline void terminated() noexcept {
  std::string text = "terminated without an exception";
  if (const auto current = std::current_exception()) {
    try {
      std::rethrow_exception(current);
    } catch (const std::exception& exception) {
      text = std::string(exception.what()) + " (caught by nobody)";
    } catch (...) {
      text = "an exception that is not a std::exception (caught by nobody)";
    }
  }
  process_host->panic(process_host, text.c_str());
  std::abort();
}

} // namespace detail

// The table of a class: what MOHHOS_PLUGIN exports.
template <class T>
struct Exported {
  static_assert(std::derived_from<T, Plugin>, "a plugin is a class derived from mohhos::Plugin");
  static const mohhos_host_t* host_of(void* self) { return static_cast<Plugin*>(self)->host_; }

  template <class Hook>
  static std::int32_t run(void* self, Hook&& hook) noexcept {
    return detail::guard(host_of(self), [&] {
      hook(*static_cast<Plugin*>(self));
      return MOHHOS_OK;
    });
  }

  static void* create(const mohhos_host_t* host) noexcept {
    detail::process_host = Plugin::starting_host = host;
    std::set_terminate(&detail::terminated);
    Plugin* made = nullptr;
    detail::guard(host, [&] {
      made = new T(); // guard() catches. NOLINT(bugprone-unhandled-exception-at-new)
      return MOHHOS_OK;
    });
    return made;
  }
  static std::int32_t on_init(void* self) noexcept {
    return run(self, [](Plugin& plugin) { plugin.on_init(); });
  }
  static std::int32_t on_start(void* self) noexcept {
    return run(self, [](Plugin& plugin) { plugin.on_start(); });
  }
  static std::int32_t on_stop(void* self) noexcept {
    return run(self, [](Plugin& plugin) { plugin.on_stop(); });
  }
  static std::int32_t on_message(void* self, const mohhos_message_t* message) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_message(Message(*message)); });
  }
  static std::int32_t on_work(void* self) noexcept {
    return detail::guard(host_of(self),
                         [&] { return static_cast<Plugin*>(self)->on_work() ? 1 : 0; });
  }
  static std::int32_t on_config(void* self, const char* key, const char* value) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_config(key, value); });
  }
  static std::int32_t on_peer(void* self, std::uint64_t peer, std::uint32_t what) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_peer(peer, what); });
  }
  static std::int32_t on_cancel(void* self, const mohhos_request_t* request) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_cancel(*request); });
  }
  static void destroy(void* self) noexcept {
    auto* const plugin = static_cast<Plugin*>(self);
#if defined(__cpp_impl_coroutine)
    plugin->tasks_.clear(); // while all that their frames refer to is still there
#endif
    delete plugin;
  }

  static constexpr mohhos_plugin_t table(const char* name) {
    return {.struct_size = sizeof(mohhos_plugin_t),
            .abi_version = MOHHOS_ABI_VERSION,
            .name = name,
            .create = &create,
            .on_init = &on_init,
            .on_start = &on_start,
            .on_stop = &on_stop,
            .on_message = &on_message,
            .on_work = &on_work,
            .on_config = &on_config,
            .on_peer = &on_peer,
            .destroy = &destroy,
            .on_cancel = &on_cancel};
  }
};

} // namespace mohhos

// mohhos_add_plugin() says the manifest's name to the compiler; without it the name is not
// cross-checked.
#ifndef MOHHOS_PLUGIN_NAME
#define MOHHOS_PLUGIN_NAME nullptr
#endif

// Once per plugin, at namespace scope: exports Class as this shared object's plugin.
#define MOHHOS_PLUGIN(Class)                                                                       \
  extern "C" {                                                                                     \
  constexpr mohhos_plugin_t mohhos_plugin = ::mohhos::Exported<Class>::table(MOHHOS_PLUGIN_NAME);  \
  }
