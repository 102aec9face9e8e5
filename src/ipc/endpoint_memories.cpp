// Memories that ride along: ours, made by the manager and handed on by it; and those that came with
// messages, which are here before their message is, though they may still wait in the link.
#include <algorithm>

#include "ipc/endpoint_state.hpp"
#include "ipc/layout.hpp"
#include "ipc/memory.hpp"

namespace mohhos::ipc {
namespace {

// The numbers of those that we were given, apart from the manager's of our own.
constexpr std::uint64_t kGiven = std::uint64_t{1} << 63;
// Records that are looked at for a memory that is said to have come, by sixteen.
constexpr int kMostLooks = 256;
constexpr auto kSayAgain = std::chrono::milliseconds(5); // when the link had no room

MemoryKey key_of(const Message& message) {
  return {message.channel.value, message.info.id, message.info.attachment};
}
MemoryKey key_of(const MemoryArrived& record) {
  return {record.channel_id, record.message_id, record.memory};
}

ArrivedMemory arrive(LinkRecord& record, std::uint64_t bytes) {
  if (record.fds.empty())
    return {{},
            Error{Code::Exhausted, "no room for its descriptor: [limits] max_file_descriptors"}};
  auto mapping = map_sealed_memory(record.fds.front().get(), bytes);
  if (!mapping) return {{}, std::move(mapping).error()};
  return {*std::move(mapping), {}};
}

} // namespace

// --- ours ---

Result<OwnMemory> Endpoint::make_memory(std::uint64_t bytes, Monotonic deadline) {
  MakeMemory question;
  question.bytes = bytes;
  TRY(const LinkRecord record, state_->ask(question, deadline));
  TRY(check_answer(record, LinkType::MemoryMade));
  const auto made = record.as<MemoryMade>();
  auto mapping = record.fds.empty() ? fail(Code::Exhausted, "no room for its descriptor: [limits] "
                                                            "max_file_descriptors")
                                    : map_made_memory(record.fds.front().get(), made.bytes);
  if (!mapping) {
    state_->say_released({0, 0, made.memory});
    return std::unexpected(std::move(mapping).error());
  }
  const std::span<std::byte> place(mapping->data(), mapping->size());
  state_->made.insert_or_assign(made.memory, *std::move(mapping));
  return OwnMemory{made.memory, place};
}

// Who asked had given up.
void Endpoint::State::take_made_too_late(const MemoryMade& record) {
  if (!made.contains(record.memory)) say_released({0, 0, record.memory});
}

// Our mapping goes first: the kernel seals nothing that somebody may still write.
Result<> Endpoint::State::send_memory(ChannelId id, std::uint64_t number, Monotonic deadline) {
  const auto mine = made.find(number);
  if (mine == made.end()) return fail(Code::NotFound, "memory {} is none of ours", number);
  mine->second = sys::Mapping();
  SendMemory question;
  question.channel_id = id.value;
  question.message_id = message_id(find_sending(id)->channel.ring().head());
  question.memory = number;
  if (deadline == kNoWait) deadline = std::chrono::steady_clock::now() + kOpenTime;
  const auto answer = ask(question, deadline);
  Sending* const still = find_sending(id);
  if (still == nullptr) return fail(Code::PeerGone, "channel {} has ended", id.value);
  auto sent =
      answer ? check_answer(*answer, LinkType::MemorySent) : std::unexpected(answer.error());
  if (!sent) still->channel.ring().forget_loan();
  return sent;
}

// --- those of messages ---

template <class Which>
void Endpoint::State::let_go_memories_if(const Which& which) {
  for (auto one = arrived.begin(); one != arrived.end();) {
    const MemoryKey key = one->first;
    if (!which(key)) {
      ++one;
      continue;
    }
    one = arrived.erase(one);
    say_released(key);
  }
}

// Behind the place of a new one nothing was published when it was sent: what waits for a message
// there was left by a sender that died before it had published.
void Endpoint::State::take_arrived(LinkRecord& record) {
  const auto what = record.as<MemoryArrived>();
  const MemoryKey key = key_of(what);
  const bool is_known = arrived.contains(key) || std::ranges::any_of(taken, [&](const auto& one) {
                          return one.second.key == key;
                        });
  if (is_known) return; // told again by another manager
  let_go_memories_if([&](const MemoryKey& other) {
    return std::get<0>(other) == what.channel_id && std::get<1>(other) > what.message_id;
  });
  arrived.emplace(key, arrive(record, what.bytes));
  // (One whose channel is not known yet comes before it.)
  if (const Receiving* const from = find_receiving(ChannelId{what.channel_id}))
    let_go_old_memories(*from);
}

// Those of messages that were released, or skipped: nobody will ask for them any more.
void Endpoint::State::let_go_old_memories(const Receiving& from) {
  const std::uint64_t tail = from.channel.ring().tail();
  let_go_memories_if([&](const MemoryKey& key) {
    const std::uint64_t position = (std::get<1>(key) - 1) * kGrain;
    return std::get<0>(key) == from.id.value && static_cast<std::int64_t>(position - tail) < 0;
  });
}

void Endpoint::State::let_go_memories(ChannelId channel) {
  let_go_memories_if([&](const MemoryKey& key) { return std::get<0>(key) == channel.value; });
}

Result<GivenMemory> Endpoint::take_memory(const Message& message) {
  State& state = *state_;
  if (message.info.attachment == 0) return fail(Code::NotFound, "no memory came with the message");
  const MemoryKey key = key_of(message);
  for (const auto& [number, memory] : state.taken)
    if (memory.key == key) return GivenMemory{number, memory.mapping.bytes()};
  auto found = state.arrived.find(key);
  for (int look = 0; found == state.arrived.end() && look < kMostLooks; ++look) {
    const bool more = state.read_link(); // it was there before the message was
    found = state.arrived.find(key);
    if (!more) break;
  }
  if (found == state.arrived.end())
    return fail(Code::NotFound, "the sender names memory {}, and no such memory came with it",
                message.info.attachment);
  if (found->second.lost) return std::unexpected(*found->second.lost);
  const std::uint64_t number = kGiven | ++state.next_taken;
  TakenMemory& memory = state.taken[number];
  memory = {key, std::move(found->second.mapping)};
  state.arrived.erase(found);
  return GivenMemory{number, memory.mapping.bytes()};
}

bool Endpoint::drop_memory(std::uint64_t number) {
  MemoryKey key{0, 0, number};
  if (state_->made.erase(number) == 0) {
    const auto memory = state_->taken.find(number);
    if (memory == state_->taken.end()) return false;
    key = memory->second.key;
    state_->taken.erase(memory);
  }
  state_->say_released(key);
  return true;
}

// Also what came for this place under another number, and was not meant after all.
void Endpoint::State::let_go_memory(const Message& message) {
  let_go_memories_if([&](const MemoryKey& key) {
    return std::get<0>(key) == message.channel.value && std::get<1>(key) == message.info.id;
  });
}

// Said in order, and none is lost: what the manager does not hear of stays in its book.
void Endpoint::State::say_released(const MemoryKey& key) {
  ReleaseMemory record;
  std::tie(record.channel_id, record.message_id, record.memory) = key;
  unsaid.push_back(record);
  say_unsaid();
}

void Endpoint::State::say_unsaid() {
  while (!unsaid.empty()) {
    const auto said = send_link_record(link.get(), unsaid.front());
    if (!said && said.error().code == Code::Refused) {
      next_say = std::chrono::steady_clock::now() + kSayAgain;
      return;
    }
    unsaid.pop_front();
  }
  next_say = Monotonic::max();
}

} // namespace mohhos::ipc
