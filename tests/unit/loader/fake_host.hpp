// A host table without a host: what a plugin sends, says and answers is written down, nothing is
// delivered.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mohhos/abi.h"

namespace mohhos::test {

struct Sent {
  std::uint32_t type = 0;
  std::string bytes;
  mohhos_memory_t memory = 0;
};
struct Answered {
  std::uint64_t correlation = 0;
  std::int32_t status = 0;
  std::string bytes;
  mohhos_memory_t memory = 0;
};

class FakeHost {
public:
  FakeHost() {
    table_.struct_size = sizeof table_;
    table_.abi_version = MOHHOS_ABI_VERSION;
    table_.plugin_id = 7;
    table_.generation = 1;
    table_.plugin_name = "under-test";
    table_.host_data = this;
    table_.log = [](const mohhos_host_t* host, std::int32_t, const char* text) {
      self(host).logged.emplace_back(text);
    };
    table_.fail = [](const mohhos_host_t* host, const char* text) { self(host).failure = text; };
    table_.config_get = [](const mohhos_host_t* host, const char* key) -> const char* {
      const auto found = self(host).config.find(key);
      return found != self(host).config.end() ? found->second.c_str() : nullptr;
    };
    table_.check_capability = [](const mohhos_host_t*, std::uint32_t capability) -> std::int32_t {
      return capability == MOHHOS_CAP_ACCESS_FILESYSTEM ? 1 : 0;
    };
    table_.now_ns = [](const mohhos_host_t*) -> std::uint64_t { return 1000; };
    table_.wake = [](const mohhos_host_t* host) { self(host).woken = true; };
    table_.open_channel = [](const mohhos_host_t* host, std::uint64_t, const char* name,
                             std::uint64_t, std::uint64_t,
                             mohhos_channel_t* channel) -> std::int32_t {
      self(host).opened.emplace_back(name);
      if (self(host).open_result < 0) return self(host).open_result;
      *channel = self(host).opened.size();
      return MOHHOS_OK;
    };
    table_.send = [](const mohhos_host_t* host, mohhos_channel_t,
                     const mohhos_send_options_t* options, const void* data,
                     std::size_t size) -> std::int32_t {
      if (self(host).room == 0) return MOHHOS_E_REFUSED;
      --self(host).room;
      self(host).sent.push_back(
          {options->type, {static_cast<const char*>(data), size}, options->memory});
      return MOHHOS_OK;
    };
    table_.loan = [](const mohhos_host_t* host, mohhos_channel_t, const mohhos_send_options_t*,
                     std::size_t size, void** data) -> std::int32_t {
      if (self(host).room == 0) return MOHHOS_E_REFUSED;
      self(host).loaned.assign(size, '?');
      self(host).lent = true;
      *data = self(host).loaned.data();
      return MOHHOS_OK;
    };
    table_.commit = [](const mohhos_host_t* host, mohhos_channel_t) -> std::int32_t {
      if (!self(host).lent) return MOHHOS_E_BAD_STATE;
      self(host).lent = false;
      self(host).sent.push_back({0, self(host).loaned});
      return MOHHOS_OK;
    };
    table_.request = [](const mohhos_host_t* host, mohhos_channel_t,
                        const mohhos_send_options_t* options, const void* data, std::size_t size,
                        std::uint64_t, mohhos_reply_fn then, void* whose) -> std::int32_t {
      if (self(host).request_result < 0) return self(host).request_result;
      self(host).asked_with = options->memory;
      self(host).asked.emplace_back(static_cast<const char*>(data), size);
      self(host).done = then;
      self(host).user = whose;
      self(host).pending.push_back({then, whose});
      return ++self(host).last_request;
    };
    table_.cancel = [](const mohhos_host_t* host, std::int32_t request) -> std::int32_t {
      self(host).cancelled.push_back(request);
      return self(host).pending.empty() ? MOHHOS_E_NOT_FOUND : MOHHOS_OK;
    };
    table_.begin_sync = [](const mohhos_host_t* host, mohhos_channel_t channel, std::uint64_t,
                           mohhos_reply_fn then, void* whose) -> std::int32_t {
      if (self(host).sync_result < 0) return self(host).sync_result;
      self(host).synced.push_back(channel);
      self(host).pending.push_back({then, whose});
      return MOHHOS_OK;
    };
    table_.publish = [](const mohhos_host_t* host, std::uint32_t event,
                        const mohhos_send_options_t*, const void* data,
                        std::size_t size) -> std::int32_t {
      self(host).published.push_back({event, {static_cast<const char*>(data), size}});
      return 1;
    };
    table_.call = [](const mohhos_host_t* host, mohhos_channel_t, const mohhos_send_options_t*,
                     const void* data, std::size_t size, std::uint64_t,
                     mohhos_message_t* reply) -> std::int32_t {
      self(host).asked.emplace_back(static_cast<const char*>(data), size);
      *reply = message(self(host).call_words, MOHHOS_MSG_DATA_RESPONSE);
      self(host).offer(*reply, self(host).call_memory);
      return self(host).call_result;
    };
    table_.call_after = [](const mohhos_host_t* host, std::uint64_t delay_ns, mohhos_timer_fn then,
                           void* whose) -> std::int32_t {
      self(host).timers.emplace(delay_ns, std::pair(then, whose));
      return MOHHOS_OK;
    };
    table_.reply = [](const mohhos_host_t* host, const mohhos_request_t* request,
                      std::int32_t status, const void* data, std::size_t size,
                      std::uint64_t) -> std::int32_t {
      self(host).answers.push_back(
          {request->correlation, status, {static_cast<const char*>(data), size}});
      return MOHHOS_OK;
    };
    table_.make_memory = [](const mohhos_host_t* host, std::uint64_t size, std::uint64_t,
                            mohhos_memory_t* memory, void** data) -> std::int32_t {
      if (self(host).make_result < 0) return self(host).make_result;
      *memory = ++self(host).last_memory;
      auto& bytes = self(host).memories[*memory];
      bytes.assign(size, '\0');
      *data = bytes.data();
      return MOHHOS_OK;
    };
    table_.take_memory = [](const mohhos_host_t* host, const mohhos_message_t* from,
                            mohhos_memory_t* memory, const void** data,
                            std::uint64_t* size) -> std::int32_t {
      FakeHost& me = self(host);
      if (me.take_result < 0) return me.take_result;
      const auto offered = me.offers.find(from);
      if (offered == me.offers.end()) return MOHHOS_E_NOT_FOUND;
      ++me.taken;
      *memory = offered->second;
      *data = me.memories.at(*memory).data();
      *size = me.memories.at(*memory).size();
      return MOHHOS_OK;
    };
    table_.drop_memory = [](const mohhos_host_t* host, mohhos_memory_t memory) -> std::int32_t {
      return self(host).memories.erase(memory) == 0 ? MOHHOS_E_NOT_FOUND : MOHHOS_OK;
    };
    table_.reply_memory = [](const mohhos_host_t* host, const mohhos_request_t* request,
                             const void* data, std::size_t size, mohhos_memory_t memory,
                             std::uint64_t) -> std::int32_t {
      self(host).answers.push_back(
          {request->correlation, MOHHOS_OK, {static_cast<const char*>(data), size}, memory});
      return MOHHOS_OK;
    };
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  [[nodiscard]] const mohhos_host_t* table() const { return &table_; }

  // Ends the oldest request (or sync) that is open; `memory`: with one that holds these bytes.
  std::int32_t answer(std::string_view text, std::int32_t status = MOHHOS_OK,
                      const std::string& memory = {}) {
    const auto [then, whose] = pending.front();
    pending.erase(pending.begin());
    auto reply = message(text, MOHHOS_MSG_DATA_RESPONSE, 1);
    offer(reply, memory);
    const auto result = then(whose, status, &reply);
    offers.erase(&reply);
    return result;
  }
  // With this very message, until its callback has returned: as the host does.
  void offer(mohhos_message_t& with, const std::string& bytes) {
    offers.erase(&with);
    if (bytes.empty()) return;
    with.flags |= MOHHOS_MESSAGE_MEMORY;
    memories[++last_memory] = bytes;
    offers[&with] = last_memory;
  }
  // The next timer's time has come.
  std::int32_t pass_time() {
    const auto [then, whose] = timers.extract(timers.begin()).mapped();
    return then(whose);
  }

  // A message for on_message; the text must outlive it.
  static mohhos_message_t message(std::string_view text, std::uint32_t type = MOHHOS_MSG_CUSTOM,
                                  std::uint64_t correlation = 0) {
    mohhos_message_t result{};
    result.struct_size = sizeof result;
    result.id = 1;
    result.sender = 9;
    result.correlation = correlation;
    result.type = type;
    result.size = text.size();
    result.data = text.empty() ? nullptr : text.data();
    result.sender_name = "somebody";
    return result;
  }

  std::map<std::string, std::string> config;
  std::vector<std::string> logged;
  std::string failure;
  std::vector<std::string> opened;
  std::int32_t open_result = MOHHOS_OK;
  std::vector<Sent> sent;
  std::size_t room = SIZE_MAX; // sends until the ring is 'full'
  std::vector<Answered> answers;
  std::string loaned;
  bool lent = false;
  std::vector<Sent> published; // type: the event
  std::vector<std::string> asked;
  std::int32_t last_request = 0;
  std::vector<std::int32_t> cancelled;
  std::int32_t request_result = MOHHOS_OK;
  std::vector<mohhos_channel_t> synced; // by begin_sync
  std::int32_t sync_result = MOHHOS_OK;
  std::int32_t call_result = MOHHOS_OK; // of a blocking call, with call_words
  std::string call_words;
  std::string call_memory;                         // that comes with it
  mohhos_memory_t asked_with = 0;                  // of the last request
  std::map<mohhos_memory_t, std::string> memories; // made, or came; and not dropped
  std::map<const mohhos_message_t*, mohhos_memory_t> offers;
  mohhos_memory_t last_memory = 0;
  std::int32_t make_result = MOHHOS_OK;
  std::int32_t take_result = MOHHOS_OK;
  int taken = 0;
  std::vector<std::pair<mohhos_reply_fn, void*>> pending; // requests, in order
  std::multimap<std::uint64_t, std::pair<mohhos_timer_fn, void*>> timers;
  mohhos_reply_fn done = nullptr; // of the last request
  void* user = nullptr;
  bool woken = false;

private:
  static FakeHost& self(const mohhos_host_t* host) {
    return *static_cast<FakeHost*>(host->host_data);
  }
  mohhos_host_t table_{};
};

} // namespace mohhos::test
