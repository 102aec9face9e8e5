// A manager in miniature: a real Broker whose plans are executed over real links, in a thread of
// its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <poll.h>
#include <unistd.h>

#include "ipc/broker.hpp"
#include "ipc/channel.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/link_codec.hpp"
#include "ipc/memory.hpp"
#include "ipc/memory_book.hpp"
#include "sys/memfd.hpp"
#include "sys/socket.hpp"

namespace mohhos::ipc::testing {

class Switchboard {
public:
  Switchboard() : thread_([this] { run(); }) {}
  ~Switchboard() {
    stopping_ = true;
    thread_.join();
  }
  Switchboard(const Switchboard&) = delete;
  Switchboard& operator=(const Switchboard&) = delete;

  // A link for this party; whoever holds it is the party.
  sys::Fd connect(const Party& party) {
    auto pair = sys::make_seqpacket_pair();
    const std::lock_guard lock(mutex_);
    links_[party.id] = std::move(pair->first);
    execute(broker_.join(party));
    return std::move(pair->second);
  }
  void regrant(PluginId id, model::Acl acl) {
    const std::lock_guard lock(mutex_);
    execute(broker_.regrant(id, {}, std::move(acl)));
  }
  void leave(PluginId id) {
    const std::lock_guard lock(mutex_);
    execute(broker_.leave(id));
    links_.erase(id);
  }
  void lose(PluginId id) {
    const std::lock_guard lock(mutex_);
    execute(broker_.lost(id));
    links_.erase(id);
  }
  template <class T>
  void say(PluginId to, const T& record) {
    const std::lock_guard lock(mutex_);
    (void)send_link_record(links_.at(to).get(), record);
  }
  void tap(ChannelId channel, PluginId recorder) {
    const std::lock_guard lock(mutex_);
    execute(broker_.tap(channel, recorder).value());
  }
  // Another manager takes over: nothing is kept but what the warden would keep.
  void restart_manager(const std::vector<Party>& living) {
    const std::lock_guard lock(mutex_);
    const auto saved = broker_.save();
    const auto book = memories_book_.save();
    broker_ = Broker();
    memories_book_ = MemoryBook();
    (void)broker_.restore(saved);
    (void)memories_book_.restore(book);
    for (const Party& party : living) execute(broker_.join(party));
    execute(broker_.sweep());
  }
  void forgive() {
    const std::lock_guard lock(mutex_);
    broker_.forgive();
  }
  void answer_nothing(bool silent) { silent_ = silent; }
  // Until this party has said that it waits for somebody, and been told what follows from it.
  bool await_waiting(PluginId id, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return told_.wait_for(lock, patience, [&] { return waited_.contains(id); });
  }
  // What a hostile end has of a channel: its descriptors, to do with as it likes.
  ChannelEnd sender_end(ChannelId id) {
    const std::lock_guard lock(mutex_);
    return make_sender_end(memories_.at(id.value)).value();
  }
  ChannelEnd receiver_end(ChannelId id) {
    const std::lock_guard lock(mutex_);
    return make_receiver_end(memories_.at(id.value)).value();
  }
  // What both sides count, as the manager reads it.
  std::pair<SenderCounters, ReceiverCounters> counters(ChannelId id) {
    const std::lock_guard lock(mutex_);
    const ChannelMemory& memory = memories_.at(id.value);
    std::pair<SenderCounters, ReceiverCounters> both;
    if (::pread(memory.data.get(), &both.first, sizeof both.first,
                offsetof(DataHeader, counters)) != sizeof both.first ||
        ::pread(memory.control.get(), &both.second, sizeof both.second,
                offsetof(Control, counters)) != sizeof both.second)
      std::abort();
    return both;
  }
  std::optional<ChannelRecord> channel(PluginId from, PluginId to, Lane lane) {
    const std::lock_guard lock(mutex_);
    for (const ChannelRecord& one : broker_.channels())
      if (one.sender == from.value && one.receiver == to.value && one.lane == lane) return one;
    return std::nullopt;
  }
  std::vector<std::string> complaints() {
    const std::lock_guard lock(mutex_);
    return complaints_;
  }
  // What was asked to be on disk.
  std::vector<Sync> syncs() {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }
  std::atomic<bool> disk_is_full = false;
  std::atomic<bool> lose_next_sync = false; // as a manager that ends before it answers
  std::atomic<int> syncs_refused = 0;       // so many are told: not now

  // What memories are needed, and what waits on their way.
  std::pair<std::size_t, std::size_t> memories() {
    const std::lock_guard lock(mutex_);
    std::size_t passages = 0;
    for (const ChannelRecord& one : broker_.channels())
      passages += memories_book_.passages({one.channel}).size();
    return {memories_book_.memories().size(), passages};
  }
  // The manager's own descriptor of one.
  sys::Fd memory(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    return shared_.at(number).duplicate().value();
  }

private:
  void run() {
    while (!stopping_) {
      std::vector<pollfd> waits;
      std::vector<PluginId> ids;
      {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, link] : links_) {
          waits.push_back({link.get(), POLLIN, 0});
          ids.push_back(id);
        }
      }
      if (::poll(waits.data(), waits.size(), 1) <= 0 || silent_) continue;
      const std::lock_guard lock(mutex_);
      for (const PluginId id : ids) serve(id);
    }
  }
  void serve(PluginId id) {
    const auto link = links_.find(id);
    if (link == links_.end()) return;
    auto record = receive_link_record(link->second.get(), LinkSide::Endpoint);
    if (!record) {
      execute(broker_.leave(id));
      links_.erase(id);
      return;
    }
    if (!*record) return;
    switch ((*record)->type()) {
    case LinkType::OpenChannel: return execute(broker_.open(id, (*record)->as<OpenChannel>()));
    case LinkType::OpenGroup: return execute(broker_.open_group(id, (*record)->as<OpenGroup>()));
    case LinkType::Subscribe: return execute(broker_.subscribe(id, (*record)->as<Subscribe>()));
    case LinkType::Waiting:
      execute(broker_.waiting(id, (*record)->as<Waiting>()));
      waited_.insert(id);
      return told_.notify_all();
    case LinkType::MakeMemory:
      return make_memory_for(id, link->second.get(), (*record)->as<MakeMemory>());
    case LinkType::SendMemory:
      return send_memory_of(id, link->second.get(), (*record)->as<SendMemory>());
    case LinkType::ReleaseMemory:
      memories_book_.release(id, (*record)->as<ReleaseMemory>());
      for (const std::uint64_t unused : memories_book_.take_unused()) shared_.erase(unused);
      return;
    case LinkType::Sync: {
      const auto question = (*record)->as<Sync>();
      syncs_.push_back(question);
      if (lose_next_sync.exchange(false)) return;
      if (disk_is_full)
        return refuse(id, question.header.sequence, {Code::Exhausted, "the disk is full"});
      if (syncs_refused > 0) {
        --syncs_refused;
        return refuse(id, question.header.sequence, {Code::Refused, "8 syncs are under way"});
      }
      Synced synced;
      synced.header.sequence = question.header.sequence;
      synced.channel_id = question.channel_id;
      synced.upto = question.upto;
      (void)send_link_record(link->second.get(), synced);
      return;
    }
    case LinkType::CloseChannel: {
      const auto close = (*record)->as<CloseChannel>();
      complaints_.emplace_back(close.text);
      return execute(broker_.close(id, close));
    }
    default: return;
    }
  }
  void refuse(PluginId id, std::uint32_t sequence, const Error& why) {
    const Delivery answer = refusal(id, sequence, why);
    (void)send_link_record(links_.at(id).get(), std::get<ChannelRefused>(answer.record));
  }
  void make_memory_for(PluginId id, int link, const MakeMemory& question) {
    const auto record = memories_book_.make(id, question, 0);
    if (!record) return refuse(id, question.header.sequence, record.error());
    if (!shared_.contains(record->memory)) shared_[record->memory] = *make_memory(record->bytes);
    MemoryMade answer;
    answer.header.sequence = question.header.sequence;
    answer.memory = record->memory;
    answer.bytes = record->bytes;
    const int fd = shared_.at(record->memory).get();
    (void)send_link_record(link, answer, std::span(&fd, 1));
  }
  void send_memory_of(PluginId id, int link, const SendMemory& question) {
    const auto channel = broker_.sendable(id, {question.channel_id});
    if (!channel) return refuse(id, question.header.sequence, channel.error());
    auto sent = memories_book_.may_send(question, *channel);
    if (sent) sent = seal_memory(shared_.at(question.memory).get());
    if (!sent) return refuse(id, question.header.sequence, sent.error());
    (void)memories_book_.send(question, *channel);
    for (const Passage& passage : memories_book_.passages({question.channel_id}))
      if (passage.message == question.message_id) deliver_memory(passage);
    MemorySent answer;
    answer.header.sequence = question.header.sequence;
    answer.channel_id = question.channel_id;
    answer.memory = question.memory;
    (void)send_link_record(link, answer);
  }
  void deliver_memory(const Passage& passage) {
    const auto link = links_.find({passage.receiver});
    if (link == links_.end()) return;
    MemoryArrived record;
    record.channel_id = passage.channel;
    record.message_id = passage.message;
    record.memory = passage.memory;
    record.bytes = memories_book_.find(passage.memory)->bytes;
    const auto fd = sys::reopen_read_only(shared_.at(passage.memory).get());
    const int raw = fd->get();
    (void)send_link_record(link->second.get(), record, std::span(&raw, 1));
  }
  void execute(const Plan& plan) {
    for (const ChannelRecord& channel : plan.make)
      memories_[channel.channel] = *make_channel_memory(channel.ring_bytes, channel.lap);
    for (const Delivery& delivery : plan.deliveries) {
      const auto link = links_.find(delivery.to);
      if (link == links_.end()) continue;
      std::visit([&](const auto& record) { deliver(link->second.get(), delivery, record); },
                 delivery.record);
    }
    for (const ChannelId channel : plan.drop) memories_.erase(channel.value);
  }
  template <class T>
  void deliver(int link, const Delivery& delivery, const T& record) {
    if constexpr (std::is_same_v<T, ChannelOpened>) {
      if (record.role == Role::Receive)
        for (const Passage& passage : memories_book_.passages(delivery.fds_of))
          deliver_memory(passage);
      const ChannelMemory& memory = memories_.at(delivery.fds_of.value);
      const auto end =
          record.role == Role::Send ? make_sender_end(memory) : make_receiver_end(memory);
      (void)send_link_record(link, record, end->in_order());
    } else {
      (void)send_link_record(link, record);
    }
  }

  std::mutex mutex_;
  Broker broker_;
  std::map<PluginId, sys::Fd> links_;
  std::map<std::uint64_t, ChannelMemory> memories_;
  MemoryBook memories_book_;
  std::map<std::uint64_t, sys::Fd> shared_;
  std::vector<std::string> complaints_;
  std::vector<Sync> syncs_;
  std::set<PluginId> waited_;
  std::condition_variable told_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> silent_ = false;
  std::thread thread_;
};

} // namespace mohhos::ipc::testing
