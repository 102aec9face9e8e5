// The two victims of a hostile peer.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "hostile_peer.hpp"
#include "report.hpp"
#include "stall.hpp"

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

inline void report_stalls(Report& report, const std::string& what, const Stalls& calm,
                          const Stalls& attacked) {
  const auto tell = [&](const char* when, const Stalls& stalls) {
    const std::string begin = what + " " + when;
    report.figure(begin + ": longest", static_cast<double>(stalls.longest_ns) / 1e6, "ms");
    report.figure("… without its own waiting for a processor",
                  static_cast<double>(stalls.longest_held_ns) / 1e6, "ms");
    report.figure("… above 10 ms", static_cast<double>(stalls.above_10_ms), "");
    report.figure("… above 10 ms without that waiting",
                  static_cast<double>(stalls.held_above_10_ms), "");
  };
  tell("undisturbed", calm);
  tell("under attack", attacked);
}

} // namespace mohhos::soak
