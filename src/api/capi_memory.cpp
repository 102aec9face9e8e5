// mohhos/ipc.h: memories that ride along messages. What the program has of one keeps its endpoint,
// and so the mapping, until it is dropped.
#include <algorithm>

#include "api/capi_endpoint.hpp"

namespace mohhos::api::capi {
namespace {

constexpr auto kMakeTime = std::chrono::seconds(5); // asking the manager

using Place = std::map<std::uint64_t, HeldMemory>::iterator;

// Of the program, and not dropped yet; `data` is held.
Result<Place> held(Connection& one, const plugin_memory_t* memory) {
  if (memory == nullptr) return fail(Code::Invalid, "the memory is NULL");
  const auto found = one.memories.find(memory->id);
  if (found == one.memories.end())
    return fail(Code::NotFound, "there is no memory {} (dropped already?)", memory->id);
  return found;
}

} // namespace

plugin_memory_t keep_memory(Connection& one, HeldMemory memory) {
  const std::uint64_t id = ++one.last_memory;
  const auto& kept = one.memories.emplace(id, std::move(memory)).first->second;
  return {.id = id, .data = kept.data, .size = kept.size};
}

Result<std::uint64_t> number_to_send(Connection& one, const plugin_memory_t* memory) {
  TRY(const Place place, held(one, memory));
  if (!place->second.is_made)
    return fail(Code::NotFound, "memory {} came with a message: only its maker can send it",
                memory->id);
  if (place->second.endpoint != one.endpoint)
    return fail(Code::NotFound, "memory {} was made on a connection that is closed", memory->id);
  return place->second.number;
}

} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int plugin_make_memory(plugin_memory_t* memory, uint64_t size) {
  return guarded([&]() -> Result<> {
    if (memory == nullptr) return fail(Code::Invalid, "the memory is NULL");
    return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<> {
      TRY(const ipc::OwnMemory made, endpoint.make_memory(size, from_now(kMakeTime)));
      *memory = keep_memory(one, {.endpoint = one.endpoint,
                                  .number = made.number,
                                  .data = made.bytes.data(),
                                  .size = made.bytes.size(),
                                  .is_made = true});
      return {};
    });
  });
}

int plugin_send_memory(plugin_id_t target, plugin_message_t* message, plugin_memory_t* memory) {
  return guarded([&]() -> Result<> {
    TRY(ipc::Outgoing about, outgoing_with_data(message));
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<> {
      TRY(about.attachment, number_to_send(one, memory));
      // The endpoint unmaps it at some point of what follows; the program need not know which.
      memory->data = nullptr;
      return send_copy(one, endpoint, PluginId{target}, about, *message);
    });
  });
}

int plugin_take_memory(const plugin_message_t* message, plugin_memory_t* memory) {
  return guarded([&]() -> Result<> {
    if (message == nullptr || memory == nullptr)
      return fail(Code::Invalid, "the message or the memory is NULL");
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const View* const view, view_of(one, *message));
    const auto given = view->endpoint->take_memory(view->message);
    nudge(one); // it may have read the link
    if (!given) return std::unexpected(given.error());
    const auto known = std::ranges::find_if(one.memories, [&](const auto& candidate) {
      return candidate.second.endpoint == view->endpoint &&
             candidate.second.number == given->number;
    });
    if (known != one.memories.end()) {
      *memory = {.id = known->first, .data = known->second.data, .size = known->second.size};
      return {};
    }
    // Read-only memory: writing to it is a fault, whatever the type says.
    *memory = keep_memory(one, {.endpoint = view->endpoint,
                                .number = given->number,
                                .data = const_cast<std::byte*>(given->bytes.data()),
                                .size = given->bytes.size(),
                                .is_made = false});
    return {};
  });
}

int plugin_drop_memory(plugin_memory_t* memory) {
  return guarded([&]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const Place place, held(one, memory));
    place->second.endpoint->drop_memory(place->second.number);
    one.memories.erase(place);
    memory->data = nullptr;
    return {};
  });
}
