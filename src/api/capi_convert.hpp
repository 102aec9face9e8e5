// The daemon's answers as US-004's structs.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include "mohhos/mohhos.h"
#include "mohhos/v1/control.pb.h"

namespace mohhos::api::capi {

// Frees the lists inside, not the struct. [any]
void clear(plugin_descriptor_t& descriptor) noexcept;

// Overwrites `descriptor`, whose lists are made with malloc; throws std::bad_alloc, and then has
// freed what it made. [any]
void write_descriptor(const v1::PluginInfo& info, plugin_descriptor_t& descriptor);
// Nothing in it is allocated. [pure]
void write_plugin_info(const v1::PluginInfo& info, plugin_info_t& out);

// Zeroed memory for `count` of T; throws std::bad_alloc. For what C code frees. [any]
template <class T>
[[nodiscard]] T* allocate(std::size_t count) {
  auto* memory = static_cast<T*>(std::calloc(count, sizeof(T)));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

} // namespace mohhos::api::capi
