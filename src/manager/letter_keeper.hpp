// The dead letters beside the loop: a thread owns the store (dead_letters.hpp), reads messages out
// of rings whose receiver is gone, and waits for the disk. What is asked for is done in order, so
// who has been told that a letter is there finds it in the next list.
//
// A message that kills is marked in its ring to be skipped only when its letter is on disk. A
// manager that dies in between leaves both or the message alone; its successor buries once more,
// which gives the same letter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "manager/dead_letters.hpp"
#include "manager/disk_thread.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

inline constexpr std::string_view kNoRoomForLetters =
    "the dead-letter store has no more room for it ([deadletters] in mohhosd.toml)";

// A ring that a receiver left, for the thread.
struct LeftRing {
  LetterHead head; // what all letters out of it have in common
  sys::Fd data;    // duplicates
  sys::Fd control;
  std::uint64_t ring_bytes = 0;
  std::uint64_t durable_before = 0; // durable messages before this position are in the journal
};

// What became of unread messages.
struct UnreadBuried {
  std::uint64_t kept = 0; // are in the store
  std::uint64_t lost = 0; // as far as anybody has counted
  std::string why{};      // of those lost
};

class LetterKeeper {
public:
  [[nodiscard]] static Result<std::unique_ptr<LetterKeeper>> open(sys::Loop& loop,
                                                                  DeadLetters store);
  LetterKeeper(const LetterKeeper&) = delete;
  LetterKeeper& operator=(const LetterKeeper&) = delete;

  // Each `done` is called on the loop, later. [loop]

  // The message at this position: onto the disk, and then out of its receiver's way. There must be
  // no receiver until `done`. Nothing: it is no message. Exhausted: no room; others: the disk.
  void bury(LeftRing ring, std::uint64_t position,
            std::function<void(Result<std::optional<LetterHead>>)> done);
  // All that is unread and may matter to somebody, of one receiver. No more is read than finds
  // room.
  void bury_unread(std::vector<LeftRing> rings, std::function<void(UnreadBuried)> done);

  void list(std::function<void(std::vector<LetterHead>)> done);
  void read(std::uint64_t id, std::function<void(Result<DeadLetter>)> done);
  void drop(std::uint64_t id, std::function<void(Result<>)> done);
  void set_bounds(LetterBounds bounds);

private:
  explicit LetterKeeper(DeadLetters store) : store_(std::move(store)) {}
  template <class Work, class Done>
  void ask(Work work, Done done);

  DeadLetters store_; // the thread's
  std::unique_ptr<DiskThread> thread_;
};

} // namespace mohhos::manager
