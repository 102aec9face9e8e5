#include "security/embed.hpp"

#include <cstring>

#include <elf.h>

#include "base/reader.hpp"
#include "security/image.hpp"
#include "security/manifest.hpp"
#include "sys/file.hpp"
#include "sys/status.hpp"

namespace mohhos::security {
namespace {

// The tables that are written anew, as they were.
struct Tables {
  Elf64_Ehdr header{};
  std::vector<Elf64_Shdr> sections;
  std::string names;
};

Result<Tables> read_tables(std::span<const std::byte> object) {
  const Reader reader(object);
  Tables tables;
  const auto header = reader.at<Elf64_Ehdr>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_type != ET_DYN)
    return fail(Code::Malformed, "not a 64-bit ELF shared object");
  tables.header = *header;
  if (header->e_shnum == 0 || header->e_shnum >= SHN_LORESERVE - 1 ||
      header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shstrndx >= header->e_shnum)
    return fail(Code::Malformed, "it has no usable section headers (was it stripped of them?)");
  for (std::uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto section = reader.at<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
    if (!section)
      return fail(Code::Malformed, "its section headers are not inside the file: it is truncated");
    tables.sections.push_back(*section);
  }
  const Elf64_Shdr& names = tables.sections[header->e_shstrndx];
  const auto content = reader.range(names.sh_offset, names.sh_size);
  if (!content) return fail(Code::Malformed, "the names of its sections are not inside the file");
  tables.names.assign(reinterpret_cast<const char*>(content->data()), content->size());
  return tables;
}

template <class T>
std::string_view as_bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Appends at a multiple of eight; the position.
std::uint64_t append(std::string& file, std::string_view bytes) {
  file.resize((file.size() + 7) / 8 * 8);
  const std::uint64_t position = file.size();
  file += bytes;
  return position;
}

Elf64_Shdr& manifest_section(Tables& tables) {
  for (Elf64_Shdr& section : tables.sections)
    if (section.sh_name < tables.names.size() &&
        kManifestSection == tables.names.c_str() + section.sh_name)
      return section;
  Elf64_Shdr section{};
  section.sh_name = static_cast<Elf64_Word>(tables.names.size());
  tables.names += kManifestSection;
  tables.names += '\0';
  tables.sections.push_back(section);
  return tables.sections.back();
}

} // namespace

std::string manifest_assembler(std::string_view manifest) {
  std::string text = fmt::format("\t.section {},\"\",@progbits\n", kManifestSection);
  constexpr std::size_t kPerLine = 16;
  for (std::size_t i = 0; i < manifest.size(); ++i) {
    text += i % kPerLine == 0 ? (i == 0 ? "\t.byte " : "\n\t.byte ") : ",";
    fmt::format_to(std::back_inserter(text), "0x{:02x}", static_cast<unsigned char>(manifest[i]));
  }
  // Without this note the linker takes the source for one that needs an executable stack.
  text += "\n\t.section .note.GNU-stack,\"\",@progbits\n";
  return text;
}

Result<std::string> with_manifest(std::span<const std::byte> object, std::string_view manifest) {
  TRY(Tables tables, read_tables(object));
  std::string file(reinterpret_cast<const char*>(object.data()), object.size());
  Elf64_Shdr& section = manifest_section(tables);
  const Elf64_Word name = section.sh_name;
  section = {};
  section.sh_name = name;
  section.sh_type = SHT_PROGBITS;
  section.sh_addralign = 1;
  section.sh_offset = append(file, manifest);
  section.sh_size = manifest.size();
  Elf64_Shdr& names = tables.sections[tables.header.e_shstrndx];
  names.sh_offset = append(file, tables.names);
  names.sh_size = tables.names.size();
  std::string headers;
  for (const Elf64_Shdr& entry : tables.sections) headers += as_bytes(entry);
  tables.header.e_shoff = append(file, headers);
  tables.header.e_shnum = static_cast<Elf64_Half>(tables.sections.size());
  file.replace(0, sizeof tables.header, as_bytes(tables.header));
  return file;
}

Result<> embed_manifest(const std::filesystem::path& path, std::string_view toml,
                        std::string_view toml_file) {
  TRY(const std::string manifest, compile_manifest(toml, toml_file));
  TRY(const std::string object, sys::read_file(path, kLargestImage));
  TRY(const sys::FileStatus status, sys::status_of(path));
  auto file = with_manifest(std::as_bytes(std::span(object)), manifest);
  if (!file) return std::unexpected(std::move(file).error().within(path.native()));
  return sys::replace_file(path, *file, status.mode & 07777U);
}

} // namespace mohhos::security
