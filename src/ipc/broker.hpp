// Who may talk to whom, and what to tell whom when somebody comes, goes or restarts. Decisions and
// tables; the manager executes: makes the memory, sends the records, keeps and forgets the
// descriptors.
//
// Every operation returns a Plan. Execute it in this order: make the memories (a failure:
// undo(channel)), give them into custody, send the records in their order, drop. Executing a plan
// twice, or only its beginning and then asking again, is harmless: endpoints ignore what they have
// already, and an asker asks again.
//
// After a manager's restart: restore() with the bytes of save(), then join() every plugin that
// lives. Links outlive the manager, so endpoints notice nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "ipc/link.hpp"
#include "model/acl.hpp"
#include "model/capability.hpp"
#include "model/plugin_type.hpp"

namespace mohhos::ipc {

// Somebody with a link.
struct Party {
  PluginId id;
  std::string name;
  std::optional<model::PluginType> type; // nothing: an application
  Generation generation;
  model::CapabilitySet capabilities; // granted; an application: what its role gives it
  model::Acl acl;                    // granted; of an application nothing is read
};

// Whether `from` may send to `to`. Denied names the line that is missing and in whose manifest.
// [pure]
[[nodiscard]] Result<> may_send(const Party& from, const Party& to);

// What is durable of a channel; fixed size, no pointers.
struct ChannelRecord {
  std::uint64_t channel = 0;
  std::uint64_t sender = 0;
  std::uint64_t receiver = 0;
  std::uint64_t ring_bytes = 0;
  std::uint32_t ring_generation = 1; // rises when the sender is a new process
  std::uint32_t reply_only = 0;      // 1: exists because the receiver may ask the sender
};

using BrokerRecord =
    std::variant<ChannelOpened, ChannelRefused, ChannelClosed, GroupReady, GroupStale>;

// One record to one endpoint. When fds_of is set, that channel's descriptors go with it:
// make_sender_end() or make_receiver_end(), as `role` says.
struct Delivery {
  PluginId to;
  BrokerRecord record;
  ChannelId fds_of;
  Role role{};
};

struct Plan {
  std::vector<ChannelRecord> make; // new: make_channel_memory(ring_bytes), keep it under its id
  std::vector<Delivery> deliveries;
  std::vector<ChannelId> drop; // forget memory and custody
  bool changed = false;        // save() has something new
};

struct BrokerLimits {
  std::uint32_t channels_per_party = 256;
  std::uint64_t ring_bytes_per_party = std::uint64_t{64} << 20; // of channels that it opened
  std::uint32_t subscriptions_per_party = 256;
  std::uint64_t default_ring = std::uint64_t{256} << 10;
  std::uint64_t largest_ring = std::uint64_t{16} << 20;
};

class Broker {
public:
  explicit Broker(const BrokerLimits& limits = {});

  // --- who is there
  // ----------------------------------------------------------------------------------

  // A process with a link: new, or the successor (a higher generation) of one that was lost(); then
  // it gets all channels that it receives on again, with what is unread in them. [loop]
  [[nodiscard]] Plan join(Party party);
  // Its process ended, and another may come: rings are kept. [loop]
  [[nodiscard]] Plan lost(PluginId party);
  // It is gone for good: its channels end with PeerGone (what it sent can still be read). [loop]
  [[nodiscard]] Plan leave(PluginId party);
  // Its grant changed: channels that are not allowed any more end with Revoked. [loop]
  [[nodiscard]] Plan regrant(PluginId party, model::CapabilitySet capabilities, model::Acl acl);

  // --- what endpoints ask (records of their link, checked by link_codec)
  // -----------------------------

  [[nodiscard]] Plan open(PluginId asker, const OpenChannel& request);
  [[nodiscard]] Plan open_group(PluginId asker, const OpenGroup& request);
  [[nodiscard]] Plan subscribe(PluginId asker, const Subscribe& request);
  [[nodiscard]] Plan close(PluginId asker, const CloseChannel& request);
  // A memory of `make` could not be made: what to tell the asker instead. [loop]
  [[nodiscard]] Plan undo(ChannelId channel, const Error& why);

  // --- a manager's restart
  // ---------------------------------------------------------------------------

  [[nodiscard]] std::vector<std::byte> save() const;
  // Malformed: not what save() wrote. Only on a new broker. [loop]
  [[nodiscard]] Result<> restore(std::span<const std::byte> saved);
  // Channels of which no living party knows: after restore() and all join()s. [loop]
  [[nodiscard]] Plan sweep();

  // --- questions
  // -------------------------------------------------------------------------------------

  [[nodiscard]] std::optional<ChannelRecord> find(ChannelId channel) const;
  [[nodiscard]] std::vector<ChannelRecord> channels() const;

private:
  struct Member {
    Party party;
    bool present = false; // has a process now
    std::set<std::uint64_t> channels;
    std::uint64_t ring_bytes = 0; // of the channels that it opened
    std::set<std::pair<std::uint64_t, std::uint32_t>> subscriptions; // publisher (0: any), event
    bool groups_known = false; // was told of a group since the last GroupStale
  };
  struct Channel {
    ChannelRecord record;
    bool receiver_told = false; // since this broker began
    PluginId asker;             // whom undo() tells
    std::uint32_t sequence = 0;
  };

  BrokerLimits limits_;
  std::map<PluginId, Member> members_;
  std::map<std::uint64_t, Channel> channels_;
  std::map<std::pair<PluginId, PluginId>, std::uint64_t> by_ends_; // sender, receiver
  std::uint64_t next_channel_ = 1;
};

} // namespace mohhos::ipc
