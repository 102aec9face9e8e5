// The build id: names the exact build in crash reports. Nothing is decided by it, so a malformed
// note is no build id and no refusal.
#include "security/elf_view.hpp"

namespace mohhos::security {
namespace {

constexpr std::uint64_t kMostNotes = 64;

constexpr std::uint64_t padded(std::uint64_t size) {
  return (size + 3) / 4 * 4;
}

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::string find_build_id(std::span<const std::byte> notes) {
  const Reader reader(notes);
  std::uint64_t offset = 0;
  for (std::uint64_t count = 0; count < kMostNotes; ++count) {
    const auto note = reader.at<Elf64_Nhdr>(offset);
    if (!note) return {};
    const auto name = reader.range(offset + sizeof(Elf64_Nhdr), note->n_namesz);
    const auto content =
        reader.range(offset + sizeof(Elf64_Nhdr) + padded(note->n_namesz), note->n_descsz);
    if (!name || !content) return {};
    if (note->n_type == NT_GNU_BUILD_ID && name->size() == sizeof ELF_NOTE_GNU &&
        content->size() <= 64 && std::memcmp(name->data(), ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0)
      return hexadecimal(*content);
    offset += sizeof(Elf64_Nhdr) + padded(note->n_namesz) + padded(note->n_descsz);
  }
  return {};
}

} // namespace

void read_build_id(ElfView& view) {
  for (const Elf64_Phdr& segment : view.segments) {
    if (segment.p_type != PT_NOTE || !view.report.build_id.empty()) continue;
    if (const auto notes = view.reader.range(segment.p_offset, segment.p_filesz))
      view.report.build_id = find_build_id(*notes);
  }
}

} // namespace mohhos::security
