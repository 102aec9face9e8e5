// The two victims of a hostile peer.
#pragma once

#include <algorithm>
#include <vector>

#include "hostile_peer.hpp"
#include "report.hpp"

namespace mohhos::soak {

// An endpoint that has an honest peer besides; both for about this long.
void soak_endpoint(double seconds, Report& report);

inline double percentile(std::vector<std::uint32_t>& times, double share) {
  if (times.empty()) return 0;
  const auto at =
      times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

} // namespace mohhos::soak
