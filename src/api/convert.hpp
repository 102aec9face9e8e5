// The daemon's nouns as the protocol's messages. Field by field, nothing decided here.
#pragma once

#include "base/error.hpp"
#include "model/info.hpp"
#include "model/refusal.hpp"
#include "mohhos/v1/control.pb.h"

namespace mohhos::api {

// [pure]
void write_info(const model::PluginInfo& info, v1::PluginInfo& message);
void write_attempt(const model::Refusal& refusal, v1::Attempt& message);
void write_walls(model::WallSet walls, google::protobuf::RepeatedPtrField<std::string>* names);
[[nodiscard]] std::string_view
trust_name(model::TrustLevel level) noexcept; // "none", "community", … [pure]

} // namespace mohhos::api
