// What the soaks of death have in common: messages whose every byte follows from their number, a
// channel that both ends of are at hand, and what a death must have left of it.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <sys/mman.h>

#include "ipc/channel.hpp"
#include "ipc/shared_word.hpp"
#include "report.hpp"

namespace mohhos::soak {

inline constexpr std::uint64_t kCapacity = 4096;

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "death: {}\n", result.error().text);
    std::abort();
  }
  return *std::move(result);
}

// --- numbered messages: everything about one follows from its number ---

inline std::uint32_t size_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(8 + number * 2654435761U % 280);
}
inline ipc::Outgoing about(std::uint64_t number) {
  ipc::Outgoing about{};
  if (number % 3 == 0) about.correlation = number + 1;
  return about;
}
// The number, and then one byte over and over: few instructions to write, so few that are not the
// ring's own.
inline int filling(std::uint64_t number) {
  return static_cast<int>(number * 31 & 0xFF);
}
inline void fill(std::span<std::byte> space, std::uint64_t number) {
  std::memset(space.data(), filling(number), space.size());
  std::memcpy(space.data(), &number, sizeof number);
}
inline bool is_whole(const ipc::View& view, std::uint64_t number) {
  if (view.payload.size() != size_of(number)) return false;
  if (view.info.correlation != about(number).correlation) return false;
  std::uint64_t found = 0;
  std::memcpy(&found, view.payload.data(), sizeof found);
  const auto rest = view.payload.subspan(sizeof found);
  return found == number &&
         (rest.empty() || (rest[0] == std::byte(filling(number)) &&
                           std::memcmp(rest.data(), rest.data() + 1, rest.size() - 1) == 0));
}

// --- the world that a death leaves ---

// What the dead process had said of itself.
struct Progress {
  std::uint64_t sent;     // commit() returned for all before this number
  std::uint64_t started;  // handlers of all before this were called
  std::uint64_t handled;  // ... and returned
  std::uint64_t released; // release() returned
};

class World {
public:
  explicit World(const ipc::Laps& its_laps = {})
      : memory(must(ipc::make_channel_memory(kCapacity, its_laps.bytes))), laps(its_laps) {
    data_ = must(sys::map_shared(memory.data.get(), 0, ipc::kHeaderPage + kCapacity,
                                 sys::Access::ReadWrite));
    control_ =
        must(sys::map_shared(memory.control.get(), 0, ipc::kHeaderPage, sys::Access::ReadWrite));
    void* const page = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) std::abort();
    progress = static_cast<Progress*>(page);
    attach_sender();
    attach_receiver();
  }
  ~World() { ::munmap(progress, sizeof(Progress)); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  ipc::SendingChannel new_sender() const {
    return must(ipc::SendingChannel::attach(must(ipc::make_sender_end(memory)), kCapacity, 2,
                                            {.laps = laps}));
  }
  ipc::ReceivingChannel new_receiver() const {
    return must(ipc::ReceivingChannel::attach(must(ipc::make_receiver_end(memory)), kCapacity));
  }
  void attach_sender() { sender.emplace(new_sender()); }
  void attach_receiver() { receiver.emplace(new_receiver()); }

  [[nodiscard]] bool receiver_is_armed() const {
    return ipc::load_relaxed(&reinterpret_cast<const ipc::Control*>(control_.data())->armed) % 2 ==
           1;
  }

  // Of the last skip.
  [[nodiscard]] std::uint64_t skip_end() const {
    return ipc::load_relaxed(&reinterpret_cast<const ipc::DataHeader*>(data_.data())->skip_end);
  }

  // In front of a check that changes things; and behind it.
  struct Snapshot {
    std::array<std::byte, ipc::kHeaderPage + kCapacity> data;
    std::array<std::byte, ipc::kHeaderPage> control;
    Progress progress;
    ipc::RingSender sender;
    ipc::RingReceiver receiver;
  };
  Snapshot save() const {
    Snapshot saved{.data = {},
                   .control = {},
                   .progress = *progress,
                   .sender = sender->ring(),
                   .receiver = receiver->ring()};
    std::memcpy(saved.data.data(), data_.data(), saved.data.size());
    std::memcpy(saved.control.data(), control_.data(), saved.control.size());
    return saved;
  }
  void restore(const Snapshot& saved) {
    std::memcpy(data_.data(), saved.data.data(), saved.data.size());
    std::memcpy(control_.data(), saved.control.data(), saved.control.size());
    *progress = saved.progress;
    sender->ring() = saved.sender;
    receiver->ring() = saved.receiver;
  }

  // A message of this world: of requests and answers the correlation is not the number's.
  [[nodiscard]] bool holds_whole(const ipc::View& view, std::uint64_t number) const {
    if (!any_correlation) return is_whole(view, number);
    ipc::View same = view;
    same.info.correlation = about(number).correlation;
    return is_whole(same, number);
  }

  bool any_correlation = false;
  ipc::ChannelMemory memory;
  ipc::Laps laps; // of its senders
  std::optional<ipc::SendingChannel> sender;
  std::optional<ipc::ReceivingChannel> receiver;
  Progress* progress = nullptr;

private:
  sys::Mapping data_;
  sys::Mapping control_;
};

inline bool send_one(ipc::SendingChannel& sender, std::uint64_t number, bool more = false) {
  std::span<std::byte> space;
  const auto spacing = number % 2 != 0 ? ipc::Spacing::Close : ipc::Spacing::Apart;
  if (sender.ring().loan(size_of(number), about(number), space, spacing) !=
      ipc::RingSender::Outcome::Ok)
    return false;
  fill(space, number);
  sender.commit(more);
  return true;
}

inline void send_noted(World& world, ipc::SendingChannel& sender, bool more = false) {
  if (send_one(sender, world.progress->sent, more)) ++world.progress->sent;
}

inline void receive_noted(World& world, ipc::ReceivingChannel& receiver) {
  ipc::View view;
  if (receiver.next(view) != ipc::RingReceiver::Outcome::Message) return;
  ++world.progress->started;
  if (!is_whole(view, world.progress->handled)) std::abort();
  ++world.progress->handled;
  receiver.release(view);
  ++world.progress->released;
}

// --- what must hold afterwards ---

struct Tally {
  std::uint64_t deaths = 0;
  std::uint64_t behind_skip = 0; // of them, behind a skip that was published before
  std::uint64_t messages = 0;    // that successors received
  std::uint64_t redelivered = 0;
  std::uint64_t torn = 0;
  std::uint64_t lost = 0;
  std::uint64_t again = 0;      // redelivered though acknowledged
  std::uint64_t unflagged = 0;  // redelivered without a flag, or flagged without being it
  std::uint64_t unusable = 0;   // rings
  std::uint64_t unheard = 0;    // successors that slept and were not rung
  std::uint64_t miscounted = 0; // lossy rings whose account of what was missed is wrong
};

// Each adds its deaths; `start`: messages that went through the ring before, so that it wraps at
// another place. Says on standard error what it does when `aloud`.
void die_in_lossy_rings(std::uint64_t start, Tally& tally, Report& report, bool aloud);
void die_in_endpoints(std::uint64_t start, Tally& tally, Report& report, bool aloud);

} // namespace mohhos::soak
