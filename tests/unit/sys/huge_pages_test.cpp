#include "sys/huge_pages.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sys/fd.hpp"

namespace mohhos::sys {
namespace {

constexpr std::size_t kSize = 3 * kHugePage + 4096;

Fd memory(std::size_t size) {
  Fd fd(::memfd_create("huge-pages-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  return fd;
}

std::size_t blocks_of(const Fd& fd) {
  struct stat file{};
  EXPECT_EQ(::fstat(fd.get(), &file), 0);
  return static_cast<std::size_t>(file.st_blocks);
}

TEST(HugePages, OfSmallMemoriesAreNone) {
  const Fd small = memory(kHugePage - 1);
  const int fds[] = {small.get()};
  EXPECT_EQ(huge_page_bytes(fds).value(), std::vector<std::uint64_t>{0});
  EXPECT_TRUE(huge_page_bytes({})->empty());
}

// Counting makes no pages, and moves none: what was not written is still not there.
TEST(HugePages, AreCountedWithoutMakingAny) {
  const Fd untouched = memory(kSize);
  const Fd written = memory(kSize);
  ASSERT_EQ(::pwrite(written.get(), "x", 1, kHugePage + 12345), 1);
  const std::size_t blocks = blocks_of(written);
  const int fds[] = {untouched.get(), written.get()};
  const auto bytes = huge_page_bytes(fds);
  if (!bytes && bytes.error().code == Code::Unsupported) GTEST_SKIP() << bytes.error().text;
  ASSERT_TRUE(bytes) << bytes.error().text;
  EXPECT_EQ((*bytes)[0], 0U);
  EXPECT_EQ(blocks_of(untouched), 0U);
  EXPECT_EQ(blocks_of(written), blocks);
}

// Two bytes are written far from each other: what that took says what kind of pages they got.
TEST(HugePages, AreWhatTheSystemGives) {
  const Fd fd = memory(kSize);
  void* const reserved = ::mmap(nullptr, kSize + kHugePage, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(reserved, MAP_FAILED);
  const auto from = reinterpret_cast<std::uintptr_t>(reserved);
  void* const start = reinterpret_cast<void*>((from + kHugePage - 1) & ~(kHugePage - 1));
  ASSERT_EQ(::mmap(start, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd.get(), 0),
            start);
  ::madvise(start, kSize, MADV_HUGEPAGE);
  static_cast<char*>(start)[0] = 'x';
  static_cast<char*>(start)[kHugePage + 5] = 'y';
  const int fds[] = {fd.get()};
  const auto bytes = huge_page_bytes(fds);
  if (!bytes && bytes.error().code == Code::Unsupported) GTEST_SKIP() << bytes.error().text;
  ASSERT_TRUE(bytes) << bytes.error().text;
  ASSERT_EQ(::munmap(reserved, kSize + kHugePage), 0);
  EXPECT_EQ((*bytes)[0], blocks_of(fd) * 512 / kHugePage * kHugePage);
}

} // namespace
} // namespace mohhos::sys
