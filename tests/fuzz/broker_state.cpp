// What the warden kept of a broker: whatever it is, restoring it ends in a verdict, and what is
// taken is a state that can be saved again.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "ipc/broker.hpp"

using namespace mohhos::ipc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Broker broker;
  if (!broker.restore(std::as_bytes(std::span(data, size)))) return 0;
  Broker again;
  CHECK(again.restore(broker.save()));
  (void)again.sweep();
  CHECK(again.channels().empty());
  return 0;
}
