#include "manager/journal.hpp"

#include <algorithm>
#include <utility>

#include "ipc/refill.hpp"
#include "ipc/remains.hpp"

namespace mohhos::manager {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr std::uint32_t kMostUnderWay = 8; // syncs of one channel
// Rings of one receiver that have ended with something unread: two descriptors each.
constexpr std::ptrdiff_t kMostEnded = 16;
// Of one channel, before the others have their turn.
constexpr std::uint32_t kRecordsPerTurn = 8192;
constexpr std::uint64_t kBytesPerTurn = std::uint64_t{8} << 20;
constexpr std::uint64_t kBytesPerCommit = std::uint64_t{32} << 20;

} // namespace

// What lives on the thread.
class Journal::Worker {
public:
  Worker(Journal& journal, DiskThread& thread, JournalStore store, std::uint64_t life)
      : journal_(journal), thread_(thread), store_(std::move(store)), life_(life) {}

  void attach(JournaledRing ring);
  void begin_sync(std::uint64_t channel, std::uint64_t upto, std::function<void(Result<>)> done);
  // A turn of every sync that is under way, and one commit for all of them.
  void serve_syncs();
  [[nodiscard]] bool busy() const { return !syncs_.empty(); }
  void ended(std::uint64_t channel);
  void receiver_gone(const std::string& receiver);
  [[nodiscard]] std::vector<Leftovers> leftovers(const std::string& receiver,
                                                 const std::set<std::uint64_t>& open);
  [[nodiscard]] Result<std::uint64_t> restore(const Leftovers& leftovers, JournaledRing ring);
  // Those of this life.
  [[nodiscard]] std::vector<LogInfo> found() const;
  // Reads what was acknowledged; whether there is anything to look at.
  bool tick();
  void report();
  void finish();
  void answer(DiskThread::Task what) { thread_.answer(std::move(what)); }

private:
  struct Ring {
    JournaledRing fds;
    std::optional<JournalStore::LogId> log{};
    std::uint64_t synced = 0; // every durable message before it is on disk
    std::uint64_t read = 0;   // and before this, once it is committed
    bool ended = false;
  };
  struct Sync {
    std::uint64_t channel = 0;
    std::uint64_t upto = 0;
    std::function<void(Result<>)> done;
    std::optional<Error> failed{};
  };
  [[nodiscard]] Result<> read_on(Ring& ring, std::uint64_t upto);
  [[nodiscard]] Result<> take_record(Ring& ring, const ipc::Remains& remains,
                                     std::uint64_t& budget);
  void commit();
  void note_tail(const Ring& ring);
  void let_go(const Ring& ring);
  void answer(Sync& sync, Result<> result);

  Journal& journal_;
  DiskThread& thread_;
  JournalStore store_;
  std::uint64_t life_;
  std::map<std::uint64_t, Ring> rings_;
  std::deque<Sync> syncs_;
};

void Journal::Worker::attach(JournaledRing fds) {
  const std::uint64_t channel = fds.info.channel;
  const auto [found, is_new] = rings_.try_emplace(channel);
  if (!is_new) return;
  Ring& ring = found->second;
  ring.fds = std::move(fds);
  ring.log = store_.find(life_, channel);
  if (ring.log) ring.synced = ring.read = store_.end_of(*ring.log);
}

std::vector<LogInfo> Journal::Worker::found() const {
  std::vector<LogInfo> logs;
  for (const JournalStore::LogId id : store_.logs())
    if (store_.info(id).life == life_) logs.push_back(store_.info(id));
  return logs;
}

void Journal::Worker::begin_sync(std::uint64_t channel, std::uint64_t upto,
                                 std::function<void(Result<>)> done) {
  syncs_.push_back({.channel = channel, .upto = upto, .done = std::move(done)});
}

void Journal::Worker::answer(Sync& sync, Result<> result) {
  answer([done = std::move(sync.done), result = std::move(result)] { done(result); });
}

void Journal::Worker::serve_syncs() {
  for (Sync& sync : syncs_) {
    const auto found = rings_.find(sync.channel);
    if (found == rings_.end()) {
      sync.failed = Error{Code::PeerGone, "the channel has ended"};
      continue;
    }
    if (auto read = read_on(found->second, sync.upto); !read) sync.failed = read.error();
    if (store_.uncommitted_bytes() > kBytesPerCommit) commit();
  }
  commit();
  std::deque<Sync> rest;
  for (Sync& sync : syncs_) {
    const auto found = rings_.find(sync.channel);
    if (sync.failed)
      answer(sync, std::unexpected(*std::move(sync.failed)));
    else if (found->second.synced >= sync.upto)
      answer(sync, {});
    else
      rest.push_back(std::move(sync));
  }
  syncs_ = std::move(rest);
}

// All that was read is on disk now, or none of it.
void Journal::Worker::commit() {
  const auto done = store_.commit();
  for (auto& [channel, ring] : rings_) {
    if (done)
      ring.synced = ring.read;
    else
      ring.read = ring.synced;
  }
  if (done) return;
  for (Sync& sync : syncs_)
    if (!sync.failed) sync.failed = done.error();
}

Result<> Journal::Worker::read_on(Ring& ring, std::uint64_t upto) {
  if (upto % ipc::kGrain != 0) return fail(Code::Invalid, "{} is no place between records", upto);
  const ipc::Remains remains(ring.fds.data.get(), ring.fds.control.get(), ring.fds.info.ring_bytes);
  if (ring.read >= upto) return {};
  TRY(const ipc::Progress progress, remains.progress());
  ring.read = std::max(ring.read, progress.tail); // what is acknowledged needs no disk
  if (ring.log) store_.acknowledge(*ring.log, progress.tail);
  if (ring.read < upto && upto - progress.tail > ring.fds.info.ring_bytes)
    return fail(Code::Invalid, "{} lies further ahead than the ring reaches", upto);
  std::uint64_t budget = kBytesPerTurn;
  for (std::uint32_t i = 0; i < kRecordsPerTurn && budget != 0 && ring.read < upto; ++i)
    TRY(take_record(ring, remains, budget));
  return {};
}

// The receiver may be done with it at any moment, and the sender then write over it: what cannot be
// read is looked at once more with the tail as it is afterwards.
Result<> Journal::Worker::take_record(Ring& ring, const ipc::Remains& remains,
                                      std::uint64_t& budget) {
  const std::uint64_t position = ring.read;
  auto word = remains.word_at(position);
  const bool durable = word && *word && ((*word)->flags & ipc::kDurable) != 0;
  if (word && *word && !durable) {
    ring.read = (*word)->end(position);
    return {};
  }
  Result<std::optional<ipc::Remnant>> record = std::nullopt;
  if (durable) {
    const auto room = store_.has_room(ring.fds.info, ring.log, (*word)->size);
    record = room ? remains.at(position, (*word)->size) : std::unexpected(room.error());
  }
  TRY(const ipc::Progress progress, remains.progress());
  if (progress.tail > position) {
    ring.read = progress.tail;
    return {};
  }
  if (!word) return std::unexpected(word.error());
  if (!record) return std::unexpected(record.error());
  if (!*record) return fail(Code::Invalid, "nothing was sent beyond {}", position);
  const ipc::Remnant& remnant = **record;
  if (!ring.log) ring.log = store_.begin(ring.fds.info);
  TRY(store_.append(*ring.log, {.place = {position, remnant.end},
                                .type = remnant.info.type,
                                .priority = remnant.info.priority,
                                .event = remnant.info.event,
                                .generation = remnant.info.generation,
                                .payload = remnant.payload}));
  ring.read = remnant.end;
  budget -= std::min(budget, remnant.end - position);
  return {};
}

// --- letting go ---

void Journal::Worker::note_tail(const Ring& ring) {
  if (!ring.log) return;
  const ipc::Remains remains(ring.fds.data.get(), ring.fds.control.get(), ring.fds.info.ring_bytes);
  if (const auto progress = remains.progress()) store_.acknowledge(*ring.log, progress->tail);
}

// From here on nobody looks at what its receiver acknowledges.
void Journal::Worker::let_go(const Ring& ring) {
  note_tail(ring);
  if (ring.log) store_.end(*ring.log);
}

// What is unread in it is still read, and looked after. But a receiver that reads nothing cannot
// have us hold more and more: what it acknowledges in the oldest it gets again when it is loaded
// the next time.
void Journal::Worker::ended(std::uint64_t channel) {
  const auto found = rings_.find(channel);
  if (found == rings_.end()) return;
  Ring& ring = found->second;
  ring.ended = true;
  note_tail(ring);
  if (!ring.log || store_.empty(*ring.log)) {
    let_go(ring);
    rings_.erase(found);
    return;
  }
  const auto is_like = [&](const auto& entry) {
    return entry.second.ended && entry.second.fds.info.receiver == ring.fds.info.receiver;
  };
  if (std::ranges::count_if(rings_, is_like) <= kMostEnded) return;
  const auto oldest = std::ranges::find_if(rings_, is_like);
  let_go(oldest->second);
  rings_.erase(oldest);
}

void Journal::Worker::receiver_gone(const std::string& receiver) {
  std::erase_if(rings_, [&](const auto& entry) {
    const Ring& ring = entry.second;
    if (!ring.ended || ring.fds.info.receiver != receiver) return false;
    let_go(ring);
    return true;
  });
}

bool Journal::Worker::tick() {
  for (auto& [channel, ring] : rings_) note_tail(ring);
  std::erase_if(rings_, [&](const auto& entry) {
    const Ring& ring = entry.second;
    if (!ring.ended || (ring.log && !store_.empty(*ring.log))) return false;
    if (ring.log) store_.end(*ring.log);
    return true;
  });
  store_.tidy();
  report();
  return std::ranges::any_of(rings_, [&](const auto& entry) {
    return entry.second.log && !store_.empty(*entry.second.log);
  });
}

void Journal::Worker::report() {
  for (std::string& text : store_.take_remarks())
    answer([&journal = journal_, text = std::move(text)] { journal.on_remark_(text); });
}

void Journal::Worker::finish() {
  while (busy()) serve_syncs();
  tick();
  static_cast<void>(store_.commit());
}

// --- cold start ---

std::vector<Leftovers> Journal::Worker::leftovers(const std::string& receiver,
                                                  const std::set<std::uint64_t>& open) {
  receiver_gone(receiver);
  return store_.leftovers(receiver, [&](const LogInfo& info) {
    return info.life == life_ && (open.contains(info.channel) || rings_.contains(info.channel));
  });
}

Result<std::uint64_t> Journal::Worker::restore(const Leftovers& leftovers, JournaledRing fds) {
  commit(); // what the others wait for is not at stake
  ipc::Refill refill(fds.data.get(), fds.control.get(), fds.info.ring_bytes);
  std::uint64_t count = 0;
  const auto place = [&](const JournalMessage& message) -> Result<Place> {
    const std::uint64_t begin = refill.end();
    const ipc::MessageInfo info{.type = message.type,
                                .priority = message.priority,
                                .event = message.event,
                                .generation = message.generation};
    TRY(const std::uint64_t end, refill.put(info, message.payload));
    ++count;
    return Place{begin, end};
  };
  TRY(store_.adopt(leftovers, fds.info, place));
  TRY(refill.finish());
  attach(std::move(fds));
  return count;
}

// --- the loop's side ---

Journal::Journal(std::function<void(const std::string&)> on_remark)
    : on_remark_(std::move(on_remark)) {}

Result<std::unique_ptr<Journal>> Journal::open(sys::Loop& loop, Settings settings,
                                               std::function<void(std::vector<LogInfo>)> on_found,
                                               std::function<void(const std::string&)> on_remark) {
  std::unique_ptr<Journal> journal(new Journal(std::move(on_remark)));
  Journal* const self = journal.get();
  self->on_found_ = std::move(on_found);
  TRY(self->thread_,
      DiskThread::open(loop, [self, settings = std::move(settings)](DiskThread& thread) {
        self->run(thread, settings);
      }));
  return journal;
}

Journal::~Journal() = default;

void Journal::give(Task task) {
  thread_->give([this, task = std::move(task)]() mutable { task(*worker_); });
}

void Journal::attach(JournaledRing ring) {
  attached_.insert(ring.info.channel);
  give([ring = std::move(ring)](Worker& worker) mutable { worker.attach(std::move(ring)); });
}

void Journal::sync(ChannelId channel, std::uint64_t upto, std::function<void(Result<>)> done) {
  std::uint32_t& under_way = under_way_[channel.value];
  if (under_way >= kMostUnderWay)
    return done(fail(Code::Refused, "{} syncs of channel {} are under way already", under_way,
                     channel.value));
  ++under_way;
  auto counted = [this, channel, upto, done = std::move(done)](Result<> result) {
    if (--under_way_[channel.value] == 0) under_way_.erase(channel.value);
    if (result && knows(channel)) {
      std::uint64_t& synced = synced_[channel.value];
      synced = std::max(synced, upto);
    }
    done(std::move(result));
  };
  give([channel, upto, counted = std::move(counted)](Worker& worker) mutable {
    worker.begin_sync(channel.value, upto, std::move(counted));
  });
}

std::uint64_t Journal::synced_before(ChannelId channel) const {
  const auto synced = synced_.find(channel.value);
  return synced == synced_.end() ? 0 : synced->second;
}

void Journal::ended(ChannelId channel) {
  synced_.erase(channel.value);
  if (attached_.erase(channel.value) == 0) return;
  give([channel](Worker& worker) { worker.ended(channel.value); });
}

void Journal::receiver_gone(std::string receiver) {
  give([receiver = std::move(receiver)](Worker& worker) { worker.receiver_gone(receiver); });
}

void Journal::find_leftovers(std::string receiver, std::set<std::uint64_t> open,
                             std::function<void(std::vector<Leftovers>)> done) {
  give([receiver = std::move(receiver), open = std::move(open),
        done = std::move(done)](Worker& worker) mutable {
    worker.answer(
        [found = worker.leftovers(receiver, open), done = std::move(done)] { done(found); });
  });
}

void Journal::restore(Leftovers leftovers, JournaledRing ring,
                      std::function<void(Result<std::uint64_t>)> done) {
  attached_.insert(ring.info.channel);
  give([leftovers = std::move(leftovers), ring = std::move(ring),
        done = std::move(done)](Worker& worker) mutable {
    worker.answer([count = worker.restore(leftovers, std::move(ring)), done = std::move(done)] {
      done(count);
    });
    worker.report();
  });
}

// --- the thread ---

void Journal::run(DiskThread& thread, const Settings& settings) {
  auto store = JournalStore::open(settings.directory, settings.limits);
  if (!store) {
    thread.answer([this, text = store.error().text] { on_remark_(text); });
    store = JournalStore::unusable(store.error());
  }
  Worker worker(*this, thread, std::move(*store), settings.life);
  worker_ = &worker;
  thread.answer([this, found = worker.found()] { on_found_(found); });
  worker.report();

  bool watching = false;
  auto next_tick = std::chrono::steady_clock::now();
  for (;;) {
    std::optional<std::chrono::steady_clock::time_point> until;
    if (worker.busy())
      until.emplace(); // long past
    else if (watching)
      until = next_tick;
    DiskThread::Turn turn = thread.take(until);
    for (DiskThread::Task& task : turn.tasks) task();
    if (worker.busy()) worker.serve_syncs();
    const auto now = std::chrono::steady_clock::now();
    if (watching && now < next_tick && !turn.stop) continue;
    if (turn.stop) return worker.finish();
    watching = worker.tick();
    next_tick = now + kTick;
  }
}

} // namespace mohhos::manager
