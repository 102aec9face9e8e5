// Two threads over one ring, with everything that waits and wakes. Under ThreadSanitizer both use
// the same addresses, so that it sees what orders what.
#include <atomic>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/doorbell.hpp"
#include "ipc/shared_word.hpp"
#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kMessages = 100'000;
#else
constexpr std::uint64_t kMessages = 1'000'000;
#endif
constexpr std::uint64_t kCapacity = 4096;

// Plain memory as a ring. Its second half is no second mapping; it need not be, because each record
// is read at the address where it was written.
struct LocalRing {
  struct alignas(kLine) Line {
    std::byte bytes[kLine];
  };
  std::vector<Line> storage{2 * kCapacity / kLine};
  DataHeader header;
  Control control;

  [[nodiscard]] RingSender sender() {
    return RingSender({.header = &header,
                       .map = RingMap<std::byte>::of(storage[0].bytes, kCapacity),
                       .control = &control},
                      1);
  }
  [[nodiscard]] RingReceiver receiver() {
    return RingReceiver({.header = &header,
                         .map = RingMap<const std::byte>::of(storage[0].bytes, kCapacity),
                         .control = &control});
  }
};

std::uint32_t size_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(8 + number * 7 % 200);
}

Spacing spacing_of(std::uint64_t number) {
  return number % 3 != 0 ? Spacing::Close : Spacing::Apart;
}

void fill(std::span<std::byte> space, std::uint64_t number) {
  std::memset(space.data(), static_cast<int>(number & 0xFF), space.size());
  std::memcpy(space.data(), &number, sizeof number);
}

bool holds(std::span<const std::byte> payload, std::uint64_t number) {
  std::uint64_t found = 0;
  std::memcpy(&found, payload.data(), sizeof found);
  return payload.size() == size_of(number) && found == number &&
         payload.back() == (payload.size() > 8 ? std::byte(number & 0xFF) : payload.back());
}

TEST(RingStress, TwoThreadsThatSpinLoseAndChangeNothing) {
  LocalRing ring;
  std::thread receiving([&] {
    RingReceiver receiver = ring.receiver();
    for (std::uint64_t number = 0; number < kMessages;) {
      View view;
      const auto outcome = receiver.next(view);
      ASSERT_NE(outcome, RingReceiver::Outcome::Broken) << breach_text(receiver.breach());
      if (outcome == RingReceiver::Outcome::Empty) {
        std::this_thread::yield();
        continue;
      }
      ASSERT_TRUE(holds(view.payload, number)) << number;
      receiver.release(view);
      ++number;
    }
  });
  RingSender sender = ring.sender();
  for (std::uint64_t number = 0; number < kMessages;) {
    std::span<std::byte> space;
    const auto outcome = sender.loan(size_of(number), {}, space, spacing_of(number));
    ASSERT_NE(outcome, RingSender::Outcome::Broken) << breach_text(sender.breach());
    if (outcome == RingSender::Outcome::Full) {
      std::this_thread::yield();
      continue;
    }
    fill(space, number++);
    sender.commit();
  }
  receiving.join();
}

// Sleeps until the bell rings; false after ten seconds: a wake-up was lost.
bool sleep_on(int bell) {
  pollfd wait{bell, POLLIN, 0};
  if (::poll(&wait, 1, 10'000) != 1) return false;
  std::uint64_t count = 0;
  return ::read(bell, &count, sizeof count) == sizeof count;
}

TEST(RingStress, TwoThreadsThatSleepAsSoonAsTheyCanLoseNoWakeUp) {
  LocalRing ring;
  const auto data_bell = make_doorbell();
  const auto space_bell = make_doorbell();
  ASSERT_TRUE(data_bell && space_bell);
  std::thread receiving([&] {
    RingReceiver receiver = ring.receiver();
    for (std::uint64_t number = 0; number < kMessages;) {
      View view;
      if (receiver.next(view) == RingReceiver::Outcome::Message) {
        ASSERT_TRUE(holds(view.payload, number++));
        receiver.release(view);
        if (receiver.must_wake(false)) ring_doorbell(space_bell->get());
        continue;
      }
      ASSERT_EQ(receiver.breach(), Breach::None);
      if (receiver.must_wake(true)) ring_doorbell(space_bell->get());
      receiver.arm();
      store_load_fence();
      ASSERT_TRUE(receiver.ready() || sleep_on(data_bell->get())) << "at message " << number;
      receiver.disarm();
    }
  });
  RingSender sender = ring.sender();
  for (std::uint64_t number = 0; number < kMessages;) {
    std::span<std::byte> space;
    auto outcome = sender.loan(size_of(number), {}, space, spacing_of(number));
    if (outcome == RingSender::Outcome::Full) {
      sender.arm();
      outcome = sender.loan(size_of(number), {}, space, spacing_of(number));
      ASSERT_TRUE(outcome != RingSender::Outcome::Full || sleep_on(space_bell->get()))
          << "at message " << number;
      sender.disarm();
      if (outcome == RingSender::Outcome::Full) continue;
    }
    ASSERT_EQ(outcome, RingSender::Outcome::Ok);
    fill(space, number++);
    sender.commit();
    if (sender.must_wake()) ring_doorbell(data_bell->get());
  }
  receiving.join();
}

} // namespace
} // namespace mohhos::ipc
