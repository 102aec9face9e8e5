// A plugin file: every rule has a verdict, what is listed is bounded by the file, and a section
// lies inside it.
#include <cstdint>
#include <cstdlib>

#include "security/elf.hpp"
#include "security/embed.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  static const ElfPolicy policy = ElfPolicy::standard();
  const ElfReport report = analyse_elf(bytes, policy);
  if (report.findings.size() != elf_rules().size()) std::abort();
  std::size_t listed = 0;
  for (const auto& name : report.imports) listed += name.size();
  for (const auto& name : report.exports) listed += name.size();
  for (const auto& name : report.needed) listed += name.size();
  if (listed > size) std::abort();
  if (const auto section = find_section(bytes, ".dynstr"))
    if (section->data() < bytes.data() || section->data() + section->size() > bytes.data() + size)
      std::abort();
  if (const auto file = with_manifest(bytes, "manifest"))
    if (!find_section(std::as_bytes(std::span(*file)), ".mohhos.manifest") &&
        find_section(bytes, ".mohhos.manifest"))
      std::abort();
  return 0;
}
