// What the functions of the C API share: the one connection of the process, the sentence of the
// last error, and the frame that keeps exceptions inside.
//
// US-004's functions take no handle, so the connection is the process's: the only global state of
// the project, in one struct, behind two locks. `control` is held for a whole call to the daemon,
// `data` for a step on the messaging endpoint, never while waiting for a message. Who takes both
// takes `data` first. It is never destroyed: a thread may still be in here when main() returns.
#pragma once

#include <atomic>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>

#include "api/client.hpp"
#include "base/ids.hpp"
#include "ipc/endpoint.hpp"
#include "mohhos/mohhos.h"

namespace mohhos::api::capi {

// A message that the program looks at in its ring. Keeps the ring, also after a disconnect.
struct View {
  std::shared_ptr<ipc::Endpoint> endpoint;
  ipc::Message message;
  bool released = false; // given back, behind one on the same channel that is not
};

// Memory of a ring that the program writes into.
struct Lent {
  std::shared_ptr<ipc::Endpoint> endpoint;
  ChannelId channel;
  void* data = nullptr;
};

// A memory that the program has. Keeps the endpoint, and so the mapping, also after a disconnect.
struct HeldMemory {
  std::shared_ptr<ipc::Endpoint> endpoint;
  std::uint64_t number = 0; // the endpoint's
  void* data = nullptr;     // where it was mapped first
  std::uint64_t size = 0;
  bool is_made = false; // else it came with a message
};

// A request of the program that is open, or whose end it has not heard of. Or a sync: its end has
// an empty answer.
struct Asked {
  std::shared_ptr<ipc::Endpoint> endpoint; // that it was sent on
  PluginId peer;
  std::optional<Result<ipc::Answer>> end; // with the memory that came along: drop_memory_of()
  bool waited_for = false;                // by a thread
  sys::Fd bell;                           // eventfd of that thread
};

// What the program sent to a plugin to be on disk.
struct Durable {
  std::uint64_t unsynced = 0; // messages since the last sync that ended well
  bool lost = false;          // some of them with a connection that has ended
};

struct Connection {
  std::mutex control;
  std::filesystem::path socket; // empty: the default one
  std::optional<Client> client;

  std::mutex data;
  std::shared_ptr<ipc::Endpoint> endpoint;
  PluginId own_id;
  std::optional<ipc::Message> undelivered;      // received, but there was no memory for the copy
  std::deque<View> views;                       // in the order of their receipt
  std::map<PluginId, Lent> loans;               // one for each target
  std::map<std::uint64_t, HeldMemory> memories; // by plugin_memory_t's id
  std::uint64_t last_memory = 0;                // id
  sys::Fd nudge;                        // eventfd: who used the endpoint wakes who waits on it
  unsigned receivers = 0;               // threads that wait for messages, outside the lock
  unsigned askers = 0;                  // and for the ends of `asked`
  std::map<std::uint64_t, Asked> asked; // by request_id_t
  std::uint64_t last_sync = 0;          // syncs have numbers from the other end
  std::map<PluginId, Durable> durable;  // by target
};
[[nodiscard]] Connection& connection();

// Wakes the thread that waits for the end of this request; those that wait for messages; `data` is
// held.
void ring(const Asked& asked);
void nudge_receivers(const Connection& one);
// Gives back the memory of an answer that nobody will have; `data` is held.
void drop_memory_of(Asked& asked);

// Ends the messaging endpoint; who waits hears of it. `data` is held. [any]
void drop_endpoint(Connection& connection);

// One call to the daemon, connected first if need be. A connection on which something went wrong
// is closed; the next call makes a new one. [any]
[[nodiscard]] Result<> call_daemon(Method method, const google::protobuf::Message& request,
                                   google::protobuf::Message& answer, int fd = -1,
                                   sys::Fd* received = nullptr);

// Keeps the sentence for plugin_last_error() and gives the negative number. [any]
int report(const Error& error) noexcept;

// Runs `body` (Result<int> or Result<>) as the body of a C function. [any]
template <class Body>
int guarded(Body body) noexcept {
  try {
    const auto result = body();
    if (!result) return report(result.error());
    if constexpr (requires { *result + 0; })
      return *result;
    else
      return 0;
  } catch (const std::bad_alloc&) {
    return report({Code::Exhausted, "out of memory"});
  } catch (...) {
    return report({Code::Failed, "an unexpected exception"});
  }
}

// What a C program gave as an enum: there any number is one, here most are undefined to look at.
template <class Enum>
[[nodiscard]] int number_of(const Enum& given) noexcept {
  static_assert(sizeof(Enum) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &given, sizeof number);
  return number;
}

} // namespace mohhos::api::capi
