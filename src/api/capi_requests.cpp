// mohhos/ipc.h: requests whose answer is waited for outside the lock, so that they can be taken
// back.
//
// Whoever steps on the endpoint delivers the answers that are there: the callback keeps the end of
// a request in its entry and rings the thread that waits for it. That thread itself looks at
// answers only; messages stay in their rings for who receives them. Each waits on a bell of its
// own: one for all would be read by a thread that it was not meant for.
#include <cstring>

#include <sys/eventfd.h>
#include <unistd.h>

#include "api/capi_convert.hpp"
#include "api/capi_endpoint.hpp"
#include "sys/duplicate.hpp"

namespace mohhos::api::capi {
namespace {

constexpr std::size_t kMostAsked = 4096;

using Place = std::map<std::uint64_t, Asked>::iterator;

// Called with `data` held, from whatever step delivers it.
void keep_end(std::uint64_t id, const Result<const ipc::Message*>& got) {
  const auto asked = connection().asked.find(id);
  if (asked == connection().asked.end()) return;
  try {
    if (got)
      asked->second.end = ipc::Answer{(*got)->info, (*got)->copy()};
    else
      asked->second.end = std::unexpected(got.error());
  } catch (const std::bad_alloc&) {
    asked->second.end = std::unexpected(Error{Code::Exhausted, {}});
  }
  ring(asked->second);
}

Result<Place> find_asked(Connection& one, request_id_t id) {
  const auto asked = one.asked.find(id);
  if (asked == one.asked.end())
    return fail(Code::NotFound, "there is no request {} (its end was told already?)", id);
  return asked;
}

// What came of it, as the C function's result; the entry goes, unless there is no memory.
Result<int> tell_end(Connection& one, Place asked, plugin_message_t* response) {
  const Result<ipc::Answer>& end = *asked->second.end;
  if (!end) {
    const Error why = end.error();
    one.asked.erase(asked);
    return std::unexpected(why);
  }
  void* data = nullptr;
  if (!end->payload.empty()) {
    data = allocate<std::byte>(end->payload.size());
    std::memcpy(data, end->payload.data(), end->payload.size());
  }
  *response = message_of(end->info, asked->second.peer, one.own_id, data, end->payload.size());
  one.asked.erase(asked);
  return 0;
}

// Delivers the answers that are there. True: then look again; nothing is armed.
Result<bool> look_for_answers(Connection& one, ipc::Endpoint& endpoint) {
  endpoint.hold_messages(true);
  const auto looked = endpoint.receive(ipc::kNoWait);
  const bool idle = endpoint.prepare_wait();
  endpoint.hold_messages(false);
  // What rang may have been a message's bell: who receives messages looks, too.
  nudge_receivers(one);
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
    if (const auto asked = one.asked.find(id_); asked != one.asked.end()) {
      asked->second.waited_for = false;
      asked->second.bell.reset();
    }
  }
  // Nothing: *wait says how to wait for it. 1: it did not end in time.
  [[nodiscard]] Result<std::optional<int>> step(plugin_message_t* response, Monotonic deadline,
                                                Wait& wait) {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const Place asked, find_asked(one, id_));
    if (!counted_ && asked->second.waited_for)
      return fail(Code::BadState, "another thread waits for request {}", id_);
    std::uint64_t rung = 0;
    if (counted_) (void)!::read(asked->second.bell.get(), &rung, sizeof rung);
    for (bool more = true; more && !asked->second.end;) {
      auto looked = look_for_answers(one, *asked->second.endpoint);
      if (!looked && !asked->second.end) return std::unexpected(looked.error());
      more = looked && *looked;
    }
    if (asked->second.end) {
      TRY(const int result, tell_end(one, asked, response));
      return result;
    }
    if (std::chrono::steady_clock::now() >= deadline) return 1;
    TRY(begin(asked->second, wait));
    TRY(wait.ready, sys::duplicate(asked->second.endpoint->wait_fd()));
    wait.until = std::min(deadline, asked->second.endpoint->next_deadline());
    return std::nullopt;
  }

private:
  [[nodiscard]] Result<> begin(Asked& asked, Wait& wait) {
    if (counted_) return {};
    asked.bell = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!asked.bell) return fail_errno("eventfd");
    TRY(wait.nudge, asked.bell.duplicate());
    asked.waited_for = counted_ = true;
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

} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int plugin_request(plugin_id_t target, const plugin_message_t* request, uint32_t timeout_ms,
                   request_id_t* id) {
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
      TRY(const ChannelId channel, endpoint.open_channel(PluginId{target}, deadline));
      const auto number = std::make_shared<std::uint64_t>(0);
      TRY(*number, endpoint.call(channel, about, bytes_of(*request), deadline,
                                 [number](const Result<const ipc::Message*>& got) {
                                   keep_end(*number, got);
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

int plugin_wait_response(request_id_t id, plugin_message_t* response, uint32_t timeout_ms) {
  return guarded([&]() -> Result<int> {
    if (response == nullptr) return fail(Code::Invalid, "the response is NULL");
    const Monotonic deadline = from_now(std::chrono::milliseconds(timeout_ms));
    Waiting waiting(id);
    for (Wait wait;;) {
      TRY(const auto result, waiting.step(response, deadline, wait));
      if (result) return *result;
      sleep_until_ready(wait);
    }
  });
}

int plugin_cancel_request(request_id_t id) {
  return guarded([&]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const Place asked, find_asked(one, id));
    if (asked->second.end) {
      one.asked.erase(asked);
      return fail(Code::NotFound, "request {} has ended; what it brought is dropped", id);
    }
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
