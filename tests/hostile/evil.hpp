// The evil plugins of plugins/, and how what they said is counted.
#pragma once

#include <sstream>
#include <string>
#include <string_view>

#include "harness/daemon.hpp"

namespace mohhos::test {

inline int count_of(const std::string& text, std::string_view word) {
  int count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

inline std::string lines_with(const std::string& text, std::string_view word) {
  std::istringstream lines(text);
  std::string found;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) found += line + "\n";
  }
  return found;
}

inline std::string signed_file(Daemon& daemon, const std::string& name) {
  return daemon.sign(std::string(EVIL_DIR) + "/" + name + ".so");
}
inline Outcome load_and_start(Daemon& daemon, const std::string& name) {
  return daemon.load_and_start(signed_file(daemon, name), name);
}

} // namespace mohhos::test
