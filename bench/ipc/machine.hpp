// The facts without which a figure says nothing.
#pragma once

#include <nlohmann/json.hpp>

namespace mohhos::bench {

[[nodiscard]] nlohmann::json machine_facts();

} // namespace mohhos::bench
