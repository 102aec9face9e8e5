#include "loader/host_memories.hpp"

#include <algorithm>
#include <utility>

#include "loader/calls.hpp"

namespace mohhos::loader {

std::int32_t HostTable::MemoryCalls::make_memory(const mohhos_host_t* host, std::uint64_t size,
                                                 std::uint64_t timeout_ns, mohhos_memory_t* memory,
                                                 void** data) noexcept {
  HostTable& me = table_of(host);
  if (!me.may_talk_here()) return MOHHOS_E_BAD_STATE;
  if (memory == nullptr || data == nullptr) return MOHHOS_E_INVALID;
  const auto made = me.endpoint_.make_memory(size, deadline_in(timeout_ns));
  if (!made) {
    me.log(MOHHOS_LOG_WARNING, made.error().text);
    return to_abi(made.error().code);
  }
  *memory = made->number;
  *data = made->bytes.data();
  return MOHHOS_OK;
}

std::int32_t HostTable::MemoryCalls::take_memory(const mohhos_host_t* host,
                                                 const mohhos_message_t* message,
                                                 mohhos_memory_t* memory, const void** data,
                                                 std::uint64_t* size) noexcept {
  HostTable& me = table_of(host);
  if (!me.on_main_thread()) return MOHHOS_E_BAD_STATE;
  if (message == nullptr || memory == nullptr || data == nullptr || size == nullptr)
    return MOHHOS_E_INVALID;
  const auto given = me.take_offer(message);
  if (!given) return to_abi(given.error().code);
  *memory = given->number;
  *data = given->bytes.data();
  *size = given->bytes.size();
  return MOHHOS_OK;
}

std::int32_t HostTable::MemoryCalls::drop_memory(const mohhos_host_t* host,
                                                 mohhos_memory_t memory) noexcept {
  HostTable& me = table_of(host);
  if (!me.on_main_thread()) return MOHHOS_E_BAD_STATE;
  return me.endpoint_.drop_memory(memory) ? MOHHOS_OK : MOHHOS_E_NOT_FOUND;
}

std::int32_t HostTable::MemoryCalls::reply_memory(const mohhos_host_t* host,
                                                  const mohhos_request_t* request, const void* data,
                                                  std::size_t size, mohhos_memory_t memory,
                                                  std::uint64_t timeout_ns) noexcept {
  return table_of(host).respond(request, false, data, size, memory, timeout_ns);
}

// --- what came with messages, until their callbacks return ---

void HostTable::offer_memory(const mohhos_message_t* view, const ipc::Message& message) {
  withdraw_memory(view);
  offers_.push_back({view, message, {}});
}

// One that the endpoint has given already; a number of 0: it had none.
void HostTable::offer_memory(const mohhos_message_t* view, std::optional<ipc::GivenMemory> memory) {
  withdraw_memory(view);
  if (memory) offers_.push_back({view, {}, memory});
}

void HostTable::withdraw_memory(const mohhos_message_t* view) {
  std::erase_if(offers_, [&](const Offer& offer) {
    if (offer.view != view) return false;
    if (offer.given && !offer.taken) endpoint_.drop_memory(offer.given->number);
    return true;
  });
}

// What call() left: its callback has returned, or asks again.
void HostTable::withdraw_answer() {
  if (answered_ != nullptr) withdraw_memory(std::exchange(answered_, nullptr));
}

Result<ipc::GivenMemory> HostTable::take_offer(const mohhos_message_t* view) {
  const auto offer = std::ranges::find(offers_, view, &Offer::view);
  if (offer == offers_.end() || (offer->given && offer->given->number == 0))
    return fail(Code::NotFound, "no memory came with the message");
  if (!offer->given) return endpoint_.take_memory(offer->message);
  offer->taken = true;
  return *offer->given;
}

} // namespace mohhos::loader
