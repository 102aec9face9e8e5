// A shared object as ld.so will see it: by program headers and addresses. Filled step by step by
// the structural rules (elf_structure.cpp, elf_symbols.cpp); a rule may rely on what the rules
// before it filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <elf.h>

#include "base/reader.hpp"
#include "security/elf.hpp"

namespace mohhos::security {

struct ElfView {
  explicit ElfView(std::span<const std::byte> content)
      : bytes(content), reader(content), name_budget(content.size()) {}

  std::span<const std::byte> bytes;
  Reader reader;
  Elf64_Ehdr header{};
  std::vector<Elf64_Phdr> segments;
  std::vector<Elf64_Dyn> dynamic;     // without the DT_NULL at its end
  std::span<const std::byte> strings; // DT_STRTAB
  std::span<const std::byte> symbols; // DT_SYMTAB, as long as the hash table says
  // What names may still cost: many symbols can share one long name, so that a small file could
  // name gigabytes.
  std::size_t name_budget;
  ElfReport report;

  // The file bytes that ld.so maps at [address, address+size); nothing if they are not all the
  // file's. [pure]
  [[nodiscard]] std::optional<std::span<const std::byte>> at_address(std::uint64_t address,
                                                                     std::uint64_t size) const;
  // All file bytes from `address` to the end of its segment. [pure]
  [[nodiscard]] std::optional<std::span<const std::byte>> from_address(std::uint64_t address) const;
  // The loaded segment that holds [address, address+size) in memory. [pure]
  [[nodiscard]] const Elf64_Phdr* segment_at(std::uint64_t address, std::uint64_t size) const;
  [[nodiscard]] const Elf64_Phdr* find_segment(std::uint32_t type) const;
  [[nodiscard]] std::optional<std::uint64_t> dynamic_value(std::int64_t tag) const;
  // A name of the string table, charged to name_budget; nothing when it is not inside, or the
  // budget is spent.
  [[nodiscard]] std::optional<std::string_view> take_name(std::uint64_t offset);
};

// What a rule found.
struct Outcome {
  Verdict verdict = Verdict::Pass;
  std::string text;
};
[[nodiscard]] inline Outcome pass() {
  return {};
}
template <class... Args>
[[nodiscard]] Outcome refuse(fmt::format_string<Args...> format, Args&&... args) {
  return {Verdict::Refused, fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
[[nodiscard]] Outcome warn(fmt::format_string<Args...> format, Args&&... args) {
  return {Verdict::Warning, fmt::format(format, std::forward<Args>(args)...)};
}

using ElfCheck = Outcome (*)(ElfView& view, const ElfPolicy& policy);
// elf_structure.cpp: fill header, segments, dynamic, strings
Outcome read_header(ElfView& view, const ElfPolicy& policy);
Outcome check_machine(ElfView& view, const ElfPolicy& policy);
Outcome check_type(ElfView& view, const ElfPolicy& policy);
Outcome read_segments(ElfView& view, const ElfPolicy& policy);
Outcome check_layout(ElfView& view, const ElfPolicy& policy);
Outcome read_dynamic(ElfView& view, const ElfPolicy& policy);
Outcome read_strings(ElfView& view, const ElfPolicy& policy);
// elf_symbols.cpp: fill symbols, imports, exports
Outcome read_symbols(ElfView& view, const ElfPolicy& policy);
Outcome check_relocations(ElfView& view, const ElfPolicy& policy);
Outcome check_plugin_symbol(ElfView& view, const ElfPolicy& policy);
Outcome check_ifuncs(ElfView& view, const ElfPolicy& policy);
Outcome check_imports(ElfView& view, const ElfPolicy& policy);

// elf_notes.cpp: fills report.build_id
void read_build_id(ElfView& view);

} // namespace mohhos::security
