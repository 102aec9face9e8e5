// A segment of the journal after whatever a disk did to it.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "ipc/layout.hpp"
#include "manager/journal_format.hpp"

using namespace mohhos;
using namespace mohhos::manager;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const SegmentKey key{};
  const auto bytes = std::as_bytes(std::span(data, size));
  SegmentScan scan(bytes, key);
  std::uint64_t end = 0;
  while (const auto entry = scan.next()) {
    CHECK(entry->offset >= end && entry->size >= sizeof(EntryHead));
    end = entry->offset + entry->size;
    CHECK(entry->body.size() <= size);
  }
  std::uint64_t damaged = 0;
  for (const Damage& damage : scan.damage()) damaged += damage.bytes;
  CHECK(damaged <= size);
  // The bodies are parsed whatever the checksum says.
  (void)parse_open(bytes);
  (void)parse_ack(bytes);
  (void)parse_adopt(bytes);
  const auto message = parse_message(bytes);
  if (message) CHECK(message->payload.size() < size && message->place.begin < message->place.end);
  return 0;
}
