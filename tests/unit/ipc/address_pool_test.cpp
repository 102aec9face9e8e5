// Addresses side by side for small mappings: near each other, used again, and safe from each other.
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/address_pool.hpp"
#include "sys/memfd.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::size_t kSlot = 8192;

AddressPool& pool() {
  static auto& one = *new AddressPool(kSlot); // a pool is for ever
  return one;
}

sys::Fd file_with(char content) {
  auto fd = sys::make_memfd("pool", 0600);
  EXPECT_TRUE(fd);
  const std::string bytes(kSlot, content);
  EXPECT_EQ(::write(fd->get(), bytes.data(), bytes.size()), static_cast<ssize_t>(kSlot));
  return *std::move(fd);
}

TEST(AddressPool, MappingsLieSideBySideAndTheirPlacesAreUsedAgain) {
  const sys::Fd file = file_with('a');
  auto first = PooledMapping::map(pool(), file.get(), PROT_READ);
  auto second = PooledMapping::map(pool(), file.get(), PROT_READ);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->data() - first->data(), static_cast<std::ptrdiff_t>(kSlot));
  std::byte* const place = first->data();
  *first = PooledMapping();
  const auto third = PooledMapping::map(pool(), file.get(), PROT_READ);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->data(), place);
  EXPECT_EQ(third->data()[kSlot - 1], std::byte{'a'});
}

TEST(AddressPool, WhatEndsIsNotReadableAnyMore) {
  const sys::Fd file = file_with('b');
  const std::byte* place = nullptr;
  {
    const auto mapping = PooledMapping::map(pool(), file.get(), PROT_READ);
    ASSERT_TRUE(mapping);
    place = mapping->data();
  }
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(::write(ends[1], place, 1), -1); // EFAULT
  EXPECT_EQ(errno, EFAULT);
  for (const int end : ends) ::close(end);
}

TEST(AddressPool, WhatCannotBeMappedGivesItsPlaceBack) {
  const auto before = PooledMapping::map(pool(), -1, PROT_READ);
  ASSERT_FALSE(before);
  const sys::Fd file = file_with('c');
  EXPECT_TRUE(PooledMapping::map(pool(), file.get(), PROT_READ));
}

TEST(AddressPool, ThreadsAndMoreThanOneBlock) {
  const sys::Fd file = file_with('d');
  const auto play = [&] {
    for (int round = 0; round < 20; ++round) {
      std::vector<PooledMapping> mappings;
      for (int i = 0; i < 50; ++i) {
        auto mapping = PooledMapping::map(pool(), file.get(), PROT_READ);
        ASSERT_TRUE(mapping);
        mappings.push_back(*std::move(mapping));
      }
      for (const PooledMapping& mapping : mappings)
        ASSERT_EQ(mapping.data()[kSlot / 2], std::byte{'d'});
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(play);
}

} // namespace
} // namespace mohhos::ipc
