// Static analysis of a plugin file: what ld.so would do with these bytes, judged before it does.
//
// Everything is read from the program headers, as ld.so reads them: section headers are decoration
// and may lie. The rules are one table with ids (kElfRules, printed into the docs); each gets a
// verdict. Analysis is advice about honest mistakes and a first net for dishonest ones: the sandbox
// stands before the first instruction runs, whatever this says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mohhos::security {

enum class Verdict : unsigned char {
  Pass,
  Warning,
  Refused,
  Skipped
}; // Skipped: an earlier rule ended the reading

struct ElfFinding {
  std::string_view rule;  // "EL-07"
  std::string_view title; // "no segment is writable and executable"
  Verdict verdict = Verdict::Skipped;
  Code code = Code::Malformed; // of the refusal
  std::string text;            // what was found; empty when it passes
};

struct ElfReport {
  std::vector<ElfFinding> findings; // one for each rule, in the table's order
  std::string soname;
  std::string build_id;             // hexadecimal; empty: none
  std::vector<std::string> needed;  // DT_NEEDED
  std::vector<std::string> imports; // undefined dynamic symbols
  std::vector<std::string> exports; // defined ones
  std::uint64_t constructors = 0;   // DT_INIT and entries of DT_INIT_ARRAY
  std::uint64_t ifuncs = 0;         // IRELATIVE relocations and IFUNC symbols

  // The first refusal: "EL-07 no segment is writable and executable: …". Incompatible for another
  // machine, Malformed for bytes that are no shared object, Untrusted for what a plugin must not
  // have. [pure]
  [[nodiscard]] Result<> may_load() const;
};

struct ElfPolicy {
  // Basenames that DT_NEEDED may name; '*' at the end matches any rest.
  std::vector<std::string> libraries;
  static ElfPolicy standard(); // the table kLibraries in elf_rules.cpp
};

// The exported symbol without which a file is no plugin (include/mohhos/abi.h). Name and check are
// EL's.
inline constexpr std::string_view kPluginSymbol = "mohhos_plugin";

// Any bytes; bounded time and memory (about the input's size). [pure]
[[nodiscard]] ElfReport analyse_elf(std::span<const std::byte> bytes, const ElfPolicy& policy);

// The content of a section, found by the section headers. NotFound: there is none of that name;
// Malformed: headers out of bounds, or two of that name. [pure]
[[nodiscard]] Result<std::span<const std::byte>> find_section(std::span<const std::byte> bytes,
                                                              std::string_view name);

struct ElfRule {
  std::string_view id;
  std::string_view title;
  std::string_view why;
};
// The rules as a table, for docs and `plugctl inspect`. [pure]
[[nodiscard]] std::span<const ElfRule> elf_rules();

} // namespace mohhos::security
