#include "manager/dead_letters.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "mohhos/v1/record.pb.h"
#include "security/image.hpp"
#include "sys/file.hpp"

namespace mohhos::manager {
namespace {

namespace pb = mohhos::v1;
namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".letter";
constexpr std::string_view kNextId = "next-id"; // a file: the number that no letter had yet
constexpr Bytes kLargestNextId{32};
constexpr std::size_t kFilesAtATime = 64; // descriptors, until they are on disk
constexpr std::uint64_t kLargestHead = 16384;

// The first bytes of a file: of fixed size, then the head, then the payload.
struct Preamble {
  char magic[8] = {'M', 'H', 'L', 'E', 'T', 'T', 'E', 'R'};
  std::uint64_t head = 0;    // bytes
  std::uint64_t payload = 0; // bytes
  char sha256[64] = {};      // of both, in hexadecimal
};
static_assert(sizeof(Preamble) == 88);

pb::DeadLetterRecord record_of(const LetterHead& head) {
  pb::DeadLetterRecord record;
  record.set_to(head.to);
  record.set_from(head.from);
  record.set_to_id(head.to_id.value);
  record.set_from_id(head.from_id.value);
  record.set_to_generation(head.to_generation.value);
  record.set_reason(head.reason);
  record.set_deaths(head.deaths);
  record.set_buried_us(head.buried_us);
  record.set_epoch(head.epoch);
  record.set_channel(head.channel.value);
  record.set_position(head.position);
  record.set_message_id(head.info.id);
  record.set_type(static_cast<std::uint32_t>(head.info.type));
  record.set_priority(static_cast<std::uint32_t>(head.info.priority));
  record.set_failed(head.info.failed);
  record.set_durable(head.info.durable);
  record.set_event(head.info.event);
  record.set_from_generation(head.info.generation);
  record.set_timestamp_ns(head.info.timestamp_ns);
  record.set_correlation(head.info.correlation);
  record.set_attachment(head.info.attachment);
  return record;
}

Result<LetterHead> head_of(const pb::DeadLetterRecord& record) {
  if (record.type() >= ipc::kMessageTypeCount || record.priority() > 3)
    return fail(Code::Malformed, "a letter of type {} and priority {}", record.type(),
                record.priority());
  LetterHead head;
  head.to = record.to();
  head.from = record.from();
  head.to_id = {record.to_id()};
  head.from_id = {record.from_id()};
  head.to_generation = {record.to_generation()};
  head.reason = record.reason();
  head.deaths = record.deaths();
  head.buried_us = record.buried_us();
  head.epoch = record.epoch();
  head.channel = {record.channel()};
  head.position = record.position();
  head.info = {.id = record.message_id(),
               .type = static_cast<ipc::MessageType>(record.type()),
               .priority = static_cast<ipc::Priority>(record.priority()),
               .failed = record.failed(),
               .durable = record.durable(),
               .event = record.event(),
               .generation = record.from_generation(),
               .timestamp_ns = record.timestamp_ns(),
               .correlation = record.correlation(),
               .attachment = record.attachment()};
  return head;
}

std::optional<std::uint64_t> parse_id(std::string_view text) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == 0) return std::nullopt;
  return id;
}

std::optional<std::uint64_t> id_of(const fs::path& file) {
  if (file.extension() != kSuffix) return std::nullopt;
  return parse_id(file.stem().native());
}

Error unknown(std::uint64_t id) {
  return {Code::NotFound, fmt::format("there is no dead letter {} (plugctl deadletter list)", id)};
}

} // namespace

std::string serialize(const DeadLetter& letter) {
  const std::string head = record_of(letter.head).SerializeAsString();
  std::string rest = head;
  rest.append(reinterpret_cast<const char*>(letter.payload.data()), letter.payload.size());
  Preamble preamble;
  preamble.head = head.size();
  preamble.payload = letter.payload.size();
  const std::string hash = security::sha256_hex(std::as_bytes(std::span(rest)));
  std::memcpy(preamble.sha256, hash.data(), std::min(hash.size(), sizeof preamble.sha256));
  std::string bytes(reinterpret_cast<const char*>(&preamble), sizeof preamble);
  return bytes + rest;
}

Result<DeadLetter> parse_letter(std::span<const std::byte> bytes) {
  Preamble preamble;
  if (bytes.size() < sizeof preamble)
    return fail(Code::Malformed, "{} bytes are no dead letter", bytes.size());
  std::memcpy(&preamble, bytes.data(), sizeof preamble);
  const auto rest = bytes.subspan(sizeof preamble);
  if (std::memcmp(preamble.magic, Preamble().magic, sizeof preamble.magic) != 0 ||
      preamble.head > kLargestHead || preamble.head > rest.size() ||
      preamble.payload != rest.size() - preamble.head)
    return fail(Code::Malformed, "this is no dead letter, or it was cut");
  if (security::sha256_hex(rest) != std::string_view(preamble.sha256, sizeof preamble.sha256))
    return fail(Code::Malformed, "this dead letter was changed: its hash is another");
  pb::DeadLetterRecord record;
  if (!record.ParseFromArray(rest.data(), static_cast<int>(preamble.head)))
    return fail(Code::Malformed, "a dead letter whose head cannot be read");
  DeadLetter letter;
  TRY(letter.head, head_of(record));
  const auto payload = rest.subspan(preamble.head);
  letter.payload.assign(payload.begin(), payload.end());
  if (payload.size() > UINT32_MAX)
    return fail(Code::Malformed, "a dead letter of {} bytes", payload.size());
  letter.head.info.size = static_cast<std::uint32_t>(payload.size());
  return letter;
}

DeadLetters DeadLetters::open(fs::path directory, LetterBounds bounds,
                              std::vector<std::string>& problems) {
  DeadLetters store(std::move(directory), bounds);
  std::error_code error;
  if (const fs::path file = store.directory_ / kNextId; fs::exists(file, error)) {
    const auto text = sys::read_file(file, kLargestNextId);
    const auto next = text ? parse_id(*text) : std::nullopt;
    if (next)
      store.next_id_ = store.remembered_id_ = *next;
    else
      problems.push_back(fmt::format("{}: this is no number", file.native()));
  }
  for (fs::directory_iterator each(store.directory_, error), end; !error && each != end;
       each.increment(error)) {
    const auto id = id_of(each->path());
    if (!id) continue; // a file that was being written when its manager died, or somebody's own
    store.next_id_ = std::max(store.next_id_, *id + 1);
    std::error_code ignored;
    const std::uint64_t size = each->file_size(ignored);
    store.sizes_[*id] = ignored ? 0 : size; // it takes room, whatever it is
    store.bytes_ += store.sizes_[*id];
    auto letter = store.read(*id);
    if (!letter) {
      problems.push_back(fmt::format("{}: {}", each->path().native(), letter.error().text));
      continue;
    }
    store.insert(letter->head, 0);
  }
  return store;
}

void DeadLetters::insert(const LetterHead& head, std::uint64_t bytes) {
  bytes_ += bytes;
  if (bytes != 0) sizes_[head.id] = bytes;
  by_place_[{head.epoch, head.channel.value, head.position}] = head.id;
  heads_[head.id] = head;
}

fs::path DeadLetters::file_of(std::uint64_t id) const {
  return directory_ / fmt::format("{:08}{}", id, kSuffix);
}

bool LetterRoom::take(std::uint64_t payload) {
  const std::uint64_t needed = sizeof(Preamble) + kLargestHead + payload;
  if (count == 0 || needed > bytes) return false;
  --count;
  bytes -= needed;
  return true;
}

LetterRoom DeadLetters::room_for(const std::string& to) const {
  LetterRoom own;
  for (const auto& [id, head] : heads_) {
    if (head.to != to) continue;
    ++own.count;
    own.bytes += sizes_.at(id);
  }
  const auto rest = [](std::uint64_t most, std::uint64_t all, std::uint64_t ours) {
    const std::uint64_t share = most - most / 4;
    return std::min(most - std::min(most, all), share - std::min(share, ours));
  };
  return {.count = rest(bounds_.count, sizes_.size(), own.count),
          .bytes = rest(bounds_.bytes.count, bytes_, own.bytes)};
}

Result<std::size_t> DeadLetters::put(std::span<DeadLetter> letters) {
  if (letters.empty()) return 0;
  std::vector<DeadLetter*> waiting;
  LetterRoom room = room_for(letters.front().head.to);
  std::size_t taken = 0;
  for (DeadLetter& letter : letters) {
    LetterHead& head = letter.head;
    const auto known = by_place_.find({head.epoch, head.channel.value, head.position});
    if (known != by_place_.end()) {
      head.id = known->second;
      ++taken;
      continue;
    }
    if (!room.take(letter.payload.size())) break;
    head.id = next_id_++;
    waiting.push_back(&letter);
    ++taken;
  }
  if (waiting.empty()) return taken;
  TRY(sys::make_directories(directory_, 0700));
  for (std::size_t i = 0; i < waiting.size(); i += kFilesAtATime)
    TRY(write(std::span(waiting).subspan(i, std::min(kFilesAtATime, waiting.size() - i))));
  return taken;
}

Result<> DeadLetters::write(std::span<DeadLetter* const> letters) {
  std::vector<std::string> contents;
  contents.reserve(letters.size());
  for (const DeadLetter* letter : letters) contents.push_back(serialize(*letter));
  std::vector<sys::NewFile> files;
  files.reserve(letters.size());
  for (std::size_t i = 0; i < letters.size(); ++i)
    files.push_back({file_of(letters[i]->head.id), contents[i]});
  TRY(sys::replace_files(files, 0600));
  for (std::size_t i = 0; i < letters.size(); ++i) insert(letters[i]->head, contents[i].size());
  return {};
}

Result<DeadLetter> DeadLetters::read(std::uint64_t id) const {
  if (!sizes_.contains(id)) return std::unexpected(unknown(id));
  const Bytes most{sizeof(Preamble) + kLargestHead + UINT32_MAX};
  TRY(const std::string bytes, sys::read_file(file_of(id), most));
  TRY(DeadLetter letter, parse_letter(std::as_bytes(std::span(bytes))));
  letter.head.id = id;
  return letter;
}

Result<> DeadLetters::remember_next_id() {
  if (remembered_id_ == next_id_) return {};
  TRY(sys::replace_file(directory_ / kNextId, fmt::to_string(next_id_), 0600));
  remembered_id_ = next_id_;
  return {};
}

Result<> DeadLetters::drop(std::uint64_t id) {
  const auto size = sizes_.find(id);
  if (size == sizes_.end()) return std::unexpected(unknown(id));
  // The files themselves say which numbers were given, but for those above the last one.
  if (id == sizes_.rbegin()->first) TRY(remember_next_id());
  TRY(sys::remove_file(file_of(id)));
  bytes_ -= size->second;
  sizes_.erase(size);
  if (const auto head = heads_.find(id); head != heads_.end()) {
    by_place_.erase({head->second.epoch, head->second.channel.value, head->second.position});
    heads_.erase(head);
  }
  return {};
}

} // namespace mohhos::manager
