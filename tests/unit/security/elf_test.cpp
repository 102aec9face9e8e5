// One good shared object, and copies of it with one thing spoiled: each must be refused by the rule
// that is about it.
#include "security/elf.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include <elf.h>

#include "support.hpp"

namespace mohhos::security {
namespace {

const std::string& sample() {
  static const std::string bytes = content(MOHHOS_SAMPLE_PLUGIN);
  return bytes;
}

// The sample's bytes, with places to spoil.
struct Copy {
  std::string bytes = sample();

  Elf64_Ehdr* header() { return reinterpret_cast<Elf64_Ehdr*>(bytes.data()); }
  Elf64_Phdr* segment(std::uint32_t type, int nth = 0) {
    auto* first = reinterpret_cast<Elf64_Phdr*>(bytes.data() + header()->e_phoff);
    for (auto* s = first; s < first + header()->e_phnum; ++s)
      if (s->p_type == type && nth-- == 0) return s;
    return nullptr;
  }
  Elf64_Dyn* dynamic(std::int64_t tag) {
    for (auto* d = reinterpret_cast<Elf64_Dyn*>(bytes.data() + segment(PT_DYNAMIC)->p_offset);
         d->d_tag != DT_NULL; ++d)
      if (d->d_tag == tag) return d;
    return nullptr;
  }
  // Makes an entry of another tag into this one.
  void set_dynamic(std::int64_t tag, std::uint64_t value = 1) {
    Elf64_Dyn* entry = dynamic(DT_RELACOUNT);
    ASSERT_NE(entry, nullptr);
    entry->d_tag = tag;
    entry->d_un.d_val = value;
  }
  char* at(std::uint64_t address) {
    for (int i = 0; auto* load = segment(PT_LOAD, i); ++i)
      if (address >= load->p_vaddr && address < load->p_vaddr + load->p_filesz)
        return bytes.data() + load->p_offset + (address - load->p_vaddr);
    return nullptr;
  }
  Elf64_Rela* relocation() {
    return reinterpret_cast<Elf64_Rela*>(at(dynamic(DT_RELA)->d_un.d_ptr));
  }
};

ElfReport analyse(std::string_view bytes) {
  return analyse_elf(as_bytes(bytes), ElfPolicy::standard());
}

std::string first_refusal(const ElfReport& report) {
  for (const ElfFinding& finding : report.findings)
    if (finding.verdict == Verdict::Refused) return std::string(finding.rule);
  return "none";
}

TEST(Elf, AGoodPluginPassesEveryRule) {
  const ElfReport report = analyse(sample());
  for (const ElfFinding& finding : report.findings)
    EXPECT_EQ(finding.verdict, Verdict::Pass) << finding.rule << " " << finding.text;
  EXPECT_TRUE(report.may_load());
  EXPECT_EQ(report.findings.size(), elf_rules().size());
  EXPECT_EQ(report.needed, (std::vector<std::string>{"libc.so.6"}));
  EXPECT_NE(std::ranges::find(report.imports, "malloc"), report.imports.end());
  EXPECT_NE(std::ranges::find(report.exports, "mohhos_plugin"), report.exports.end());
  EXPECT_EQ(report.build_id.size(), 40U);
}

struct Spoiled {
  const char* what;
  const char* rule;
  Code code;
  std::function<void(Copy&)> spoil;
};
void PrintTo(const Spoiled& spoiled, std::ostream* out) {
  *out << spoiled.what;
}

class SpoiledElf : public ::testing::TestWithParam<Spoiled> {};
TEST_P(SpoiledElf, IsRefusedByItsRule) {
  Copy copy;
  GetParam().spoil(copy);
  const ElfReport report = analyse(copy.bytes);
  EXPECT_EQ(first_refusal(report), GetParam().rule);
  EXPECT_REFUSED(report.may_load(), GetParam().code, GetParam().rule);
}

const Spoiled kSpoiled[] = {
    {"no magic", "EL-01", Code::Malformed, [](Copy& c) { c.bytes[0] = 'x'; }},
    {"nothing", "EL-01", Code::Malformed, [](Copy& c) { c.bytes.clear(); }},
    {"half a header", "EL-01", Code::Malformed, [](Copy& c) { c.bytes.resize(40); }},
    {"32 bits", "EL-02", Code::Incompatible,
     [](Copy& c) { c.header()->e_ident[EI_CLASS] = ELFCLASS32; }},
    {"big endian", "EL-02", Code::Incompatible,
     [](Copy& c) { c.header()->e_ident[EI_DATA] = ELFDATA2MSB; }},
    {"aarch64", "EL-02", Code::Incompatible, [](Copy& c) { c.header()->e_machine = EM_AARCH64; }},
    {"FreeBSD", "EL-02", Code::Incompatible,
     [](Copy& c) { c.header()->e_ident[EI_OSABI] = ELFOSABI_FREEBSD; }},
    {"an object file", "EL-03", Code::Malformed, [](Copy& c) { c.header()->e_type = ET_REL; }},
    {"a program", "EL-03", Code::Malformed, [](Copy& c) { c.header()->e_type = ET_EXEC; }},
    {"no program headers", "EL-04", Code::Malformed, [](Copy& c) { c.header()->e_phnum = 0; }},
    {"too many program headers", "EL-04", Code::Malformed,
     [](Copy& c) { c.header()->e_phnum = 65535; }},
    {"program headers outside", "EL-04", Code::Malformed,
     [](Copy& c) { c.header()->e_phoff = ~0ULL - 8; }},
    {"truncated", "EL-05", Code::Malformed,
     [](Copy& c) { c.bytes.resize(c.bytes.size() / 2 / 2); }},
    {"a segment outside the file", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD)->p_filesz = ~0ULL; }},
    {"longer in the file", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD)->p_memsz = 1; }},
    {"endless memory", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD)->p_memsz = 1ULL << 40; }},
    {"an address that wraps", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD, 1)->p_vaddr = ~0xFFFULL; }},
    {"overlapping segments", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD, 1)->p_vaddr = 0; }},
    {"an odd alignment", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD)->p_align = 3; }},
    {"no page alignment", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD)->p_align = 16; }},
    {"an offset unlike its address", "EL-05", Code::Malformed,
     [](Copy& c) { c.segment(PT_LOAD, 1)->p_offset += 8; }},
    {"an interpreter", "EL-06", Code::Untrusted,
     [](Copy& c) { c.segment(PT_NOTE)->p_type = PT_INTERP; }},
    {"writable code", "EL-07", Code::Untrusted,
     [](Copy& c) { c.segment(PT_LOAD)->p_flags = PF_R | PF_W | PF_X; }},
    {"an executable stack", "EL-08", Code::Untrusted,
     [](Copy& c) { c.segment(PT_GNU_STACK)->p_flags |= PF_X; }},
    {"no word on the stack", "EL-08", Code::Untrusted,
     [](Copy& c) { c.segment(PT_GNU_STACK)->p_type = PT_NULL; }},
    {"no relro", "EL-09", Code::Untrusted,
     [](Copy& c) { c.segment(PT_GNU_RELRO)->p_type = PT_NULL; }},
    {"no dynamic section", "EL-10", Code::Malformed,
     [](Copy& c) { c.segment(PT_DYNAMIC)->p_type = PT_NULL; }},
    {"two dynamic sections", "EL-10", Code::Malformed,
     [](Copy& c) { c.segment(PT_NOTE)->p_type = PT_DYNAMIC; }},
    {"a dynamic section elsewhere", "EL-10", Code::Malformed,
     [](Copy& c) { c.segment(PT_DYNAMIC)->p_offset -= 16; }},
    {"an endless dynamic section", "EL-10", Code::Malformed,
     [](Copy& c) { c.segment(PT_DYNAMIC)->p_filesz = c.segment(PT_DYNAMIC)->p_memsz = 32; }},
    {"two symbol tables", "EL-10", Code::Malformed, [](Copy& c) { c.set_dynamic(DT_SYMTAB); }},
    {"strings outside", "EL-11", Code::Malformed,
     [](Copy& c) { c.dynamic(DT_STRTAB)->d_un.d_ptr = 1ULL << 40; }},
    {"endless strings", "EL-11", Code::Malformed,
     [](Copy& c) { c.dynamic(DT_STRSZ)->d_un.d_val = ~0ULL; }},
    {"a library name outside", "EL-11", Code::Malformed,
     [](Copy& c) { c.dynamic(DT_NEEDED)->d_un.d_val = 1U << 30; }},
    {"text relocations", "EL-12", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_TEXTREL); }},
    {"text relocations by flag", "EL-12", Code::Untrusted,
     [](Copy& c) { c.dynamic(DT_FLAGS)->d_un.d_val |= DF_TEXTREL; }},
    {"rpath", "EL-13", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_RPATH); }},
    {"runpath", "EL-13", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_RUNPATH); }},
    {"audit", "EL-14", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_AUDIT); }},
    {"depaudit", "EL-14", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_DEPAUDIT); }},
    {"filter", "EL-14", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_FILTER); }},
    {"auxiliary", "EL-14", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_AUXILIARY); }},
    {"config", "EL-14", Code::Untrusted, [](Copy& c) { c.set_dynamic(DT_CONFIG); }},
    {"interposing", "EL-15", Code::Untrusted,
     [](Copy& c) { c.dynamic(DT_FLAGS_1)->d_un.d_val |= DF_1_INTERPOSE; }},
    {"a position independent program", "EL-15", Code::Untrusted,
     [](Copy& c) { c.dynamic(DT_FLAGS_1)->d_un.d_val |= DF_1_PIE; }},
    {"a library by path", "EL-16", Code::Untrusted,
     [](Copy& c) { std::memcpy(c.bytes.data() + c.bytes.find("libc.so.6"), "/tmp/a.so", 9); }},
    {"an unknown library", "EL-16", Code::Untrusted,
     [](Copy& c) { std::memcpy(c.bytes.data() + c.bytes.find("libc.so.6"), "libx.so.6", 9); }},
    {"pre-initializers", "EL-17", Code::Untrusted,
     [](Copy& c) { c.set_dynamic(DT_PREINIT_ARRAY); }},
    {"constructors outside", "EL-18", Code::Malformed,
     [](Copy& c) { c.dynamic(DT_INIT_ARRAYSZ)->d_un.d_val = 1ULL << 40; }},
    {"symbols outside", "EL-19", Code::Malformed,
     [](Copy& c) { c.dynamic(DT_SYMTAB)->d_un.d_ptr = 1ULL << 40; }},
    {"a broken hash table", "EL-19", Code::Malformed,
     [](Copy& c) { std::memset(c.at(c.dynamic(DT_GNU_HASH)->d_un.d_ptr), 0xFF, 4); }},
    {"a symbol's name outside", "EL-19", Code::Malformed,
     [](Copy& c) {
       reinterpret_cast<Elf64_Sym*>(c.at(c.dynamic(DT_SYMTAB)->d_un.d_ptr))[1].st_name = 1U << 30;
     }},
    {"a relocation in read-only memory", "EL-21", Code::Untrusted,
     [](Copy& c) { c.relocation()->r_offset = 64; }},
    {"a relocation outside", "EL-21", Code::Untrusted,
     [](Copy& c) { c.relocation()->r_offset = ~0ULL - 4; }},
    {"a relocation of a strange type", "EL-21", Code::Untrusted,
     [](Copy& c) { c.relocation()->r_info = ELF64_R_INFO(0, R_X86_64_COPY); }},
    {"a relocation to a symbol outside", "EL-21", Code::Untrusted,
     [](Copy& c) { c.relocation()->r_info = ELF64_R_INFO(1ULL << 31, R_X86_64_64); }},
    {"relocations outside", "EL-21", Code::Untrusted,
     [](Copy& c) { c.dynamic(DT_RELASZ)->d_un.d_val = 24ULL << 40; }},
    {"no plugin symbol", "EL-20", Code::Incompatible,
     [](Copy& c) {
       c.at(c.dynamic(DT_STRTAB)
                ->d_un.d_ptr)[std::string_view(c.at(c.dynamic(DT_STRTAB)->d_un.d_ptr),
                                               c.dynamic(DT_STRSZ)->d_un.d_val)
                                  .find("mohhos_plugin")] = 'x';
     }},
};
INSTANTIATE_TEST_SUITE_P(Elf, SpoiledElf, ::testing::ValuesIn(kSpoiled));

TEST(Elf, IndirectFunctionsAndLazyBindingAreWarnings) {
  Copy copy;
  copy.relocation()->r_info = ELF64_R_INFO(0, R_X86_64_IRELATIVE);
  copy.dynamic(DT_FLAGS)->d_un.d_val = 0;
  copy.dynamic(DT_FLAGS_1)->d_un.d_val = 0;
  const ElfReport report = analyse(copy.bytes);
  EXPECT_TRUE(report.may_load());
  EXPECT_EQ(report.ifuncs, 1U);
  EXPECT_EQ(std::ranges::count(report.findings, Verdict::Warning, &ElfFinding::verdict), 2);
}

TEST(Elf, AListOfLibrariesCanBeTheOperators) {
  EXPECT_TRUE(analyse_elf(as_bytes(sample()), {.libraries = {"libc*"}}).may_load());
  EXPECT_REFUSED(analyse_elf(as_bytes(sample()), {.libraries = {}}).may_load(), Code::Untrusted,
                 "libc.so.6");
}

TEST(Elf, EveryTruncationHasAVerdict) {
  for (std::size_t size = 0; size < sample().size(); size += 7) {
    const ElfReport report = analyse(std::string_view(sample()).substr(0, size));
    EXPECT_EQ(report.findings.size(), elf_rules().size());
  }
}

TEST(Elf, RandomDamageHasAVerdictAndMemoryStaysBounded) {
  std::mt19937 random(22);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = sample();
    for (int i = 0; i < 4; ++i)
      bytes[random() % std::min<std::size_t>(bytes.size(), 0x800)] = static_cast<char>(random());
    const ElfReport report = analyse(bytes);
    std::size_t listed = 0;
    for (const auto& name : report.imports) listed += name.size();
    EXPECT_LE(listed, bytes.size());
    (void)find_section(as_bytes(bytes), ".mohhos.manifest");
  }
}

TEST(ElfRules, HaveIdsInOrder) {
  int number = 0;
  for (const ElfRule& rule : elf_rules()) EXPECT_EQ(rule.id, fmt::format("EL-{:02}", ++number));
}

} // namespace
} // namespace mohhos::security
