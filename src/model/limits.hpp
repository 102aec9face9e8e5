// US-004's resource_limits_t, and the three that a sandbox needs besides. 0 is never 'unlimited':
// every plugin has every limit, and these are the defaults.
#pragma once

#include <cstdint>

namespace mohhos::model {

struct ResourceLimits {
  std::uint64_t max_memory_mb = 256;
  std::uint32_t max_cpu_percent = 100; // of one CPU; 200 is two
  std::uint32_t max_file_descriptors = 256;
  std::uint32_t max_network_connections = 0;
  std::uint64_t max_execution_time_ms = 5000; // on_init, on_start and on_stop each
  std::uint32_t max_processes = 32;           // processes and threads
  std::uint32_t max_tmp_mb = 16;              // the plugin's own /tmp
  std::uint32_t max_tmp_files = 1024;         // inodes of it
};

} // namespace mohhos::model
