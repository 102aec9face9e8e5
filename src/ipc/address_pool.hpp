// Addresses side by side for many small mappings of one size, so that they share page tables: what
// mmap() chooses by itself lies between larger mappings.
#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "base/error.hpp"

namespace mohhos::ipc {

class AddressPool {
public:
  // slot_bytes: a multiple of the page size.
  explicit AddressPool(std::size_t slot_bytes) : slot_bytes_(slot_bytes) {}
  ~AddressPool() = delete; // a process's, for ever: its blocks are not given back
  AddressPool(const AddressPool&) = delete;
  AddressPool& operator=(const AddressPool&) = delete;

  [[nodiscard]] std::size_t slot_bytes() const noexcept { return slot_bytes_; }
  // The addresses of one slot; nothing is mapped there. Exhausted: there are no more. [any]
  [[nodiscard]] Result<std::byte*> take();
  // Ends what is mapped there. [any]
  void give_back(std::byte* slot) noexcept;

private:
  [[nodiscard]] Result<> reserve_block();

  const std::size_t slot_bytes_;
  std::mutex mutex_;
  std::vector<std::byte*> free_; // the next one last
  std::size_t slots_ = 0;
};

// One slot of a pool, and what is mapped there.
class PooledMapping {
public:
  PooledMapping() = default;
  // The file's first bytes, shared. [any]
  [[nodiscard]] static Result<PooledMapping> map(AddressPool& pool, int fd, int protection);
  PooledMapping(PooledMapping&& other) noexcept;
  PooledMapping& operator=(PooledMapping&& other) noexcept;
  PooledMapping(const PooledMapping&) = delete;
  PooledMapping& operator=(const PooledMapping&) = delete;
  ~PooledMapping();

  [[nodiscard]] std::byte* data() const noexcept { return slot_; }

private:
  PooledMapping(AddressPool& pool, std::byte* slot) : pool_(&pool), slot_(slot) {}
  AddressPool* pool_ = nullptr;
  std::byte* slot_ = nullptr; // null: none
};

} // namespace mohhos::ipc
