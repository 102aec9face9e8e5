#include "sys/daemon_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <string>

#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::sys {

void say_line(std::string_view text) {
  std::string line;
  if (std::getenv("JOURNAL_STREAM") == nullptr) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    char stamp[32];
    ::gmtime_r(&now, &parts);
    line.assign(stamp, std::strftime(stamp, sizeof stamp, "%FT%TZ ", &parts));
  }
  line += program_invocation_short_name;
  line += ": ";
  line += text;
  std::ranges::replace_if(line, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, '?');
  line += '\n';
  // A log that cannot be written is nothing that we could tell anybody.
  static_cast<void>(sys::write_all(STDERR_FILENO, line));
}

} // namespace mohhos::sys
