#include "ipc/address_pool.hpp"

#include <utility>

#include <sys/mman.h>

namespace mohhos::ipc {
namespace {

constexpr std::size_t kSlotsPerBlock = 64;
constexpr int kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

} // namespace

Result<> AddressPool::reserve_block() {
  void* const block = ::mmap(nullptr, kSlotsPerBlock * slot_bytes_, PROT_NONE, kReserved, -1, 0);
  if (block == MAP_FAILED) return fail_errno("reserving addresses");
  slots_ += kSlotsPerBlock;
  free_.reserve(slots_); // so that give_back() needs no memory
  for (std::size_t i = kSlotsPerBlock; i-- > 0;)
    free_.push_back(static_cast<std::byte*>(block) + i * slot_bytes_);
  return {};
}

Result<std::byte*> AddressPool::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) TRY(reserve_block());
  std::byte* const slot = free_.back();
  free_.pop_back();
  return slot;
}

// Where not even nothing can be mapped (vm.max_map_count), the slot is lost and not its memory.
void AddressPool::give_back(std::byte* slot) noexcept {
  const std::lock_guard lock(mutex_);
  if (::mmap(slot, slot_bytes_, PROT_NONE, kReserved | MAP_FIXED, -1, 0) == slot)
    free_.push_back(slot);
  else
    ::munmap(slot, slot_bytes_);
}

Result<PooledMapping> PooledMapping::map(AddressPool& pool, int fd, int protection) {
  TRY(std::byte* const slot, pool.take());
  PooledMapping mapping(pool, slot);
  if (::mmap(slot, pool.slot_bytes(), protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
    return fail_errno(fmt::format("mapping {} bytes", pool.slot_bytes()));
  return mapping;
}

PooledMapping::PooledMapping(PooledMapping&& other) noexcept
    : pool_(other.pool_), slot_(std::exchange(other.slot_, nullptr)) {}

PooledMapping& PooledMapping::operator=(PooledMapping&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(slot_, other.slot_);
  return *this;
}

PooledMapping::~PooledMapping() {
  if (slot_ != nullptr) pool_->give_back(slot_);
}

} // namespace mohhos::ipc
