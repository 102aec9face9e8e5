// mohhos/ipc.h: requests whose answer is waited for outside the lock, so that they can be taken
// back.
//
// Whoever steps on the endpoint delivers the answers that are there: the callback keeps the end of
// a request in its entry and rings the thread that waits for it. That thread itself looks at
// answers only; messages stay in their rings for who receives them. Each waits on a bell of its
// own: one for all would be read by a thread that it was not meant for.
#include <cstdlib>
#include <cstring>
#include <memory>

#include <sys/eventfd.h>
#include <unistd.h>

#include "api/capi_convert.hpp"
#include "api/capi_endpoint.hpp"
#include "sys/duplicate.hpp"

namespace mohhos::api::capi {
namespace {

constexpr std::size_t kMostAsked = 4096;

using Place = std::map<std::uint64_t, Asked>::iterator;

// With the memory that came along, whoever will want it: it is gone once the message is released.
Result<ipc::Answer> answer_of(ipc::Endpoint& endpoint, const Result<const ipc::Message*>& got) {
  if (!got) return std::unexpected(got.error());
  ipc::Answer answer{(*got)->info, (*got)->copy()};
  if (answer.info.attachment == 0) return answer;
  if (const auto memory = endpoint.take_memory(**got)) answer.memory = *memory;
  return answer;
}

Result<Place> find_asked(Connection& one, request_id_t id) {
  const auto asked = one.asked.find(id);
  if (asked == one.asked.end())
    return fail(Code::NotFound, "there is no request {} (its end was told already?)", id);
  return asked;
}

using Allocated = std::unique_ptr<void, decltype(&std::free)>;

Allocated copy_of(const std::vector<std::byte>& payload) {
  if (payload.empty()) return {nullptr, &std::free};
  Allocated data(allocate<std::byte>(payload.size()), &std::free);
  std::memcpy(data.get(), payload.data(), payload.size());
  return data;
}

plugin_memory_t tell_memory(Connection& one, Asked& asked) {
  auto& came = (*asked.end)->memory;
  if (!came) return {};
  // Read-only memory: writing to it is a fault, whatever the type says.
  const plugin_memory_t memory =
      keep_memory(one, {.endpoint = asked.endpoint,
                        .number = came->number,
                        .data = const_cast<std::byte*>(came->bytes.data()),
                        .size = came->bytes.size(),
                        .is_made = false});
  came.reset();
  return memory;
}

// What came of it, as the C function's result; the entry goes, unless there is no memory for that.
Result<int> tell_end(Connection& one, Place place, plugin_message_t* response,
                     plugin_memory_t* memory) {
  Asked& asked = place->second;
  const Result<ipc::Answer>& end = *asked.end;
  if (!end) {
    const Error why = end.error();
    one.asked.erase(place);
    return std::unexpected(why);
  }
  if (response != nullptr) {
    Allocated data = copy_of(end->payload);
    if (memory != nullptr) *memory = tell_memory(one, asked);
    const std::size_t size = end->payload.size();
    *response = message_of(end->info, asked.peer, one.own_id, data.release(), size);
    if (memory != nullptr && end->info.attachment != 0) response->flags = PLUGIN_MESSAGE_MEMORY;
  }
  drop_memory_of(asked);
  one.asked.erase(place);
  return 0;
}

// Delivers the answers that are there. True: then look again; nothing is armed.
Result<bool> look_for_answers(Connection& one, ipc::Endpoint& endpoint) {
  endpoint.hold_messages(true);
  const auto looked = endpoint.receive(ipc::kNoWait);
  const bool idle = endpoint.prepare_wait();
  endpoint.hold_messages(false);
  // What rang may have been a message's bell: who receives messages looks, too. And who leaves with
  // an answer does not look again.
  if (idle)
    nudge_receivers(one);
  else
    nudge(one);
  if (!looked) {
    if (looked.error().code == Code::Unreachable) drop_endpoint(one);
    return std::unexpected(looked.error());
  }
  return !idle;
}

class Waiting {
public:
  explicit Waiting(request_id_t id) : id_(id) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    if (!counted_) return;
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    --one.askers;
    if (const auto asked = one.asked.find(id_); asked != one.asked.end()) {
      asked->second.waited_for = false;
      asked->second.bell.reset();
    }
  }
  // Nothing: *wait says how to wait for it. 1: it did not end in time.
  [[nodiscard]] Result<std::optional<int>> step(plugin_message_t* response, plugin_memory_t* memory,
                                                Monotonic deadline, Wait& wait) {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const Place asked, find_asked(one, id_));
    if (!counted_ && asked->second.waited_for)
      return fail(Code::BadState, "another thread waits for request {}", id_);
    std::uint64_t rung = 0;
    // It does not block. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
    if (counted_) (void)!::read(asked->second.bell.get(), &rung, sizeof rung);
    for (bool more = true; more && !asked->second.end;) {
      auto looked = look_for_answers(one, *asked->second.endpoint);
      if (!looked && !asked->second.end) return std::unexpected(looked.error());
      more = looked && *looked;
    }
    if (asked->second.end) {
      TRY(const int result, tell_end(one, asked, response, memory));
      return result;
    }
    if (std::chrono::steady_clock::now() >= deadline) return 1;
    TRY(begin(one, asked->second, wait));
    TRY(wait.ready, sys::duplicate(asked->second.endpoint->wait_fd()));
    wait.until = std::min(deadline, asked->second.endpoint->next_deadline());
    return std::nullopt;
  }

private:
  [[nodiscard]] Result<> begin(Connection& one, Asked& asked, Wait& wait) {
    if (counted_) return {};
    asked.bell = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!asked.bell) return fail_errno("eventfd");
    TRY(wait.nudge, asked.bell.duplicate());
    asked.waited_for = counted_ = true;
    ++one.askers;
    return {};
  }
  request_id_t id_;
  bool counted_ = false; // as the thread that waits for it
};

} // namespace

void ring(const Asked& asked) {
  if (!asked.bell) return;
  const std::uint64_t once = 1;
  (void)!::write(asked.bell.get(), &once, sizeof once); // full: it rings already
}

void keep_end(std::uint64_t id, const std::function<Result<ipc::Answer>()>& end) {
  const auto asked = connection().asked.find(id);
  if (asked == connection().asked.end()) return;
  try {
    asked->second.end = end();
  } catch (const std::bad_alloc&) {
    asked->second.end = std::unexpected(Error{Code::Exhausted, {}});
  }
  ring(asked->second);
}

void drop_memory_of(Asked& asked) {
  if (!asked.end || !*asked.end || !(*asked.end)->memory) return;
  asked.endpoint->drop_memory((*asked.end)->memory->number);
  (*asked.end)->memory.reset();
}

Result<int> wait_for_end(std::uint64_t id, plugin_message_t* response, plugin_memory_t* memory,
                         Monotonic deadline) {
  Waiting waiting(id);
  for (Wait wait;;) {
    TRY(const auto result, waiting.step(response, memory, deadline, wait));
    if (result) return *result;
    sleep_until_ready(wait);
  }
}

namespace {

// `memory`: goes along; NULL: none.
int begin_request(plugin_id_t target, const plugin_message_t* request, plugin_memory_t* memory,
                  uint32_t timeout_ms, request_id_t* id) {
  return guarded([&]() -> Result<> {
    TRY(ipc::Outgoing about, outgoing_with_data(request));
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    if (id == nullptr) return fail(Code::Invalid, "the id is NULL");
    if (about.type == ipc::MessageType::Init) about.type = ipc::MessageType::DataRequest;
    const Monotonic deadline = from_now(std::chrono::milliseconds(timeout_ms));
    return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<> {
      if (one.asked.size() >= kMostAsked)
        return fail(Code::Exhausted, "{} requests are open, or were answered and not waited for",
                    one.asked.size());
      TRY(check_no_loan(one, PluginId{target}));
      if (memory != nullptr) {
        TRY(about.attachment, number_to_send(one, memory));
        memory->data = nullptr; // as plugin_send_memory
      }
      TRY(const ChannelId channel, endpoint.open_channel(PluginId{target}, deadline));
      const auto number = std::make_shared<std::uint64_t>(0);
      TRY(*number, endpoint.call(channel, about, bytes_of(*request), deadline,
                                 [number, &endpoint](const Result<const ipc::Message*>& got) {
                                   keep_end(*number, [&] { return answer_of(endpoint, got); });
                                 }));
      one.asked[*number] = {.endpoint = one.endpoint,
                            .peer = PluginId{target},
                            .end = {},
                            .waited_for = false,
                            .bell = {}};
      endpoint.flush();
      *id = *number;
      return {};
    });
  });
}

} // namespace
} // namespace mohhos::api::capi

using namespace mohhos;

using namespace mohhos::api::capi;

int plugin_request(plugin_id_t target, const plugin_message_t* request, uint32_t timeout_ms,
                   request_id_t* id) {
  return begin_request(target, request, nullptr, timeout_ms, id);
}

int plugin_request_memory(plugin_id_t target, const plugin_message_t* request,
                          plugin_memory_t* memory, uint32_t timeout_ms, request_id_t* id) {
  if (memory == nullptr) return report({Code::Invalid, "the memory is NULL"});
  return begin_request(target, request, memory, timeout_ms, id);
}

int plugin_wait_response(request_id_t id, plugin_message_t* response, uint32_t timeout_ms) {
  return guarded([&]() -> Result<int> {
    if (response == nullptr) return fail(Code::Invalid, "the response is NULL");
    return wait_for_end(id, response, nullptr, from_now(std::chrono::milliseconds(timeout_ms)));
  });
}

int plugin_wait_memory(request_id_t id, plugin_message_t* response, plugin_memory_t* memory,
                       uint32_t timeout_ms) {
  return guarded([&]() -> Result<int> {
    if (response == nullptr || memory == nullptr)
      return fail(Code::Invalid, "the response or the memory is NULL");
    return wait_for_end(id, response, memory, from_now(std::chrono::milliseconds(timeout_ms)));
  });
}

int plugin_cancel_request(request_id_t id) {
  return guarded([&]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const Place asked, find_asked(one, id));
    if (asked->second.end) {
      drop_memory_of(asked->second);
      one.asked.erase(asked);
      return fail(Code::NotFound, "request {} has ended; what it brought is dropped", id);
    }
    TRY(check_no_loan(one, asked->second.peer)); // the plugin is told on the same channel
    const auto taken = asked->second.endpoint->cancel(id);
    asked->second.endpoint->flush();
    if (asked->second.waited_for) {
      asked->second.end = fail(Code::Cancelled, "it was taken back");
      ring(asked->second);
    } else {
      one.asked.erase(asked);
    }
    nudge(one);
    return taken;
  });
}
