// A file of the dead-letter store: any bytes are a letter or an error, and what is read is written
// the same again. The hash of a file would keep a fuzzer out, so the bytes are also taken for what
// it covers: head and payload, with a preamble that fits.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "base/check.hpp"
#include "manager/dead_letters.hpp"
#include "security/image.hpp"

namespace {

using namespace mohhos;
using namespace mohhos::manager;

void read_and_write(std::span<const std::byte> file) {
  const auto letter = parse_letter(file);
  if (!letter) return;
  const std::string again = serialize(*letter);
  const auto back = parse_letter(std::as_bytes(std::span(again)));
  CHECK(back && back->payload == letter->payload && serialize(*back) == again);
}

// Two bytes say how long the head is.
std::string with_preamble(std::span<const std::uint8_t> bytes) {
  const std::uint64_t head = bytes[0] | std::uint64_t{bytes[1]} << 8;
  const std::string rest(bytes.begin() + 2, bytes.end());
  const std::array<std::uint64_t, 2> sizes = {head, rest.size() - head};
  const std::string hash = security::sha256_hex(std::as_bytes(std::span(rest)));
  std::string file = serialize(DeadLetter{}); // nothing but magic, sizes, hash
  std::memcpy(file.data() + 8, sizes.data(), sizeof sizes);
  std::ranges::copy(hash, file.begin() + 24);
  return file + rest;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_and_write(std::as_bytes(std::span(data, size)));
  if (size >= 2) {
    const std::string file = with_preamble({data, size});
    read_and_write(std::as_bytes(std::span(file)));
  }
  return 0;
}
