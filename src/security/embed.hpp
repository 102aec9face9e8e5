// How a manifest gets into a plugin file: as section .mohhos.manifest, which is not loaded into
// memory.
//
// CMake's mohhos_add_plugin links an assembler source; other build systems add the section to a
// finished shared object. That is done here on the bytes: content, section names and section
// headers are appended and the ELF header points to them. Nothing that ld.so reads moves or
// changes, no other program is run (objcopy would rewrite the file, and libelf in its usual mode
// lays it out anew).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mohhos::security {

// An assembler source whose only content is the section. [pure]
[[nodiscard]] std::string manifest_assembler(std::string_view manifest);

// The shared object with the section added, or replaced if it has one. Malformed: not an ELF64 file
// with a section table. [pure]
[[nodiscard]] Result<std::string> with_manifest(std::span<const std::byte> object,
                                                std::string_view manifest);

// compile_manifest(toml) into the shared object at `path`, which is replaced whole or not at all
// and keeps its mode. An existing signature does not fit any more. [any]
[[nodiscard]] Result<> embed_manifest(const std::filesystem::path& path, std::string_view toml,
                                      std::string_view toml_file);

} // namespace mohhos::security
