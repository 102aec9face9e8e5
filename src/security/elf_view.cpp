#include "security/elf_view.hpp"

#include <algorithm>

namespace mohhos::security {
namespace {

constexpr std::size_t kLongestSymbol = 4096;

// [address, address+size) inside [start, start+length), without overflow.
bool inside(std::uint64_t address, std::uint64_t size, std::uint64_t start, std::uint64_t length) {
  return address >= start && address - start <= length && size <= length - (address - start);
}

} // namespace

std::optional<std::span<const std::byte>> ElfView::at_address(std::uint64_t address,
                                                              std::uint64_t size) const {
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_type == PT_LOAD && inside(address, size, segment.p_vaddr, segment.p_filesz))
      return reader.range(segment.p_offset + (address - segment.p_vaddr), size);
  return std::nullopt;
}

std::optional<std::span<const std::byte>> ElfView::from_address(std::uint64_t address) const {
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_type == PT_LOAD && inside(address, 1, segment.p_vaddr, segment.p_filesz))
      return at_address(address, segment.p_filesz - (address - segment.p_vaddr));
  return std::nullopt;
}

const Elf64_Phdr* ElfView::segment_at(std::uint64_t address, std::uint64_t size) const {
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_type == PT_LOAD && inside(address, size, segment.p_vaddr, segment.p_memsz))
      return &segment;
  return nullptr;
}

const Elf64_Phdr* ElfView::find_segment(std::uint32_t type) const {
  const auto found = std::ranges::find(segments, type, &Elf64_Phdr::p_type);
  return found == segments.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> ElfView::dynamic_value(std::int64_t tag) const {
  const auto found = std::ranges::find(dynamic, tag, &Elf64_Dyn::d_tag);
  if (found == dynamic.end()) return std::nullopt;
  return found->d_un.d_val;
}

std::optional<std::string_view> ElfView::take_name(std::uint64_t offset) {
  if (offset >= strings.size()) return std::nullopt;
  const auto rest = strings.subspan(static_cast<std::size_t>(offset));
  const auto window = rest.first(std::min({rest.size(), kLongestSymbol, name_budget}));
  const auto end = std::ranges::find(window, std::byte{0});
  if (end == window.end()) return std::nullopt;
  const auto length = static_cast<std::size_t>(end - window.begin());
  name_budget -= length + 1;
  return std::string_view(reinterpret_cast<const char*>(window.data()), length);
}

} // namespace mohhos::security
