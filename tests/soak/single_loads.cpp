// Every shared word is loaded exactly once for each message. Clang calls us at each load of the
// ring's code (-fsanitize-coverage=trace-loads, tests/soak/CMakeLists.txt); we count those that lie
// in memory which the peer can write. A word that is loaded twice could be judged once and used
// with another value: the double fetch of CVE-2015-8550 and its family.
//
//   single_loads [SECONDS]
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "ipc/ring.hpp"
#include "report.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;

constexpr std::uint64_t kCapacity = 4096;

// One process's memory as a ring; its second half stands for the second mapping.
struct alignas(4096) Memory {
  DataHeader header;
  Control control;
  alignas(4096) std::array<std::byte, 2 * kCapacity> data{};
};
Memory memory;

struct Watched {
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  bool on = false;
  std::map<std::uintptr_t, int> loads; // of each byte: half a word again is a second load too
};
Watched watched;

[[clang::no_sanitize("coverage")]] void note_load(const void* address, std::size_t size) {
  const auto* at = static_cast<const std::byte*>(address);
  if (!watched.on || at < watched.begin || at >= watched.end) return;
  watched.on = false; // the map's own loads
  for (std::size_t i = 0; i < size; ++i) ++watched.loads[reinterpret_cast<std::uintptr_t>(at + i)];
  watched.on = true;
}

// Runs `work` and returns, for what the peer can write, how often each byte was loaded.
template <class Work>
std::map<std::uintptr_t, int> loads_of(const void* begin, std::size_t bytes, Work&& work) {
  watched = {
      static_cast<const std::byte*>(begin), static_cast<const std::byte*>(begin) + bytes, true, {}};
  work();
  watched.on = false;
  return watched.loads;
}

int most(const std::map<std::uintptr_t, int>& loads) {
  int found = 0;
  for (const auto& [address, count] : loads) found = std::max(found, count);
  return found;
}

// What a careless receiver would do: it asks the ring for the length again when it needs it.
std::uint64_t naive_pop(const std::byte* record) {
  const auto* publish = reinterpret_cast<const std::uint64_t*>(record);
  if (PublishWord::unpack(__atomic_load_n(publish, __ATOMIC_ACQUIRE)).size > kCapacity) return 0;
  return PublishWord::unpack(__atomic_load_n(publish, __ATOMIC_RELAXED)).length();
}

struct Tally {
  std::uint64_t operations = 0;
  std::uint64_t loads = 0;
  std::uint64_t twice = 0;  // bytes loaded more than once in one operation
  std::uint64_t unseen = 0; // operations without any load: the instrument is blind
};

void note(Tally& tally, Report& report, std::string_view what,
          const std::map<std::uintptr_t, int>& loads) {
  ++tally.operations;
  if (loads.empty()) {
    ++tally.unseen;
    report.note(fmt::format("{}: no load was seen", what));
  }
  for (const auto& [address, count] : loads) {
    tally.loads += static_cast<std::uint64_t>(count);
    if (count == 1) continue;
    ++tally.twice;
    report.note(fmt::format("{}: {} loads of the byte at {}", what, count,
                            address - reinterpret_cast<std::uintptr_t>(&memory)));
  }
}

int soak(double seconds) {
  Report report("single_loads");
  Tally tally;
  RingSender sender({.header = &memory.header,
                     .map = RingMap<std::byte>::of(memory.data.data(), kCapacity),
                     .control = &memory.control},
                    1);
  RingReceiver receiver({.header = &memory.header,
                         .map = RingMap<const std::byte>::of(memory.data.data(), kCapacity),
                         .control = &memory.control});
  std::mt19937_64 random(5);
  std::uint64_t messages = 0;
  const auto began = Clock::now();
  do {
    for (int i = 0; i < 20'000; ++i, ++messages) {
      Outgoing about{};
      if (i % 3 == 0) about.correlation = 1;
      const auto spacing = i % 2 != 0 ? Spacing::Close : Spacing::Apart;
      std::span<std::byte> space;
      const auto size = static_cast<std::uint32_t>(random() % 3000);
      // The receiver's words, as the sender loads them.
      // Its own idea of the tail does for most messages: then it loads nothing.
      const auto loaning = loads_of(&memory.control, sizeof memory.control,
                                    [&] { (void)sender.loan(size, about, space, spacing); });
      if (!loaning.empty()) note(tally, report, "loan", loaning);
      const auto sending =
          loads_of(&memory.control, sizeof memory.control, [&] { sender.commit(); });
      if (!sending.empty()) note(tally, report, "commit", sending);
      const auto waking =
          loads_of(&memory.control, sizeof memory.control, [&] { (void)sender.must_wake(); });
      note(tally, report, "the sender's must_wake", waking);
      // The sender's words, as the receiver loads them.
      View view;
      const auto receiving =
          loads_of(memory.data.data(), memory.data.size(), [&] { (void)receiver.next(view); });
      note(tally, report, "next", receiving);
      const auto releasing =
          loads_of(memory.data.data(), memory.data.size(), [&] { receiver.release(view); });
      tally.twice += releasing.size(); // it needs nothing of the sender's
      const auto looking =
          loads_of(memory.data.data(), memory.data.size(), [&] { (void)receiver.ready(); });
      note(tally, report, "ready", looking);
      const auto telling = loads_of(&memory.header, sizeof memory.header,
                                    [&] { (void)receiver.must_wake(i % 2 == 0); });
      if (!telling.empty()) note(tally, report, "the receiver's must_wake", telling);
    }
  } while (std::chrono::duration<double>(Clock::now() - began).count() < seconds);

  // The negative control: the instrument sees a second load.
  std::uint64_t missed = 0;
  for (int i = 0; i < 100; ++i) {
    const auto naive = loads_of(memory.data.data(), memory.data.size(),
                                [&] { (void)naive_pop(memory.data.data()); });
    if (most(naive) != 2) ++missed;
  }
  report.zero("bytes loaded more than once in one operation", tally.twice, tally.loads,
              "loaded bytes of shared words");
  report.zero("operations whose loads were not seen", tally.unseen, tally.operations, "operations");
  report.zero("naive pops not caught", missed, 100, "naive pops");
  report.figure("messages", static_cast<double>(messages), "");
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

extern "C" {
void __sanitizer_cov_load1(void* at) {
  mohhos::soak::note_load(at, 1);
}
void __sanitizer_cov_load2(void* at) {
  mohhos::soak::note_load(at, 2);
}
void __sanitizer_cov_load4(void* at) {
  mohhos::soak::note_load(at, 4);
}
void __sanitizer_cov_load8(void* at) {
  mohhos::soak::note_load(at, 8);
}
void __sanitizer_cov_load16(void* at) {
  mohhos::soak::note_load(at, 16);
}
// Coverage itself, which the option brings along.
void __sanitizer_cov_trace_pc_guard(void*) {}
void __sanitizer_cov_trace_pc_guard_init(void*, void*) {}
}

int main(int argc, char** argv) {
  return mohhos::soak::soak(mohhos::soak::seconds_argument(argc, argv, 0));
}
