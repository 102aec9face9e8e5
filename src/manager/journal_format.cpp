#include "manager/journal_format.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <sodium/crypto_shorthash.h>

#include "base/bytes.hpp"
#include "base/fixed_text.hpp"
#include "base/reader.hpp"
#include "ipc/layout.hpp"

namespace mohhos::manager {
namespace {

static_assert(std::tuple_size_v<SegmentKey> == crypto_shorthash_KEYBYTES);
static_assert(sizeof(std::uint64_t) == crypto_shorthash_BYTES);

struct OpenBody {
  std::uint64_t life = 0;
  std::uint64_t channel = 0;
  std::uint64_t ring_bytes = 0;
  std::uint32_t sender_type = 0;
  ipc::Lane lane{};
  std::uint32_t copy = 0;
  std::uint32_t reserved = 0;
  char sender[ipc::kNameSize] = {};
  char receiver[ipc::kNameSize] = {};
};
struct MessageBody {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint32_t event = 0;
  std::uint32_t generation = 0;
  std::uint32_t type = 0;
  std::uint32_t priority = 0;
};
static_assert(std::has_unique_object_representations_v<OpenBody> &&
              std::has_unique_object_representations_v<MessageBody>);

std::uint64_t padded(std::uint64_t size) {
  return (size + kEntryAlignment - 1) & ~std::uint64_t{kEntryAlignment - 1};
}

std::uint64_t check_of(std::span<const std::byte> bytes, const SegmentKey& key) {
  std::uint64_t check = 0;
  crypto_shorthash(reinterpret_cast<unsigned char*>(&check),
                   reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                   reinterpret_cast<const unsigned char*>(key.data()));
  return check;
}

std::uint32_t mark_of(const SegmentKey& key) {
  std::uint32_t mark = 0;
  std::memcpy(&mark, key.data(), sizeof mark);
  return mark;
}

std::size_t put(std::vector<std::byte>& bytes, const SegmentKey& key, EntryKind kind,
                std::uint64_t log, std::span<const std::byte> first,
                std::span<const std::byte> second = {}) {
  const EntryHead head{
      .mark = mark_of(key), .kind = kind, .log = log, .size = first.size() + second.size()};
  const std::size_t begin = bytes.size();
  const std::size_t size = sizeof head + head.size;
  bytes.resize(begin + padded(size));
  std::byte* const at = bytes.data() + begin;
  std::memcpy(at, &head, sizeof head);
  if (!first.empty()) std::memcpy(at + sizeof head, first.data(), first.size());
  if (!second.empty()) std::memcpy(at + sizeof head + first.size(), second.data(), second.size());
  const std::uint64_t check = check_of({at + sizeof check, size - sizeof check}, key);
  std::memcpy(at, &check, sizeof check);
  return padded(size);
}

template <std::size_t N>
bool ends(const char (&text)[N]) {
  return std::memchr(text, 0, N) != nullptr;
}

std::unexpected<Error> wrong(const char* entry, const char* field) {
  return fail(Code::Malformed, "the journal's {} entry: its {} is not valid", entry, field);
}

} // namespace

SegmentHead make_segment_head(std::uint64_t number, const SegmentKey& key) {
  SegmentHead head{.number = number};
  head.check = check_of(bytes_of(head).first(offsetof(SegmentHead, check)), key);
  return head;
}

std::size_t put_open(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                     const LogInfo& info) {
  OpenBody body{.life = info.life,
                .channel = info.channel,
                .ring_bytes = info.ring_bytes,
                .sender_type = info.sender_type,
                .lane = info.lane,
                .copy = info.copy ? 1U : 0U};
  put_text(body.sender, info.sender);
  put_text(body.receiver, info.receiver);
  return put(bytes, key, EntryKind::Open, log, bytes_of(body));
}

std::size_t put_message(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                        const JournalMessage& message) {
  const MessageBody body{.begin = message.place.begin,
                         .end = message.place.end,
                         .event = message.event,
                         .generation = message.generation,
                         .type = static_cast<std::uint32_t>(message.type),
                         .priority = static_cast<std::uint32_t>(message.priority)};
  return put(bytes, key, EntryKind::Message, log, bytes_of(body), message.payload);
}

std::size_t put_ack(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                    std::uint64_t tail) {
  return put(bytes, key, EntryKind::Ack, log, bytes_of(tail));
}

std::size_t put_adopt(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                      std::span<const std::uint64_t> replaced) {
  return put(bytes, key, EntryKind::Adopt, log, std::as_bytes(replaced));
}

std::size_t put_drop(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log) {
  return put(bytes, key, EntryKind::Drop, log, {});
}

std::uint64_t message_entry_size(std::uint64_t payload) {
  return padded(sizeof(EntryHead) + sizeof(MessageBody) + payload);
}

std::string segment_file(const SegmentName& name) {
  std::string file = fmt::format("{:016x}.", name.number);
  for (const std::byte byte : name.key) file += fmt::format("{:02x}", std::to_integer<int>(byte));
  return file + ".seg";
}

std::optional<SegmentName> parse_segment_file(std::string_view file) {
  constexpr std::size_t kNumber = 16;
  constexpr std::size_t kKey = 32;
  if (file.size() != kNumber + 1 + kKey + 4 || file[kNumber] != '.' || !file.ends_with(".seg"))
    return std::nullopt;
  SegmentName name;
  const auto hex = [&](std::size_t at, std::size_t digits, auto& value) {
    const char* const end = file.data() + at + digits;
    const auto [next, error] = std::from_chars(file.data() + at, end, value, 16);
    return error == std::errc() && next == end;
  };
  if (!hex(0, kNumber, name.number)) return std::nullopt;
  for (std::size_t i = 0; i < name.key.size(); ++i) {
    unsigned value = 0;
    if (!hex(kNumber + 1 + 2 * i, 2, value)) return std::nullopt;
    name.key[i] = static_cast<std::byte>(value);
  }
  if (segment_file(name) != file) return std::nullopt;
  return name;
}

SegmentScan::SegmentScan(std::span<const std::byte> bytes, const SegmentKey& key)
    : bytes_(bytes), key_(key) {
  const auto head = Reader(bytes).at<SegmentHead>(0);
  if (head && head->magic == kSegmentMagic &&
      head->check == check_of(bytes.first(offsetof(SegmentHead, check)), key))
    offset_ = sizeof(SegmentHead);
}

std::optional<Entry> SegmentScan::next() {
  std::uint64_t passed = 0;
  std::optional<Entry> found;
  for (; offset_ + passed < bytes_.size(); passed += kEntryAlignment) {
    found = parse_entry(bytes_.subspan(offset_ + passed), key_);
    if (found) break;
  }
  if (passed != 0)
    damage_.push_back({offset_, std::min<std::uint64_t>(passed, bytes_.size() - offset_)});
  offset_ += passed;
  if (!found) return std::nullopt;
  found->offset = offset_;
  offset_ += found->size;
  return found;
}

std::optional<Entry> parse_entry(std::span<const std::byte> bytes, const SegmentKey& key) {
  const Reader reader(bytes);
  const auto head = reader.at<EntryHead>(0);
  if (!head || head->mark != mark_of(key)) return std::nullopt;
  const auto body = reader.range(sizeof(EntryHead), head->size);
  if (!body) return std::nullopt;
  const std::size_t size = sizeof(EntryHead) + body->size();
  constexpr std::size_t kChecked = sizeof head->check;
  if (head->check != check_of(bytes.subspan(kChecked, size - kChecked), key)) return std::nullopt;
  return Entry{
      .kind = head->kind, .log = head->log, .body = *body, .offset = 0, .size = padded(size)};
}

Result<LogInfo> parse_open(std::span<const std::byte> body) {
  const auto open = Reader(body).at<OpenBody>(0);
  if (!open || body.size() != sizeof(OpenBody)) return wrong("Open", "size");
  if (!ends(open->sender) || open->sender[0] == '\0') return wrong("Open", "sender");
  if (!ends(open->receiver) || open->receiver[0] == '\0') return wrong("Open", "receiver");
  if (!ipc::is_priority(open->lane)) return wrong("Open", "lane");
  if (!ipc::is_ring_size(open->ring_bytes)) return wrong("Open", "ring_bytes");
  return LogInfo{.life = open->life,
                 .channel = open->channel,
                 .ring_bytes = open->ring_bytes,
                 .sender_type = open->sender_type,
                 .lane = open->lane,
                 .sender = open->sender,
                 .receiver = open->receiver,
                 .copy = open->copy != 0};
}

Result<JournalMessage> parse_message(std::span<const std::byte> body) {
  const auto message = Reader(body).at<MessageBody>(0);
  if (!message) return wrong("Message", "size");
  if (message->begin % ipc::kGrain != 0 || message->end % ipc::kGrain != 0 ||
      message->end <= message->begin || message->end - message->begin > ipc::kMaxRing)
    return wrong("Message", "place");
  if (message->type >= ipc::kMessageTypeCount) return wrong("Message", "type");
  if (message->priority > ipc::kPriorityMask) return wrong("Message", "priority");
  const auto payload = body.subspan(sizeof(MessageBody));
  if (payload.size() >= ipc::kMaxRing) return wrong("Message", "payload");
  return JournalMessage{.place = {message->begin, message->end},
                        .type = static_cast<ipc::MessageType>(message->type),
                        .priority = static_cast<ipc::Priority>(message->priority),
                        .event = message->event,
                        .generation = message->generation,
                        .payload = payload};
}

Result<std::uint64_t> parse_ack(std::span<const std::byte> body) {
  const auto tail = Reader(body).at<std::uint64_t>(0);
  if (!tail || body.size() != sizeof *tail) return wrong("Ack", "size");
  return *tail;
}

Result<std::vector<std::uint64_t>> parse_adopt(std::span<const std::byte> body) {
  if (body.size() % sizeof(std::uint64_t) != 0) return wrong("Adopt", "size");
  std::vector<std::uint64_t> logs(body.size() / sizeof(std::uint64_t));
  if (!logs.empty()) std::memcpy(logs.data(), body.data(), body.size());
  return logs;
}

} // namespace mohhos::manager
