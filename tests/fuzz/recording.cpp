// Any bytes are a recording that reads back as itself, or an error with a place in it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "ipc/recording.hpp"

using namespace mohhos;
using namespace mohhos::ipc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t at = 0;
  auto reader = RecordingReader::open([&](std::span<std::byte> to) -> Result<std::size_t> {
    const std::size_t part = std::min(to.size(), size - at);
    if (part != 0) std::memcpy(to.data(), data + at, part);
    at += part;
    return part;
  });
  if (!reader) return 0;
  std::vector<std::byte> again;
  put_recording_head(again, reader->recording());
  RecordedEnd end;
  for (;;) {
    const auto entry = reader->next();
    if (!entry) return 0;
    if (!*entry) break;
    if (const auto* message = std::get_if<RecordedMessage>(&**entry)) {
      if (message->header.missed != 0) return 0; // written by something else
      put_recorded_message(again, message->header, message->payload);
      ++end.messages;
    } else {
      const auto& gap = std::get<RecordedGap>(**entry);
      put_recorded_gap(again, gap);
      end.missed += gap.missed;
    }
  }
  put_recorded_end(again, end);
  if (again.size() != size || std::memcmp(again.data(), data, size) != 0) std::abort();
  return 0;
}
