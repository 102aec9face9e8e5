// Who may talk to whom, and what to tell whom when somebody comes, goes or restarts. Decisions and
// tables; the manager executes: makes the memory, sends the records, keeps and forgets descriptors.
//
// Every operation returns a Plan. Execute it in this order: make the memories and give them into
// custody (on a failure: undo(channel), and leave out the deliveries of that channel), keep save()
// where `changed`, send the deliveries in their order, drop. A manager that dies on the way does no
// harm: endpoints ignore what they have already, and an asker asks again.
//
// After a manager's restart: restore() with the bytes of save(), join() every plugin that lives,
// then sweep(). Links outlive the manager, so endpoints notice nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "ipc/layout.hpp"
#include "ipc/link.hpp"
#include "ipc/wait_graph.hpp"
#include "model/acl.hpp"
#include "model/capability.hpp"
#include "model/messaging.hpp"
#include "model/plugin_type.hpp"

namespace mohhos::ipc {

// Somebody with a link.
struct Party {
  PluginId id;
  std::string name;
  std::optional<model::PluginType> type; // nothing: an application
  Generation generation;
  model::CapabilitySet capabilities; // granted; an application's: what its role gives it
  model::Acl acl;                    // granted; nothing of it is read for an application
  // What it may publish; nothing: whatever it likes (an application).
  std::optional<model::Events> events{};
  // Of the rings that it sends on, when it does not say another size itself; 0: the usual. Up to
  // this much it may also ask for.
  std::uint64_t ring_bytes = 0;
  // The plugin to which it brings messages that had been allowed before (a dead letter that is sent
  // again): no ACL is asked. Empty: nobody.
  std::string delivers_to{};
};

// Whether `from` may send to `to`. Denied names the missing line and whose manifest it goes into.
// [pure]
[[nodiscard]] Result<> may_send(const Party& from, const Party& to);

// What is durable of a channel: fixed size, no pointers.
struct ChannelRecord {
  std::uint64_t channel = 0;
  std::uint64_t sender = 0;
  std::uint64_t receiver = 0;
  std::uint64_t ring_bytes = 0;
  std::uint32_t ring_generation = 1; // rises when the sender is a new process
  Lane lane = Lane::Normal;
  std::uint64_t lap = 0; // of a ring of the usual size: DataHeader's
};

// In place of a sender whose messages are still there: a plugin that is not loaded yet, or somebody
// who is gone for good.
struct StandIn {
  PluginId id; // that nobody has; the plugin that is waited for gets it
  std::string name;
  std::optional<model::PluginType> type; // nothing: an application
  bool waits = false;                    // for a plugin of this name
};

using BrokerRecord = std::variant<ChannelOpened, ChannelRefused, ChannelClosed, GroupReady,
                                  GroupStale, Subscribed, Deadlock, TapOpened>;

// One record to one endpoint. When fds_of is not 0, that channel's descriptors go with it:
// make_sender_end() or make_receiver_end(), as ChannelOpened::role says.
struct Delivery {
  PluginId to;
  BrokerRecord record;
  ChannelId fds_of;
};

// What an asker gets instead of what it asked for. [pure]
[[nodiscard]] Delivery refusal(PluginId to, std::uint32_t sequence, const Error& why);

struct Plan {
  std::vector<ChannelRecord> make; // make_channel_memory(ring_bytes, lap), kept under its id
  std::vector<Delivery> deliveries;
  std::vector<ChannelId> drop; // forget memory and custody
  bool changed = false;        // save() has something new
};

struct BrokerLimits {
  // In all: four descriptors each, of the manager's and of the warden's, who can do nothing without
  // some that are free.
  std::uint64_t channels = 65'536;
  std::uint32_t channels_per_party = 512;
  // Of the channels it sends on; the double of what its manifest asks for, or of the usual ring, if
  // that is more.
  std::uint64_t ring_bytes_per_party = std::uint64_t{128} << 20;
  std::uint32_t subscriptions_per_party = 256;
  // From one party to another, at once; each forgive() allows some more. Opening and closing (or
  // breaking) without end would keep the receiver busy with nothing else.
  std::uint32_t openings_per_pair = 64;
  std::uint32_t openings_forgiven = 8;
  std::uint64_t default_ring = kDefaultRing;
  std::uint64_t largest_ring = std::uint64_t{16} << 20;
};

class Broker {
public:
  explicit Broker(const BrokerLimits& limits = {}) : limits_(limits) {}

  // --- who is there ---

  // A process with a link: a new one, or the successor (a higher generation) of one that was
  // lost(); it gets every channel that it receives on, with what is unread in them. [pure]
  [[nodiscard]] Plan join(Party party);
  // Its process ended, and another will come: its rings are kept, and go on being filled. Its peers
  // hear PeerRestarted now, so that what they wait for ends now; its successor's join() does not
  // tell them again. [pure]
  [[nodiscard]] Plan lost(PluginId party);
  // Its process ended for good, and somebody is still to look at what is unread in its rings: all
  // that leave() does, but that the channels that it receives on keep their memories until then.
  // [pure]
  [[nodiscard]] Plan part(PluginId party);
  // It is gone for good: its channels end with PeerGone (what it sent can still be read). [pure]
  [[nodiscard]] Plan leave(PluginId party);
  // Its grant changed: channels that are not allowed any more end with Revoked. [pure]
  [[nodiscard]] Plan regrant(PluginId party, model::CapabilitySet capabilities, model::Acl acl);

  // --- what endpoints ask: records of their links, checked by link_codec ---

  [[nodiscard]] Plan open(PluginId asker, const OpenChannel& request);
  [[nodiscard]] Plan open_group(PluginId asker, const OpenGroup& request);
  [[nodiscard]] Plan subscribe(PluginId asker, const Subscribe& request);
  [[nodiscard]] Plan close(PluginId asker, const CloseChannel& request);
  [[nodiscard]] Plan waiting(PluginId asker, const Waiting& request);

  // --- cold start ---

  // A channel for what a journal kept, made before its receiver joins, so that nothing comes before
  // it. A sender that is not there is stood in for: nobody can open a channel to that. Denied: the
  // receiver does not take it. Exists: there is such a channel. Exhausted. [pure]
  [[nodiscard]] Result<ChannelRecord> restore_channel(const StandIn& sender, const Party& receiver,
                                                      Lane lane, std::uint64_t ring_bytes,
                                                      Plan& plan);
  // Ends a channel that came to nothing. [pure]
  [[nodiscard]] Plan end(ChannelId channel);
  // The id under which a plugin of this name is waited for. [pure]
  [[nodiscard]] std::optional<PluginId> waits_for(std::string_view name) const;

  // --- what operators ask ---

  // Copies of what comes on this channel go to the recorder from now on. NotFound, Exists (there is
  // a recorder already). [pure]
  [[nodiscard]] Result<Plan> tap(ChannelId channel, PluginId recorder);
  [[nodiscard]] Plan untap(ChannelId channel);

  // Once a second: channels that were opened longer ago count less. [pure]
  void forgive();

  // A memory of `make` could not be made: what to tell its asker instead. [pure]
  [[nodiscard]] Plan undo(ChannelId channel, const Error& why);

  // --- a manager's restart ---

  [[nodiscard]] std::vector<std::byte> save() const;
  // Malformed: not what save() wrote. Only on a new broker. [pure]
  [[nodiscard]] Result<> restore(std::span<const std::byte> saved);
  // Ends the channels of those that did not join() since restore(). [pure]
  [[nodiscard]] Plan sweep();

  // --- questions ---

  [[nodiscard]] std::optional<ChannelRecord> find(ChannelId channel) const;
  // The channel, if this is its sender and may still send on it. NotFound, Denied. [pure]
  [[nodiscard]] Result<ChannelRecord> sendable(PluginId sender, ChannelId channel);
  // Has a process now. [pure]
  [[nodiscard]] bool is_present(PluginId party) const;
  [[nodiscard]] std::vector<ChannelRecord> channels() const;

private:
  using Ends = std::tuple<PluginId, PluginId, Lane>;            // sender, receiver
  using Subscription = std::pair<std::uint64_t, std::uint32_t>; // publisher (0: any), event

  struct Member {
    Party party;
    bool present = false;      // has a process now
    bool groups_known = false; // asked for a group since its last GroupStale
  };
  struct Channel {
    ChannelRecord record;
    bool receiver_told = false; // by this broker, the process that is there now
    bool sender_told = false;
    std::uint32_t sequence = 0; // of the request that made it
  };

  [[nodiscard]] Member* member(PluginId id);
  [[nodiscard]] const Member* find_target(const OpenChannel& request) const;
  [[nodiscard]] Channel* channel_of(PluginId sender, PluginId receiver, Lane lane);
  [[nodiscard]] Result<> allow(const Party& from, const Party& to, Lane lane);
  [[nodiscard]] bool may_wait(PluginId asker, PluginId peer);
  [[nodiscard]] bool is_program(PluginId id) const;
  // Of all that it sends on.
  [[nodiscard]] std::uint64_t ring_bytes_of(PluginId sender) const;
  [[nodiscard]] std::uint64_t most_ring_bytes(const Party& sender) const;
  [[nodiscard]] std::uint64_t usual_ring(const Party& sender) const;
  [[nodiscard]] Result<> within_limits(const Party& sender, PluginId receiver,
                                       std::uint64_t ring_bytes) const;
  [[nodiscard]] Result<Channel*> obtain(const Party& from, const Party& to, Lane lane,
                                        const LinkHeader& request, std::uint64_t ring_bytes,
                                        Plan& plan);
  [[nodiscard]] Result<> check_event(const Party& asker, std::uint64_t publisher,
                                     std::uint32_t event) const;
  void deliver_opened(Channel& channel, Role role, std::uint32_t sequence, Plan& plan);
  void deliver_closed(const ChannelRecord& channel, PluginId to, CloseReason reason, Plan& plan);
  void deliver_restarted(PluginId party, Plan& plan);
  void end_tap(std::uint64_t tapped, CloseReason reason, Plan& plan);
  void end_taps_of(PluginId receiver, Plan& plan);
  void deliver_taps_of(PluginId receiver, Plan& plan);
  [[nodiscard]] Result<> judge_tap(std::uint64_t channel, std::uint64_t copies) const;
  // To those who know a group, or only to this one: they are to ask again.
  void deliver_stale(Plan& plan, PluginId only = {});
  void replace_stand_in(const Party& party, Plan& plan);
  [[nodiscard]] bool is_known(std::uint64_t id) const {
    return members_.contains(PluginId{id}) || stand_ins_.contains(PluginId{id});
  }
  void end_channel(std::uint64_t id, PluginId silent, CloseReason reason, Plan& plan);
  [[nodiscard]] std::string name_of(PluginId id) const;
  [[nodiscard]] std::vector<const Member*> group_members(PluginId asker,
                                                         const OpenGroup& request) const;

  BrokerLimits limits_;
  std::map<PluginId, Member> members_;
  std::map<PluginId, StandIn> stand_ins_;
  std::map<std::uint64_t, Channel> channels_;
  std::map<Ends, std::uint64_t> by_ends_;
  std::map<std::pair<PluginId, PluginId>, std::uint32_t> openings_; // sender, receiver
  std::map<PluginId, std::set<Subscription>> subscriptions_;
  std::map<std::uint64_t, std::uint64_t> taps_; // channel, its copy
  WaitGraph waits_;
  std::uint64_t next_channel_ = 1;
};

} // namespace mohhos::ipc
