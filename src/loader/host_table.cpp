#include "loader/host_table.hpp"

#include <memory>
#include <utility>

#include <sys/eventfd.h>

#include "loader/calls.hpp"
#include "loader/host_calls.hpp"
#include "loader/host_memories.hpp"
#include "loader/last_words.hpp"

namespace mohhos::loader {

Result<std::unique_ptr<HostTable>> HostTable::open(ipc::Endpoint& endpoint,
                                                   const sandbox::Boot& boot) {
  sys::Fd wake_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_fd) return fail_errno("eventfd");
  return std::unique_ptr<HostTable>(new HostTable(endpoint, boot, std::move(wake_fd)));
}

HostTable::HostTable(ipc::Endpoint& endpoint, const sandbox::Boot& boot, sys::Fd wake_fd)
    : endpoint_(endpoint), boot_(boot), main_thread_(::pthread_self()),
      wake_fd_(std::move(wake_fd)) {
  table_ = {.struct_size = sizeof(mohhos_host_t),
            .abi_version = MOHHOS_ABI_VERSION,
            .plugin_id = boot.plugin.value,
            .generation = boot.generation.value,
            .plugin_type = boot.plugin_type,
            .plugin_name = boot.name.c_str(),
            .host_data = this,
            .log = &Calls::log,
            .fail = &Calls::fail,
            .panic = &Calls::panic,
            .config_get = &Calls::config_get,
            .check_capability = &Calls::check_capability,
            .now_ns = &Calls::now_ns,
            .wake = &Calls::wake,
            .wake_after = &Calls::wake_after,
            .open_channel = &Calls::open_channel,
            .send = &Calls::send,
            .loan = &Calls::loan,
            .commit = &Calls::commit,
            .request = &Calls::request,
            .reply = &Calls::reply,
            .broadcast = &Calls::broadcast,
            .publish = &Calls::publish,
            .subscribe = &Calls::subscribe,
            .call = &Calls::call,
            .call_after = &Calls::call_after,
            .cancel = &Calls::cancel,
            .sync = &Calls::sync,
            .begin_sync = &Calls::begin_sync,
            .make_memory = &MemoryCalls::make_memory,
            .take_memory = &MemoryCalls::take_memory,
            .drop_memory = &MemoryCalls::drop_memory,
            .reply_memory = &MemoryCalls::reply_memory};
}

void HostTable::set_config(std::string_view key, std::string_view value) {
  config_.insert_or_assign(std::string(key), std::string(value));
}

const char* HostTable::find_config(std::string_view key) const {
  const auto found = config_.find(key);
  return found != config_.end() ? found->second.c_str() : nullptr;
}

void HostTable::log(std::int32_t level, std::string_view text) noexcept {
  ipc::LogLine line;
  line.level = level >= MOHHOS_LOG_ERROR && level <= MOHHOS_LOG_DEBUG
                   ? static_cast<std::uint32_t>(level)
                   : std::uint32_t{MOHHOS_LOG_INFO};
  line.dropped = lines_lost_.exchange(0);
  put_text(line.text, text);
  if (!ipc::send_link_record(endpoint_.link_fd(), line)) lines_lost_ += line.dropped + 1;
}

bool HostTable::take_wake(Monotonic now) noexcept {
  bool due =
      wanted_.load(std::memory_order_relaxed) && wanted_.exchange(false, std::memory_order_acq_rel);
  if (wake_at_ <= now) {
    wake_at_ = Monotonic::max();
    due = true;
  }
  return due;
}

const char* HostTable::name_of(ChannelId channel) {
  if (channel == last_channel_ && channel) return last_name_;
  auto found = names_.find(channel);
  if (found == names_.end()) {
    const auto peer = endpoint_.peer(channel);
    if (!peer) return "";
    found = names_.emplace(channel, peer->name).first;
  }
  last_channel_ = channel;
  last_name_ = found->second.c_str();
  return last_name_;
}

mohhos_message_t HostTable::view_of(const ipc::Message& message) {
  return {.struct_size = sizeof(mohhos_message_t),
          .flags = (message.info.redelivered ? std::uint32_t{MOHHOS_MESSAGE_REDELIVERED} : 0U) |
                   (message.info.attachment != 0 ? std::uint32_t{MOHHOS_MESSAGE_MEMORY} : 0U),
          .id = message.info.id,
          .sender = message.sender.value,
          .correlation = message.info.correlation,
          .sent_at_ns = message.info.timestamp_ns,
          .received_at_ns = message.received_ns,
          .deadline_ns = message.info.deadline_ns,
          .type = static_cast<std::uint32_t>(message.info.type),
          .priority = static_cast<std::int32_t>(message.info.priority) + MOHHOS_PRIORITY_LOW,
          .event = message.info.event,
          .generation = message.info.generation,
          .size = message.payload.size(),
          .data = message.payload.empty() ? nullptr : message.payload.data(),
          .sender_name = name_of(message.channel)};
}

void HostTable::finish_request(mohhos_reply_fn done, void* user,
                               Result<const ipc::Message*> answer) noexcept {
  if (!in_call_) return tell_end(done, user, answer, std::nullopt);
  LateEnd& late = late_ends_.emplace_back(LateEnd{done, user, ipc::Message{}, {}, {}});
  if (answer) {
    late.payload = (*answer)->copy();
    late.answer = **answer;
    late.answer->payload = late.payload;
    if ((*answer)->info.attachment != 0)
      late.memory = endpoint_.take_memory(**answer).value_or(ipc::GivenMemory{});
  } else {
    late.answer = std::unexpected(std::move(answer).error());
  }
}

void HostTable::tell_end(mohhos_reply_fn done, void* user,
                         const Result<const ipc::Message*>& answer,
                         std::optional<ipc::GivenMemory> memory) {
  mohhos_message_t reply = no_message();
  std::int32_t status = MOHHOS_OK;
  const bool has_memory = answer && (*answer)->info.attachment != 0;
  if (answer) {
    reply = view_of(**answer);
    if (has_memory && memory)
      offer_memory(&reply, memory);
    else if (has_memory)
      offer_memory(&reply, **answer);
  } else {
    status = to_abi(answer.error().code);
    reply.size = answer.error().text.size();
    reply.data = answer.error().text.data();
  }
  if (done(user, status, &reply) < 0) die(ipc::LastWordsKind::Exception, take_remembered());
  if (has_memory) withdraw_memory(&reply);
}

bool HostTable::call_back(Monotonic now) {
  bool any = false;
  while (!late_ends_.empty()) {
    LateEnd late = std::move(late_ends_.front());
    late_ends_.pop_front();
    if (late.answer)
      tell_end(late.done, late.user, &*late.answer, late.memory);
    else
      tell_end(late.done, late.user, std::unexpected(std::move(late.answer).error()), {});
    any = true;
  }
  // Those that are due now: what they add themselves, even with no delay, has its turn later.
  for (std::size_t most = timers_.size(); most != 0 && next_timer() <= now; --most) {
    const Timer timer = timers_.extract(timers_.begin()).mapped();
    if (timer.then(timer.user) < 0) die(ipc::LastWordsKind::Exception, take_remembered());
    any = true;
  }
  return any;
}

bool HostTable::take_loan_back(std::uint64_t channel) {
  return std::erase(loaned_, channel) != 0;
}

} // namespace mohhos::loader
