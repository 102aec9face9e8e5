// All that can be asked about a plugin: what `plugctl info`, the RPC and the C API show.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "model/grant.hpp"
#include "model/metadata.hpp"
#include "model/state.hpp"
#include "model/wall.hpp"

namespace mohhos::model {

struct LimitInForce {
  std::string name; // "max_memory_mb"
  std::uint64_t value = 0;
  std::string
      enforced_by; // "cgroup v1 memory.limit_in_bytes", "RLIMIT_NOFILE", "nothing (reported only)"
};

struct PluginInfo {
  PluginId id;
  Metadata metadata;
  State state = State::Unloaded;
  std::int32_t pid = 0; // as the warden's pid namespace has it; 0: no process
  Generation generation;
  std::string signer; // key id, "RWQ…" hexadecimal as minisign prints it
  TrustLevel trust = TrustLevel::None;
  WallSet walls = 0;
  SandboxLevel level = SandboxLevel::None;
  Grant grant;
  std::vector<LimitInForce> limits;
  std::uint64_t load_us = 0;  // request to LOADED
  std::uint64_t start_us = 0; // request to RUNNING
  std::uint64_t memory_bytes = 0;
  double cpu_percent = 0;             // of one CPU, since the last sample
  std::string cause;                  // of the last error; empty if there was none
  std::uint64_t load_time_us = 0;     // wall clock, µs since 1970
  std::uint64_t last_activity_us = 0; // wall clock
  std::uint64_t refusals = 0;
  std::uint32_t restarts = 0; // since it was loaded
  bool restarting = false;    // it died, and is being brought back
  std::string path;           // where the bytes came from, for people
  std::string sha256;
};

} // namespace mohhos::model
