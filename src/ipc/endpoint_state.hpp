// The inside of an Endpoint, shared by its files: endpoint.cpp (link, channels), endpoint_send.cpp
// (sending), endpoint_sync.cpp (durable messages), endpoint_receive.cpp (messages out of rings),
// endpoint_wait.cpp (spinning, sleeping), endpoint_calls.cpp (requests), endpoint_groups.cpp
// (broadcast, events), endpoint_memories.cpp (what rides along).
//
// The usual send and receive are a few hundred instructions, so each of them has a short way, and
// what is rare is [[gnu::noinline]]: beside it, not in it, where it would take registers.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>

#include "ipc/calls.hpp"
#include "ipc/channel.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/gather.hpp"
#include "ipc/linger.hpp"
#include "ipc/waiter.hpp"
#include "model/messaging.hpp"

namespace mohhos::ipc {

struct Sending {
  ChannelId id;
  Peer peer;
  Lane lane = Lane::Normal;
  SendingChannel channel;
  std::array<ChannelId, 4> lanes{}; // of the Normal lane: the other priorities', once opened
  ChannelId lent;                   // whose loan is open: this one's, or one of `lanes`
  bool more = false;                // of the open loan
  std::uint64_t durable_to = 0;     // behind the last durable message
  std::uint64_t synced_to = 0;      // the disk has those before
  bool owes_look = false;           // in State::unlooked
  std::uint32_t idle_bells = 0;     // rings for space that nobody waited for
  std::uint32_t answered = 0;       // requests, of Lane::Reply
  std::uint64_t lent_at = 0;        // State::looks at the last loan
  std::uint64_t seen_head = 0;      // at the last look for idle rings
  std::uint64_t returned_head = 0;  // when its memory was given back
  std::uint64_t seen_long_laps = 0; // the same of its long laps
  std::uint64_t returned_long_laps = 0;
  std::uint64_t sent_before_us = 0; // messages, as the ring's counter had it when we got it
};
// What this ring has counted for us: a send stores nothing that can be had from there.
inline void add_counts(const Sending& from, EndpointCounters& counters) {
  counters.bells += from.channel.bells();
  if (from.lane != Lane::Tap)
    counters.sent += from.channel.ring().counters().sent - from.sent_before_us;
}

struct Receiving {
  ChannelId id;
  Peer peer;
  Lane lane = Lane::Normal;
  ReceivingChannel channel;
  bool active = true;                // in its Service's `active`, its ring not armed
  std::uint32_t idle_bells = 0;      // rings since the last message
  std::uint32_t untimed = 0;         // messages until the next look at the clock
  std::uint32_t requests = 0;        // that were given to the owner
  std::uint64_t held_end = 0;        // of the last message that the owner got
  std::uint64_t gathered_to = 0;     // released bytes when the rings were last found empty
  std::uint64_t burst = 0;           // bytes that came out of it before that
  std::uint32_t answers_in_hand = 0; // in callbacks
  // Ours behind what the owner holds (release_own), or the newest answer in hand.
  bool own_waits = false;
  std::uint64_t own_end = 0;
  std::uint64_t own_number = 0;
  ChannelId tap;                   // copies go there, for a recorder
  std::uint64_t tap_missed = 0;    // copies that it had no room for, and does not know of yet
  std::optional<Error> ending;     // ends with this once it is empty and all is released
  std::optional<Error> calls_fail; // once it is empty: no more answers will come from this peer
};

// The rings of one rank, polled in turn. Ranks: responses, then the priorities from urgent to low.
// A rank is served while it has credit, the highest first; when no rank that has messages has
// credit left, all get theirs anew. So under load they share as kShares says, and nobody starves.
struct Service {
  std::vector<Receiving*> active;
  std::size_t turn = 0;     // in active
  std::uint32_t taken = 0;  // messages in a row from active[turn]
  std::uint32_t credit = 0; // messages

  // For one from active[turn].
  void charge() {
    if (credit != 0) --credit; // a rank that is alone needs none
    if (++taken < kFairShare) return;
    taken = 0;
    if (++turn >= active.size()) turn = 0;
  }
  // Messages that active[turn] may still have before the one with which its turn ends.
  [[nodiscard]] std::uint32_t left() const {
    return kFairShare - 1 - std::min(taken, kFairShare - 1);
  }
  // For so many from active[turn] that will not be charged one by one.
  void charge_ahead(std::uint32_t messages) {
    credit -= std::min(credit, messages);
    if (active.size() > 1) taken += messages;
  }
  // Messages in a row from one channel while others of its rank have some.
  static constexpr std::uint32_t kFairShare = 16;
};
inline constexpr std::array<std::uint32_t, 5> kShares = {1024, 64, 16, 4, 1};
[[nodiscard]] constexpr std::size_t rank_of(Lane lane) {
  switch (lane) {
  case Lane::Reply: return 0;
  case Lane::Urgent: return 1;
  case Lane::High: return 2;
  case Lane::Low: return 4;
  case Lane::Normal:
  case Lane::Lossy:
  case Lane::Tap: break;
  }
  return 3;
}

// The ranks whose bits are set, lowest first: for (const std::size_t rank : Ranks(bits)).
class Ranks {
public:
  constexpr explicit Ranks(std::uint32_t bits) : bits_(bits) {}
  [[nodiscard]] constexpr bool single() const { return bits_ != 0 && (bits_ & (bits_ - 1)) == 0; }
  class Iterator {
  public:
    constexpr explicit Iterator(std::uint32_t left) : left_(left) {}
    constexpr std::size_t operator*() const {
      return static_cast<std::size_t>(std::countr_zero(left_));
    }
    constexpr Iterator& operator++() {
      left_ &= left_ - 1;
      return *this;
    }
    constexpr bool operator==(const Iterator&) const = default;

  private:
    std::uint32_t left_;
  };
  [[nodiscard]] constexpr Iterator begin() const { return Iterator(bits_); }
  [[nodiscard]] constexpr Iterator end() const { return Iterator(0); }

private:
  std::uint32_t bits_;
};

// For rings that are idle: nobody needs it, the timer runs, it has run out.
enum class IdleLook : std::uint8_t { None, Planned, Due };

// Of the active ones: all, or those that have no part in the flow that is going on.
enum class Rings : std::uint8_t { All, BesideTheFlow };

struct FinishedCall {
  AnswerCallback callback;
  Error why;
};

// Something durable of which somebody wants to hear that it is on disk.
struct PendingSync {
  std::vector<Sync> questions; // that are not answered
  Monotonic deadline;
  Monotonic again; // when they are asked once more
  SyncCallback callback;
};

struct GroupMember {
  ChannelId channel;
  model::Lossiness loss = model::Lossiness::None;
};
struct Group {
  std::vector<GroupMember> members;
  std::uint32_t refused = 0;
};
using GroupKey = std::pair<GroupKind, std::uint32_t>;

// By channel, message and the manager's number: the record's attachment.
using MemoryKey = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
struct ArrivedMemory {
  sys::Mapping mapping;
  std::optional<Error> lost; // why there is no mapping
};
struct TakenMemory {
  MemoryKey key;
  sys::Mapping mapping;
};

inline constexpr auto kOpenTime =
    std::chrono::seconds(2); // for the manager's answer, where the caller gives none

inline constexpr std::uint32_t kSpinsPerPoll = 64; // looks at the rings for each look at the epoll

// A call that waits this long tells the manager, which knows whether it can ever end.
inline constexpr auto kTellWaiting = std::chrono::milliseconds(5);

// Whether this is the answer to what was asked, or the manager's refusal as an error.
[[nodiscard]] Result<> check_answer(const LinkRecord& record, LinkType expected);

struct Endpoint::State {
  State(sys::Fd link_fd, Waiter epoll, const EndpointSettings& options);

  // endpoint.cpp: the link
  // True: there may be more.
  bool read_link();
  void take_record(LinkRecord record);
  Result<> take_opened(LinkRecord& record);
  [[nodiscard]] Result<> attach_opened(const ChannelOpened& opened, std::vector<sys::Fd>& fds);
  void refuse_opened(const ChannelOpened& opened, std::string_view why);
  void take_closed(const ChannelClosed& record);
  [[nodiscard]] Result<> attach_sending(const ChannelOpened& record, ChannelEnd end);
  [[nodiscard]] Result<> attach_receiving(const ChannelOpened& record, ChannelEnd end);
  // Sends a question and waits for the record that answers it; everything else is queued.
  [[nodiscard]] Result<LinkRecord> ask(std::span<const std::byte> question, std::uint32_t sequence,
                                       Monotonic deadline);
  template <class T>
  [[nodiscard]] Result<LinkRecord> ask(T question, Monotonic deadline) {
    question.header.sequence = ++sequence;
    return ask(std::as_bytes(std::span(&question, 1)), question.header.sequence, deadline);
  }

  // endpoint_send.cpp
  [[nodiscard]] Sending* find_sending(ChannelId id) {
    return last_sending != nullptr && last_sending->id == id ? last_sending : look_up_sending(id);
  }
  [[nodiscard, gnu::noinline]] Sending* look_up_sending(ChannelId id);
  [[nodiscard]] Sending* sending_to(PluginId peer, Lane lane = Lane::Normal);
  [[nodiscard]] Result<ChannelId> open_channel(const OpenChannel& question, Monotonic deadline);
  // The ring of this lane beside `base`, opened the first time.
  [[nodiscard]] Result<Sending*> lane_beside(Sending& base, Lane lane, Monotonic deadline);
  [[gnu::noinline]] void lend_in_general(ChannelId channel, std::uint32_t size,
                                         const Outgoing& about, const Deadline& deadline,
                                         Result<std::span<std::byte>>& bytes);
  [[nodiscard]] Result<> lend(ChannelId channel, std::uint32_t size, const Outgoing& about,
                              Monotonic deadline, std::span<std::byte>& bytes);
  // Messages between which the owner did not look for any are one of many.
  [[nodiscard]] Spacing spacing_of(const Sending& out) const {
    return out.lent_at == looks ? Spacing::Close : Spacing::Apart;
  }
  [[nodiscard]] Result<> wait_for_space(ChannelId id, std::uint32_t size, const Outgoing& about,
                                        Monotonic deadline, std::span<std::byte>& bytes);
  // The usual case of a loan; null: lend() does the same in general, and says why not.
  [[nodiscard]] Sending* lend_at_hand(ChannelId channel, std::uint32_t size, const Outgoing& about,
                                      std::span<std::byte>& bytes);
  [[gnu::always_inline]] inline std::uint64_t commit(Sending& out);
  [[gnu::noinline]] std::uint64_t commit_durable(Sending& out);
  [[gnu::noinline]] void owe_look(Sending& out);
  [[nodiscard]] Error break_sending(Sending& out);
  void end_sending(ChannelId id, Error why);
  // The looks that sends with `more` owe: before anything here waits, and when the caller comes
  // back.
  void look_at_receivers() noexcept;
  // Memory of rings that have been idle since the last time.
  void return_idle_memory();

  // endpoint_sync.cpp
  [[nodiscard]] Result<> sync_ring(ChannelId id, Monotonic deadline);
  void finish_sync(SyncCallback callback, Result<> result);
  void take_synced(const LinkRecord& record);
  void look_at_syncs(Monotonic now);

  // endpoint_receive.cpp
  enum class Next : std::uint8_t { Message, Again, Nothing, NotLooked };
  [[nodiscard]] Next next_message(Message& message);
  [[nodiscard, gnu::noinline]] Next next_in_general(Message& message);
  [[nodiscard]] Next next_of(Service& service, Message& message);
  [[nodiscard, gnu::noinline]] Next take_from(Receiving& from, Message& message);
  [[nodiscard, gnu::always_inline]] inline Next take(Receiving& from, Message& message);
  void look_at_clock(Receiving& from, std::uint64_t sent_ns);
  [[nodiscard, gnu::noinline]] Next take_nothing(Receiving& from, RingReceiver::Outcome outcome);
  // What is recorded, or carries a correlation.
  [[nodiscard, gnu::noinline]] Next take_special(Receiving& from, Message& message);
  // All that is not usual.
  [[gnu::noinline]] void receive_in_general(Next found, Monotonic deadline,
                                            Result<std::optional<Message>>& result);
  // Messages that are the Endpoint's own affair; whether this was one (it is released then).
  [[nodiscard]] bool take_itself(Receiving& from, const Message& message);
  void take_answer(Receiving& from, const Message& message);
  // May end the channel.
  void release(Receiving& from, std::uint64_t end, std::uint64_t number);
  // Of a message that the owner does not see: together with what he holds before it, if anything.
  void release_own(Receiving& from, std::uint64_t end, std::uint64_t number);
  void copy_to_tap(Receiving& from, const Message& message);
  void break_receiving(Receiving& channel, Breach breach);
  void end_receiving(ChannelId id);
  // When the rings of one rank only are active, whose turn it is may have some without further ado.
  [[gnu::noinline]] void plan_turn();
  // There is something else to look at before the next message.
  void end_turn() {
    until_poll += std::exchange(at_hand, 0);
    alone = false;
  }
  // It goes on, but its ring was empty meanwhile: half of what is left of it pays for such looks.
  void share_turn() {
    until_poll = at_hand - at_hand / 2;
    at_hand /= 2;
  }
  // For receive() to deliver: before the next message.
  template <class Queue, class Item>
  void queue(Queue& items, Item item) {
    items.push_back(std::move(item));
    end_turn();
  }
  // Callbacks for what was queued; whether there were any.
  void deliver();
  [[nodiscard]] bool has_news() const {
    return !records.empty() || !ends.empty() || !finished.empty();
  }
  void deliver_finished();
  // Whether receive() is to return without a message.
  [[nodiscard]] bool called_back() {
    return std::exchange(interrupted, false) || std::exchange(woken, false);
  }
  void expire(Monotonic now);
  [[nodiscard]] Receiving* find_receiving(ChannelId id) {
    return last_receiving != nullptr && last_receiving->id == id ? last_receiving
                                                                 : look_up_receiving(id);
  }
  [[nodiscard, gnu::noinline]] Receiving* look_up_receiving(ChannelId id);
  void activate(Receiving& channel);
  void join_service(Receiving& channel);
  void deactivate(Receiving& channel);
  // That have active channels and are to be served.
  [[nodiscard]] Ranks busy_ranks() const { return Ranks(holding ? busy & 1U : busy); }

  // endpoint_wait.cpp
  // Whether anything rang.
  bool note(std::span<const Wake> wakes);
  [[nodiscard]] bool anything_ready(Rings which = Rings::All) const;
  [[nodiscard]] bool any_ring_ready();
  // Arms these of the active rings that are served (or only this one). True: nothing came
  // meanwhile, and the bells will tell.
  [[nodiscard]] bool arm(Rings which);
  [[nodiscard]] bool is_one_of(Rings which, const Receiving& channel) const {
    return which == Rings::All || !burst.is_carried_by(channel.burst);
  }
  // Spins, then sleeps, until there may be something to do; false when the deadline has passed.
  [[nodiscard]] bool wait(Monotonic deadline);
  [[nodiscard]] bool spin(Monotonic until);
  [[nodiscard]] bool look_before_sleep(Monotonic& time, Monotonic deadline);
  void note_burst();
  [[nodiscard]] bool let_gather(Monotonic time, Monotonic deadline);
  void nap(std::chrono::nanoseconds pause);
  static void look_away(Monotonic until);
  void sleep(Monotonic time, Monotonic deadline);
  [[nodiscard]] Monotonic about_now();
  void plan_idle_look();
  [[nodiscard]] bool arm_only(Receiving& channel);
  [[nodiscard]] Monotonic own_deadline() const;

  // endpoint_calls.cpp
  void fail_calls(PluginId peer, const Error& why);
  // Answers that the peer sent before it died are still read.
  void fail_calls_once_drained(PluginId peer, const Error& why);
  void take_deadlock(const Deadlock& record);
  // Whether this peer can be waiting for us: there is something of it that we have not dealt with.
  [[nodiscard]] bool owes(PluginId peer);
  // Until the callee's answer is there; reads the callee's responses only.
  void wait_for_answer(PluginId callee, const std::optional<Result<Answer>>& answer);
  [[nodiscard]] Receiving* responses_of(PluginId peer);
  // endpoint_memories.cpp
  // Before the message with this memory is published.
  [[nodiscard]] Result<> send_memory(ChannelId id, std::uint64_t number, Monotonic deadline);
  void take_arrived(LinkRecord& record);
  void take_made_too_late(const MemoryMade& record);
  // Nobody took what came with it.
  void let_go_memory(const Message& message);
  void let_go_memories(ChannelId channel);
  void let_go_old_memories(const Receiving& from);
  template <class Which>
  void let_go_memories_if(const Which& which);
  void say_released(const MemoryKey& key);
  void say_unsaid();
  // endpoint_groups.cpp
  [[nodiscard]] Result<const Group*> find_group(const OpenGroup& question, Monotonic deadline);

  sys::Fd link;
  Waiter waiter;
  EndpointSettings settings;
  EndpointCounters counters;
  std::uint32_t sequence = 0;

  FastClock clock;
  std::uint64_t time_ns = 0; // at the last look, when a message was taken

  std::unordered_map<std::uint64_t, std::unique_ptr<Sending>> sending;
  // Ended with an open loan: its memory stays, for whoever writes into it, while there are few.
  std::deque<std::unique_ptr<Sending>> ended_lent;
  std::map<std::pair<PluginId, Lane>, ChannelId> sending_by_peer;
  Sending* last_sending = nullptr;
  std::vector<ChannelId> unlooked; // channels that owe a look at their receiver
  bool sent_lately = false;        // since the last look for idle rings
  std::uint64_t looks = 1;         // times that the owner looked for messages
  IdleLook idle_look = IdleLook::None;

  std::unordered_map<std::uint64_t, std::unique_ptr<Receiving>> receiving;
  Receiving* last_receiving = nullptr;
  // A recorder is there before its channel, so that it misses nothing: by channel, where copies go.
  std::unordered_map<std::uint64_t, ChannelId> taps_to_come;
  std::array<Service, kShares.size()> services;
  std::uint32_t busy = 0; // a bit for each rank: its service has active channels
  bool holding = false;
  std::uint32_t until_poll = 0; // receives until the next look at the epoll
  // So many messages may be taken from this ring before there is anything else to look at: 0 as
  // soon as there is news, a look that we owe, or another active ring.
  std::uint32_t at_hand = 0;
  Receiving* in_turn = nullptr;
  bool alone = false; // no other ring has been active since
  Linger linger;
  Gather gather;
  Burst burst;                // before the rings were last found empty
  std::uint64_t gathered = 0; // counters.received then
  bool woken = false;         // by wake_by()'s eventfd

  Calls<AnswerCallback> calls;
  std::uint64_t blocking_call = 0; // the number of the one that call_and_wait() waits for
  std::map<GroupKey, Group> groups;
  std::vector<PendingSync> syncs;
  Monotonic next_sync = Monotonic::max(); // when one of them is due

  std::map<std::uint64_t, sys::Mapping> made; // ours; no mapping once it was sent
  std::map<MemoryKey, ArrivedMemory> arrived;
  std::map<std::uint64_t, TakenMemory> taken;
  std::uint64_t next_taken = 0;
  std::deque<ReleaseMemory> unsaid;      // that the link had no room for
  Monotonic next_say = Monotonic::max(); // when that is tried again

  // What arrived and waits for receive() to deliver it.
  std::deque<LinkRecord> records;
  std::deque<Ended> ends;
  std::deque<FinishedCall> finished;
  std::optional<Result<LinkRecord>> link_answer; // to the question that ask() waits for
  std::uint32_t asked = 0;                       // its sequence; 0: nobody asks
  std::optional<Error> link_error;
  bool interrupted = false;

  std::function<void(const LinkRecord&)> on_record;
  std::function<void(const Ended&)> on_ended;
  std::function<void(const ReplyTo&)> on_cancel;
};

} // namespace mohhos::ipc
