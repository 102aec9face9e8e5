#include "sys/memfd.hpp"

#include <array>
#include <fstream>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "../../harness/temporary_directory.hpp"
#include "sys/file.hpp"
#include "sys/mapping.hpp"

namespace mohhos::sys {
namespace {

using test::TemporaryDirectory;

constexpr std::array kContent = {std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

TEST(SealedMemory, CannotBeWrittenTruncatedOrUnsealed) {
  const Fd fd = make_sealed("test", kContent).value();
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), -1);
  EXPECT_EQ(::ftruncate(fd.get(), 1), -1);
  EXPECT_EQ(::ftruncate(fd.get(), 100), -1);
  EXPECT_FALSE(add_seals(fd.get(), F_SEAL_WRITE));
  EXPECT_EQ(::mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
}

TEST(SealedMemory, IsNotBornExecutableOrWritableForOthers) {
  const Fd fd = make_memfd("test").value();
  struct stat status{};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0400U);
}

TEST(SealedMemory, AWriterThatStillHasItMappedIsFoundOut) {
  const Fd fd = make_memfd("test").value();
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  const Mapping writer = map_shared(fd.get(), 0, 4096, Access::ReadWrite).value();
  const auto refused = add_seals(fd.get(), kSealedContent);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Refused);
}

TEST(SealedMemory, WhatIsNotSealedIsNotMapped) {
  const Fd open = make_memfd("test").value();
  EXPECT_EQ(map_sealed(open.get()).error().code, Code::Untrusted);
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "a") << "abc";
  const Fd file = open_regular(directory.path() / "a").value();
  EXPECT_EQ(verify_seals(file.get(), kSealedContent).error().code, Code::Untrusted);
}

TEST(SealedMemory, AFileIsCopiedUpToTheBoundAndNotAByteFurther) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "a") << "abc";
  const Fd file = open_regular(directory.path() / "a").value();
  const auto refused = seal_file(file.get(), "copy", Bytes{2});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::TooLarge);
  const Fd copy = seal_file(file.get(), "copy", Bytes{3}).value();
  EXPECT_TRUE(std::ranges::equal(map_sealed(copy.get()).value().bytes(), kContent));
}

TEST(SealedMemory, NothingAtAllIsSealedToo) {
  const Fd empty = make_sealed("test", {}).value();
  EXPECT_EQ(map_sealed(empty.get()).value().size(), 0U);
}

} // namespace
} // namespace mohhos::sys
