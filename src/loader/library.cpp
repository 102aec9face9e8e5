#include "loader/library.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>

namespace mohhos::loader {
namespace {
// Without the callbacks that version 1 began with there is no plugin; what was appended later is
// optional.
constexpr std::size_t kSmallestTable = offsetof(mohhos_plugin_t, on_cancel);
constexpr char kSymbol[] = "mohhos_plugin";
} // namespace

Result<> verify_table(const mohhos_plugin_t& plugin, std::string_view manifest_name) {
  if (plugin.abi_version != MOHHOS_ABI_VERSION)
    return fail(Code::Incompatible,
                "the plugin was built for ABI version {}, this host has version {}: build it again "
                "with this SDK",
                plugin.abi_version, MOHHOS_ABI_VERSION);
  if (plugin.struct_size < kSmallestTable)
    return fail(Code::Incompatible, "the plugin's table has {} bytes, ABI version {} needs {}",
                plugin.struct_size, MOHHOS_ABI_VERSION, kSmallestTable);
  if (plugin.create == nullptr)
    return fail(Code::Incompatible, "the plugin's table has no create()");
  if (plugin.name != nullptr && manifest_name != plugin.name)
    return fail(Code::Incompatible, "the code says it is '{}', its manifest says '{}'", plugin.name,
                manifest_name);
  return {};
}

Result<Library> Library::open(const char* path, std::string_view manifest_name) {
  void* handle = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();
    return fail(Code::Incompatible, "the dynamic linker refused the plugin: {}",
                why != nullptr ? why : "no reason given");
  }
  const auto* plugin = static_cast<const mohhos_plugin_t*>(::dlsym(handle, kSymbol));
  if (plugin == nullptr)
    return fail(Code::Incompatible, "the plugin exports no '{}': is MOHHOS_PLUGIN(Class) missing?",
                kSymbol);
  TRY(verify_table(*plugin, manifest_name));
  return Library(*plugin);
}

Library::Library(const mohhos_plugin_t& plugin) {
  std::memcpy(&plugin_, &plugin, std::min<std::size_t>(plugin.struct_size, sizeof plugin_));
}

} // namespace mohhos::loader
