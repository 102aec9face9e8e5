// Every function: find the HostTable, check thread and arguments, ask the Endpoint, turn the
// outcome into a number.
#include "loader/host_calls.hpp"

#include <chrono>
#include <memory>
#include <optional>

#include <unistd.h>

#include "loader/calls.hpp"
#include "loader/last_words.hpp"

namespace mohhos::loader {
namespace {

constexpr std::size_t kMostTimers = 65'536;

// The scale of priorities is -1 … 2 outside and 0 … 3 in a record.
std::optional<ipc::Priority> to_ipc(std::int32_t priority) {
  if (priority < MOHHOS_PRIORITY_LOW || priority > MOHHOS_PRIORITY_URGENT) return std::nullopt;
  return static_cast<ipc::Priority>(priority - MOHHOS_PRIORITY_LOW);
}

constexpr auto kAskTime = std::chrono::seconds(5); // for the manager, where the caller gives none

// What a plugin of the first versions says of its options.
constexpr std::size_t kFirstOptions = offsetof(mohhos_send_options_t, memory);

// The options of a call with everything checked, or nothing.
struct Checked {
  ipc::Outgoing about;
  ipc::Deadline deadline;
};
std::optional<Checked> check(const mohhos_send_options_t* options, ipc::MessageType usual) {
  Checked result{.about = {.type = usual}, .deadline = ipc::kNoWait};
  if (options == nullptr) return result;
  const auto priority = to_ipc(options->priority);
  if (options->struct_size < kFirstOptions || options->type >= ipc::kMessageTypeCount || !priority)
    return std::nullopt;
  if (options->type != 0) result.about.type = static_cast<ipc::MessageType>(options->type);
  result.about.priority = *priority;
  result.about.more = (options->flags & MOHHOS_SEND_MORE) != 0;
  result.about.durable = (options->flags & MOHHOS_SEND_DURABLE) != 0;
  result.about.deadline_ns = options->deadline_ns;
  if (options->struct_size >= sizeof(mohhos_send_options_t))
    result.about.attachment = options->memory;
  result.deadline = ipc::Deadline::within(options->timeout_ns);
  return result;
}

// The endpoint numbers requests with 64 bits, the ABI with 31: 1 … 2^31 - 1 and around. There are
// never so many at once, so the short number and the last one say which is meant.
constexpr std::uint64_t kShortNumbers = INT32_MAX;
std::int32_t short_number(std::uint64_t number) {
  return static_cast<std::int32_t>(number % kShortNumbers) + 1;
}
std::uint64_t full_number(std::int32_t number, std::uint64_t last) {
  const auto wanted = static_cast<std::uint64_t>(number) - 1;
  return last - (last % kShortNumbers + kShortNumbers - wanted) % kShortNumbers;
}

std::int32_t count_of(const Result<ipc::Delivered>& delivered) {
  return delivered ? static_cast<std::int32_t>(delivered->sent) : to_abi(delivered.error().code);
}

} // namespace

void HostTable::Calls::log(const mohhos_host_t* host, std::int32_t level,
                           const char* text) noexcept {
  if (text != nullptr) table_of(host).log(level, text);
}

void HostTable::Calls::fail(const mohhos_host_t*, const char* text) noexcept {
  if (text != nullptr) remember(text);
}

void HostTable::Calls::panic(const mohhos_host_t*, const char* text) noexcept {
  die(ipc::LastWordsKind::Exception, text != nullptr ? text : "panic without a text");
}

const char* HostTable::Calls::config_get(const mohhos_host_t* host, const char* key) noexcept {
  const HostTable& me = table_of(host);
  return me.on_main_thread() && key != nullptr ? me.find_config(key) : nullptr;
}

std::int32_t HostTable::Calls::check_capability(const mohhos_host_t* host,
                                                std::uint32_t capability) noexcept {
  const model::CapabilitySet& granted = table_of(host).boot_.capabilities;
  if (capability < model::kCapabilities.size())
    return granted.has(model::kCapabilities[capability]) ? 1 : 0;
  if (capability >= MOHHOS_CAP_CUSTOM && capability < MOHHOS_CAP_CUSTOM + 32)
    return static_cast<std::int32_t>(granted.custom >> (capability - MOHHOS_CAP_CUSTOM) & 1U);
  return MOHHOS_E_INVALID;
}

std::uint64_t HostTable::Calls::now_ns(const mohhos_host_t*) noexcept {
  return ipc::monotonic_ns();
}

void HostTable::Calls::wake(const mohhos_host_t* host) noexcept {
  HostTable& me = table_of(host);
  if (me.wanted_.exchange(true, std::memory_order_acq_rel)) return; // partner: take_wake()
  if (me.on_main_thread()) return; // the loop looks before it sleeps
  const std::uint64_t one = 1;
  static_cast<void>(!::write(me.wake_fd_.get(), &one, sizeof one)); // full is told, too
}

void HostTable::Calls::wake_after(const mohhos_host_t* host, std::uint64_t delay_ns) noexcept {
  HostTable& me = table_of(host);
  if (!me.on_main_thread()) return;
  me.wake_at_ = delay_ns == 0 ? std::chrono::steady_clock::now() : deadline_in(delay_ns);
}

std::int32_t HostTable::Calls::open_channel(const mohhos_host_t* host, std::uint64_t target_id,
                                            const char* target_name, std::uint64_t ring_bytes,
                                            std::uint64_t timeout_ns,
                                            mohhos_channel_t* channel) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const bool named = target_name != nullptr && target_name[0] != '\0';
  if (channel == nullptr || (target_id == 0 && !named)) return MOHHOS_E_INVALID;
  if (target_id == me.table_.plugin_id || (target_id == 0 && me.boot_.name == target_name)) {
    me.log(MOHHOS_LOG_WARNING, "a plugin cannot open a channel to itself");
    return MOHHOS_E_INVALID;
  }
  const auto deadline = ipc::Deadline::within(timeout_ns);
  auto opened =
      target_id != 0
          ? me.endpoint_.open_channel(PluginId{target_id}, deadline, ring_bytes)
          : me.endpoint_.open_channel(std::string_view(target_name), deadline, ring_bytes);
  if (!opened) {
    me.log(MOHHOS_LOG_WARNING,
           opened.error().text); // the sentence: which line of which manifest is missing
    return to_abi(opened.error().code);
  }
  *channel = opened->value;
  return MOHHOS_OK;
}

std::int32_t HostTable::Calls::send(const mohhos_host_t* host, mohhos_channel_t channel,
                                    const mohhos_send_options_t* options, const void* data,
                                    std::size_t size) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const auto checked = check(options, ipc::MessageType::Custom);
  if (!checked || (data == nullptr && size != 0)) return MOHHOS_E_INVALID;
  me.take_loan_back(channel);
  return outcome(me.endpoint_.send(ChannelId{channel}, checked->about, bytes_of(data, size),
                                   checked->deadline));
}

std::int32_t HostTable::Calls::loan(const mohhos_host_t* host, mohhos_channel_t channel,
                                    const mohhos_send_options_t* options, std::size_t size,
                                    void** data) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const auto checked = check(options, ipc::MessageType::Custom);
  if (!checked || data == nullptr) return MOHHOS_E_INVALID;
  me.take_loan_back(channel);
  if (size > UINT32_MAX) return MOHHOS_E_TOO_LARGE;
  const auto lent = me.endpoint_.loan(ChannelId{channel}, static_cast<std::uint32_t>(size),
                                      checked->about, checked->deadline);
  if (!lent) return to_abi(lent.error().code);
  me.loaned_.push_back(channel);
  *data = lent->data();
  return MOHHOS_OK;
}

std::int32_t HostTable::Calls::commit(const mohhos_host_t* host,
                                      mohhos_channel_t channel) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here() || !me.take_loan_back(channel)) return MOHHOS_E_BAD_STATE;
  return me.endpoint_.commit(ChannelId{channel}) != 0 ? MOHHOS_OK : MOHHOS_E_PEER_GONE;
}

std::int32_t HostTable::Calls::request(const mohhos_host_t* host, mohhos_channel_t channel,
                                       const mohhos_send_options_t* options, const void* data,
                                       std::size_t size, std::uint64_t timeout_ns,
                                       mohhos_reply_fn done, void* user) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const auto checked = check(options, ipc::MessageType::DataRequest);
  if (!checked || (data == nullptr && size != 0) || done == nullptr) return MOHHOS_E_INVALID;
  me.take_loan_back(channel);
  const auto number = me.endpoint_.call(ChannelId{channel}, checked->about, bytes_of(data, size),
                                        deadline_in(timeout_ns),
                                        [&me, done, user](Result<const ipc::Message*> answer) {
                                          me.finish_request(done, user, std::move(answer));
                                        });
  if (!number) return to_abi(number.error().code);
  me.last_request_ = *number;
  return short_number(*number);
}

std::int32_t HostTable::respond(const mohhos_request_t* request, bool failed, const void* data,
                                std::size_t size, std::uint64_t memory, std::uint64_t timeout_ns) {
  if (!may_talk_here()) return MOHHOS_E_BAD_STATE;
  if (request == nullptr || request->correlation == 0 || (data == nullptr && size != 0))
    return MOHHOS_E_INVALID;
  const ipc::ReplyTo to{PluginId{request->sender}, request->correlation, request->deadline_ns};
  return outcome(
      endpoint_.respond(to, bytes_of(data, size), deadline_in(timeout_ns), failed, memory));
}

std::int32_t HostTable::Calls::reply(const mohhos_host_t* host, const mohhos_request_t* request,
                                     std::int32_t status, const void* data, std::size_t size,
                                     std::uint64_t timeout_ns) noexcept {
  return table_of(host).respond(request, status < 0, data, size, 0, timeout_ns);
}

std::int32_t HostTable::Calls::broadcast(const mohhos_host_t* host, std::uint32_t plugin_type,
                                         const mohhos_send_options_t* options, const void* data,
                                         std::size_t size) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const auto checked = check(options, ipc::MessageType::Custom);
  if (!checked || plugin_type >= model::kPluginTypes.size() || (data == nullptr && size != 0))
    return MOHHOS_E_INVALID;
  me.loaned_.clear();
  return count_of(me.endpoint_.broadcast(model::kPluginTypes[plugin_type], checked->about,
                                         bytes_of(data, size), checked->deadline.at()));
}

std::int32_t HostTable::Calls::publish(const mohhos_host_t* host, std::uint32_t event,
                                       const mohhos_send_options_t* options, const void* data,
                                       std::size_t size) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const auto checked = check(options, ipc::MessageType::EventNotify);
  if (!checked || (data == nullptr && size != 0)) return MOHHOS_E_INVALID;
  me.loaned_.clear();
  return count_of(
      me.endpoint_.publish(event, checked->about, bytes_of(data, size), checked->deadline.at()));
}

std::int32_t HostTable::Calls::subscribe(const mohhos_host_t* host, std::uint64_t publisher,
                                         const std::uint32_t* events, std::size_t count) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  if (events == nullptr && count != 0) return MOHHOS_E_INVALID;
  return outcome(me.endpoint_.subscribe(PluginId{publisher}, {events, count},
                                        std::chrono::steady_clock::now() + kAskTime));
}

std::int32_t HostTable::Calls::call(const mohhos_host_t* host, mohhos_channel_t channel,
                                    const mohhos_send_options_t* options, const void* data,
                                    std::size_t size, std::uint64_t timeout_ns,
                                    mohhos_message_t* reply) noexcept {
  HostTable& me = table_of(host);
  if (reply == nullptr) return MOHHOS_E_INVALID;
  *reply = no_message();
  if (!me.may_talk_here() || me.in_call_) return MOHHOS_E_BAD_STATE;
  const auto checked = check(options, ipc::MessageType::DataRequest);
  if (!checked || (data == nullptr && size != 0)) return MOHHOS_E_INVALID;
  me.take_loan_back(channel);
  me.withdraw_answer();
  me.in_call_ = true;
  auto answer = me.endpoint_.call_and_wait(ChannelId{channel}, checked->about, bytes_of(data, size),
                                           deadline_in(timeout_ns));
  me.in_call_ = false;
  if (!answer) {
    me.words_ = std::move(answer.error().text);
    reply->size = me.words_.size();
    reply->data = me.words_.data();
    return to_abi(answer.error().code);
  }
  me.answer_ = std::move(answer->payload);
  if (answer->info.attachment != 0) {
    me.offer_memory(reply, answer->memory.value_or(ipc::GivenMemory{}));
    me.answered_ = reply;
  }
  const auto peer = me.endpoint_.peer(ChannelId{channel});
  ipc::Message message;
  message.info = answer->info;
  message.payload = me.answer_;
  message.sender = peer ? peer->id : PluginId{};
  message.channel = ChannelId{channel};
  message.received_ns = ipc::monotonic_ns();
  *reply = me.view_of(message);
  return MOHHOS_OK;
}

std::int32_t HostTable::Calls::sync(const mohhos_host_t* host, mohhos_channel_t channel,
                                    std::uint64_t timeout_ns) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  const Monotonic deadline = deadline_in(timeout_ns);
  const auto synced =
      channel != 0 ? me.endpoint_.sync(ChannelId{channel}, deadline) : me.endpoint_.sync(deadline);
  if (!synced) me.log(MOHHOS_LOG_WARNING, synced.error().text);
  return outcome(synced);
}

std::int32_t HostTable::Calls::begin_sync(const mohhos_host_t* host, mohhos_channel_t channel,
                                          std::uint64_t timeout_ns, mohhos_reply_fn done,
                                          void* user) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  if (done == nullptr) return MOHHOS_E_INVALID;
  return outcome(me.endpoint_.sync_later(
      ChannelId{channel}, deadline_in(timeout_ns), [&me, done, user](const Result<>& synced) {
        const ipc::Message nothing{};
        if (synced)
          me.finish_request(done, user, &nothing);
        else
          me.finish_request(done, user, std::unexpected(synced.error()));
      }));
}

std::int32_t HostTable::Calls::call_after(const mohhos_host_t* host, std::uint64_t delay_ns,
                                          mohhos_timer_fn then, void* user) noexcept {
  HostTable& me = table_of(host);
  if (!me.on_main_thread()) return MOHHOS_E_BAD_STATE;
  if (then == nullptr) return MOHHOS_E_INVALID;
  if (me.timers_.size() >= kMostTimers) return MOHHOS_E_EXHAUSTED;
  me.timers_.emplace(delay_ns == 0 ? std::chrono::steady_clock::now() : deadline_in(delay_ns),
                     Timer{then, user});
  return MOHHOS_OK;
}

std::int32_t HostTable::Calls::cancel(const mohhos_host_t* host, std::int32_t request) noexcept {
  HostTable& me = table_of(host);
  if (!me.on_main_thread()) return MOHHOS_E_BAD_STATE;
  if (request <= 0) return MOHHOS_E_INVALID;
  me.loaned_.clear(); // it is a record on the request's channel
  return outcome(me.endpoint_.cancel(full_number(request, me.last_request_)));
}

} // namespace mohhos::loader
