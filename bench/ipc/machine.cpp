#include "machine.hpp"

#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include <sched.h>
#include <sys/utsname.h>

#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

std::string line_of(const char* file, const std::string& field) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(field)) continue;
    const std::size_t colon = line.find(':');
    return colon == std::string::npos ? line
                                      : line.substr(line.find_first_not_of(" \t", colon + 1));
  }
  return "";
}

} // namespace

nlohmann::json machine_facts() {
  utsname kernel{};
  ::uname(&kernel);
  std::array<double, 3> load{};
  ::getloadavg(load.data(), 3);
  std::array<char, 32> date{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M UTC", &parts);
  const std::string flags = line_of("/proc/cpuinfo", "flags");
  return {
      {"date", date.data()},
      {"cpu", line_of("/proc/cpuinfo", "model name")},
      {"cpus", CPU_COUNT(&kAllowedCpus)},
      {"virtual", (" " + flags + " ").find(" hypervisor ") != std::string::npos},
      {"kernel", std::string(kernel.sysname) + " " + kernel.release + " " + kernel.machine},
      {"memory", line_of("/proc/meminfo", "MemTotal")},
      {"load", load[0]},
      {"compiler", std::string("gcc ") + __VERSION__},
  };
}

} // namespace mohhos::bench
