#include "manager/letter_keeper.hpp"

#include <algorithm>
#include <utility>

#include "ipc/remains.hpp"

namespace mohhos::manager {
namespace {

// Messages that are looked at when a plugin ends for good: a ring of 4 MiB of empty ones.
constexpr std::uint64_t kMostLooks = 262'144;
// Its senders have been told by then, but may have been sending.
constexpr int kMostRounds = 4;

// An answer to a process that is gone, or the taking back of a request: nothing to anybody else.
// And a skip is no message.
bool is_worth_keeping(const ipc::PublishWord& word) {
  return (word.flags & ipc::kSkip) == 0 &&
         word.type != static_cast<std::uint8_t>(ipc::MessageType::DataResponse) &&
         (word.flags & ipc::kCancels) == 0;
}

ipc::Remains remains_of(const LeftRing& ring) {
  return {ring.data.get(), ring.control.get(), ring.ring_bytes};
}

DeadLetter letter_of(const LeftRing& ring, std::uint64_t position, ipc::Remnant message) {
  DeadLetter letter{.head = ring.head, .payload = std::move(message.payload)};
  letter.head.position = position;
  letter.head.info = message.info;
  return letter;
}

bool is_known(const DeadLetters& store, const LeftRing& ring, std::uint64_t position) {
  return store.knows(ring.head.epoch, ring.head.channel, position);
}

Result<std::optional<LetterHead>> bury_one(DeadLetters& store, const LeftRing& ring,
                                           std::uint64_t position) {
  const ipc::Remains remains = remains_of(ring);
  TRY(const auto word, remains.word_at(position));
  if (!word || (word->flags & ipc::kSkip) != 0) return std::nullopt;
  // Looked at before it is read: it may be as large as the ring.
  LetterRoom room = store.room_for(ring.head.to);
  if (!is_known(store, ring, position) && !room.take(word->size))
    return fail(Code::Exhausted, "{}", kNoRoomForLetters);
  TRY(auto message, remains.at(position, word->size));
  if (!message) return std::nullopt;
  const std::uint64_t behind = message->end;
  DeadLetter letter = letter_of(ring, position, *std::move(message));
  TRY(const std::size_t put, store.put(std::span(&letter, 1)));
  if (put == 0) return fail(Code::Exhausted, "{}", kNoRoomForLetters);
  TRY(remains.bury_before(behind));
  return letter.head;
}

// What one look at all rings finds.
struct Unread {
  std::vector<DeadLetter> letters; // that are not in the store and find room there
  std::uint64_t known = 0;         // are there already
  std::uint64_t lost = 0;
  bool all = true; // nobody has counted more
};

Unread look_at(const DeadLetters& store, const std::vector<LeftRing>& rings) {
  Unread found;
  LetterRoom room = store.room_for(rings.front().head.to);
  std::uint64_t looks = 0;
  for (const LeftRing& ring : rings) {
    const ipc::Remains remains = remains_of(ring);
    const auto progress = remains.progress();
    if (!progress) continue;
    for (std::uint64_t at = progress->tail; at - progress->tail < ring.ring_bytes; ++looks) {
      if (looks == kMostLooks) {
        found.all = false;
        return found;
      }
      const auto word = remains.word_at(at);
      if (!word || !*word) break;
      const std::uint64_t position = at;
      at = (*word)->end(position);
      if (!is_worth_keeping(**word)) continue;
      // The journal has it, for the next that is loaded under this name.
      const bool durable = ((*word)->flags & ipc::kDurable) != 0;
      if (durable && position < ring.durable_before) continue;
      if (is_known(store, ring, position)) {
        ++found.known;
        continue;
      }
      if (!room.take((*word)->size)) {
        ++found.lost;
        continue;
      }
      auto message = remains.at(position, (*word)->size);
      if (!message || !*message) break;
      found.letters.push_back(letter_of(ring, position, *std::move(*message)));
    }
  }
  return found;
}

// Until a look finds nothing that is not in the store.
UnreadBuried bury_all(DeadLetters& store, const std::vector<LeftRing>& rings) {
  UnreadBuried done;
  if (rings.empty()) return done;
  for (int round = 0; round < kMostRounds; ++round) {
    Unread unread = look_at(store, rings);
    const auto put = store.put(unread.letters);
    const std::uint64_t kept = put.value_or(0);
    done.kept = unread.known + kept;
    done.lost = unread.lost + unread.letters.size() - kept;
    done.why = put ? std::string(kNoRoomForLetters) : put.error().text;
    if (!unread.all) done.why += "; nobody has counted all of them";
    if (unread.letters.empty() || kept != unread.letters.size()) break;
  }
  return done;
}

} // namespace

Result<std::unique_ptr<LetterKeeper>> LetterKeeper::open(sys::Loop& loop, DeadLetters store) {
  std::unique_ptr<LetterKeeper> keeper(new LetterKeeper(std::move(store)));
  TRY(keeper->thread_, DiskThread::open(loop));
  return keeper;
}

template <class Work, class Done>
void LetterKeeper::ask(Work work, Done done) {
  thread_->give(
      [this, &thread = *thread_, work = std::move(work), done = std::move(done)]() mutable {
        thread.answer(
            [result = work(store_), done = std::move(done)]() mutable { done(std::move(result)); });
      });
}

void LetterKeeper::bury(LeftRing ring, std::uint64_t position,
                        std::function<void(Result<std::optional<LetterHead>>)> done) {
  ask([ring = std::move(ring),
       position](DeadLetters& store) { return bury_one(store, ring, position); },
      std::move(done));
}

void LetterKeeper::bury_unread(std::vector<LeftRing> rings,
                               std::function<void(UnreadBuried)> done) {
  ask([rings = std::move(rings)](DeadLetters& store) { return bury_all(store, rings); },
      std::move(done));
}

void LetterKeeper::list(std::function<void(std::vector<LetterHead>)> done) {
  ask(
      [](const DeadLetters& store) {
        std::vector<LetterHead> heads;
        for (const auto& [id, head] : store.heads()) heads.push_back(head);
        return heads;
      },
      std::move(done));
}

void LetterKeeper::read(std::uint64_t id, std::function<void(Result<DeadLetter>)> done) {
  ask([id](const DeadLetters& store) { return store.read(id); }, std::move(done));
}

void LetterKeeper::drop(std::uint64_t id, std::function<void(Result<>)> done) {
  ask([id](DeadLetters& store) { return store.drop(id); }, std::move(done));
}

void LetterKeeper::set_bounds(LetterBounds bounds) {
  thread_->give([this, bounds] { store_.set_bounds(bounds); });
}

} // namespace mohhos::manager
