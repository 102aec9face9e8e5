// What is left in a ring whose receiver died, read from outside: by pread, never mapped, one read
// into private memory and then parsed. Both memories are a stranger's: the control page the dead
// receiver's, the data a sender's who may be rewriting it at this moment.
//
// A message that kills its receiver again and again is taken out of the way by `Control::buried`, a
// word that nobody reads but the next receiver when it begins: the tail itself may be being read by
// the sender, who would take a half-written one for a breach.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "ipc/layout.hpp"
#include "ipc/message.hpp"

namespace mohhos::ipc {

// A message, copied.
struct Remnant {
  MessageInfo info;
  std::vector<std::byte> payload;
  std::uint64_t end = 0; // position behind it
};

// `bytes`: a copy of what lies at `position`, from there as far as the record may reach. Nothing:
// no message is published there. Malformed: the rule that it breaks. [pure]
[[nodiscard]] Result<std::optional<Remnant>>
parse_record(std::span<const std::byte> bytes, std::uint64_t position, std::uint64_t capacity);

// How far the receiver had come.
struct Progress {
  std::uint64_t tail = 0;  // all before it is done with
  std::uint64_t begun = 0; // what lies between was begun
};
// Of the three words of a control page, whatever they say; Malformed: they make no sense. [pure]
[[nodiscard]] Result<Progress> judge_progress(std::uint64_t tail, std::uint64_t begun,
                                              std::uint64_t buried, std::uint64_t capacity);

// A message that was in somebody's hands when it died, and how often that has been so.
struct Suspect {
  std::uint64_t channel = 0;
  std::uint64_t position = 0;
  std::uint32_t deaths = 0;
  friend bool operator==(const Suspect&, const Suspect&) = default;
};
// After one more death: the suspect of this channel, if a message was in hand. [pure]
[[nodiscard]] std::optional<Suspect> suspect_after(const Progress& progress, ChannelId channel,
                                                   const std::vector<Suspect>& before);

// A ring's memories, by descriptor; they must outlive this.
class Remains {
public:
  Remains(int data, int control, std::uint64_t capacity)
      : data_(data), control_(control), capacity_(capacity) {}
  [[nodiscard]] Result<Progress> progress() const;
  // `most`: bytes of payload. One that says more is not read: its sender writes what it likes into
  // the word, and pays for no page of it. [any]
  [[nodiscard]] Result<std::optional<Remnant>> at(std::uint64_t position,
                                                  std::uint64_t most = kMaxRing) const;
  // Only the first word of the record there. [any]
  [[nodiscard]] Result<std::optional<PublishWord>> word_at(std::uint64_t position) const;
  // The next receiver begins at `position` at the earliest. Only while there is none. [any]
  [[nodiscard]] Result<> bury_before(std::uint64_t position) const;

private:
  int data_;
  int control_;
  std::uint64_t capacity_;
};

} // namespace mohhos::ipc
