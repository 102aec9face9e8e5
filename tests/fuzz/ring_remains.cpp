// What a dead receiver and a living sender left in a ring, as the manager reads it. Input: the
// three words of the control page, a position, then the record.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/check.hpp"
#include "ipc/layout.hpp"
#include "ipc/remains.hpp"

using namespace mohhos::ipc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t kCapacity = 4096;
  std::uint64_t words[4];
  if (size < sizeof words) return 0;
  std::memcpy(words, data, sizeof words);
  const auto progress = judge_progress(words[0], words[1], words[2], kCapacity);
  if (progress) {
    CHECK(progress->begun - progress->tail <= kCapacity);
    CHECK(progress->tail % kGrain == 0 && progress->begun % kGrain == 0);
  }
  const std::uint64_t position = words[3] & ~std::uint64_t{kGrain - 1};
  const auto rest = std::as_bytes(std::span(data + sizeof words, size - sizeof words));
  const auto record = parse_record(rest, position, kCapacity);
  if (!record || !*record) return 0;
  CHECK((*record)->payload.size() <= rest.size());
  CHECK((*record)->payload.size() == (*record)->info.size);
  CHECK((*record)->end - position >= kGrain && (*record)->end - position <= kCapacity - kGrain);
  return 0;
}
