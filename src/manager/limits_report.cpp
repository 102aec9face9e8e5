#include "manager/limits_report.hpp"

#include <array>

namespace mohhos::manager {
namespace {

using model::ResourceLimits;
using model::Wall;

constexpr std::string_view kTmp = "size of the plugin's own /tmp";
constexpr std::string_view kInodes = "inodes of the plugin's own /tmp";

struct Row {
  std::string_view name;
  std::uint64_t (*value)(const ResourceLimits&);
  Wall wall;              // that stands when the kernel's groups enforce it
  std::string_view in_v1; // empty: no group does
  std::string_view in_v2;
  std::string_view otherwise;
};

template <auto Member>
std::uint64_t value_of(const ResourceLimits& limits) {
  return limits.*Member;
}

constexpr std::array kRows = {
    Row{"max_memory_mb", value_of<&ResourceLimits::max_memory_mb>, Wall::MemoryLimit,
        "cgroup v1 memory.limit_in_bytes", "cgroup v2 memory.max",
        "RLIMIT_DATA, and the manager ends it (sampled every second)"},
    Row{"max_cpu_percent", value_of<&ResourceLimits::max_cpu_percent>, Wall::CpuLimit,
        "cgroup v1 cpu.cfs_quota_us", "cgroup v2 cpu.max", "nothing (reported only)"},
    Row{"max_processes", value_of<&ResourceLimits::max_processes>, Wall::ProcessLimit,
        "cgroup v1 pids.max", "cgroup v2 pids.max", "RLIMIT_NPROC"},
    Row{"max_file_descriptors", value_of<&ResourceLimits::max_file_descriptors>, Wall::Rlimits, "",
        "", "RLIMIT_NOFILE"},
    Row{"max_network_connections", value_of<&ResourceLimits::max_network_connections>,
        Wall::NetNamespace, "", "", "an empty network namespace (no connection at all)"},
    Row{"max_execution_time_ms", value_of<&ResourceLimits::max_execution_time_ms>, Wall::Rlimits,
        "", "", "the manager ends it (on_init, on_start, on_stop)"},
    Row{"max_tmp_mb", value_of<&ResourceLimits::max_tmp_mb>, Wall::PrivateRoot, "", "", kTmp},
    Row{"max_tmp_files", value_of<&ResourceLimits::max_tmp_files>, Wall::PrivateRoot, "", "",
        kInodes},
};

std::string_view enforcer_of(const Row& row, model::WallSet walls, LimitsBackend backend) {
  const bool by_group = !row.in_v1.empty() && (walls & model::wall_bit(row.wall)) != 0;
  if (!by_group || backend == LimitsBackend::None) return row.otherwise;
  return backend == LimitsBackend::CgroupV1 ? row.in_v1 : row.in_v2;
}

} // namespace

std::vector<model::LimitInForce> report_limits(const model::ResourceLimits& limits,
                                               model::WallSet walls, LimitsBackend backend) {
  std::vector<model::LimitInForce> report;
  report.reserve(kRows.size());
  for (const Row& row : kRows)
    report.push_back(
        {std::string(row.name), row.value(limits), std::string(enforcer_of(row, walls, backend))});
  return report;
}

} // namespace mohhos::manager
