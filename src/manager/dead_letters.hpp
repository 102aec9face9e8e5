// The dead-letter store: messages that killed their receiver too often, or that nobody will read
// any more, kept on disk until an operator looks at them. One file each, written whole or not at
// all. Bounded by count and bytes: a letter that finds no room is refused, never an older one
// dropped for it.
//
// A letter's number is never given again, also not by another manager, or another daemon.
//
// A letter is known by where its message lay, so that burying it twice (the manager died in
// between) gives one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/units.hpp"
#include "ipc/message.hpp"
#include "manager/config.hpp"

namespace mohhos::manager {

struct LetterHead {
  std::uint64_t id = 0; // in the store
  std::string to;       // names
  std::string from;
  PluginId to_id;
  PluginId from_id;
  Generation to_generation;
  std::string reason;
  std::uint32_t deaths = 0;
  std::uint64_t buried_us = 0; // wall clock
  // Where it lay: when the daemon began, channel, position.
  std::uint64_t epoch = 0;
  ChannelId channel;
  std::uint64_t position = 0;
  ipc::MessageInfo info; // as the sender said; size is the payload's
};

struct DeadLetter {
  LetterHead head;
  std::vector<std::byte> payload;
};

// A file of the store. Malformed: it is none, or was changed. [pure]
[[nodiscard]] std::string serialize(const DeadLetter& letter);
[[nodiscard]] Result<DeadLetter> parse_letter(std::span<const std::byte> bytes);

struct LetterBounds {
  std::uint32_t count = 1000;
  Bytes bytes = mib(64);
};

// What still fits into the store.
struct LetterRoom {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  // Whether one more does, with a payload of this size; if so it counts. [pure]
  [[nodiscard]] bool take(std::uint64_t payload);
};

[[nodiscard]] inline LetterBounds letter_bounds(const Config& config) {
  return {config.max_letters, config.max_letter_bytes};
}

class DeadLetters {
public:
  // What lies in the directory, which need not be there yet. Files that are no letters are left
  // alone and named in `problems`. [loop]
  [[nodiscard]] static DeadLetters open(std::filesystem::path directory, LetterBounds bounds,
                                        std::vector<std::string>& problems);
  void set_bounds(LetterBounds bounds) { bounds_ = bounds; }

  // For one receiver: a quarter of the store is left for the others. [pure]
  [[nodiscard]] LetterRoom room_for(const std::string& to) const;
  // Whether this message is there already: `epoch` as in LetterHead. [pure]
  [[nodiscard]] bool knows(std::uint64_t epoch, ChannelId channel, std::uint64_t position) const {
    return by_place_.contains({epoch, channel.value, position});
  }
  // All to one receiver. On disk when it returns; gives each its id. Those that are there already
  // are not written again. How many of them, from the first, found room; an error of the disk is
  // the Result's. [loop]
  [[nodiscard]] Result<std::size_t> put(std::span<DeadLetter> letters);

  [[nodiscard]] const std::map<std::uint64_t, LetterHead>& heads() const { return heads_; }
  // NotFound; Malformed: the file was changed. [loop]
  [[nodiscard]] Result<DeadLetter> read(std::uint64_t id) const;
  [[nodiscard]] Result<> drop(std::uint64_t id);

private:
  using Place = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
  DeadLetters(std::filesystem::path directory, LetterBounds bounds)
      : directory_(std::move(directory)), bounds_(bounds) {}
  [[nodiscard]] std::filesystem::path file_of(std::uint64_t id) const;
  void insert(const LetterHead& head, std::uint64_t bytes);
  [[nodiscard]] Result<> write(std::span<DeadLetter* const> letters);
  [[nodiscard]] Result<> remember_next_id();

  std::filesystem::path directory_;
  LetterBounds bounds_;
  std::map<std::uint64_t, LetterHead> heads_;
  std::map<std::uint64_t, std::uint64_t> sizes_; // of the files
  std::map<Place, std::uint64_t> by_place_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t remembered_id_ = 0; // on disk
};

} // namespace mohhos::manager
