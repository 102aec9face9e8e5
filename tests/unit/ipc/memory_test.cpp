#include "ipc/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sys/memfd.hpp"

namespace mohhos::ipc {
namespace {

TEST(Memory, CannotBeWrittenInAnyWayOnceItIsSealed) {
  const auto memory = make_memory(3 * 4096);
  ASSERT_TRUE(memory) << memory.error().text;
  {
    const auto mapping = map_made_memory(memory->get(), 3 * 4096);
    ASSERT_TRUE(mapping) << mapping.error().text;
    mapping->data()[4096] = std::byte{7};
  }
  ASSERT_TRUE(seal_memory(memory->get()));
  ASSERT_TRUE(seal_memory(memory->get())) << "once more does no harm";
  const int fd = memory->get();
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(::pwrite(fd, "x", 1, 0), -1);
  EXPECT_EQ(::ftruncate(fd, 0), -1);
  EXPECT_EQ(::ftruncate(fd, 1 << 20), -1);
  EXPECT_EQ(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
  EXPECT_EQ(::fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
  const auto reader = sys::reopen_read_only(fd);
  ASSERT_TRUE(reader) << reader.error().text;
  EXPECT_EQ(::fcntl(reader->get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  const auto mapping = map_sealed_memory(reader->get(), 3 * 4096);
  ASSERT_TRUE(mapping) << mapping.error().text;
  EXPECT_EQ(mapping->bytes()[4096], std::byte{7});
  EXPECT_NE(::mprotect(mapping->data(), 4096, PROT_READ | PROT_WRITE), 0);
  EXPECT_NE(::madvise(mapping->data(), 4096, MADV_REMOVE), 0);
}

TEST(Memory, IsNotSealedWhileSomebodyCanStillWriteIt) {
  const auto memory = make_memory(4096);
  ASSERT_TRUE(memory);
  const auto kept = map_made_memory(memory->get(), 4096);
  ASSERT_TRUE(kept);
  const auto refused = seal_memory(memory->get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::BadState);
  kept->data()[0] = std::byte{1}; // and nothing has changed
}

TEST(Memory, AReceiverChecksSealsAndSizeItself) {
  const auto memory = make_memory(4096);
  ASSERT_TRUE(memory);
  EXPECT_EQ(map_sealed_memory(memory->get(), 4096).error().code, Code::Untrusted) << "not sealed";
  EXPECT_EQ(map_made_memory(memory->get(), 8192).error().code, Code::Untrusted) << "too short";
  ASSERT_TRUE(seal_memory(memory->get()));
  EXPECT_EQ(map_sealed_memory(memory->get(), 8192).error().code, Code::Untrusted) << "too short";
  EXPECT_EQ(map_sealed_memory(memory->get(), 0).error().code, Code::Untrusted);
  const auto loose = sys::make_memfd("loose");
  ASSERT_TRUE(loose);
  ASSERT_EQ(::ftruncate(loose->get(), 4096), 0);
  EXPECT_EQ(map_sealed_memory(loose->get(), 4096).error().code, Code::Untrusted) << "can shrink";
  EXPECT_EQ(map_sealed_memory(STDIN_FILENO, 4096).error().code, Code::Untrusted);
}

} // namespace
} // namespace mohhos::ipc
