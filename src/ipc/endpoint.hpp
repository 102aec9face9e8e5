// One process's whole view of the data plane: its link to the manager, the channels it sends and
// receives on, the requests it waits for. The plugin host and libmohhos are built on this class.
//
// One thread. Nothing here calls back except receive() and call_and_wait(), and those never into
// themselves: what arrives while something else is waited for stays in its ring, or is queued,
// until the next receive().
//
// Between two endpoints lie up to one ring for each lane (link.hpp), opened when first used. A
// ChannelId that open_channel() gave stands for all lanes of priorities; responses have a lane of
// their own, so that a caller that waits need not take anything else out of its rings.
//
//   auto endpoint = Endpoint::open(std::move(link), {});
//   auto tokenizer = endpoint->open_channel("tokenizer", deadline);
//   endpoint->send(*tokenizer, {.type = MessageType::Custom}, bytes, deadline);
//   while (auto message = endpoint->receive(kForever)) { use(**message);
//   endpoint->release(**message); }
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/units.hpp"
#include "ipc/deadline.hpp"
#include "ipc/link.hpp"
#include "ipc/link_codec.hpp"
#include "ipc/message.hpp"
#include "model/plugin_type.hpp"
#include "sys/fd.hpp"

namespace mohhos::ipc {

struct Peer {
  PluginId id;
  std::string name;
  std::optional<model::PluginType> type; // nothing: an application
  Generation generation;
};

// A message out of a channel, with what the channel knows of it.
struct Message : View {
  PluginId sender;
  ChannelId channel;
  std::uint64_t received_ns = 0; // CLOCK_MONOTONIC, when it was taken out of the ring

  [[nodiscard]] std::vector<std::byte> copy() const { return {payload.begin(), payload.end()}; }
};

// Where an answer goes: take it from the request, keep it as long as you like.
struct ReplyTo {
  PluginId asker;
  std::uint64_t correlation = 0;
  std::uint64_t deadline_ns = 0;
};
[[nodiscard]] inline ReplyTo reply_to(const Message& request) {
  return {request.sender, request.info.correlation, request.info.deadline_ns};
}

// A memory of ours that can ride along messages: writable until it is first sent.
struct OwnMemory {
  std::uint64_t number = 0; // Outgoing::attachment
  std::span<std::byte> bytes;
};
// One that came with a message: its content cannot change. Ours until drop_memory().
struct GivenMemory {
  std::uint64_t number = 0; // ours, no other's
  std::span<const std::byte> bytes;
};

// The answer to a request, as its owner.
struct Answer {
  MessageInfo info;
  std::vector<std::byte> payload;
  std::optional<GivenMemory> memory{}; // that came with it: the caller's to drop
};
// Called once, from receive() or call_and_wait(). Errors: TimedOut, PeerGone, PeerRestarted,
// Cancelled, BadState (a cycle of calls that wait for each other: the text names it), PluginFailed
// (the peer answered 'no': its words). The message is released when the callback returns.
using AnswerCallback = std::function<void(Result<const Message*>)>;

// What sync_later() came to. Called once, as an AnswerCallback is.
using SyncCallback = std::function<void(const Result<>&)>;

// The end of a channel that we sent or received on. PeerRestarted: the peer is a new process, and
// the channel goes on; requests that the old one had are answered with this error.
struct Ended {
  ChannelId channel;
  PluginId peer;
  Role role{};
  Error why; // PeerGone, PeerRestarted, Denied (revoked), Malformed (broken: the text says which
             // rule)
  // Of copies for a recorder (Lane::Tap): how many there was no room for, as their sender says.
  std::uint64_t missed = 0;
};

struct Delivered {
  std::uint32_t sent = 0;
  std::uint32_t full = 0; // members whose ring had no space in time
  std::uint32_t dropped =
      0; // members whose ring was full, for an event that says it may be dropped
  std::uint32_t refused = 0; // members that the ACLs keep apart from us
};

struct EndpointCounters {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t sleeps = 0;       // times that receive() went to sleep
  std::uint64_t bells = 0;        // times that a peer was rung: system calls
  std::uint64_t space_waits = 0;  // times that a send had to wait for space
  std::uint64_t late_answers = 0; // came when nobody waited for them any more, and were dropped
};

struct EndpointSettings {
  // How long receive() looks at its rings before it sleeps. A wake-up costs the sender and the
  // receiver some 30 µs across cores; spinning costs this much CPU for every pause in the traffic.
  std::chrono::microseconds spin{50};
  std::uint64_t ring_bytes = 0; // of channels that we open; 0: the broker's default
  bool huge_pages = false;      // for rings of 2 MiB and more, where the system has some
  // A ring that is empty and was not used for this long gives its memory back.
  std::chrono::milliseconds idle_after{5000};
};

class Endpoint {
public:
  // Takes the link (SOCK_SEQPACKET; made non-blocking here is not needed: every call is
  // MSG_DONTWAIT). [any]
  [[nodiscard]] static Result<std::unique_ptr<Endpoint>> open(sys::Fd link,
                                                              const EndpointSettings& settings);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // Link records that are not the data plane's: Operate, SetConfig, Welcome. Delivered in order by
  // receive().
  void on_record(std::function<void(const LinkRecord&)> callback);
  // Delivered by receive(), after the last message of that channel.
  void on_ended(std::function<void(const Ended&)> callback);

  // Requests that their asker has taken back; delivered by receive(), behind the request.
  void on_cancel(std::function<void(const ReplyTo&)> callback);
  // How long to look before sleeping, from now on. [loop]
  void set_spin(std::chrono::microseconds spin);
  // Of rings that we open from now on. [loop]
  void set_rings(std::uint64_t ring_bytes, bool huge_pages);

  // --- channels to send on ---

  // The channel to a peer; asks the manager the first time. Denied (which ACL line is missing),
  // NotFound, PeerGone (it left at once), Exhausted (no room for its descriptors here), TimedOut,
  // Unreachable (the link). Other records that arrive meanwhile wait for receive(). `ring_bytes`: a
  // wish for this channel, rounded up to a ring size; 0: the settings'. [loop]
  [[nodiscard]] Result<ChannelId> open_channel(PluginId target, Deadline deadline,
                                               std::uint64_t ring_bytes = 0);
  [[nodiscard]] Result<ChannelId> open_channel(std::string_view name, Deadline deadline,
                                               std::uint64_t ring_bytes = 0);
  // Who is at the other end; nothing if there is no such channel. [loop]
  [[nodiscard]] std::optional<Peer> peer(ChannelId channel) const;
  [[nodiscard]] std::optional<Lane> lane(ChannelId channel) const;

  // --- send ---

  // Zero copy: fill the bytes, then commit() on the same channel; the next loan or send on it takes
  // the bytes back. They stay writable, also when the channel ends meanwhile. When the ring is
  // full: Refused at once for kNoWait, else waits until the deadline (TimedOut). PeerGone,
  // Malformed (the peer broke the ring), TooLarge. The first message of another priority than
  // normal opens a lane for it, with open_channel()'s errors. [loop]
  [[nodiscard]] Result<std::span<std::byte>> loan(ChannelId channel, std::uint32_t size,
                                                  const Outgoing& about, Deadline deadline);
  // Publishes what was loaned; returns the message's id, 0 when the channel has ended. [loop]
  std::uint64_t commit(ChannelId channel);
  // Both in one, with a copy. [loop]
  [[nodiscard]] Result<std::uint64_t> send(ChannelId channel, const Outgoing& about,
                                           std::span<const std::byte> bytes, Deadline deadline);

  // Waits until every message that was sent as durable on this channel (in all its priorities), or
  // on any, is on disk or acknowledged. Denied: this endpoint may not ask for it. Exhausted: the
  // disk is full, or the journal; the messages are sent all the same. [loop]
  [[nodiscard]] Result<> sync(ChannelId channel, Monotonic deadline);
  [[nodiscard]] Result<> sync(Monotonic deadline);
  // The same (channel 0: on any) without waiting: the callback gets the outcome, TimedOut at the
  // latest at the deadline. PeerGone: there is no such channel, and no callback. [loop]
  [[nodiscard]] Result<> sync_later(ChannelId channel, Monotonic deadline, SyncCallback callback);

  // Wakes every receiver that a send with `more` left asleep. receive(), rest() and prepare_wait()
  // do this; call it when none of them follows soon. [loop]
  void flush();
  // Whether the receiver is done with all that was sent on it, in any priority; true too when the
  // channel has ended. [loop]
  [[nodiscard]] bool acknowledged(ChannelId channel) const;

  // --- receive ---

  // The next message, fair over the channels; nothing when the deadline passed or interrupt() was
  // called. Handles link records, answers and ends on the way. Unreachable: the link is gone.
  // kAtHand: looks at the link and at idle rings once in 256 calls only; rest() looks at them.
  // [loop]
  [[nodiscard]] Result<std::optional<Message>> receive(Monotonic deadline);
  // The receiver is done with it ('acknowledged'), and with all before it on that channel. [loop]
  void release(const Message& message);
  // Makes the running receive() return nothing as soon as the present callback ends. [loop]
  void interrupt();
  // While held, receive() gives no messages but answers to their callbacks: what comes stays in its
  // ring, and is not begun. [loop]
  void hold_messages(bool hold);

  // Waits as receive() does, and takes nothing out: true when there may be something to do, false
  // when the deadline has passed. [loop]
  [[nodiscard]] bool rest(Monotonic deadline);
  // An eventfd of the caller's that ends rest() and receive() whenever it is written to; never
  // read. [loop]
  [[nodiscard]] Result<> wake_by(int eventfd);

  // For a loop of one's own: when prepare_wait() says true there is nothing to do until wait_fd()
  // is readable or next_deadline() has passed; then receive(kNoWait) until it gives nothing. [loop]
  [[nodiscard]] int wait_fd() const;
  [[nodiscard]] bool prepare_wait();
  [[nodiscard]] Monotonic next_deadline() const;

  // --- requests ---

  // Sends a request; the callback gets the answer or a typed end, at the latest at the deadline.
  // Returns the request's number. [loop]
  [[nodiscard]] Result<std::uint64_t> call(ChannelId channel, const Outgoing& about,
                                           std::span<const std::byte> bytes, Monotonic deadline,
                                           AnswerCallback callback);
  // Takes a request back: its callback gets Cancelled (in the next receive()), and the peer is told
  // if there is room for that. NotFound: it has ended. [loop]
  [[nodiscard]] Result<> cancel(std::uint64_t number);
  // The same as call(), and waits. Messages that arrive meanwhile stay in their rings. A call that
  // waits for one that waits for us ends with BadState. [loop]
  [[nodiscard]] Result<Answer> call_and_wait(ChannelId channel, const Outgoing& about,
                                             std::span<const std::byte> bytes, Monotonic deadline);
  // Answers a request, on a channel of our own to the asker that is opened the first time.
  // `failed`: the bytes are a sentence that says why not. [loop]
  [[nodiscard]] Result<> respond(const ReplyTo& to, std::span<const std::byte> bytes,
                                 Monotonic deadline, bool failed = false, std::uint64_t memory = 0);

  // --- memories that ride along messages (memory.hpp) ---

  // A new one, all zeros. It goes with a message whose Outgoing::attachment is its number, also
  // with several; from the first loan() or send() for one on, even when that fails, it is not
  // writable (and not mapped) here any more. Those then fail besides with BadState (something else
  // still has it mapped for writing), Exhausted (the receiver has too many), Refused (the
  // receiver's link is full), Invalid (durable, or an event that may be lost), NotFound (none of
  // ours). TooLarge, Exhausted: ours. [loop]
  [[nodiscard]] Result<OwnMemory> make_memory(std::uint64_t bytes, Monotonic deadline);
  // Takes what came with a message that is not released yet; what is not taken ends with that.
  // NotFound: nothing came with it, whatever its sender says. Exhausted: no room for it here.
  // [loop]
  [[nodiscard]] Result<GivenMemory> take_memory(const Message& message);
  // Of either kind: what its bytes were, may not be touched any more. False: there is none. [loop]
  bool drop_memory(std::uint64_t number);

  // --- groups ---

  // To every running plugin of the type that the ACLs allow. [loop]
  [[nodiscard]] Result<Delivered> broadcast(model::PluginType type, const Outgoing& about,
                                            std::span<const std::byte> bytes, Monotonic deadline);
  // To every subscriber of the event. [loop]
  [[nodiscard]] Result<Delivered> publish(std::uint32_t event, const Outgoing& about,
                                          std::span<const std::byte> bytes, Monotonic deadline);
  // From now on, these events of this publisher (PluginId{}: of anybody). NotFound: nobody there
  // publishes one of them. [loop]
  [[nodiscard]] Result<> subscribe(PluginId publisher, std::span<const std::uint32_t> events,
                                   Monotonic deadline);

  // --- the link ---

  // Done, LogLine, LastWords… Refused: the manager does not read at present. [loop]
  template <class T>
    requires kIsLinkRecord<T>
  [[nodiscard]] Result<> send_record(const T& record) {
    return send_link_record(link_fd(), record);
  }
  [[nodiscard]] int link_fd() const;
  [[nodiscard]] EndpointCounters counters() const;

  // A recorder's: of each ring of copies that it has now, how many there was no room for, as their
  // sender says. What has ended says so in Ended. [loop]
  struct MissedCopies {
    ChannelId channel;
    std::uint64_t missed = 0;
  };
  [[nodiscard]] std::vector<MissedCopies> missed_copies() const;

private:
  struct State;
  [[nodiscard]] Result<Delivered> send_to_group(const OpenGroup& question, const Outgoing& about,
                                                std::span<const std::byte> bytes,
                                                Monotonic deadline);
  explicit Endpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace mohhos::ipc
