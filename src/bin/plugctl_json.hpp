// The daemon's answers as docs/cli.md's JSON: snake_case, numbers as numbers, every field always
// there.
#pragma once

#include "mohhos/v1/control.pb.h"
#include "plugctl_output.hpp"

namespace mohhos::plugctl {

// [pure]
void write_info(const v1::PluginInfo& info, Json& json); // adds to an object
[[nodiscard]] Json attempt_json(const v1::Attempt& attempt);
[[nodiscard]] Json log_json(const v1::LogEntry& entry);
[[nodiscard]] Json event_json(const v1::Event& event);
[[nodiscard]] Json channel_json(const v1::ChannelInfo& channel);
void write_status(const v1::DaemonStatus& status, Json& json);

} // namespace mohhos::plugctl
