#include "ipc/channel.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/link.hpp"
#include "ipc/shared_word.hpp"
#include "sys/huge_pages.hpp"
#include "sys/memfd.hpp"

namespace mohhos::ipc {
namespace {

using sys::kHugePage;

// How both headers begin; all the rest is 0, as new memory is. Written by itself, because the
// gaps of a whole header would carry what lay on our stack into the memory of strangers.
struct HeaderStart {
  std::uint32_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  std::uint64_t capacity = 0; // of a control memory: 0
  std::uint64_t lap = 0;      // and 0
};
static_assert(std::has_unique_object_representations_v<HeaderStart>);
static_assert(offsetof(DataHeader, capacity) == offsetof(HeaderStart, capacity));
static_assert(offsetof(DataHeader, lap) == offsetof(HeaderStart, lap));
static_assert(offsetof(Control, version) == offsetof(HeaderStart, version));

Result<sys::Fd> make_memory(const char* name, std::uint64_t size, const HeaderStart& header) {
  TRY(sys::Fd fd, sys::make_memfd(name, 0400));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return fail_errno(fmt::format("a memory of {} bytes", size));
  if (::pwrite(fd.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header))
    return fail_errno("writing a ring's header");
  TRY(sys::add_seals(fd.get(), sys::kSealedSize));
  return fd;
}

Result<sys::Fd> waiting_end(const sys::Fd& bell, Holder holder) {
  return holder == Holder::Stranger ? make_bell_ear(bell) : bell.duplicate();
}

// Seals first: what cannot shrink or grow keeps the size that is read now.
Result<> check_memory(const sys::Fd& fd, std::string_view what, std::uint64_t size) {
  auto found = sys::verify_seals(fd.get(), F_SEAL_SHRINK | F_SEAL_GROW);
  if (!found) return std::unexpected(std::move(found).error().within(what));
  if (found->count != size)
    return fail(Code::Untrusted, "{}: {} bytes, and {} are needed", what, found->count, size);
  return {};
}

// Addresses for a ring, twice; where a huge page can lie in it, so that file offset and address
// agree in their lower 21 bits, as huge pages need it. What is reserved besides is given back.
Result<sys::Mapping> reserve(std::size_t size, std::size_t alignment) {
  void* const reserved = ::mmap(nullptr, size + alignment, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return fail_errno("reserving addresses for a ring");
  const auto from = reinterpret_cast<std::uintptr_t>(reserved);
  const std::uintptr_t start =
      alignment == 0 ? from : (from + alignment - 1) & ~(std::uintptr_t{alignment} - 1);
  if (start != from) ::munmap(reserved, start - from);
  if (start != from + alignment)
    ::munmap(reinterpret_cast<void*>(start + size), from + alignment - start);
  return sys::Mapping(reinterpret_cast<void*>(start), size);
}

int protection_of(sys::Access access) {
  return access == sys::Access::ReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
}

// [header page][ring][ring again]: a record that crosses the ring's end is contiguous all the same.
Result<sys::Mapping> map_data(const sys::Fd& fd, std::uint64_t capacity, sys::Access access,
                              bool huge_pages) {
  const auto ring = static_cast<std::size_t>(capacity);
  const std::size_t alignment = huge_pages && ring >= kHugePage ? kHugePage : 0;
  TRY(sys::Mapping mapping, reserve(kHeaderPage + 2 * ring, alignment));
  const int protection = protection_of(access);
  const auto place = [&](std::size_t at, std::size_t size, std::size_t offset) {
    return ::mmap(mapping.data() + at, size, protection, MAP_SHARED | MAP_FIXED, fd.get(),
                  static_cast<off_t>(offset)) != MAP_FAILED;
  };
  if (!place(0, kHeaderPage + ring, 0) || !place(kHeaderPage + ring, ring, kHeaderPage))
    return fail_errno("mapping a ring");
  // A wish: the system may have none, or not for shared memory (shmem_enabled).
  if (alignment != 0) ::madvise(mapping.data(), mapping.size(), MADV_HUGEPAGE);
  return mapping;
}

AddressPool& beginnings() {
  static auto& pool = *new AddressPool(kHeaderPage + kBeginning);
  return pool;
}

// Larger ones were asked for, for messages that are long.
constexpr std::uint64_t kLargestWithBeginning = std::uint64_t{4} << 20;

Result<ChannelMappings> map_end(const ChannelEnd& end, std::uint64_t ring_bytes, Role role,
                                bool huge_pages) {
  if (!is_ring_size(ring_bytes)) return fail(Code::Invalid, "a ring of {} bytes", ring_bytes);
  TRY(check_memory(end.data, "the ring's data", kHeaderPage + ring_bytes));
  TRY(check_memory(end.control, "the ring's control", kHeaderPage));
  const auto data_access = role == Role::Send ? sys::Access::ReadWrite : sys::Access::ReadOnly;
  const auto control_access = role == Role::Send ? sys::Access::ReadOnly : sys::Access::ReadWrite;
  ChannelMappings mapped;
  TRY(mapped.data, map_data(end.data, ring_bytes, data_access, huge_pages));
  if (ring_bytes > kBeginning && ring_bytes <= kLargestWithBeginning && !huge_pages) {
    auto beginning = PooledMapping::map(beginnings(), end.data.get(), protection_of(data_access));
    if (beginning) mapped.beginning = *std::move(beginning); // else it does without
  }
  TRY(mapped.control, sys::map_shared(end.control.get(), 0, kHeaderPage, control_access));
  const auto* header = reinterpret_cast<const DataHeader*>(mapped.header());
  const auto* control = reinterpret_cast<const Control*>(mapped.control.data());
  if (header->magic != kRingMagic || control->magic != kRingMagic)
    return fail(Code::Untrusted, "the memory is no ring");
  if (header->version != kRingVersion || control->version != kRingVersion)
    return fail(Code::Incompatible, "the ring is of another version than {}", kRingVersion);
  return mapped;
}

} // namespace

Result<ChannelMemory> make_channel_memory(std::uint64_t ring_bytes, std::uint64_t lap) {
  if (!is_ring_size(ring_bytes))
    return fail(Code::Invalid, "a ring of {} bytes: a power of two between {} and {} is needed",
                ring_bytes, kMinRing, kMaxRing);
  ChannelMemory memory;
  TRY(memory.data, make_memory("mohhos-ring", kHeaderPage + ring_bytes,
                               HeaderStart{.capacity = ring_bytes, .lap = lap}));
  TRY(memory.control, make_memory("mohhos-ring-control", kHeaderPage, HeaderStart{}));
  TRY(memory.data_bell, make_doorbell());
  TRY(memory.space_bell, make_doorbell());
  return memory;
}

Result<ChannelEnd> make_sender_end(const ChannelMemory& memory, Holder holder) {
  ChannelEnd end;
  TRY(end.data, memory.data.duplicate());
  TRY(end.control, sys::reopen_read_only(memory.control.get()));
  TRY(end.data_bell, memory.data_bell.duplicate());
  TRY(end.space_bell, waiting_end(memory.space_bell, holder));
  return end;
}

Result<ChannelEnd> make_receiver_end(const ChannelMemory& memory, Holder holder) {
  ChannelEnd end;
  TRY(end.data, sys::reopen_read_only(memory.data.get()));
  TRY(end.control, memory.control.duplicate());
  TRY(end.data_bell, waiting_end(memory.data_bell, holder));
  TRY(end.space_bell, memory.space_bell.duplicate());
  return end;
}

SendingChannel::SendingChannel(ChannelMappings mappings, sys::Fd data_bell, sys::Fd space_bell,
                               RingSender ring)
    : mappings_(std::move(mappings)), data_bell_(std::move(data_bell)),
      space_bell_(std::move(space_bell)), ring_(ring) {}

Result<SendingChannel> SendingChannel::attach(ChannelEnd end, std::uint64_t ring_bytes,
                                              std::uint32_t generation,
                                              const ChannelOptions& options) {
  TRY(ChannelMappings mapped, map_end(end, ring_bytes, Role::Send, options.huge_pages));
  auto* const header = reinterpret_cast<DataHeader*>(mapped.header());
  Laps laps = options.laps;
  laps.bytes = header->lap;
  const SenderMemory memory{
      .header = header,
      .map = mapped.ring<std::byte>(ring_bytes),
      .control = reinterpret_cast<const Control*>(mapped.control.data()),
      .laps = laps,
  };
  return SendingChannel(std::move(mapped), std::move(end.data_bell), std::move(end.space_bell),
                        RingSender(memory, generation, options.loss));
}

void SendingChannel::ring_bell() noexcept {
  ring_doorbell(data_bell_.get());
  ++ring_.counters().bells;
}

// MADV_REMOVE on what is our own, and holds nothing: it leaves zeros, as free lines have them.
void SendingChannel::return_memory() noexcept {
  const RingSender::Pages pages = ring_.spare_pages();
  if (pages.bytes != 0)
    ::madvise(mappings_.data.data() + kHeaderPage + pages.offset, pages.bytes, MADV_REMOVE);
}

ReceivingChannel::ReceivingChannel(ChannelMappings mappings, sys::Fd data_bell, sys::Fd space_bell,
                                   RingReceiver ring, Loss loss)
    : mappings_(std::move(mappings)), data_bell_(std::move(data_bell)),
      space_bell_(std::move(space_bell)), ring_(ring), loss_(loss) {}

Result<ReceivingChannel> ReceivingChannel::attach(ChannelEnd end, std::uint64_t ring_bytes,
                                                  const ChannelOptions& options) {
  TRY(ChannelMappings mapped, map_end(end, ring_bytes, Role::Receive, options.huge_pages));
  const ReceiverMemory memory{
      .header = reinterpret_cast<const DataHeader*>(mapped.header()),
      .map = mapped.ring<const std::byte>(ring_bytes),
      .control = reinterpret_cast<Control*>(mapped.control.data()),
  };
  return ReceivingChannel(std::move(mapped), std::move(end.data_bell), std::move(end.space_bell),
                          RingReceiver(memory), options.loss);
}

void ReceivingChannel::ring_bell() noexcept {
  ring_doorbell(space_bell_.get());
}

std::uint64_t ReceivingChannel::dropped() const noexcept {
  return load_relaxed(&reinterpret_cast<const DataHeader*>(mappings_.header())->counters.dropped);
}

RingReceiver::Outcome ReceivingChannel::next_copy(View& view) {
  const RingReceiver::Outcome outcome = ring_.next_lossy(view, spare_);
  if (outcome != RingReceiver::Outcome::Message) return outcome;
  ring_.release(view);
  copies_.push_back({view.number, std::move(spare_)}); // view.payload lies in it, wherever it moves
  spare_ = {};
  return outcome;
}

void ReceivingChannel::release_copies(std::uint64_t number) noexcept {
  for (; !copies_.empty() && copies_.front().number <= number; copies_.pop_front())
    spare_ = std::move(copies_.front().bytes);
}

} // namespace mohhos::ipc
