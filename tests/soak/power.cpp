// The inside of the machine whose power fails (power.py has the plug): a mohhosd on /data, programs
// that send durable messages to soak_vault as fast as they can, and say what is on disk.
//
//   soak_power ROUND EXPECTED DEVICE OFFSET [SECONDS]
//     EXPECTED: messages that must come back from the rounds before; SECONDS: without them, for
//     ever
//
// What is known is written twice: on the console, and as sectors of DEVICE behind the file system,
// at OFFSET: in the record of that disk's writes they stand where they became true.
#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "harness/daemon.hpp"
#include "mohhos/mohhos.h"
#include "power_payload.hpp"
#include "vault_ledger.hpp"

namespace mohhos::soak {
namespace {

constexpr int kSources = 2;
constexpr std::uint64_t kBacklog = 200; // messages of a lane, so that its ring never is full
constexpr const char* kRoot = "/data/root";
constexpr const char* kLedger = "/tmp/ledger";

std::uint32_t life_of(std::uint32_t round, int source) {
  return round * kSources + static_cast<std::uint32_t>(source);
}

// --- what is known ---

enum class Phase : std::uint64_t { SetUp = 1, Loaded, Drained, Sending };

// One sector.
struct Mark {
  std::uint64_t magic = 0x4B52414D5245574F; // "OWERMARK"
  Phase phase{};
  std::uint64_t round = 0;
  std::uint64_t life = 0;
  std::array<std::uint64_t, kLanes> synced{};  // numbers below are on disk
  std::array<std::uint64_t, kLanes> allowed{}; // numbers from here are not acknowledged
};

class Marks {
public:
  Marks(const char* device, off_t offset, int slot)
      : fd_(::open(device, O_WRONLY | O_DIRECT | O_CLOEXEC)), at_(offset + slot * kSector) {
    if (fd_ < 0 || ::posix_memalign(&sector_, kSector, kSector) != 0)
      throw std::runtime_error(fmt::format("{}: {}", device, std::strerror(errno)));
    std::memset(sector_, 0, kSector);
  }
  void put(const Mark& mark) {
    std::memcpy(sector_, &mark, sizeof mark);
    if (::pwrite(fd_, sector_, kSector, at_) != kSector)
      throw std::runtime_error(fmt::format("a mark: {}", std::strerror(errno)));
  }

private:
  static constexpr off_t kSector = 512;
  int fd_;
  off_t at_;
  void* sector_ = nullptr;
};

// One write(), so that lines of several processes do not mix.
void say(const std::string& line) {
  (void)!::write(1, line.data(), line.size());
}

// --- a sender ---

class Source {
public:
  Source(std::uint32_t life, plugin_id_t vault, VaultLedger& ledger, Marks marks)
      : life_(life), vault_(vault), marks_(marks), random_(life) {
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) series_[lane] = ledger.find(life, lane);
  }

  // Some messages, a sync(), and what is known then; whether it was done.
  void round() {
    const std::uint64_t count = 1 + random_() % 64;
    for (std::uint64_t i = 0; i < count; ++i) send(static_cast<std::uint32_t>(random_() % kLanes));
    if (const int status = plugin_sync(vault_, 60'000); status != 0)
      throw std::runtime_error(fmt::format("plugin_sync: {}", status));
    Mark mark{.phase = Phase::Sending, .life = life_, .synced = next_, .allowed = {}};
    for (std::uint64_t lane = 0; lane < kLanes; ++lane) {
      const std::uint64_t least = next_[lane] - std::min(next_[lane], kBacklog);
      const std::uint64_t from = std::max(least, series_[lane]->allowed.get());
      mark.allowed[lane] = from + random_() % (next_[lane] - from + 1);
    }
    marks_.put(mark); // first: whoever reads it knows that nothing more was allowed before
    for (std::uint64_t lane = 0; lane < kLanes; ++lane)
      series_[lane]->allowed.set(mark.allowed[lane]);
    say(fmt::format("synced {} {} {} allowed {} {}\n", life_, next_[0], next_[1], mark.allowed[0],
                    mark.allowed[1]));
  }

private:
  void send(std::uint32_t lane) {
    write_power_message(bytes_, life_, lane, next_[lane]);
    plugin_message_t message{};
    message.type = MSG_PLUGIN_CUSTOM;
    message.data = bytes_.data();
    message.data_size = static_cast<std::uint32_t>(bytes_.size());
    message.priority = lane == 0 ? PRIORITY_NORMAL : PRIORITY_HIGH;
    const int status = plugin_send_durable(vault_, &message);
    if (status == PLUGIN_E_REFUSED || status == PLUGIN_E_TIMED_OUT) return; // full: not sent
    if (status != 0) throw std::runtime_error(fmt::format("plugin_send_durable: {}", status));
    ++next_[lane];
  }

  std::uint32_t life_;
  plugin_id_t vault_;
  Marks marks_;
  std::mt19937_64 random_;
  std::array<VaultSeries*, kLanes> series_{};
  std::array<std::uint64_t, kLanes> next_{};
  std::vector<std::byte> bytes_;
};

// --- the machine ---

VaultLedger& make_ledger() {
  const int fd = ::open(kLedger, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0 || ::fchmod(fd, 0666) != 0 || ::ftruncate(fd, sizeof(VaultLedger)) != 0)
    throw std::runtime_error("no ledger");
  void* const memory =
      ::mmap(nullptr, sizeof(VaultLedger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) throw std::runtime_error("no ledger");
  return *static_cast<VaultLedger*>(memory);
}

void must(const char* what, const test::Daemon& daemon, const test::Outcome& outcome) {
  if (outcome.code != 0)
    throw std::runtime_error(fmt::format("{}: {}{}", what, outcome.err, daemon.log()));
}

// The first round's: the operator's files, on disk before anything else happens.
void set_up(const test::Daemon& daemon) {
  daemon.grant("soak_vault",
               fmt::format("can_access_filesystem = true\nread = [\"{0}\"]\nwrite = [\"{0}\"]\n"
                           "[config]\nledger = \"{0}\"\n",
                           kLedger));
  (void)daemon.sign(SOAK_VAULT);
  ::sync();
}

void tell_what_came(const VaultLedger& ledger) {
  for (const VaultSeries& each : ledger.series) {
    if (each.id.get() == 0 || each.next.get() == 0) continue;
    const std::uint64_t id = each.id.get() - 1;
    say(fmt::format("came {} {} {} {} {}\n", id / kLanes, id % kLanes, each.first.get(),
                    each.next.get(), each.count.get()));
  }
  say(fmt::format("faults torn {} order {} unflagged {}\n", ledger.torn.get(), ledger.order.get(),
                  ledger.unflagged.get()));
}

int run(std::uint32_t round, std::uint64_t expected, const char* device, off_t offset,
        double seconds) {
  VaultLedger& ledger = make_ledger();
  ledger.old_lives.set(life_of(round, 0));
  Marks marks(device, offset, 0);
  test::Daemon daemon({.root = kRoot, .prefix = {}, .arguments = {}, .trust_a_key = round == 1});
  if (round == 1) set_up(daemon);
  marks.put({.phase = Phase::SetUp, .round = round});
  must("load", daemon, daemon.load(std::filesystem::path(kRoot) / "soak_vault.so"));
  marks.put({.phase = Phase::Loaded, .round = round}); // until now nothing was acknowledged
  must("start", daemon, daemon.plugctl({"start", "soak_vault"}));
  const bool all = test::Daemon::eventually([&] { return ledger.handled.get() >= expected; },
                                            std::chrono::seconds(30));
  marks.put({.phase = Phase::Drained, .round = round});
  tell_what_came(ledger);
  say(fmt::format("drained {} of {}\n", ledger.handled.get(), expected));
  if (!all) throw std::runtime_error(daemon.log());

  for (int i = 0; i < kSources; ++i)
    for (std::uint64_t lane = 0; lane < kLanes; ++lane) (void)ledger.find(life_of(round, i), lane);
  ::setenv("MOHHOS_SOCKET", daemon.socket().c_str(), 1);
  const plugin_id_t vault = std::stoull(daemon.value({"info", "soak_vault"}, "id"));
  for (int i = 0; i < kSources; ++i) {
    if (::fork() != 0) continue;
    try {
      Source source(life_of(round, i), vault, ledger, Marks(device, offset, 1 + i));
      for (;;) source.round();
    } catch (const std::exception& failed) {
      say(fmt::format("failed: {}\n", failed.what()));
    }
    ::_exit(1); // the daemon is not this process's to end
  }
  // Something is wrong when one of them ends, or the vault gets what was not sent.
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (ledger.torn.get() + ledger.order.get() + ledger.unflagged.get() == 0 &&
         ::waitpid(-1, nullptr, WNOHANG) <= 0) {
    ::poll(nullptr, 0, 50);
    if (seconds > 0 && std::chrono::steady_clock::now() > until) return 0;
  }
  tell_what_came(ledger);
  throw std::runtime_error(daemon.log());
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  try {
    return mohhos::soak::run(static_cast<std::uint32_t>(std::atoi(argv[1])),
                             std::strtoull(argv[2], nullptr, 10), argv[3], std::atoll(argv[4]),
                             argc > 5 ? std::atof(argv[5]) : 0);
  } catch (const std::exception& failed) {
    mohhos::soak::say(fmt::format("failed: {}\n", failed.what()));
    return 1;
  }
}
