// Each limit of a plugin, its value, and what enforces it here: a table with a column per backend.
#pragma once

#include <vector>

#include "model/info.hpp"

namespace mohhos::manager {

enum class LimitsBackend : unsigned char { None, CgroupV1, CgroupV2 };

// `walls`: those that stand around the plugin. [pure]
[[nodiscard]] std::vector<model::LimitInForce>
report_limits(const model::ResourceLimits& limits, model::WallSet walls, LimitsBackend backend);

} // namespace mohhos::manager
