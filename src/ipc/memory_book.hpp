// Who has which memory (memory.hpp), and who still needs it: the manager's book. Decisions and
// numbers; the manager executes: makes, seals and hands over descriptors.
//
// A memory belongs to whoever had it made until that lets go of it, and to every message that it
// was sent with until the message's receiver lets go of it. It ends when nobody needs it any more.
//
// What counts against whom: one that its maker still has, against the maker. Each message's,
// against the receiver and against the pair, so that one that reads nothing costs its senders no
// more than their way to it, and one that sends without end leaves room for others. (The pages
// themselves count against the control group of whoever fills them.)
//
// A memory is bound to the message that it was sent with: to a channel, and a place in it. A sender
// may name any number in any record; what does not match has no memory. A sender that dies between
// handing over and publishing leaves one that no message will ask for: the receiver finds it by its
// place, and lets go of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "ipc/broker.hpp"
#include "ipc/link.hpp"

namespace mohhos::ipc {

struct MemoryLimits {
  std::uint32_t made_per_party = 64; // and not let go of
  std::uint64_t made_bytes_per_program = std::uint64_t{256} << 20;
  std::uint32_t sent_per_pair = 16; // and not let go of by the receiver
  std::uint64_t sent_bytes_per_pair = kMaxMemory;
  std::uint32_t sent_per_receiver = 64;
  std::uint64_t sent_bytes_per_receiver = 2 * kMaxMemory;
  std::uint32_t memories = 1024; // in all: descriptors of the manager and of the warden
  std::uint64_t bytes = 4 * kMaxMemory;
};

// One memory: fixed size, no pointers.
struct MemoryRecord {
  std::uint64_t memory = 0;
  std::uint64_t maker = 0;
  std::uint64_t bytes = 0;
  std::uint32_t sequence = 0; // of the question that it answers: the same again gets the same
  std::uint32_t held = 1;     // by its maker
};

// One memory with one message. Ordered as they are sent on a channel.
struct Passage {
  std::uint64_t channel = 0;
  std::uint64_t message = 0;
  std::uint64_t memory = 0;
  std::uint64_t sender = 0;
  std::uint64_t receiver = 0;
  friend auto operator<=>(const Passage&, const Passage&) = default;
};

class MemoryBook {
public:
  explicit MemoryBook(const MemoryLimits& limits = {}) : limits_(limits) {}

  // A new one, or the one that this question has got already. `most`: bytes that the asker may have
  // made at once; 0: a program's. Invalid, TooLarge (never possible), Exhausted. [pure]
  [[nodiscard]] Result<MemoryRecord> make(PluginId maker, const MakeMemory& question,
                                          std::uint64_t most);
  // It could not be made. [pure]
  void unmake(std::uint64_t memory) { memories_.erase(memory); }

  // Whether it may go with that message; `channel` is one that the sender may send on. NotFound: it
  // is not the sender's. Exhausted: whose limit. [pure]
  [[nodiscard]] Result<> may_send(const SendMemory& question, const ChannelRecord& channel) const;
  // It goes: false, if it was noted already (asked twice). [pure]
  bool send(const SendMemory& question, const ChannelRecord& channel);
  // It went nowhere after all. [pure]
  void take_back(const SendMemory& question, const ChannelRecord& channel);

  // The asker has no use for it any more. What is not the asker's is left alone. [pure]
  void release(PluginId asker, const ReleaseMemory& what);
  // Forgets what those had who are not there any more, and what nobody can receive. [pure]
  void sweep(const std::function<bool(PluginId maker)>& is_there,
             const std::function<bool(const Passage&)>& can_arrive);
  // Memories that nobody needs any more; they are not in the book afterwards. [pure]
  [[nodiscard]] std::vector<std::uint64_t> take_unused();

  [[nodiscard]] bool empty() const { return memories_.empty(); }
  [[nodiscard]] const MemoryRecord* find(std::uint64_t memory) const;
  [[nodiscard]] std::vector<MemoryRecord> memories() const;
  // What goes with messages of this channel, in the order of the messages. [pure]
  [[nodiscard]] std::vector<Passage> passages(ChannelId channel) const;

  // What the warden keeps for the next manager. restore(): Malformed: not what save() wrote; only
  // on a new book. [pure]
  [[nodiscard]] std::vector<std::byte> save() const;
  [[nodiscard]] Result<> restore(std::span<const std::byte> saved);

private:
  MemoryLimits limits_;
  std::map<std::uint64_t, MemoryRecord> memories_;
  std::set<Passage> passages_;
  std::uint64_t next_ = 1;
};

} // namespace mohhos::ipc
