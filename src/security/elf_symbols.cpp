// The rules about symbols and relocations: what the file takes from others, what it gives, and
// where ld.so will write.
#include "security/elf_view.hpp"

#include <algorithm>
#include <array>

namespace mohhos::security {
namespace {

constexpr std::uint64_t kSymbol = sizeof(Elf64_Sym);

// The number of dynamic symbols by DT_GNU_HASH: defined symbols are sorted by bucket, so the last
// one ends the chain of the highest bucket. Nothing: malformed.
std::optional<std::uint64_t> count_by_gnu_hash(const ElfView& view, std::uint64_t address) {
  const auto table = view.from_address(address);
  if (!table) return std::nullopt;
  const Reader reader(*table);
  const auto buckets = reader.at<std::uint32_t>(0);
  const auto first = reader.at<std::uint32_t>(4);
  const auto bloom_words = reader.at<std::uint32_t>(8);
  if (!buckets || !first || !bloom_words || *buckets == 0) return std::nullopt;
  const std::uint64_t bucket_start = 16 + std::uint64_t{*bloom_words} * 8;
  const std::uint64_t chain_start = bucket_start + std::uint64_t{*buckets} * 4;
  std::uint32_t highest = 0;
  for (std::uint64_t i = 0; i < *buckets; ++i) {
    const auto bucket = reader.at<std::uint32_t>(bucket_start + i * 4);
    if (!bucket) return std::nullopt;
    highest = std::max(highest, *bucket);
  }
  if (highest < *first) return *first; // nothing is defined
  for (std::uint64_t index = highest;; ++index) {
    const auto hash = reader.at<std::uint32_t>(chain_start + (index - *first) * 4);
    if (!hash) return std::nullopt;
    if ((*hash & 1U) != 0) return index + 1;
  }
}

std::optional<std::uint64_t> count_symbols(const ElfView& view) {
  if (const auto gnu = view.dynamic_value(DT_GNU_HASH)) return count_by_gnu_hash(view, *gnu);
  const auto address = view.dynamic_value(DT_HASH);
  const auto table = address ? view.at_address(*address, 8) : std::nullopt;
  const auto chains = table ? Reader(*table).at<std::uint32_t>(4) : std::nullopt;
  if (!chains) return std::nullopt;
  return *chains;
}

Elf64_Sym symbol_at(const ElfView& view, std::uint64_t index) {
  return Reader(view.symbols).at<Elf64_Sym>(index * kSymbol).value_or(Elf64_Sym{});
}

std::uint64_t symbol_count(const ElfView& view) {
  return view.symbols.size() / kSymbol;
}

// x86-64 relocations that a shared object may have at run time, and how many bytes each writes.
struct RelocationRow {
  std::uint32_t type;
  std::uint64_t size;
};
constexpr std::array kRelocations = {
    RelocationRow{R_X86_64_NONE, 0},     RelocationRow{R_X86_64_64, 8},
    RelocationRow{R_X86_64_GLOB_DAT, 8}, RelocationRow{R_X86_64_JUMP_SLOT, 8},
    RelocationRow{R_X86_64_RELATIVE, 8}, RelocationRow{R_X86_64_DTPMOD64, 8},
    RelocationRow{R_X86_64_DTPOFF64, 8}, RelocationRow{R_X86_64_TPOFF64, 8},
    RelocationRow{R_X86_64_TLSDESC, 16}, RelocationRow{R_X86_64_IRELATIVE, 8},
};

Outcome check_target(const ElfView& view, std::uint64_t address, std::uint64_t size) {
  const Elf64_Phdr* segment = view.segment_at(address, size);
  if (segment == nullptr)
    return refuse("a relocation writes to {:#x}, outside of every segment", address);
  if ((segment->p_flags & PF_W) == 0)
    return refuse("a relocation writes to {:#x}, in a read-only segment", address);
  return pass();
}

// One table of Elf64_Rela.
Outcome check_table(ElfView& view, std::uint64_t address, std::uint64_t size) {
  const auto table = view.at_address(address, size);
  if (!table || size % sizeof(Elf64_Rela) != 0)
    return refuse("a relocation table ({:#x} bytes at {:#x}) is not inside a segment", size,
                  address);
  const Reader reader(*table);
  for (std::uint64_t offset = 0; offset < size; offset += sizeof(Elf64_Rela)) {
    const Elf64_Rela entry = *reader.at<Elf64_Rela>(offset);
    const auto type = static_cast<std::uint32_t>(ELF64_R_TYPE(entry.r_info));
    const auto row = std::ranges::find(kRelocations, type, &RelocationRow::type);
    if (row == kRelocations.end())
      return refuse("it has a relocation of type {}, which a plugin cannot need", type);
    if (ELF64_R_SYM(entry.r_info) >= std::max<std::uint64_t>(1, symbol_count(view)))
      return refuse("a relocation names symbol {}, and there are {}", ELF64_R_SYM(entry.r_info),
                    symbol_count(view));
    if (type == R_X86_64_IRELATIVE) ++view.report.ifuncs;
    if (row->size == 0) continue;
    if (Outcome outcome = check_target(view, entry.r_offset, row->size);
        outcome.verdict != Verdict::Pass)
      return outcome;
  }
  return pass();
}

// DT_RELR: addresses, and bitmaps (odd words) of the 63 words that follow.
Outcome check_compact_table(const ElfView& view, std::uint64_t address, std::uint64_t size) {
  const auto table = view.at_address(address, size);
  if (!table || size % 8 != 0) return refuse("a compact relocation table is not inside a segment");
  const Reader reader(*table);
  std::uint64_t where = 0;
  for (std::uint64_t offset = 0; offset < size; offset += 8) {
    const std::uint64_t word = *reader.at<std::uint64_t>(offset);
    if ((word & 1U) == 0) {
      if (Outcome outcome = check_target(view, word, 8); outcome.verdict != Verdict::Pass)
        return outcome;
      where = word + 8;
      continue;
    }
    for (unsigned bit = 1; bit < 64; ++bit) {
      if ((word >> bit & 1U) == 0) continue;
      if (Outcome outcome = check_target(view, where + 8 * (bit - 1), 8);
          outcome.verdict != Verdict::Pass)
        return outcome;
    }
    where += 8ULL * 63;
  }
  return pass();
}

// What the sandbox refuses to most plugins: worth knowing before it happens.
constexpr std::array<std::string_view, 20> kSensitive = {
    "execve",   "execv",  "execvp",  "fexecve", "posix_spawn", "fork", "vfork",
    "system",   "popen",  "ptrace",  "socket",  "connect",     "bind", "memfd_create",
    "mprotect", "dlopen", "syscall", "setuid",  "unshare",     "mount"};

} // namespace

Outcome read_symbols(ElfView& view, const ElfPolicy&) {
  const auto address = view.dynamic_value(DT_SYMTAB);
  const auto count = count_symbols(view);
  if (!address || !count)
    return refuse("it has no dynamic symbol table, or its hash table is broken");
  if (view.dynamic_value(DT_SYMENT).value_or(kSymbol) != kSymbol)
    return refuse("its symbols have an unknown size");
  // *count is below 2^32 + 1: no overflow.
  const auto symbols = view.at_address(*address, *count * kSymbol);
  if (!symbols)
    return refuse("its {} symbols at {:#x} are not all inside a segment", *count, *address);
  view.symbols = *symbols;
  for (std::uint64_t i = 1; i < *count; ++i) {
    const Elf64_Sym symbol = symbol_at(view, i);
    const auto name = view.take_name(symbol.st_name);
    if (!name)
      return refuse(
          "the name of symbol {} is outside the string table, or longer than names may be", i);
    if (ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC && symbol.st_shndx != SHN_UNDEF)
      ++view.report.ifuncs;
    if (name->empty()) continue;
    (symbol.st_shndx == SHN_UNDEF ? view.report.imports : view.report.exports).emplace_back(*name);
  }
  return pass();
}

Outcome check_relocations(ElfView& view, const ElfPolicy&) {
  if (view.dynamic_value(DT_REL))
    return refuse("it has relocations without addends (DT_REL), which x86-64 has not");
  if (view.dynamic_value(DT_RELAENT).value_or(sizeof(Elf64_Rela)) != sizeof(Elf64_Rela))
    return refuse("its relocations have an unknown size");
  if (view.dynamic_value(DT_JMPREL) && view.dynamic_value(DT_PLTREL).value_or(0) != DT_RELA)
    return refuse("its jump table has relocations of another kind");
  if (const auto table = view.dynamic_value(DT_RELA)) {
    Outcome outcome = check_table(view, *table, view.dynamic_value(DT_RELASZ).value_or(0));
    if (outcome.verdict != Verdict::Pass) return outcome;
  }
  if (const auto table = view.dynamic_value(DT_JMPREL)) {
    Outcome outcome = check_table(view, *table, view.dynamic_value(DT_PLTRELSZ).value_or(0));
    if (outcome.verdict != Verdict::Pass) return outcome;
  }
  constexpr std::int64_t kRelr = 36;
  constexpr std::int64_t kRelrSize = 35;
  if (const auto table = view.dynamic_value(kRelr))
    return check_compact_table(view, *table, view.dynamic_value(kRelrSize).value_or(0));
  return pass();
}

Outcome check_plugin_symbol(ElfView& view, const ElfPolicy&) {
  for (std::uint64_t i = 1; i < symbol_count(view); ++i) {
    const Elf64_Sym symbol = symbol_at(view, i);
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= view.strings.size()) continue;
    const auto name = view.strings.subspan(symbol.st_name);
    if (name.size() <= kPluginSymbol.size() || name[kPluginSymbol.size()] != std::byte{0} ||
        std::memcmp(name.data(), kPluginSymbol.data(), kPluginSymbol.size()) != 0)
      continue;
    if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT)
      return refuse("its symbol '{}' is no data (type {})", kPluginSymbol,
                    ELF64_ST_TYPE(symbol.st_info));
    if (symbol.st_size < 8 || view.segment_at(symbol.st_value, symbol.st_size) == nullptr)
      return refuse("its symbol '{}' lies outside of every segment", kPluginSymbol);
    return pass();
  }
  return refuse("it does not export '{}': it is a library, but no plugin (include/mohhos/sdk.hpp, "
                "MOHHOS_PLUGIN)",
                kPluginSymbol);
}

Outcome check_ifuncs(ElfView& view, const ElfPolicy&) {
  if (view.report.ifuncs == 0) return pass();
  return warn("{} functions are chosen by code that runs while the file is being loaded",
              view.report.ifuncs);
}

Outcome check_imports(ElfView& view, const ElfPolicy&) {
  std::string found;
  for (const std::string_view name : kSensitive)
    if (std::ranges::find(view.report.imports, name) != view.report.imports.end())
      fmt::format_to(std::back_inserter(found), "{}{}", found.empty() ? "" : ", ", name);
  if (found.empty()) return pass();
  return warn("it imports {}: the sandbox refuses these unless a capability allows them", found);
}

} // namespace mohhos::security
