// A manager in miniature: a real Broker whose plans are executed over real links, in a thread of
// its own.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include <poll.h>
#include <unistd.h>

#include "ipc/broker.hpp"
#include "ipc/channel.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/link_codec.hpp"
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
    broker_ = Broker();
    (void)broker_.restore(saved);
    for (const Party& party : living) execute(broker_.join(party));
    execute(broker_.sweep());
  }
  void forgive() {
    const std::lock_guard lock(mutex_);
    broker_.forgive();
  }
  void answer_nothing(bool silent) { silent_ = silent; }
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
    case LinkType::Waiting: return execute(broker_.waiting(id, (*record)->as<Waiting>()));
    case LinkType::Sync: {
      const auto question = (*record)->as<Sync>();
      syncs_.push_back(question);
      if (lose_next_sync.exchange(false)) return;
      if (disk_is_full) {
        ChannelRefused refused;
        refused.header.sequence = question.header.sequence;
        refused.code = static_cast<std::int32_t>(Code::Exhausted);
        put_text(refused.text, "the disk is full");
        (void)send_link_record(link->second.get(), refused);
        return;
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
  void execute(const Plan& plan) {
    for (const ChannelRecord& channel : plan.make)
      memories_[channel.channel] = *make_channel_memory(channel.ring_bytes);
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
  std::vector<std::string> complaints_;
  std::vector<Sync> syncs_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> silent_ = false;
  std::thread thread_;
};

} // namespace mohhos::ipc::testing
