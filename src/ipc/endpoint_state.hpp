// The inside of an Endpoint, shared by its three files: endpoint.cpp (link, channels, sending),
// endpoint_receive.cpp (receiving and sleeping), endpoint_calls.cpp (requests and groups).
#pragma once

#include <deque>
#include <map>
#include <unordered_map>

#include "ipc/calls.hpp"
#include "ipc/channel.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/waiter.hpp"

namespace mohhos::ipc {

struct Sending {
  ChannelId id;
  Peer peer;
  SendingChannel channel;
  bool more = false;    // of the open loan
  bool unwoken = false; // in State::unwoken
};

struct Receiving {
  ChannelId id;
  Peer peer;
  bool reply_only = false;
  ReceivingChannel channel;
  bool active = true;              // in State::active, its ring not armed
  std::uint32_t idle_bells = 0;    // rings in a row without a message
  std::optional<Error> ending;     // ends with this once it is empty and all is released
  std::optional<Error> calls_fail; // once it is empty: no more answers will come from this peer
};

struct HeldMessage {
  Message message;
  std::vector<std::byte> payload;
};

struct FinishedCall {
  AnswerCallback callback;
  Error why;
};

struct Group {
  std::vector<ChannelId> channels;
  std::uint32_t refused = 0;
};
using GroupKey = std::pair<GroupKind, std::uint32_t>;

inline constexpr auto kOpenTime =
    std::chrono::seconds(2); // for the manager's answer, where the caller gives none

inline constexpr std::uint32_t kSpinsPerPoll = 64; // looks at the rings for each look at the epoll

// Whether this is the answer to what was asked, or the manager's refusal as an error.
[[nodiscard]] Result<> check_answer(const LinkRecord& record, LinkType expected);

struct Endpoint::State {
  State(sys::Fd link_fd, Waiter epoll, const EndpointSettings& options);

  // endpoint.cpp: the link
  void read_link();
  void take_record(LinkRecord record);
  void take_opened(LinkRecord& record);
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

  // endpoint.cpp: sending
  [[nodiscard]] Sending* find_sending(ChannelId id);
  [[nodiscard]] Sending* sending_to(PluginId peer);
  [[nodiscard]] Result<ChannelId> open_channel(const OpenChannel& question, Monotonic deadline);
  [[nodiscard]] Result<> wait_for_space(ChannelId id, std::uint32_t size, const Outgoing& about,
                                        Monotonic deadline, std::span<std::byte>& bytes);
  void end_sending(ChannelId id, Error why);
  // Receivers that a send with `more` left asleep: before anything here waits, and when the caller
  // comes back.
  void wake_receivers() noexcept;

  // endpoint_receive.cpp
  enum class Next : std::uint8_t { Message, Again, Nothing };
  [[nodiscard]] Next next_message(Message& message);
  [[nodiscard]] Next take_from(Receiving& from, Message& message);
  [[nodiscard]] bool take_answer(Receiving& from, const View& view);
  void break_receiving(Receiving& channel, Breach breach);
  void end_receiving(ChannelId id);
  // Callbacks for what was queued; whether there were any.
  bool deliver();
  void deliver_finished();
  [[nodiscard]] Message take_held();
  void expire(Monotonic now);
  void note(std::span<const Wake> wakes);
  [[nodiscard]] bool anything_ready() const;
  // Arms the active rings (of one peer, or all). True: nothing came meanwhile, and the bells will
  // tell.
  [[nodiscard]] bool arm(std::optional<PluginId> only = {});
  // Spins, then sleeps, until there may be something to do; false when the deadline has passed.
  [[nodiscard]] bool wait(Monotonic deadline);
  [[nodiscard]] Receiving* find_receiving(ChannelId id);
  void activate(Receiving& channel);

  // endpoint_calls.cpp
  void fail_calls(PluginId peer, const Error& why);
  // Answers that the peer sent before it died are still read.
  void fail_calls_once_drained(PluginId peer, const Error& why);
  // Until the callee's answer is there; reads the callee's channels only.
  void wait_for_answer(PluginId callee, const std::optional<Result<Answer>>& answer);
  [[nodiscard]] bool read_from(PluginId callee);
  [[nodiscard]] Result<const Group*> find_group(const OpenGroup& question, Monotonic deadline);

  sys::Fd link;
  Waiter waiter;
  EndpointSettings settings;
  EndpointCounters counters;
  std::uint32_t sequence = 0;

  std::unordered_map<std::uint64_t, std::unique_ptr<Sending>> sending;
  std::unordered_map<PluginId, ChannelId> sending_by_peer;
  Sending* last_sending = nullptr;
  std::vector<ChannelId> unwoken;
  std::unordered_map<std::uint64_t, std::unique_ptr<Receiving>> receiving;
  Receiving* last_receiving = nullptr;
  std::vector<Receiving*> active; // polled; the others are armed and ring
  std::size_t turn = 0;           // in active
  std::uint32_t taken = 0;        // messages in a row from active[turn]
  std::uint32_t until_poll = 0;   // receives until the next look at the epoll

  Calls<AnswerCallback> calls;
  std::map<GroupKey, Group> groups;

  // What arrived and waits for receive() to deliver it.
  std::deque<LinkRecord> records;
  std::deque<Ended> ends;
  std::deque<FinishedCall> finished;
  std::deque<HeldMessage> held;     // for the next receive()
  std::deque<HeldMessage> held_out; // given by receive(), not released
  std::size_t held_bytes = 0;
  std::optional<LinkRecord> link_answer; // to the question that ask() waits for
  std::uint32_t asked = 0;               // its sequence; 0: nobody asks
  std::optional<Error> link_error;
  bool interrupted = false;

  std::function<void(const LinkRecord&)> on_record;
  std::function<void(const Ended&)> on_ended;
};

} // namespace mohhos::ipc
