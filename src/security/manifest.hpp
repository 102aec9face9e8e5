// The manifest: plugin.toml → PluginManifest (proto/mohhos/v1/manifest.proto) → canonical bytes (an
// ELF section of the signed file) → model::Metadata.
//
// Both ways in, text and bytes, end in the same checks, and there is no other way to a Metadata.
// Nothing is guessed: an unknown key (with the nearest known one), a wrong kind of value, a value
// out of range, a path that is not absolute and normal, an ACL without its capability are errors,
// each with file and line (as far as there is a file), the key, the value, and what is allowed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/units.hpp"
#include "model/metadata.hpp"

namespace mohhos::security {

inline constexpr Bytes kLargestManifest = kib(64); // of either form
inline constexpr std::string_view kManifestSection = ".mohhos.manifest";

// The content of a plugin.toml; `file` is its name in errors. Invalid: something in it is wrong.
// [pure]
[[nodiscard]] Result<model::Metadata> parse_manifest_toml(std::string_view text,
                                                          std::string_view file);

// The content of a plugin.toml, checked, as canonical bytes: the same manifest gives the same
// bytes. [pure]
[[nodiscard]] Result<std::string> compile_manifest(std::string_view text, std::string_view file);

// Canonical bytes, as they come out of a verified plugin file. Malformed: no manifest;
// Incompatible: it uses something that this version does not know; Invalid: something in it is
// wrong. [pure]
[[nodiscard]] Result<model::Metadata> parse_manifest(std::span<const std::byte> bytes);

// The manifest as plugin.toml would say it, for `plugctl inspect`. Same errors as parse_manifest.
// [pure]
[[nodiscard]] Result<std::string> manifest_json(std::span<const std::byte> bytes);

} // namespace mohhos::security
