#include "ipc/memory_book.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/reader.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint32_t kMagic = 0x4B425348; // "HSBK"
constexpr std::uint32_t kVersion = 1;

struct SavedHead {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint64_t next = 0;
  std::uint64_t memories = 0;
  std::uint64_t passages = 0;
};

struct Sum {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  void add(std::uint64_t more) {
    ++count;
    bytes += more;
  }
};

Passage passage_of(const SendMemory& question, const ChannelRecord& channel) {
  return {.channel = channel.channel,
          .message = question.message_id,
          .memory = question.memory,
          .sender = channel.sender,
          .receiver = channel.receiver};
}

} // namespace

Result<MemoryRecord> MemoryBook::make(PluginId maker, const MakeMemory& question,
                                      std::uint64_t most) {
  if (most == 0) most = limits_.made_bytes_per_program;
  most = std::min(most, kMaxMemory);
  if (question.bytes == 0) return fail(Code::Invalid, "a memory of 0 bytes");
  if (question.bytes > most)
    return fail(Code::TooLarge, "a memory of {} bytes; {} are the most", question.bytes, most);
  Sum own;
  Sum all;
  for (const auto& [number, memory] : memories_) {
    all.add(memory.bytes);
    if (memory.maker != maker.value || memory.held == 0) continue;
    if (memory.sequence == question.header.sequence) return memory;
    own.add(memory.bytes);
  }
  if (own.count >= limits_.made_per_party || question.bytes > most - std::min(most, own.bytes))
    return fail(Code::Exhausted,
                "it has {} memories with {} bytes already; {} with {} bytes are the limit",
                own.count, own.bytes, limits_.made_per_party, most);
  if (all.count >= limits_.memories ||
      question.bytes > limits_.bytes - std::min(limits_.bytes, all.bytes))
    return fail(Code::Exhausted, "all memories that may be shared are in use ({} with {} bytes)",
                all.count, all.bytes);
  const MemoryRecord record{.memory = next_++,
                            .maker = maker.value,
                            .bytes = question.bytes,
                            .sequence = question.header.sequence,
                            .held = 1};
  memories_[record.memory] = record;
  return record;
}

Result<> MemoryBook::may_send(const SendMemory& question, const ChannelRecord& channel) const {
  const MemoryRecord* const memory = find(question.memory);
  if (memory == nullptr || memory->maker != channel.sender || memory->held == 0)
    return fail(Code::NotFound, "memory {} is none of its own", question.memory);
  if (question.message_id == 0) return fail(Code::Invalid, "no message has the id 0");
  if (passages_.contains(passage_of(question, channel))) return {};
  Sum pair;
  Sum receiver;
  for (const Passage& passage : passages_) {
    if (passage.receiver != channel.receiver) continue;
    const std::uint64_t bytes = memories_.at(passage.memory).bytes;
    receiver.add(bytes);
    if (passage.sender == channel.sender) pair.add(bytes);
  }
  if (pair.count >= limits_.sent_per_pair ||
      pair.bytes + memory->bytes > limits_.sent_bytes_per_pair)
    return fail(Code::Exhausted,
                "the receiver has not let go of {} memories with {} bytes from the same sender; {} "
                "with {} bytes are the limit",
                pair.count, pair.bytes, limits_.sent_per_pair, limits_.sent_bytes_per_pair);
  if (receiver.count >= limits_.sent_per_receiver ||
      receiver.bytes + memory->bytes > limits_.sent_bytes_per_receiver)
    return fail(
        Code::Exhausted,
        "the receiver has not let go of {} memories with {} bytes; {} with {} bytes are the "
        "limit",
        receiver.count, receiver.bytes, limits_.sent_per_receiver, limits_.sent_bytes_per_receiver);
  return {};
}

bool MemoryBook::send(const SendMemory& question, const ChannelRecord& channel) {
  return passages_.insert(passage_of(question, channel)).second;
}

void MemoryBook::take_back(const SendMemory& question, const ChannelRecord& channel) {
  passages_.erase(passage_of(question, channel));
}

void MemoryBook::release(PluginId asker, const ReleaseMemory& what) {
  if (what.channel_id == 0) {
    const auto memory = memories_.find(what.memory);
    if (memory != memories_.end() && memory->second.maker == asker.value) memory->second.held = 0;
    return;
  }
  std::erase_if(passages_, [&](const Passage& passage) {
    return passage.channel == what.channel_id && passage.message == what.message_id &&
           passage.memory == what.memory && passage.receiver == asker.value;
  });
}

void MemoryBook::sweep(const std::function<bool(PluginId)>& is_there,
                       const std::function<bool(const Passage&)>& can_arrive) {
  for (auto& [number, memory] : memories_)
    if (memory.held != 0 && !is_there({memory.maker})) memory.held = 0;
  std::erase_if(passages_, [&](const Passage& passage) { return !can_arrive(passage); });
}

std::vector<std::uint64_t> MemoryBook::take_unused() {
  std::set<std::uint64_t> needed;
  for (const Passage& passage : passages_) needed.insert(passage.memory);
  std::vector<std::uint64_t> unused;
  for (const auto& [number, memory] : memories_)
    if (memory.held == 0 && !needed.contains(number)) unused.push_back(number);
  for (const std::uint64_t number : unused) memories_.erase(number);
  return unused;
}

const MemoryRecord* MemoryBook::find(std::uint64_t memory) const {
  const auto found = memories_.find(memory);
  return found == memories_.end() ? nullptr : &found->second;
}

std::vector<MemoryRecord> MemoryBook::memories() const {
  std::vector<MemoryRecord> all;
  for (const auto& [number, memory] : memories_) all.push_back(memory);
  return all;
}

std::vector<Passage> MemoryBook::passages(ChannelId channel) const {
  std::vector<Passage> found;
  const Passage first{.channel = channel.value};
  for (auto at = passages_.lower_bound(first);
       at != passages_.end() && at->channel == channel.value; ++at)
    found.push_back(*at);
  return found;
}

// --- for the next manager: a head, the memories, the passages ---

std::vector<std::byte> MemoryBook::save() const {
  std::vector<std::byte> bytes;
  append(bytes,
         SavedHead{.next = next_, .memories = memories_.size(), .passages = passages_.size()});
  for (const auto& [number, memory] : memories_) append(bytes, memory);
  for (const Passage& passage : passages_) append(bytes, passage);
  return bytes;
}

Result<> MemoryBook::restore(std::span<const std::byte> saved) {
  const Reader reader(saved);
  const auto head = reader.at<SavedHead>(0);
  if (!head || head->magic != kMagic || head->version != kVersion)
    return fail(Code::Malformed, "this is not a saved book of memories of version {}", kVersion);
  MemoryBook book(limits_);
  book.next_ = head->next;
  std::uint64_t offset = sizeof(SavedHead);
  for (std::uint64_t i = 0; i < head->memories; ++i, offset += sizeof(MemoryRecord)) {
    const auto memory = reader.at<MemoryRecord>(offset);
    if (!memory) return fail(Code::Malformed, "the saved book ends after {} memories", i);
    if (memory->memory == 0 || memory->memory >= head->next || memory->bytes == 0 ||
        memory->bytes > kMaxMemory || memory->held > 1 ||
        !book.memories_.emplace(memory->memory, *memory).second)
      return fail(Code::Malformed, "the saved memory {} makes no sense", memory->memory);
  }
  for (std::uint64_t i = 0; i < head->passages; ++i, offset += sizeof(Passage)) {
    const auto passage = reader.at<Passage>(offset);
    if (!passage) return fail(Code::Malformed, "the saved book ends after {} messages", i);
    if (!book.memories_.contains(passage->memory) || passage->message == 0 || passage->channel == 0)
      return fail(Code::Malformed, "the saved message {} with memory {} makes no sense",
                  passage->message, passage->memory);
    book.passages_.insert(*passage);
  }
  *this = std::move(book);
  return {};
}

} // namespace mohhos::ipc
