// What the warden kept of a book of memories: whatever it is, restoring it ends in a verdict, and
// what is taken can be saved again, and comes to an end when nobody is there any more.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "ipc/memory_book.hpp"

using namespace mohhos::ipc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  MemoryBook book;
  if (!book.restore(std::as_bytes(std::span(data, size)))) return 0;
  MemoryBook again;
  CHECK(again.restore(book.save()));
  again.sweep([](mohhos::PluginId) { return false; }, [](const Passage&) { return false; });
  (void)again.take_unused();
  CHECK(again.empty());
  return 0;
}
