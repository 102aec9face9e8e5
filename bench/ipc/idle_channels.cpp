// What a channel costs while nothing happens on it: counted over many, in one process that holds
// both ends, so it is the sum of what two plugins and the kernel have.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <malloc.h>
#include <sys/stat.h>

#include "alone.hpp"
#include "ours.hpp"

namespace mohhos::bench {
namespace {

constexpr int kChannels = 400;

double kib_of(const char* file, std::string_view field) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(field)) return std::stod(line.substr(field.size()));
  return 0;
}

struct Reading {
  double heap = kib_of("/proc/self/status", "RssAnon:");
  double tables = kib_of("/proc/self/status", "VmPTE:");
  double shared = kib_of("/proc/self/status", "RssShmem:");
  double slab = kib_of("/proc/meminfo", "Slab:");
};

// Blocks of 512 bytes that a descriptor's file holds.
double file_kib(int fd) {
  struct stat about{};
  require(::fstat(fd, &about) == 0, "fstat");
  return static_cast<double>(about.st_blocks) / 2;
}

} // namespace

IdleMemory measure_idle_memory() {
  struct Idle {
    ipc::SendingChannel sender;
    ipc::ReceivingChannel receiver;
  };
  std::vector<Idle> channels;
  std::vector<ipc::ChannelMemory> memories; // the manager's
  channels.reserve(kChannels);
  memories.reserve(kChannels);
  auto waiter = [] {
    auto unused = ipc::make_doorbell();
    require(unused.has_value(), "eventfd");
    static const sys::Fd kLink = *std::move(unused);
    return ipc::Waiter::open(kLink.get());
  }();
  require(waiter.has_value(), "epoll");

  const Reading before;
  IdleMemory result;
  result.channels = kChannels;
  for (int i = 0; i < kChannels; ++i) {
    auto memory = ipc::make_channel_memory(ipc::kDefaultRing);
    require(memory.has_value(), "make_channel_memory");
    auto sender = ipc::SendingChannel::attach(*ipc::make_sender_end(*memory), ipc::kDefaultRing, 1);
    auto receiver =
        ipc::ReceivingChannel::attach(*ipc::make_receiver_end(*memory), ipc::kDefaultRing);
    require(sender && receiver, "attaching a channel");
    Idle& idle = channels.emplace_back(*std::move(sender), *std::move(receiver));
    require(waiter
                ->add_bell(idle.receiver.data_bell(), ipc::WakeKind::Data,
                           static_cast<std::uint64_t>(i) + 1)
                .has_value(),
            "epoll");
    std::span<std::byte> space;
    require(idle.sender.ring().loan(64, {}, space) == ipc::RingSender::Outcome::Ok, "loan");
    fill<64>(space.data());
    idle.sender.commit();
    ipc::View view;
    require(idle.receiver.next(view) == ipc::RingReceiver::Outcome::Message, "next");
    idle.receiver.release(view);
    idle.receiver.ring().arm();
    result.ring_kib += file_kib(memory->data.get()) + file_kib(memory->control.get());
    memories.push_back(*std::move(memory));
  }
  const Reading after;
  result.ring_kib /= kChannels;
  result.heap_kib = std::max(0.0, after.heap - before.heap) / kChannels;
  result.tables_kib = std::max(0.0, after.tables - before.tables) / kChannels;
  result.kernel_kib = std::max(0.0, after.slab - before.slab) / kChannels;
  return result;
}

} // namespace mohhos::bench
