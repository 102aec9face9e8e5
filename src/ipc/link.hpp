// The link: what an endpoint (a plugin's host, or an application) and the manager say to each
// other.
//
// Fixed-size structs over SOCK_SEQPACKET, descriptors beside them: no parser, nothing to attack. A
// record whose size, version or type is not exactly right closes the link. Texts are NUL-terminated
// inside their array or the record is refused. The link carries control only; messages between
// plugins never pass here.
//
// Layout rule: explicit widths, no padding that the compiler chooses, checked by static_assert;
// both sides are built from this header, and kLinkVersion says so at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mohhos::ipc {

inline constexpr std::uint32_t kLinkVersion = 2;
inline constexpr std::size_t kNameSize = 64;
inline constexpr std::size_t kTextSize = 1024;
inline constexpr std::size_t kGroupMax = 128;
inline constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 30; // of one that rides along

enum class LinkType : std::uint16_t {
  // manager → endpoint
  Operate = 1,    // do one lifecycle step
  ChannelOpened,  // fds: data, control, data bell, space bell (ring.hpp says who may write which)
  ChannelRefused, // answer to OpenChannel
  ChannelClosed,  // the peer is gone, or was replaced
  GroupReady,     // answer to OpenGroup: these channels, all opened before
  GroupStale,     // who belongs to a group may have changed: ask again before the next broadcast
  SetConfig,      // one key and value; before Operate{Init} all of them, later the changed one
  Welcome,        // first record to an application: its own id
  Subscribed,     // answer to Subscribe
  Deadlock,       // to a Waiting: it closes a cycle of calls that wait for each other
  TapOpened,      // copy what comes on one channel into another one, for a recorder; or stop it
  Synced,         // answer to Sync
  MemoryMade,     // answer to MakeMemory. fds: the memory, writable
  MemorySent,     // answer to SendMemory
  MemoryArrived,  // a memory that rides along a message. fds: the memory, read-only
  // endpoint → manager
  Done = 64, // answer to Operate
  OpenChannel,
  CloseChannel,
  OpenGroup,
  Subscribe,
  LogLine,
  Refused,   // the plugin's own SIGSYS handler: a call that the second filter stopped
  LastWords, // why this process is about to die
  Waiting,   // a blocking call that takes long: for whom
  Sync,      // have what was sent durably on a channel on disk
  MakeMemory,
  SendMemory,
  ReleaseMemory,
};

enum class Operation : std::uint32_t { Init = 1, Start, Stop, Unload, Configure };

struct LinkHeader {
  std::uint32_t version = kLinkVersion;
  LinkType type{};
  std::uint16_t reserved = 0;
  std::uint32_t size = 0;     // of the whole record
  std::uint32_t sequence = 0; // the asker's number; the answer carries the same
};

// Operate: init, start, stop, unload, in the order that the lifecycle table allows. Done answers
// each.
struct Operate {
  LinkHeader header{.type = LinkType::Operate, .size = sizeof(Operate)};
  Operation operation{};
  std::uint32_t reserved = 0;
};

struct Done {
  LinkHeader header{.type = LinkType::Done, .size = sizeof(Done)};
  Operation operation{};
  std::int32_t code = 0;     // 0, or a mohhos::Code
  char text[kTextSize] = {}; // the plugin's own words, when code is not 0
};

enum class Role : std::uint32_t { Send = 1, Receive = 2 };

// A lane is a ring of its own between the same two ends. The first four are the priorities of
// messages, by number; the others are opened by what they are for: responses, events of which the
// oldest may be lost, and copies for a recorder.
enum class Lane : std::uint32_t {
  Low = 0,
  Normal = 1,
  High = 2,
  Urgent = 3,
  Reply = 4,
  Lossy = 5,
  Tap = 6,
};
inline constexpr std::size_t kLaneCount = 7;
[[nodiscard]] constexpr bool is_priority(Lane lane) {
  return lane <= Lane::Urgent;
}

// Ask for a channel to send on. By id, or by name when target_id is 0.
struct OpenChannel {
  LinkHeader header{.type = LinkType::OpenChannel, .size = sizeof(OpenChannel)};
  std::uint64_t target_id = 0;
  std::uint64_t ring_bytes = 0; // wish; 0: the default. A power of two between the broker's bounds
  Lane lane = Lane::Normal;     // a priority's or Reply
  std::uint32_t reserved = 0;
  char target_name[kNameSize] = {};
};

struct ChannelOpened {
  LinkHeader header{.type = LinkType::ChannelOpened, .size = sizeof(ChannelOpened)};
  std::uint64_t channel_id = 0;
  std::uint64_t peer_id = 0;
  std::uint64_t ring_bytes = 0;
  Role role{};                 // what the addressee of this record does on the channel
  std::uint32_t peer_type = 0; // model::PluginType; 0xFFFFFFFF: an application
  std::uint32_t peer_generation = 0;
  std::uint32_t ring_generation = 0; // rises when the sending side is a new process
  Lane lane = Lane::Normal;
  std::uint32_t reserved = 0;
  char peer_name[kNameSize] = {};
};

struct ChannelRefused {
  LinkHeader header{.type = LinkType::ChannelRefused, .size = sizeof(ChannelRefused)};
  std::int32_t code = 0; // mohhos::Code
  std::uint32_t reserved = 0;
  char text[kTextSize] = {};
};

// PeerRestarted: the other side's process died, and a new one will come; the channel and what is
// unread in it go on. The others end it.
enum class CloseReason : std::uint32_t { PeerGone = 1, PeerRestarted = 2, Broken = 3, Revoked = 4 };

struct ChannelClosed {
  LinkHeader header{.type = LinkType::ChannelClosed, .size = sizeof(ChannelClosed)};
  std::uint64_t channel_id = 0;
  CloseReason reason{};
  std::uint32_t reserved = 0;
};

struct CloseChannel {
  LinkHeader header{.type = LinkType::CloseChannel, .size = sizeof(CloseChannel)};
  std::uint64_t channel_id = 0;
  CloseReason reason{}; // Broken: the ring's invariants did not hold; the text says which
  std::uint32_t reserved = 0;
  char text[kTextSize] = {};
};

enum class GroupKind : std::uint32_t { PluginsOfType = 1, SubscribersOfEvent = 2 };

struct OpenGroup {
  LinkHeader header{.type = LinkType::OpenGroup, .size = sizeof(OpenGroup)};
  GroupKind kind{};
  std::uint32_t value = 0; // the plugin type or the event type
};

struct GroupReady {
  LinkHeader header{.type = LinkType::GroupReady, .size = sizeof(GroupReady)};
  GroupKind kind{};
  std::uint32_t value = 0;
  std::uint32_t refused = 0; // members that the ACLs keep apart from us
  std::uint32_t count = 0;
  std::uint64_t channels[kGroupMax] = {};
  std::uint8_t losses[kGroupMax] = {}; // model::Lossiness, for SubscribersOfEvent
};

struct GroupStale {
  LinkHeader header{.type = LinkType::GroupStale, .size = sizeof(GroupStale)};
};

struct Subscribe {
  LinkHeader header{.type = LinkType::Subscribe, .size = sizeof(Subscribe)};
  std::uint64_t publisher_id = 0; // 0: whoever publishes
  std::uint32_t count = 0;
  std::uint32_t events[31] = {};
};

struct Subscribed {
  LinkHeader header{.type = LinkType::Subscribed, .size = sizeof(Subscribed)};
};

// Answered only when it closes a cycle.
struct Waiting {
  LinkHeader header{.type = LinkType::Waiting, .size = sizeof(Waiting)};
  std::uint64_t peer_id = 0; // 0: for nobody any more
};

struct Deadlock {
  LinkHeader header{.type = LinkType::Deadlock, .size = sizeof(Deadlock)};
  std::uint64_t peer_id = 0;   // the one that was waited for
  std::uint64_t waiter_id = 0; // who says that it waits for the addressee
  char text[kTextSize] = {};   // who waits for whom
};

struct TapOpened {
  LinkHeader header{.type = LinkType::TapOpened, .size = sizeof(TapOpened)};
  std::uint64_t channel_id = 0;
  std::uint64_t tap_channel_id = 0; // one that the addressee sends on; 0: no more copies
};

// Answered with Synced when every durable message before `upto` is on disk or acknowledged, or with
// ChannelRefused.
struct Sync {
  LinkHeader header{.type = LinkType::Sync, .size = sizeof(Sync)};
  std::uint64_t channel_id = 0;
  std::uint64_t upto = 0; // a position of the ring, between records
};

struct Synced {
  LinkHeader header{.type = LinkType::Synced, .size = sizeof(Synced)};
  std::uint64_t channel_id = 0;
  std::uint64_t upto = 0;
};

// Memories that ride along messages. Only the manager makes them and only it hands them on: no
// endpoint ever sends a descriptor (memory_book.hpp has the rules, memory.hpp the descriptors).
struct MakeMemory {
  LinkHeader header{.type = LinkType::MakeMemory, .size = sizeof(MakeMemory)};
  std::uint64_t bytes = 0;
};

struct MemoryMade {
  LinkHeader header{.type = LinkType::MemoryMade, .size = sizeof(MemoryMade)};
  std::uint64_t memory = 0;
  std::uint64_t bytes = 0;
};

// Nothing may be mapped writable any more: from here on the memory's content is sealed. Answered
// once the receiver's link has it (or it waits for the receiver's next process), so that the
// message can follow.
struct SendMemory {
  LinkHeader header{.type = LinkType::SendMemory, .size = sizeof(SendMemory)};
  std::uint64_t channel_id = 0;
  std::uint64_t message_id = 0; // that the message will have: its attachment is `memory`
  std::uint64_t memory = 0;
};

struct MemorySent {
  LinkHeader header{.type = LinkType::MemorySent, .size = sizeof(MemorySent)};
  std::uint64_t channel_id = 0;
  std::uint64_t memory = 0;
};

struct MemoryArrived {
  LinkHeader header{.type = LinkType::MemoryArrived, .size = sizeof(MemoryArrived)};
  std::uint64_t channel_id = 0;
  std::uint64_t message_id = 0;
  std::uint64_t memory = 0;
  std::uint64_t bytes = 0;
};

// Not answered. By a receiver: it has no use for what came with this message any more. By its
// maker (channel 0): it will not be sent again.
struct ReleaseMemory {
  LinkHeader header{.type = LinkType::ReleaseMemory, .size = sizeof(ReleaseMemory)};
  std::uint64_t channel_id = 0;
  std::uint64_t message_id = 0;
  std::uint64_t memory = 0;
};

struct SetConfig {
  LinkHeader header{.type = LinkType::SetConfig, .size = sizeof(SetConfig)};
  char key[kNameSize] = {};
  char value[kTextSize] = {};
};

struct Welcome {
  LinkHeader header{.type = LinkType::Welcome, .size = sizeof(Welcome)};
  std::uint64_t own_id = 0;
};

struct LogLine {
  LinkHeader header{.type = LinkType::LogLine, .size = sizeof(LogLine)};
  std::uint32_t level = 0;   // 0 error, 1 warning, 2 info, 3 debug
  std::uint32_t dropped = 0; // lines before this one that the full link did not take
  char text[kTextSize] = {};
};

struct RefusedCall {
  LinkHeader header{.type = LinkType::Refused, .size = sizeof(RefusedCall)};
  std::int32_t syscall = 0;
  std::uint32_t reserved = 0;
  std::uint64_t arguments[6] = {};
  std::uint64_t instruction = 0;
};

enum class LastWordsKind : std::uint32_t { Exception = 1, Abort = 2, Exit = 3, Signal = 4 };

struct LastWords {
  LinkHeader header{.type = LinkType::LastWords, .size = sizeof(LastWords)};
  LastWordsKind kind{};
  std::int32_t value = 0; // exit status or signal
  char text[kTextSize] = {};
};

inline constexpr std::size_t kLinkMaxRecord = 2048;

template <class T>
inline constexpr bool kIsLinkRecord =
    std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> &&
    std::has_unique_object_representations_v<T> && sizeof(T) <= kLinkMaxRecord &&
    offsetof(T, header) == 0;

static_assert(kIsLinkRecord<Operate> && kIsLinkRecord<Done> && kIsLinkRecord<OpenChannel> &&
              kIsLinkRecord<ChannelOpened> && kIsLinkRecord<ChannelRefused> &&
              kIsLinkRecord<ChannelClosed> && kIsLinkRecord<CloseChannel> &&
              kIsLinkRecord<OpenGroup> && kIsLinkRecord<GroupReady> && kIsLinkRecord<GroupStale> &&
              kIsLinkRecord<Subscribe> && kIsLinkRecord<SetConfig> && kIsLinkRecord<Welcome> &&
              kIsLinkRecord<Subscribed> && kIsLinkRecord<Waiting> && kIsLinkRecord<Deadlock> &&
              kIsLinkRecord<TapOpened> && kIsLinkRecord<Sync> && kIsLinkRecord<Synced> &&
              kIsLinkRecord<LogLine> && kIsLinkRecord<RefusedCall> && kIsLinkRecord<LastWords> &&
              kIsLinkRecord<MakeMemory> && kIsLinkRecord<MemoryMade> && kIsLinkRecord<SendMemory> &&
              kIsLinkRecord<MemorySent> && kIsLinkRecord<MemoryArrived> &&
              kIsLinkRecord<ReleaseMemory>);

} // namespace mohhos::ipc
