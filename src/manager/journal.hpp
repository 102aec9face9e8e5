// Durable messages: what senders ask to have on disk, and what receivers have not acknowledged of
// it when everything that held it in memory is gone.
//
// One worker thread owns the files (journal_store.hpp) and descriptors of the rings it reads; the
// loop never waits for a disk. What was asked for while the disk was busy is served together: one
// fdatasync for all. The rings are strangers' memory: read by pread, one record at a time, into
// memory of our own, and then judged (ipc/remains.hpp).
//
// A ring's log outlives the ring. What is acknowledged is read from the rings' control pages, ten
// times a second, for as long as a receiver's process lives; whoever is done with a message just
// before the power fails may get it again, flagged.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "manager/disk_thread.hpp"
#include "manager/journal_store.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

// A ring, for the worker: what it is, and duplicates of its descriptors.
struct JournaledRing {
  LogInfo info;
  sys::Fd data;
  sys::Fd control;
};

class Journal {
public:
  struct Settings {
    std::filesystem::path directory;
    JournalLimits limits;
    std::uint64_t life = 0;
  };
  // Callbacks are called on the loop, later. `on_found`: the logs of this life, once they have been
  // read: attach() what is still there of their rings. `on_remark`: what was damaged, what failed.
  [[nodiscard]] static Result<std::unique_ptr<Journal>>
  open(sys::Loop& loop, Settings settings, std::function<void(std::vector<LogInfo>)> on_found,
       std::function<void(const std::string&)> on_remark);
  // Waits for what was begun, and writes down what was acknowledged.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // --- of a channel that is open ---

  [[nodiscard]] bool knows(ChannelId channel) const { return attached_.contains(channel.value); }
  void attach(JournaledRing ring);
  // `done` when every durable message before `upto` is on disk or acknowledged. Refused: too much
  // is under way on this channel. Invalid: nothing was sent up to there. Malformed: the ring makes
  // no sense. Exhausted, Failed: the disk. [loop]
  void sync(ChannelId channel, std::uint64_t upto, std::function<void(Result<>)> done);
  // Up to which position durable messages are on disk, as far as this manager was asked. [loop]
  [[nodiscard]] std::uint64_t synced_before(ChannelId channel) const;
  // The channel has ended; its receiver may still read what is in the ring. [loop]
  void ended(ChannelId channel);
  // No process of this name reads any ring any more that has ended. [loop]
  void receiver_gone(std::string receiver);

  // --- cold start ---

  // What the receiver has not acknowledged and no ring in `open` holds. Its process must be new.
  void find_leftovers(std::string receiver, std::set<std::uint64_t> open,
                      std::function<void(std::vector<Leftovers>)> done);
  // Puts them into the (new, empty) ring, which from then on is attached. How many there are.
  void restore(Leftovers leftovers, JournaledRing ring,
               std::function<void(Result<std::uint64_t>)> done);

private:
  class Worker;
  using Task = std::move_only_function<void(Worker&)>;
  explicit Journal(std::function<void(const std::string&)> on_remark);
  void give(Task task);
  void run(DiskThread& thread, const Settings& settings);

  std::function<void(std::vector<LogInfo>)> on_found_;
  std::function<void(const std::string&)> on_remark_;
  std::set<std::uint64_t> attached_;
  std::map<std::uint64_t, std::uint32_t> under_way_; // syncs of each channel
  std::map<std::uint64_t, std::uint64_t> synced_;    // of each channel, up to where
  Worker* worker_ = nullptr;                         // the thread's
  std::unique_ptr<DiskThread> thread_;
};

} // namespace mohhos::manager
