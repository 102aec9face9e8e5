// What a manifest wants to happen when the plugin's process ends by itself.
#pragma once

#include <chrono>
#include <cstdint>

namespace mohhos::model {

struct RestartPolicy {
  bool on_crash = false;                  // false: it goes to ERROR
  std::chrono::milliseconds backoff{100}; // from the end of a process to the next one's beginning
  std::uint32_t limit = 10;               // restarts in a row, without a minute of running between
  std::uint32_t dead_letter_after = 3;    // deaths on one message before it is taken out
};

} // namespace mohhos::model
