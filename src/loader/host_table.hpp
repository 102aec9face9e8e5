// The host table: abi.h's functions over the Endpoint.
//
// The plugin calls C function pointers with the table first; `host_data` leads back here. What is
// [main] in abi.h is refused on other threads (BAD_STATE), because the Endpoint belongs to one
// thread. Nothing here throws.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pthread.h>

#include "base/units.hpp"
#include "ipc/endpoint.hpp"
#include "mohhos/abi.h"
#include "sandbox/boot.hpp"
#include "sys/fd.hpp"

namespace mohhos::loader {

// A Code of the host as the ABI says it. [pure]
constexpr std::int32_t to_abi(Code code) {
  return -static_cast<std::int32_t>(code);
}

class HostTable {
public:
  // The endpoint and the boot block outlive the table. Makes the eventfd that wake() rings.
  [[nodiscard]] static Result<std::unique_ptr<HostTable>> open(ipc::Endpoint& endpoint,
                                                               const sandbox::Boot& boot);
  HostTable(const HostTable&) = delete;
  HostTable& operator=(const HostTable&) = delete;

  [[nodiscard]] const mohhos_host_t* table() const noexcept { return &table_; }

  // Configuration: what config_get gives. [loop]
  void set_config(std::string_view key, std::string_view value);
  [[nodiscard]] const char* find_config(std::string_view key) const;

  // Channels may be opened and messages sent from the first on_start on. [loop]
  void allow_talking() noexcept { may_talk_ = true; }

  // One line of log with a level of abi.h. [any]
  void log(std::int32_t level, std::string_view text) noexcept;

  // The plugin's own work: asked for by wake() or wake_after(). [loop]
  [[nodiscard]] bool take_wake(Monotonic now) noexcept;
  [[nodiscard]] bool woken(Monotonic now) const noexcept {
    return wanted_.load() || wake_at_ <= now;
  }
  [[nodiscard]] Monotonic wake_at() const noexcept { return wake_at_; }
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_.get(); }
  // Asks for one slice, as wake() does. [loop]
  void want_work() noexcept { wanted_.store(true, std::memory_order_relaxed); }

  // Calls back for the timers that are due, and for requests that ended while the plugin waited for
  // another one's answer; true if there were any. A callback's failure ends the process. [loop]
  bool call_back(Monotonic now);
  // When the next timer is due. [loop]
  [[nodiscard]] Monotonic next_timer() const noexcept {
    return timers_.empty() ? Monotonic::max() : timers_.begin()->first;
  }
  [[nodiscard]] bool has_callbacks(Monotonic now) const noexcept {
    return !late_ends_.empty() || next_timer() <= now;
  }

  // A message as the plugin sees it; valid as long as the message and the table. [loop]
  [[nodiscard]] mohhos_message_t view_of(const ipc::Message& message);
  // While the plugin has this view of a message with an attachment, it may take what came along.
  // [loop]
  void offer_memory(const mohhos_message_t* view, const ipc::Message& message);
  void withdraw_memory(const mohhos_message_t* view);
  // Of the last call()'s answer, when its callback has returned. [loop]
  void withdraw_answer();

private:
  HostTable(ipc::Endpoint& endpoint, const sandbox::Boot& boot, sys::Fd wake_fd);
  [[nodiscard]] bool on_main_thread() const noexcept {
    return ::pthread_equal(::pthread_self(), main_thread_) != 0;
  }
  [[nodiscard]] bool may_talk_here() const noexcept { return may_talk_ && on_main_thread(); }
  [[nodiscard]] const char* name_of(ChannelId channel);
  void finish_request(mohhos_reply_fn done, void* user,
                      Result<const ipc::Message*> answer) noexcept;
  // A reply, with a memory unless it is 0.
  [[nodiscard]] std::int32_t respond(const mohhos_request_t* request, bool failed, const void* data,
                                     std::size_t size, std::uint64_t memory,
                                     std::uint64_t timeout_ns);
  // Whether the channel had a loan that was not committed.
  bool take_loan_back(std::uint64_t channel);
  // `memory`: that was taken out of the answer's message already.
  void tell_end(mohhos_reply_fn done, void* user, const Result<const ipc::Message*>& answer,
                std::optional<ipc::GivenMemory> memory);
  void offer_memory(const mohhos_message_t* view, std::optional<ipc::GivenMemory> memory);
  [[nodiscard]] Result<ipc::GivenMemory> take_offer(const mohhos_message_t* view);
  struct Calls;       // the functions of the table: host_calls.hpp
  struct MemoryCalls; // and host_memories.hpp

  struct Timer {
    mohhos_timer_fn then;
    void* user;
  };
  // A request that ended inside of call(): no callback of the plugin runs inside another one.
  struct LateEnd {
    mohhos_reply_fn done;
    void* user;
    Result<ipc::Message> answer;
    std::vector<std::byte> payload;
    std::optional<ipc::GivenMemory> memory;
  };
  struct Offer {
    const mohhos_message_t* view;
    ipc::Message message;                  // whose memory is still the endpoint's
    std::optional<ipc::GivenMemory> given; // or it is ours already
    bool taken = false;
  };

  ipc::Endpoint& endpoint_;
  const sandbox::Boot& boot_;
  mohhos_host_t table_{};
  pthread_t main_thread_;
  bool may_talk_ = false;
  std::vector<std::uint64_t> loaned_; // the channels with an open loan
  std::uint64_t last_request_ = 0;
  bool in_call_ = false;
  std::vector<std::byte> answer_; // call()'s, until the next
  std::string words_;
  std::deque<LateEnd> late_ends_;
  std::vector<Offer> offers_;
  const mohhos_message_t* answered_ = nullptr; // call()'s, with a memory
  std::multimap<Monotonic, Timer> timers_;
  std::map<std::string, std::string, std::less<>> config_;
  std::atomic<std::uint32_t> lines_lost_ = 0;
  sys::Fd wake_fd_;
  std::atomic<bool> wanted_ = false; // partner: wake() on other threads
  Monotonic wake_at_ = Monotonic::max();
  std::map<ChannelId, std::string> names_;
  // names_ without the search, for the usual run of messages on one channel.
  ChannelId last_channel_;
  const char* last_name_ = "";
};

} // namespace mohhos::loader
