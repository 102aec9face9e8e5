// Memories that ride along messages (ipc/memory.hpp): made here, sealed here, and handed on by
// nobody else. The book decides who may have how many (ipc/memory_book.hpp); who may send to whom
// is the broker's. The warden keeps them in nobody's name, because a memory outlives its maker.
#include <array>

#include <spdlog/spdlog.h>

#include "ipc/memory.hpp"
#include "manager/parts.hpp"
#include "sys/memfd.hpp"

namespace mohhos::manager {
namespace {

using warden::KeepKind;

} // namespace

// The endpoints' requests that are about memories. True: it was one.
bool Manager::Parts::serve_memories(PluginId id, const ipc::LinkRecord& record) {
  switch (record.type()) {
  case ipc::LinkType::MakeMemory: on_make_memory(id, record.as<ipc::MakeMemory>()); return true;
  case ipc::LinkType::SendMemory: on_send_memory(id, record.as<ipc::SendMemory>()); return true;
  case ipc::LinkType::ReleaseMemory:
    memories.release(id, record.as<ipc::ReleaseMemory>());
    forget_unused_memories();
    return true;
  default: return false;
  }
}

void Manager::Parts::refuse_memory(PluginId id, std::uint32_t sequence, std::string_view what,
                                   const Error& why) {
  if (may_report(id))
    audit.append("memory-refused", {{"by", id.value},
                                    {"what", what},
                                    {"code", code_name(why.code)},
                                    {"text", std::string_view(why.text)}});
  deliver(ipc::refusal(id, sequence, why));
}

// Of a plugin, as much as it could ever fill: the pages count against its limit.
void Manager::Parts::on_make_memory(PluginId id, const ipc::MakeMemory& question) {
  const Plugin* const plugin = find(id);
  const std::uint64_t most =
      plugin == nullptr ? 0 : plugin->info.grant.limits.max_memory_mb * (std::uint64_t{1} << 20);
  const auto record = memories.make(id, question, most);
  if (!record) return refuse_memory(id, question.header.sequence, "make", record.error());
  const bool is_new = !memory_fds.contains(record->memory);
  if (is_new) {
    auto made = ipc::make_memory(record->bytes);
    const auto kept = made ? keep({}, KeepKind::Memory, record->memory, made->get())
                           : Result<>(std::unexpected(made.error()));
    if (!kept) {
      memories.unmake(record->memory);
      return refuse_memory(id, question.header.sequence, "make", kept.error());
    }
    memory_fds.insert_or_assign(record->memory, std::move(*made));
    save_manager(); // before anybody knows of it
  }
  LinkPort* const port = port_of(id);
  if (port == nullptr) return;
  ipc::MemoryMade answer;
  answer.header.sequence = question.header.sequence;
  answer.memory = record->memory;
  answer.bytes = record->bytes;
  const auto give_up = [this, id, question, memory = record->memory](const Error& why) {
    memories.release(id, {.memory = memory});
    forget_unused_memories();
    refuse_memory(id, question.header.sequence, "make", why);
  };
  auto fd = memory_fds.at(record->memory).duplicate();
  if (!fd) return give_up({Code::Exhausted, fd.error().text});
  std::vector<sys::Fd> fds;
  fds.push_back(*std::move(fd));
  port->send(answer, std::move(fds), give_up);
}

// All that can be refused is refused before the memory is sealed; once it is, nobody else may
// write it. The receiver's link has it before the sender hears so, and publishes its message.
Result<> Manager::Parts::send_memory(PluginId id, const ipc::SendMemory& question) {
  TRY(const ipc::ChannelRecord channel, broker.sendable(id, {question.channel_id}));
  if (channel.lane == ipc::Lane::Lossy || channel.lane == ipc::Lane::Tap)
    return fail(Code::Invalid, "no memory can go with what may be lost");
  TRY(memories.may_send(question, channel));
  const auto fd = memory_fds.find(question.memory);
  if (fd == memory_fds.end())
    return fail(Code::NotFound, "memory {} was lost with a manager", question.memory);
  TRY(ipc::seal_memory(fd->second.get()));
  if (memories.send(question, channel)) save_manager();
  const ipc::Passage passage{.channel = channel.channel,
                             .message = question.message_id,
                             .memory = question.memory,
                             .sender = channel.sender,
                             .receiver = channel.receiver};
  // Who has no process now gets it when it has one.
  if (!broker.is_present({channel.receiver}) || deliver_memory(passage, true)) return {};
  memories.take_back(question, channel);
  return fail(Code::Refused, "the receiver does not read its link just now");
}

// Before a receiver is said to keep too much, what it has said by now is heard: it may have let go.
// One question of each sender waits for that; the Endpoint has no second one.
bool Manager::Parts::ask_receiver_first(PluginId id, const ipc::SendMemory& question) {
  std::erase_if(waiting_memories, [](const auto& one) { return one.second.expired(); });
  if (const auto waits = waiting_memories.find(id); waits != waiting_memories.end())
    return *waits->second.lock() == question.header.sequence; // asked again
  const auto channel = broker.sendable(id, {question.channel_id});
  LinkPort* const receiver = channel ? port_of({channel->receiver}) : nullptr;
  if (receiver == nullptr) return false;
  // Ends with who holds it: with the answer, or with the receiver's link.
  const auto waits = std::make_shared<const std::uint32_t>(question.header.sequence);
  waiting_memories[id] = waits;
  return receiver->after_unread([this, id, question, waits] {
    later([this, id, question, waits] {
      answer_send_memory(id, question, send_memory(id, question));
    });
  });
}

void Manager::Parts::on_send_memory(PluginId id, const ipc::SendMemory& question) {
  const auto sent = send_memory(id, question);
  if (!sent && sent.error().code == Code::Exhausted && ask_receiver_first(id, question)) return;
  answer_send_memory(id, question, sent);
}

void Manager::Parts::answer_send_memory(PluginId id, const ipc::SendMemory& question,
                                        const Result<>& sent) {
  if (!sent) return refuse_memory(id, question.header.sequence, "send", sent.error());
  LinkPort* const port = port_of(id);
  if (port == nullptr) return;
  ipc::MemorySent answer;
  answer.header.sequence = question.header.sequence;
  answer.channel_id = question.channel_id;
  answer.memory = question.memory;
  port->send(answer);
}

// `now`: at once or not at all.
bool Manager::Parts::deliver_memory(const ipc::Passage& passage, bool now) {
  LinkPort* const port = port_of({passage.receiver});
  const auto memory = memory_fds.find(passage.memory);
  const ipc::MemoryRecord* const known = memories.find(passage.memory);
  if (port == nullptr || memory == memory_fds.end() || known == nullptr) return false;
  auto reader = sys::reopen_read_only(memory->second.get());
  if (!reader) {
    spdlog::error("memory {}: {}", passage.memory, reader.error().text);
    return false;
  }
  ipc::MemoryArrived record;
  record.channel_id = passage.channel;
  record.message_id = passage.message;
  record.memory = passage.memory;
  record.bytes = known->bytes;
  const int fd = reader->get();
  if (now) return port->send_now(record, std::span(&fd, 1));
  std::vector<sys::Fd> fds;
  fds.push_back(*std::move(reader));
  port->send(record, std::move(fds), [memory = passage.memory](const Error& why) {
    spdlog::error("memory {} does not reach its receiver: {}", memory, why.text);
  });
  return true;
}

// Before a receiver is told of its channel: what came with messages that wait there.
void Manager::Parts::deliver_memories(ChannelId channel) {
  for (const ipc::Passage& passage : memories.passages(channel))
    (void)deliver_memory(passage, false);
}

// After somebody came, went or was lost.
void Manager::Parts::sweep_memories() {
  if (memories.empty() || !ready) return; // not while some of those that live are still unknown
  memories.sweep([this](PluginId maker) { return broker.is_present(maker); },
                 [this](const ipc::Passage& passage) {
                   // A process has what it was given also when the channel is over.
                   return broker.is_present({passage.receiver}) ||
                          broker.find({passage.channel}).has_value();
                 });
  forget_unused_memories();
}

void Manager::Parts::forget_unused_memories() {
  for (const std::uint64_t memory : memories.take_unused()) {
    memory_fds.erase(memory);
    warden->send(warden::Forget{.plugin_id = 0, .key = memory, .kind = KeepKind::Memory});
  }
}

// What the manager before us had: those that are in its book and in the warden's hands.
void Manager::Parts::adopt_memories(Inheritance& heir, std::span<const std::byte> book) {
  if (auto restored = memories.restore(book); !restored && !book.empty())
    spdlog::error("the memories of the manager before this one: {}", restored.error().text);
  for (auto& [name, fd] : heir.kept) {
    if (name.first != KeepKind::Memory) continue;
    if (memories.find(name.second) != nullptr)
      memory_fds.insert_or_assign(name.second, std::move(fd));
    else
      warden->send(warden::Forget{.plugin_id = 0, .key = name.second, .kind = KeepKind::Memory});
  }
}

} // namespace mohhos::manager
