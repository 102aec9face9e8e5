// The table of rules, and the rules that only look at what the structural ones have read.
#include "security/elf_view.hpp"

#include <algorithm>
#include <array>

namespace mohhos::security {
namespace {

Outcome check_no_program(ElfView& view, const ElfPolicy&) {
  if (view.find_segment(PT_INTERP) != nullptr) return refuse("it names a program interpreter");
  return pass();
}

Outcome check_write_xor_execute(ElfView& view, const ElfPolicy&) {
  for (std::size_t i = 0; i < view.segments.size(); ++i) {
    const Elf64_Phdr& segment = view.segments[i];
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) != 0 && (segment.p_flags & PF_X) != 0)
      return refuse("segment {} at {:#x} is both", i, segment.p_vaddr);
  }
  return pass();
}

Outcome check_stack(ElfView& view, const ElfPolicy&) {
  const Elf64_Phdr* stack = view.find_segment(PT_GNU_STACK);
  if (stack == nullptr) return refuse("it has no PT_GNU_STACK, which means an executable stack");
  if ((stack->p_flags & PF_X) != 0) return refuse("it asks for one (link with -z noexecstack)");
  if (std::ranges::count(view.segments, std::uint32_t{PT_GNU_STACK}, &Elf64_Phdr::p_type) > 1)
    return refuse("it has several PT_GNU_STACK");
  return pass();
}

Outcome check_relro(ElfView& view, const ElfPolicy&) {
  const Elf64_Phdr* relro = view.find_segment(PT_GNU_RELRO);
  if (relro == nullptr) return refuse("it has no PT_GNU_RELRO (link with -z relro)");
  if (view.segment_at(relro->p_vaddr, relro->p_memsz) == nullptr)
    return refuse("its PT_GNU_RELRO is not loaded");
  return pass();
}

Outcome check_no_text_relocations(ElfView& view, const ElfPolicy&) {
  if (view.dynamic_value(DT_TEXTREL) ||
      (view.dynamic_value(DT_FLAGS).value_or(0) & DF_TEXTREL) != 0)
    return refuse("it wants its code writable while loading (compile with -fPIC)");
  return pass();
}

struct Tag {
  std::int64_t tag;
  std::string_view name;
};

Outcome refuse_tags(const ElfView& view, std::span<const Tag> tags) {
  for (const Tag& tag : tags)
    if (view.dynamic_value(tag.tag)) return refuse("it has {}", tag.name);
  return pass();
}

Outcome check_no_search_paths(ElfView& view, const ElfPolicy&) {
  static constexpr Tag kTags[] = {{DT_RPATH, "DT_RPATH"}, {DT_RUNPATH, "DT_RUNPATH"}};
  return refuse_tags(view, kTags);
}

Outcome check_no_loader_hooks(ElfView& view, const ElfPolicy&) {
  static constexpr Tag kTags[] = {{DT_AUDIT, "DT_AUDIT"},
                                  {DT_DEPAUDIT, "DT_DEPAUDIT"},
                                  {DT_FILTER, "DT_FILTER"},
                                  {DT_AUXILIARY, "DT_AUXILIARY"},
                                  {DT_CONFIG, "DT_CONFIG"}};
  return refuse_tags(view, kTags);
}

Outcome check_loader_flags(ElfView& view, const ElfPolicy&) {
  static constexpr Tag kFlags[] = {
      {DF_1_INTERPOSE, "DF_1_INTERPOSE"}, {DF_1_NOOPEN, "DF_1_NOOPEN"},
      {DF_1_PIE, "DF_1_PIE (a program)"}, {DF_1_LOADFLTR, "DF_1_LOADFLTR"},
      {DF_1_CONFALT, "DF_1_CONFALT"},     {DF_1_ENDFILTEE, "DF_1_ENDFILTEE"}};
  const auto flags = static_cast<std::int64_t>(view.dynamic_value(DT_FLAGS_1).value_or(0));
  for (const Tag& flag : kFlags)
    if ((flags & flag.tag) != 0) return refuse("it has {}", flag.name);
  return pass();
}

bool matches(std::string_view pattern, std::string_view name) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                : name == pattern;
}

Outcome check_libraries(ElfView& view, const ElfPolicy& policy) {
  for (const std::string& name : view.report.needed) {
    if (name.empty() || name.find('/') != std::string::npos)
      return refuse("it names a library by a path: '{}'", name);
    if (std::ranges::none_of(policy.libraries,
                             [&](const std::string& pattern) { return matches(pattern, name); }))
      return refuse("it needs '{}', which is not on the list of libraries for plugins (link it "
                    "statically, or extend "
                    "the list)",
                    name);
  }
  return pass();
}

Outcome check_no_early_code(ElfView& view, const ElfPolicy&) {
  static constexpr Tag kTags[] = {{DT_PREINIT_ARRAY, "DT_PREINIT_ARRAY"}};
  return refuse_tags(view, kTags);
}

Outcome check_constructors(ElfView& view, const ElfPolicy&) {
  view.report.constructors = view.dynamic_value(DT_INIT) ? 1 : 0;
  const auto address = view.dynamic_value(DT_INIT_ARRAY);
  if (!address) return pass();
  const std::uint64_t size = view.dynamic_value(DT_INIT_ARRAYSZ).value_or(0);
  if (size % 8 != 0 || view.segment_at(*address, size) == nullptr)
    return refuse("its list of constructors ({:#x} bytes at {:#x}) is not loaded", size, *address);
  view.report.constructors += size / 8;
  return pass();
}

Outcome check_bind_now(ElfView& view, const ElfPolicy&) {
  const bool now = view.dynamic_value(DT_BIND_NOW) ||
                   (view.dynamic_value(DT_FLAGS).value_or(0) & DF_BIND_NOW) != 0 ||
                   (view.dynamic_value(DT_FLAGS_1).value_or(0) & DF_1_NOW) != 0;
  if (now) return pass();
  return warn("its function pointers stay writable (link with -z now)");
}

enum class After : unsigned char {
  GoOn,
  Stop
}; // after a refusal: the rest relies on what this one reads

struct Row {
  ElfRule rule;
  Code code;
  After after;
  ElfCheck check;
};
constexpr std::array kRows = {
    Row{{"EL-01", "it is an ELF file", "anything else is no plugin"},
        Code::Malformed,
        After::Stop,
        read_header},
    Row{{"EL-02", "it is for this machine", "64-bit x86-64, Linux"},
        Code::Incompatible,
        After::Stop,
        check_machine},
    Row{{"EL-03", "it is a shared object", "programs and object files are loaded in other ways"},
        Code::Malformed,
        After::Stop,
        check_type},
    Row{{"EL-04", "its program headers are all there", "ld.so believes them"},
        Code::Malformed,
        After::Stop,
        read_segments},
    Row{{"EL-05", "its segments are in the file, in order and apart",
         "an overlap gives a page two meanings"},
        Code::Malformed,
        After::Stop,
        check_layout},
    Row{{"EL-06", "it is not a program", "an interpreter would be run in its place"},
        Code::Untrusted,
        After::GoOn,
        check_no_program},
    Row{{"EL-07", "no segment is writable and executable", "what it writes it could run"},
        Code::Untrusted,
        After::GoOn,
        check_write_xor_execute},
    Row{{"EL-08", "it needs no executable stack",
         "loading it would make the stack of the whole process executable"},
        Code::Untrusted,
        After::GoOn,
        check_stack},
    Row{{"EL-09", "its relocated data becomes read-only",
         "else its tables of pointers stay targets"},
        Code::Untrusted,
        After::GoOn,
        check_relro},
    Row{{"EL-10", "it has one dynamic section without contradictions",
         "ld.so and other tools must read the same"},
        Code::Malformed,
        After::Stop,
        read_dynamic},
    Row{{"EL-11", "its string table is inside it", "names are read from there"},
        Code::Malformed,
        After::Stop,
        read_strings},
    Row{{"EL-12", "it has no text relocations", "code would be writable while loading"},
        Code::Untrusted,
        After::GoOn,
        check_no_text_relocations},
    Row{{"EL-13", "it has no library search path", "unsigned libraries could be put there"},
        Code::Untrusted,
        After::GoOn,
        check_no_search_paths},
    Row{{"EL-14", "it loads no auditors or filters", "they are unsigned code that runs first"},
        Code::Untrusted,
        After::GoOn,
        check_no_loader_hooks},
    Row{{"EL-15", "it asks for no special treatment by the loader",
         "interposing replaces functions of others"},
        Code::Untrusted,
        After::GoOn,
        check_loader_flags},
    Row{{"EL-16", "it needs only libraries of the list, by name",
         "a path could name unsigned code"},
        Code::Untrusted,
        After::GoOn,
        check_libraries},
    Row{{"EL-17", "it has no pre-initializers", "only programs have them"},
        Code::Untrusted,
        After::GoOn,
        check_no_early_code},
    Row{{"EL-18", "its constructors are inside it", "they run before init"},
        Code::Malformed,
        After::GoOn,
        check_constructors},
    Row{{"EL-19", "its symbols are inside it", "ld.so believes them"},
        Code::Malformed,
        After::Stop,
        read_symbols},
    Row{{"EL-20", "it exports mohhos_plugin", "the one symbol of the plugin ABI"},
        Code::Incompatible,
        After::GoOn,
        check_plugin_symbol},
    Row{{"EL-21", "its relocations write only into its own data", "ld.so writes where they say"},
        Code::Untrusted,
        After::GoOn,
        check_relocations},
    Row{{"EL-22", "its functions are bound before it runs", "with EL-09: nothing stays writable"},
        Code::Untrusted,
        After::GoOn,
        check_bind_now},
    Row{{"EL-23", "it has no indirect functions", "their resolvers run while loading"},
        Code::Untrusted,
        After::GoOn,
        check_ifuncs},
    Row{{"EL-24", "it imports nothing that the sandbox refuses",
         "better known now than at run time"},
        Code::Untrusted,
        After::GoOn,
        check_imports},
};

constexpr auto kRules = [] {
  std::array<ElfRule, kRows.size()> rules{};
  for (std::size_t i = 0; i < kRows.size(); ++i) rules[i] = kRows[i].rule;
  return rules;
}();

// Libraries that plugins may share with the host's system. All are read-only in the sandbox.
constexpr std::array<std::string_view, 20> kLibraries = {"libc.so.6",
                                                         "libm.so.6",
                                                         "libstdc++.so.6",
                                                         "libgcc_s.so.1",
                                                         "ld-linux-x86-64.so.2",
                                                         "libpthread.so.0",
                                                         "libdl.so.2",
                                                         "librt.so.1",
                                                         "libatomic.so.1",
                                                         "libicuuc.so.*",
                                                         "libicui18n.so.*",
                                                         "libicudata.so.*",
                                                         "libicuio.so.*",
                                                         "libprotobuf-lite.so.*",
                                                         "libprotobuf.so.*",
                                                         "libz.so.1",
                                                         "libzstd.so.1",
                                                         "liblz4.so.1",
                                                         "libbz2.so.1.0",
                                                         "liblzma.so.5"};

} // namespace

ElfPolicy ElfPolicy::standard() {
  return {.libraries = {kLibraries.begin(), kLibraries.end()}};
}

std::span<const ElfRule> elf_rules() {
  return kRules;
}

ElfReport analyse_elf(std::span<const std::byte> bytes, const ElfPolicy& policy) {
  ElfView view(bytes);
  std::vector<ElfFinding> findings;
  bool stopped = false;
  for (const Row& row : kRows) {
    Outcome outcome = stopped ? Outcome{Verdict::Skipped, {}} : row.check(view, policy);
    stopped = stopped || (outcome.verdict == Verdict::Refused && row.after == After::Stop);
    findings.push_back(
        {row.rule.id, row.rule.title, outcome.verdict, row.code, std::move(outcome.text)});
  }
  read_build_id(view);
  view.report.findings = std::move(findings);
  return std::move(view.report);
}

Result<> ElfReport::may_load() const {
  for (const ElfFinding& finding : findings)
    if (finding.verdict == Verdict::Refused)
      return fail(finding.code, "rule {} ({}): {}", finding.rule, finding.title, finding.text);
  return {};
}

} // namespace mohhos::security
