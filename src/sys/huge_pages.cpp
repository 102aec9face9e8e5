#include "sys/huge_pages.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"
#include "sys/mapping.hpp"

namespace mohhos::sys {
namespace {

constexpr Bytes kLargestMap = mib(16); // of /proc/self/smaps
constexpr std::size_t kPage = 4096;

// Where a huge page of the file is one of the addresses, too.
Result<Mapping> map_aligned(int memfd, std::size_t size) {
  const std::size_t reserved_size = size + kHugePage;
  void* const reserved =
      ::mmap(nullptr, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return fail_errno("reserving addresses");
  Mapping whole(reserved, reserved_size);
  const auto from = reinterpret_cast<std::uintptr_t>(reserved);
  void* const start = reinterpret_cast<void*>((from + kHugePage - 1) & ~(kHugePage - 1));
  if (::mmap(start, size, PROT_READ, MAP_SHARED | MAP_FIXED, memfd, 0) == MAP_FAILED)
    return fail_errno("mapping a shared memory");
  return whole;
}

// One page of each huge page's worth that has content. (The offset that lseek() moves is nobody's:
// these memories are mapped, pread and pwritten.)
Result<> enter_pages(int memfd, const Mapping& mapping, std::uint64_t size) {
  const auto from = reinterpret_cast<std::uintptr_t>(mapping.data());
  const std::uintptr_t start = (from + kHugePage - 1) & ~(kHugePage - 1);
  for (std::uint64_t at = 0; at < size; at = (at & ~(kHugePage - 1)) + kHugePage) {
    const off_t content = ::lseek(memfd, static_cast<off_t>(at), SEEK_DATA);
    if (content < 0 && errno == ENXIO) return {};
    if (content < 0) return fail_errno("looking for content");
    at = static_cast<std::uint64_t>(content);
    void* const page = reinterpret_cast<void*>(start + (at & ~std::uint64_t{kPage - 1}));
    if (::madvise(page, kPage, MADV_POPULATE_READ) == 0) continue;
    if (errno == EINVAL)
      return fail(Code::Unsupported, "this kernel does not tell whether memory lies in huge pages");
    if (errno != EFAULT && errno != ENOMEM && errno != EHWPOISON)
      return fail_errno("entering a page"); // the others: this one page is not there
  }
  return {};
}

template <class Number>
std::optional<Number> number_at(std::string_view& text, int base) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// Adds to `bytes` what the kernel says of the range [address, address + size) of each mapping.
void count_huge(std::string_view smaps, std::span<const Mapping> mappings,
                std::span<std::uint64_t> bytes) {
  constexpr std::string_view kCount = "ShmemPmdMapped:";
  std::uintptr_t address = 0;
  while (!smaps.empty()) {
    std::string_view line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(smaps.size(), line.size() + 1));
    if (line.starts_with(kCount)) {
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ', kCount.size())));
      const auto kib = number_at<std::uint64_t>(line, 10);
      for (std::size_t i = 0; kib && i < mappings.size(); ++i)
        if (address - reinterpret_cast<std::uintptr_t>(mappings[i].data()) < mappings[i].size())
          bytes[i] += *kib * 1024;
    } else if (const auto from = number_at<std::uintptr_t>(line, 16);
               from && line.starts_with('-')) {
      address = *from;
    }
  }
}

} // namespace

Result<std::vector<std::uint64_t>> huge_page_bytes(std::span<const int> memfds) {
  std::vector<std::uint64_t> bytes(memfds.size());
  std::vector<Mapping> mappings(memfds.size());
  bool any = false;
  for (std::size_t i = 0; i < memfds.size(); ++i) {
    struct stat file{};
    if (::fstat(memfds[i], &file) != 0) return fail_errno("fstat");
    const auto size = static_cast<std::uint64_t>(file.st_size);
    if (size < kHugePage) continue;
    TRY(mappings[i], map_aligned(memfds[i], size));
    TRY(enter_pages(memfds[i], mappings[i], size));
    any = true;
  }
  if (!any) return bytes;
  TRY(const std::string smaps, read_file("/proc/self/smaps", kLargestMap));
  count_huge(smaps, mappings, bytes);
  return bytes;
}

} // namespace mohhos::sys
