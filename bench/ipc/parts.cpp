// Where the nanoseconds of a message go. One thread, blocks of 64 messages, the median block of
// many; so without what the cache lines cost that travel between cores.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "alone.hpp"
#include "histogram.hpp"
#include "ours.hpp"

namespace mohhos::bench {
namespace {

constexpr int kBlock = 64;
constexpr int kBlocks = 4000;

// ns for one of the block's; `after` is not counted.
template <class Work, class After>
double median_of(Work work, After after) {
  std::vector<std::uint64_t> took;
  took.reserve(kBlocks);
  for (int i = 0; i < kBlocks; ++i) {
    const std::uint64_t begin = ticks();
    for (int j = 0; j < kBlock; ++j) work();
    took.push_back(ticks() - begin);
    after();
  }
  std::ranges::nth_element(took, took.begin() + kBlocks / 2);
  return static_cast<double>(took[kBlocks / 2]) * ns_per_tick() / kBlock;
}
template <class Work>
double median_of(Work work) {
  return median_of(work, [] {});
}

template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

} // namespace

std::vector<Part> measure_parts() {
  pin_to(0);
  std::vector<Part> parts;
  const auto add = [&](const char* name, double ns) { parts.push_back({name, ns}); };

  std::atomic<std::uint64_t> word = 0;
  add("clock_gettime(CLOCK_MONOTONIC), as in a timestamp",
      median_of([] { keep(ipc::monotonic_ns()); }));
  add("the processor's clock, for comparison", median_of([] { keep(ticks()); }));
  add("a store and a full fence, line at hand", median_of([&] {
        word.store(1, std::memory_order_relaxed);
        ipc::store_load_fence();
      }));
  add("a look at a word, as whether somebody records",
      median_of([recorder = std::uint64_t{0}] mutable {
        asm volatile("" : "+m"(recorder));
        if (recorder != 0) [[unlikely]]
          keep(recorder);
      }));
  add("the tag of a position", median_of([&, position = std::uint64_t{0}]() mutable {
        keep(ipc::tag_of(position += ipc::kLine));
      }));
  add("writing 64 B of payload", median_of([bytes = std::array<std::byte, 64>{}]() mutable {
        fill<64>(bytes.data());
        keep(bytes);
      }));

  // Both ends in this process: what is sent in a block is received after it.
  auto memory = ipc::make_channel_memory(ipc::kDefaultRing, ipc::kShortLap);
  require(memory.has_value(), "make_channel_memory");
  auto sender = ipc::SendingChannel::attach(*ipc::make_sender_end(*memory), ipc::kDefaultRing, 1);
  auto receiver =
      ipc::ReceivingChannel::attach(*ipc::make_receiver_end(*memory), ipc::kDefaultRing);
  require(sender && receiver, "attaching a channel");
  const auto send = [&](auto commit) {
    std::span<std::byte> space;
    require(sender->ring().loan(64, {}, space) == ipc::RingSender::Outcome::Ok, "loan");
    fill<64>(space.data());
    commit();
  };
  const auto receive = [&] {
    ipc::View view;
    require(receiver->next(view) == ipc::RingReceiver::Outcome::Message, "next");
    receiver->release(view);
  };
  const auto drain = [&] {
    for (int i = 0; i < kBlock; ++i) receive();
  };
  const auto plain = [&] { sender->ring().commit(); };
  const auto looked = [&] { sender->commit(); };
  const auto more = [&] { sender->commit(true); };
  // The ring's clock takes some milliseconds to know the processor's.
  const auto warm = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  while (std::chrono::steady_clock::now() < warm) {
    send(looked);
    receive();
  }
  add("ring: send, receiver not looked at", median_of([&] { send(plain); }, drain));
  add("ring: send, more follows", median_of([&] { send(more); }, drain));
  add("ring: send", median_of([&] { send(looked); }, drain));
  const auto fill_ring = [&] {
    for (int i = 0; i < kBlock; ++i) send(plain);
  };
  fill_ring();
  add("ring: receive and release", median_of(receive, fill_ring));
  drain();

  Exchange exchange;
  auto first = ipc::Endpoint::open(exchange.connect(PluginId{1}), {});
  auto second = ipc::Endpoint::open(exchange.connect(PluginId{2}), {});
  require(first && second, "Endpoint::open");
  exchange.open(PluginId{1}, PluginId{2});
  require((*first)->receive(ipc::kNoWait) && (*second)->receive(ipc::kNoWait), "the links");
  const auto channel = (*first)->open_channel(PluginId{2}, ipc::kNoWait);
  require(channel.has_value(), "the channel");
  const auto say = [&] {
    const auto space = (*first)->loan(*channel, 64, {}, ipc::kForever);
    require(space.has_value(), "loan");
    fill<64>(space->data());
    (*first)->commit(*channel);
  };
  const auto hear = [&] {
    const auto message = (*second)->receive(ipc::kForever);
    require(message && *message, "receive");
    (*second)->release(**message);
  };
  const auto hear_all = [&] {
    for (int i = 0; i < kBlock; ++i) hear();
  };
  const auto say_all = [&] {
    for (int i = 0; i < kBlock; ++i) say();
  };
  add("endpoint: send", median_of(say, hear_all));
  say_all();
  add("endpoint: receive and release", median_of(hear, say_all));
  return parts;
}

} // namespace mohhos::bench
