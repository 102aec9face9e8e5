// What a channel costs while nothing happens on it: counted over many, in one process that holds
// both ends, so it is the sum of what two plugins and the kernel have.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include "alone.hpp"
#include "ours.hpp"

namespace mohhos::bench {
namespace {

constexpr std::size_t kChannels = 400;
constexpr std::size_t kUsed = 50; // of them, for what is given back
constexpr std::uint32_t kPayload = 64;

double kib_of(const char* file, std::string_view field) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(field)) return std::stod(line.substr(field.size()));
  return 0;
}

struct Reading {
  double heap = kib_of("/proc/self/status", "RssAnon:");
  double tables = kib_of("/proc/self/status", "VmPTE:");
  double slab = kib_of("/proc/meminfo", "Slab:");
};

// Blocks of 512 bytes that a descriptor's file holds.
double file_kib(int fd) {
  struct stat about{};
  require(::fstat(fd, &about) == 0, "fstat");
  return static_cast<double>(about.st_blocks) / 2;
}

struct Idle {
  ipc::ChannelMemory memory; // the manager's
  ipc::SendingChannel sender;
  ipc::ReceivingChannel receiver;
};

Idle open_idle() {
  auto memory = ipc::make_channel_memory(ipc::kDefaultRing, ipc::kShortLap);
  require(memory.has_value(), "make_channel_memory");
  auto sender = ipc::SendingChannel::attach(*ipc::make_sender_end(*memory), ipc::kDefaultRing, 1);
  auto receiver =
      ipc::ReceivingChannel::attach(*ipc::make_receiver_end(*memory), ipc::kDefaultRing);
  require(sender && receiver, "attaching a channel");
  return {*std::move(memory), *std::move(sender), *std::move(receiver)};
}

void pass(Idle& idle, std::uint64_t messages) {
  for (std::uint64_t i = 0; i < messages; ++i) {
    std::span<std::byte> space;
    require(idle.sender.ring().loan(kPayload, {}, space) == ipc::RingSender::Outcome::Ok, "loan");
    fill<kPayload>(space.data());
    idle.sender.commit();
    ipc::View view;
    require(idle.receiver.next(view) == ipc::RingReceiver::Outcome::Message, "next");
    idle.receiver.release(view);
  }
}

double ring_kib(const Idle& idle) {
  return file_kib(idle.memory.data.get()) + file_kib(idle.memory.control.get());
}

} // namespace

IdleMemory measure_idle_memory() {
  std::vector<Idle> channels;
  channels.reserve(kChannels);
  const auto unused = ipc::make_doorbell();
  require(unused.has_value(), "eventfd");
  auto waiter = ipc::Waiter::open(unused->get());
  require(waiter.has_value(), "epoll");

  const Reading before;
  IdleMemory result;
  result.channels = static_cast<int>(kChannels);
  for (std::uint64_t i = 0; i < kChannels; ++i) {
    Idle& idle = channels.emplace_back(open_idle());
    const int bell = idle.receiver.data_bell();
    require(waiter->add_bell(bell, ipc::WakeKind::Data, i + 1).has_value(), "epoll");
    pass(idle, 1);
    idle.receiver.ring().arm();
  }
  const Reading after;
  for (const Idle& idle : channels) result.ring_kib += ring_kib(idle) / kChannels;
  result.heap_kib = std::max(0.0, after.heap - before.heap) / kChannels;
  result.tables_kib = std::max(0.0, after.tables - before.tables) / kChannels;
  result.kernel_kib = std::max(0.0, after.slab - before.slab) / kChannels;

  for (std::size_t i = 0; i < kUsed; ++i) {
    pass(channels[i], ipc::kDefaultRing / kPayload);
    channels[i].sender.return_memory();
    result.returned_kib += ring_kib(channels[i]) / kUsed;
  }
  return result;
}

} // namespace mohhos::bench
