// What a plugin writes to its stdout: cut into lines of bounded length, shown without a control
// character.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "monitor/audit.hpp"
#include "monitor/logs.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mohhos::monitor;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  LineSplitter splitter;
  const auto check = [](std::string_view line) {
    if (line.size() > kLongestLine) std::abort();
    for (const char c : escape_controls(line))
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) std::abort();
    for (const char c : json_string(line))
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
  };
  splitter.feed(bytes.substr(0, size / 2), check);
  splitter.feed(bytes.substr(size / 2), check);
  splitter.finish(check);
  return 0;
}
