// A file of the dead-letter store: any bytes are a letter or an error, and what is read is written
// the same again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "manager/dead_letters.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mohhos::manager;
  const auto letter = parse_letter(std::as_bytes(std::span(data, size)));
  if (!letter) return 0;
  const std::string again = serialize(*letter);
  if (!parse_letter(std::as_bytes(std::span(again)))) std::abort();
  return 0;
}
