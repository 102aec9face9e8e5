// The warden's own look at a Spec, and what paths mean to the log. Pure.
#pragma once

#include <string_view>

#include "sandbox/spec.hpp"

namespace mohhos::sandbox {

// Whether every field is one that compile() could have made: version, counts, bounds, absolute and
// normal paths, nothing mounted over our own places, unused bytes zero. Invalid names the field.
// [pure]
[[nodiscard]] Result<> verify_spec(const Spec& spec);

// What an opening of `path` (as the plugin gave it; its working directory is always /) is to the
// log.
enum class PathClass : unsigned char {
  Outside, // not in the sandbox's root at all: refuse
  Silent,  // libraries, /tmp, /dev/null and the like: let it pass, do not log
  Granted, // the ACL's: let it pass, log it
};
// By the text alone, "." and ".." resolved lexically. The walls decide; this only words the log.
// [pure]
[[nodiscard]] PathClass classify_path(const Spec& spec, std::string_view path);

} // namespace mohhos::sandbox
