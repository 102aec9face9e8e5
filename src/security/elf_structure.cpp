// The rules about the shape of the file. Each fills the part of the view that it checked; when one
// refuses, the reading ends there.
#include "security/elf_view.hpp"

#include <algorithm>
#include <bit>
#include <set>

namespace mohhos::security {
namespace {

constexpr std::size_t kMostSegments = 64;
constexpr std::uint64_t kMostMemory = 1ULL << 31; // of all segments, once loaded
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kLargestAlignment = 1ULL << 21; // a huge page

constexpr std::uint64_t page_down(std::uint64_t address) {
  return address & ~(kPage - 1);
}

// Tags that may come more than once. Of any other, ld.so takes the last one and other tools the
// first.
bool may_repeat(std::int64_t tag) {
  return tag == DT_NEEDED || tag == DT_AUXILIARY || tag == DT_FILTER || tag == DT_POSFLAG_1;
}

Outcome check_segment(const ElfView& view, const Elf64_Phdr& segment, std::size_t index) {
  if (segment.p_type == PT_NULL || segment.p_type == PT_GNU_STACK) return pass();
  if (!view.reader.range(segment.p_offset, segment.p_filesz))
    return refuse(
        "segment {} (offset {:#x}, {:#x} bytes) reaches past the end of the file ({:#x} bytes)",
        index, segment.p_offset, segment.p_filesz, view.bytes.size());
  if (segment.p_vaddr > INT64_MAX || segment.p_memsz > kMostMemory)
    return refuse("segment {} wants {:#x} bytes at {:#x}", index, segment.p_memsz, segment.p_vaddr);
  if (segment.p_filesz > segment.p_memsz)
    return refuse("segment {} is longer in the file ({:#x}) than in memory ({:#x})", index,
                  segment.p_filesz, segment.p_memsz);
  if (segment.p_align > 1 && !std::has_single_bit(segment.p_align))
    return refuse("segment {} has the alignment {:#x}, which is no power of two", index,
                  segment.p_align);
  if (segment.p_type != PT_LOAD) return pass();
  if (segment.p_align < kPage || segment.p_align > kLargestAlignment)
    return refuse("segment {} is aligned to {:#x}: it must be from {:#x} to {:#x}", index,
                  segment.p_align, kPage, kLargestAlignment);
  if ((segment.p_vaddr - segment.p_offset) % segment.p_align != 0)
    return refuse(
        "segment {} lies at {:#x} in memory and at {:#x} in the file, not alike to its alignment",
        index, segment.p_vaddr, segment.p_offset);
  return pass();
}

} // namespace

Outcome read_header(ElfView& view, const ElfPolicy&) {
  const auto ident = view.reader.range(0, EI_NIDENT);
  if (!ident || std::memcmp(ident->data(), ELFMAG, SELFMAG) != 0)
    return refuse("it does not begin with \\x7fELF");
  const auto header = view.reader.at<Elf64_Ehdr>(0);
  if (!header)
    return refuse("{} bytes are too few for an ELF header: the file is truncated",
                  view.bytes.size());
  view.header = *header;
  if (header->e_ident[EI_VERSION] != EV_CURRENT)
    return refuse("ELF version {}", header->e_ident[EI_VERSION]);
  return pass();
}

Outcome check_machine(ElfView& view, const ElfPolicy&) {
  const auto& ident = view.header.e_ident;
  if (ident[EI_CLASS] != ELFCLASS64)
    return refuse("it is a 32-bit file (class {})", ident[EI_CLASS]);
  if (ident[EI_DATA] != ELFDATA2LSB) return refuse("it is a big-endian file");
  if (view.header.e_machine != EM_X86_64)
    return refuse("it is for machine {}, and this is machine {} (x86-64)", view.header.e_machine,
                  EM_X86_64);
  if (ident[EI_OSABI] != ELFOSABI_SYSV && ident[EI_OSABI] != ELFOSABI_GNU)
    return refuse("it is for another operating system (ABI {})", ident[EI_OSABI]);
  return pass();
}

Outcome check_type(ElfView& view, const ElfPolicy&) {
  switch (view.header.e_type) {
  case ET_DYN: return pass();
  case ET_REL: return refuse("it is an object file: link it with -shared");
  case ET_EXEC: return refuse("it is a program: link it with -shared");
  case ET_CORE: return refuse("it is a core dump");
  default: return refuse("it has the type {}", view.header.e_type);
  }
}

Outcome read_segments(ElfView& view, const ElfPolicy&) {
  const Elf64_Ehdr& header = view.header;
  if (header.e_phentsize != sizeof(Elf64_Phdr))
    return refuse("its program headers have {} bytes each instead of {}", header.e_phentsize,
                  sizeof(Elf64_Phdr));
  if (header.e_phnum == 0 || header.e_phnum > kMostSegments)
    return refuse("it has {} program headers: from 1 to {} are allowed", header.e_phnum,
                  kMostSegments);
  if (!view.reader.range(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr)))
    return refuse("its program headers (at {:#x}) reach past the end of the file ({:#x} bytes): it "
                  "is truncated",
                  header.e_phoff, view.bytes.size());
  for (std::size_t i = 0; i < header.e_phnum; ++i)
    view.segments.push_back(*view.reader.at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr)));
  return pass();
}

Outcome check_layout(ElfView& view, const ElfPolicy&) {
  std::uint64_t end = 0; // of the loaded segments so far, in whole pages
  bool loads = false;
  for (std::size_t i = 0; i < view.segments.size(); ++i) {
    const Elf64_Phdr& segment = view.segments[i];
    if (Outcome outcome = check_segment(view, segment, i); outcome.verdict != Verdict::Pass)
      return outcome;
    if (segment.p_type != PT_LOAD) continue;
    if (loads && page_down(segment.p_vaddr) < end)
      return refuse("segment {} at {:#x} overlaps the one before it, or is out of order", i,
                    segment.p_vaddr);
    end = page_down(segment.p_vaddr + segment.p_memsz + kPage - 1);
    loads = true;
  }
  if (!loads) return refuse("nothing of it is loaded into memory");
  if (end > kMostMemory)
    return refuse("it wants {:#x} bytes of memory, and the limit is {:#x}", end, kMostMemory);
  return pass();
}

// ld.so takes PT_DYNAMIC by its address and reads up to DT_NULL; so do we, and both views of it
// must agree.
Outcome read_dynamic(ElfView& view, const ElfPolicy&) {
  const auto count =
      std::ranges::count(view.segments, std::uint32_t{PT_DYNAMIC}, &Elf64_Phdr::p_type);
  if (count != 1) return refuse("it has {} PT_DYNAMIC segments instead of one", count);
  const Elf64_Phdr& segment = *view.find_segment(PT_DYNAMIC);
  const auto content = view.at_address(segment.p_vaddr, segment.p_filesz);
  if (!content || content->data() != view.bytes.data() + segment.p_offset)
    return refuse("its dynamic section at {:#x} is not what is loaded there", segment.p_vaddr);
  if (segment.p_vaddr % alignof(Elf64_Dyn) != 0)
    return refuse("its dynamic section is not aligned");
  const Reader reader(*content);
  std::set<std::int64_t> seen;
  for (std::uint64_t offset = 0;; offset += sizeof(Elf64_Dyn)) {
    const auto entry = reader.at<Elf64_Dyn>(offset);
    if (!entry) return refuse("its dynamic section has no end");
    if (entry->d_tag == DT_NULL) return pass();
    if (!may_repeat(entry->d_tag) && !seen.insert(entry->d_tag).second)
      return refuse("its dynamic section has the tag {:#x} twice", entry->d_tag);
    view.dynamic.push_back(*entry);
  }
}

Outcome read_strings(ElfView& view, const ElfPolicy&) {
  const auto address = view.dynamic_value(DT_STRTAB);
  const auto size = view.dynamic_value(DT_STRSZ);
  if (!address || !size) return refuse("it has no dynamic string table");
  const auto strings = view.at_address(*address, *size);
  if (!strings || strings->empty() || strings->back() != std::byte{0})
    return refuse("its string table ({:#x} bytes at {:#x}) is not inside a segment, or has no end",
                  *size, *address);
  view.strings = *strings;
  for (const Elf64_Dyn& entry : view.dynamic) {
    if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME) continue;
    const auto name = view.take_name(entry.d_un.d_val);
    if (!name) return refuse("a library's name lies outside the string table");
    if (entry.d_tag == DT_NEEDED)
      view.report.needed.emplace_back(*name);
    else
      view.report.soname = *name;
  }
  return pass();
}

} // namespace mohhos::security
