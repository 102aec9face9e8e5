// Sections by name. Section headers mean nothing to ld.so; they are used only to find the manifest.
#include <algorithm>

#include <elf.h>

#include "base/reader.hpp"
#include "security/elf.hpp"

namespace mohhos::security {
namespace {

// Whether the string at `offset` of the table is `name`, terminator included.
bool is_named(std::span<const std::byte> table, std::uint64_t offset, std::string_view name) {
  const auto found = Reader(table).range(offset, name.size() + 1);
  return found && (*found)[name.size()] == std::byte{0} &&
         std::memcmp(found->data(), name.data(), name.size()) == 0;
}

} // namespace

Result<std::span<const std::byte>> find_section(std::span<const std::byte> bytes,
                                                std::string_view name) {
  const Reader reader(bytes);
  const auto header = reader.at<Elf64_Ehdr>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
    return fail(Code::Malformed, "not a 64-bit ELF file");
  if (header->e_shnum == 0)
    return fail(Code::NotFound, "it has no sections, so no {} either", name);
  if (header->e_shentsize != sizeof(Elf64_Shdr) ||
      !reader.range(header->e_shoff, std::uint64_t{header->e_shnum} * sizeof(Elf64_Shdr)))
    return fail(Code::Malformed, "its section headers are not inside the file: it is truncated");
  const auto section_at = [&](std::uint64_t index) {
    return *reader.at<Elf64_Shdr>(header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  if (header->e_shstrndx >= header->e_shnum)
    return fail(Code::Malformed, "its sections have no names");
  const Elf64_Shdr names = section_at(header->e_shstrndx);
  const auto table = reader.range(names.sh_offset, names.sh_size);
  if (!table) return fail(Code::Malformed, "the names of its sections are not inside the file");

  std::optional<std::span<const std::byte>> content;
  for (std::uint64_t i = 0; i < header->e_shnum; ++i) {
    const Elf64_Shdr section = section_at(i);
    if (!is_named(*table, section.sh_name, name)) continue;
    if (content) return fail(Code::Malformed, "it has two sections named {}", name);
    if (section.sh_type == SHT_NOBITS)
      return fail(Code::Malformed, "its section {} has no content", name);
    content = reader.range(section.sh_offset, section.sh_size);
    if (!content) return fail(Code::Malformed, "its section {} is not inside the file", name);
  }
  if (!content) return fail(Code::NotFound, "it has no section {}", name);
  return *content;
}

} // namespace mohhos::security
