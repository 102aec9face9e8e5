// Parties of a broker, what they ask, and what its plans say; what every test of it starts from.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "ipc/broker.hpp"
#include "ipc/link_codec.hpp"

namespace mohhos::ipc::testing {

inline Party plugin(std::uint64_t id, std::string name, std::vector<std::string> send_to = {"*"},
                    std::vector<std::string> receive_from = {"*"},
                    model::PluginType type = model::PluginType::Custom) {
  Party party{.id = {id},
              .name = std::move(name),
              .type = type,
              .generation = {1},
              .capabilities = {},
              .acl = {}};
  party.acl.send_to = std::move(send_to);
  party.acl.receive_from = std::move(receive_from);
  return party;
}
inline Party application(std::uint64_t id) {
  return {.id = {id},
          .name = "plugctl",
          .type = {},
          .generation = {1},
          .capabilities = model::kAllCapabilities,
          .acl = {}};
}

inline OpenChannel by_name(const char* name, std::uint32_t sequence = 1) {
  OpenChannel request;
  request.header.sequence = sequence;
  put_text(request.target_name, name);
  return request;
}
inline OpenChannel by_id(std::uint64_t id) {
  OpenChannel request;
  request.target_id = id;
  return request;
}
inline OpenGroup group(GroupKind kind, std::uint32_t value) {
  OpenGroup request;
  request.kind = kind;
  request.value = value;
  return request;
}
inline Subscribe wish(std::uint32_t event, std::uint64_t publisher = 0) {
  Subscribe request;
  request.publisher_id = publisher;
  request.count = 1;
  request.events[0] = event;
  return request;
}

// Plugins of these names, with the ids 1, 2, … in that order.
inline Broker of_plugins(std::initializer_list<const char*> names) {
  Broker broker;
  std::uint64_t id = 0;
  for (const char* name : names) (void)broker.join(plugin(++id, name));
  return broker;
}

template <class T>
std::vector<std::pair<std::uint64_t, T>> all(const Plan& plan) {
  std::vector<std::pair<std::uint64_t, T>> found;
  for (const Delivery& delivery : plan.deliveries)
    if (const T* const record = std::get_if<T>(&delivery.record))
      found.emplace_back(delivery.to.value, *record);
  return found;
}
inline Code refused(const Plan& plan) {
  const auto found = all<ChannelRefused>(plan);
  return found.size() == 1 ? static_cast<Code>(found[0].second.code) : Code{};
}

} // namespace mohhos::ipc::testing
