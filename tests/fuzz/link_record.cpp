// A link record from either side. First byte: which side says it.
#include <cstddef>
#include <cstdint>

#include "ipc/link_codec.hpp"

using namespace mohhos::ipc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const LinkSide from = data[0] % 2 == 0 ? LinkSide::Manager : LinkSide::Endpoint;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto header = check_link_record(bytes, from);
  if (header) CHECK(header->size == bytes.size());
  return 0;
}
