#include "ipc/link_codec.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>

#include "model/messaging.hpp"
#include "sys/socket.hpp"

namespace mohhos::ipc {
namespace {

// A check of one record's content; nullptr or the name of the field that is wrong.
using Check = const char* (*)(const std::byte* bytes);

template <std::size_t N>
bool ends(const char (&text)[N]) {
  return std::memchr(text, 0, N) != nullptr;
}

template <class T>
T read(const std::byte* bytes) {
  T record;
  std::memcpy(&record, bytes, sizeof record);
  return record;
}

template <class Enum>
bool within(Enum value, Enum first, Enum last) {
  return value >= first && value <= last;
}
bool known(Operation o) {
  return within(o, Operation::Init, Operation::Configure);
}
bool known(CloseReason r) {
  return within(r, CloseReason::PeerGone, CloseReason::Revoked);
}
bool known(GroupKind k) {
  return within(k, GroupKind::PluginsOfType, GroupKind::SubscribersOfEvent);
}

bool known(Lane l) {
  return within(l, Lane::Low, Lane::Tap);
}

const char* nothing(const std::byte*) {
  return nullptr;
}
const char* operate(const std::byte* bytes) {
  return known(read<Operate>(bytes).operation) ? nullptr : "operation";
}
const char* done(const std::byte* bytes) {
  const auto record = read<Done>(bytes);
  if (!known(record.operation)) return "operation";
  return ends(record.text) ? nullptr : "text";
}
const char* open_channel(const std::byte* bytes) {
  const auto record = read<OpenChannel>(bytes);
  if (!is_priority(record.lane) && record.lane != Lane::Reply) return "lane";
  return ends(record.target_name) ? nullptr : "target_name";
}
const char* channel_opened(const std::byte* bytes) {
  const auto record = read<ChannelOpened>(bytes);
  if (record.role != Role::Send && record.role != Role::Receive) return "role";
  if (record.channel_id == 0 || record.channel_id > UINT64_MAX / 4) return "channel_id";
  if (!known(record.lane)) return "lane";
  return ends(record.peer_name) ? nullptr : "peer_name";
}
const char* channel_refused(const std::byte* bytes) {
  return ends(read<ChannelRefused>(bytes).text) ? nullptr : "text";
}
const char* channel_closed(const std::byte* bytes) {
  return known(read<ChannelClosed>(bytes).reason) ? nullptr : "reason";
}
const char* close_channel(const std::byte* bytes) {
  const auto record = read<CloseChannel>(bytes);
  if (!known(record.reason)) return "reason";
  return ends(record.text) ? nullptr : "text";
}
const char* open_group(const std::byte* bytes) {
  return known(read<OpenGroup>(bytes).kind) ? nullptr : "kind";
}
const char* group_ready(const std::byte* bytes) {
  const auto record = read<GroupReady>(bytes);
  if (!known(record.kind)) return "kind";
  if (record.count > kGroupMax) return "count";
  const bool losses_known = std::ranges::all_of(
      record.losses, [](std::uint8_t loss) { return loss < model::kLossinesses.size(); });
  return losses_known ? nullptr : "losses";
}
const char* subscribe(const std::byte* bytes) {
  return read<Subscribe>(bytes).count <= std::size(Subscribe{}.events) ? nullptr : "count";
}
const char* set_config(const std::byte* bytes) {
  const auto record = read<SetConfig>(bytes);
  if (!ends(record.key)) return "key";
  return ends(record.value) ? nullptr : "value";
}
const char* deadlock(const std::byte* bytes) {
  return ends(read<Deadlock>(bytes).text) ? nullptr : "text";
}
const char* log_line(const std::byte* bytes) {
  const auto record = read<LogLine>(bytes);
  if (record.level > 3) return "level";
  return ends(record.text) ? nullptr : "text";
}
const char* last_words(const std::byte* bytes) {
  const auto record = read<LastWords>(bytes);
  if (!within(record.kind, LastWordsKind::Exception, LastWordsKind::Signal)) return "kind";
  return ends(record.text) ? nullptr : "text";
}

const char* memory_made(const std::byte* bytes) {
  const auto record = read<MemoryMade>(bytes);
  if (record.memory == 0) return "memory";
  return record.bytes != 0 && record.bytes <= kMaxMemory ? nullptr : "bytes";
}
const char* memory_arrived(const std::byte* bytes) {
  const auto record = read<MemoryArrived>(bytes);
  if (record.channel_id == 0) return "channel_id";
  if (record.message_id == 0) return "message_id";
  if (record.memory == 0) return "memory";
  return record.bytes != 0 && record.bytes <= kMaxMemory ? nullptr : "bytes";
}

struct Row {
  LinkType type;
  const char* name;
  LinkSide from;
  std::size_t size;
  std::size_t fds; // that must come with it
  Check check;
};
constexpr std::array kRows = {
    Row{LinkType::Operate, "Operate", LinkSide::Manager, sizeof(Operate), 0, operate},
    Row{LinkType::ChannelOpened, "ChannelOpened", LinkSide::Manager, sizeof(ChannelOpened), 4,
        channel_opened},
    Row{LinkType::ChannelRefused, "ChannelRefused", LinkSide::Manager, sizeof(ChannelRefused), 0,
        channel_refused},
    Row{LinkType::ChannelClosed, "ChannelClosed", LinkSide::Manager, sizeof(ChannelClosed), 0,
        channel_closed},
    Row{LinkType::GroupReady, "GroupReady", LinkSide::Manager, sizeof(GroupReady), 0, group_ready},
    Row{LinkType::GroupStale, "GroupStale", LinkSide::Manager, sizeof(GroupStale), 0, nothing},
    Row{LinkType::SetConfig, "SetConfig", LinkSide::Manager, sizeof(SetConfig), 0, set_config},
    Row{LinkType::Welcome, "Welcome", LinkSide::Manager, sizeof(Welcome), 0, nothing},
    Row{LinkType::Subscribed, "Subscribed", LinkSide::Manager, sizeof(Subscribed), 0, nothing},
    Row{LinkType::Deadlock, "Deadlock", LinkSide::Manager, sizeof(Deadlock), 0, deadlock},
    Row{LinkType::TapOpened, "TapOpened", LinkSide::Manager, sizeof(TapOpened), 0, nothing},
    Row{LinkType::Synced, "Synced", LinkSide::Manager, sizeof(Synced), 0, nothing},
    Row{LinkType::MemoryMade, "MemoryMade", LinkSide::Manager, sizeof(MemoryMade), 1, memory_made},
    Row{LinkType::MemorySent, "MemorySent", LinkSide::Manager, sizeof(MemorySent), 0, nothing},
    Row{LinkType::MemoryArrived, "MemoryArrived", LinkSide::Manager, sizeof(MemoryArrived), 1,
        memory_arrived},
    Row{LinkType::Done, "Done", LinkSide::Endpoint, sizeof(Done), 0, done},
    Row{LinkType::OpenChannel, "OpenChannel", LinkSide::Endpoint, sizeof(OpenChannel), 0,
        open_channel},
    Row{LinkType::CloseChannel, "CloseChannel", LinkSide::Endpoint, sizeof(CloseChannel), 0,
        close_channel},
    Row{LinkType::OpenGroup, "OpenGroup", LinkSide::Endpoint, sizeof(OpenGroup), 0, open_group},
    Row{LinkType::Subscribe, "Subscribe", LinkSide::Endpoint, sizeof(Subscribe), 0, subscribe},
    Row{LinkType::LogLine, "LogLine", LinkSide::Endpoint, sizeof(LogLine), 0, log_line},
    Row{LinkType::Refused, "Refused", LinkSide::Endpoint, sizeof(RefusedCall), 0, nothing},
    Row{LinkType::LastWords, "LastWords", LinkSide::Endpoint, sizeof(LastWords), 0, last_words},
    Row{LinkType::Waiting, "Waiting", LinkSide::Endpoint, sizeof(Waiting), 0, nothing},
    Row{LinkType::Sync, "Sync", LinkSide::Endpoint, sizeof(Sync), 0, nothing},
    Row{LinkType::MakeMemory, "MakeMemory", LinkSide::Endpoint, sizeof(MakeMemory), 0, nothing},
    Row{LinkType::SendMemory, "SendMemory", LinkSide::Endpoint, sizeof(SendMemory), 0, nothing},
    Row{LinkType::ReleaseMemory, "ReleaseMemory", LinkSide::Endpoint, sizeof(ReleaseMemory), 0,
        nothing},
};

const Row* find_row(LinkType type) {
  const auto row = std::ranges::find(kRows, type, &Row::type);
  return row == kRows.end() ? nullptr : &*row;
}

} // namespace

Result<LinkHeader> check_link_record(std::span<const std::byte> bytes, LinkSide from) {
  if (bytes.size() < sizeof(LinkHeader))
    return fail(Code::Malformed, "a link record of {} bytes", bytes.size());
  const auto header = read<LinkHeader>(bytes.data());
  if (header.version != kLinkVersion)
    return fail(Code::Malformed, "a link record of version {}; this is version {}", header.version,
                kLinkVersion);
  const Row* const row = find_row(header.type);
  if (row == nullptr)
    return fail(Code::Malformed, "a link record of unknown type {}",
                static_cast<unsigned>(header.type));
  if (row->from != from) return fail(Code::Malformed, "{} from the wrong side", row->name);
  if (header.size != bytes.size() || bytes.size() != row->size)
    return fail(Code::Malformed, "{} says {} bytes and has {}; it must be {}", row->name,
                header.size, bytes.size(), row->size);
  if (const char* const field = row->check(bytes.data()))
    return fail(Code::Malformed, "{}: its {} is not valid", row->name, field);
  return header;
}

Result<std::optional<LinkRecord>> receive_link_record(int link, LinkSide from) {
  alignas(std::uint64_t) std::array<std::byte, kLinkMaxRecord> buffer;
  // An endpoint without room for one channel's descriptors still has its other channels. What an
  // endpoint sends us has none.
  const auto lost = from == LinkSide::Manager ? sys::LostFds::Accept : sys::LostFds::Refuse;
  TRY(auto received, sys::receive_message(link, buffer, lost));
  if (!received) return std::optional<LinkRecord>();
  if (received->size == 0) return fail(Code::Unreachable, "the link's other end is gone");
  const std::span bytes(buffer.data(), received->size);
  TRY(const LinkHeader header, check_link_record(bytes, from));
  const Row* const row = find_row(header.type);
  if (received->fds.size() != row->fds && !received->fds_lost)
    return fail(Code::Malformed, "{} with {} descriptors; it must have {}", row->name,
                received->fds.size(), row->fds);
  return LinkRecord{header, {bytes.begin(), bytes.end()}, std::move(received->fds)};
}

Result<> send_link_bytes(int link, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (!fds.empty()) return sys::send_message(link, bytes, fds);
  ssize_t put = 0;
  do put = ::send(link, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  while (put < 0 && errno == EINTR);
  if (put == static_cast<ssize_t>(bytes.size())) return {};
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return fail(Code::Refused, "the link's queue is full");
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    return fail(Code::Unreachable, "the link's other end is gone");
  return fail_errno("send on the link");
}

} // namespace mohhos::ipc
