// The plugin's shared object in this process: opened once, checked, never closed (its code may be
// on some stack).
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "mohhos/abi.h"

namespace mohhos::loader {

// A table that has passed verify_table(), as this version has it: what the plugin's table is too
// short for is NULL.
class Library {
public:
  // dlopen(RTLD_NOW | RTLD_LOCAL): runs the plugin's IFUNC resolvers and constructors, so
  // everything that is to confine them stands before. Incompatible: ld.so says no, no
  // `mohhos_plugin`, or another ABI. [loop]
  [[nodiscard]] static Result<Library> open(const char* path, std::string_view manifest_name);
  [[nodiscard]] const mohhos_plugin_t& plugin() const noexcept { return plugin_; }

private:
  explicit Library(const mohhos_plugin_t& plugin);
  mohhos_plugin_t plugin_{};
};

// Whether this host can drive that table; the text names both numbers. [pure]
[[nodiscard]] Result<> verify_table(const mohhos_plugin_t& plugin, std::string_view manifest_name);

} // namespace mohhos::loader
