// iceoryx: shared memory too, chunks from a pool that its daemon RouDi makes, which every process
// maps and may write. Blocking when a queue is full, so that it loses nothing either.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"
#include "ipc/shared_word.hpp"
#include "payload.hpp"
#include "peers.hpp"
#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

bool roudi_runs = false;

// Chunks for every payload of the comparison, with room for iceoryx's header.
constexpr const char* kPools = R"([general]
version = 1
[[segment]]
[[segment.mempool]]
size = 256
count = 4000
[[segment.mempool]]
size = 2048
count = 2000
[[segment.mempool]]
size = 20480
count = 800
[[segment.mempool]]
size = 270336
count = 100
[[segment.mempool]]
size = 1056768
count = 50
)";

iox::capro::IdString_t id(const std::string& text) {
  return iox::capro::IdString_t(iox::cxx::TruncateToCapacity, text.data(), text.size());
}

void join_roudi(Side side) {
  iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kWarn,
                                                           iox::log::LogLevelOutput::kHideLogLevel);
  const std::string name = fmt::format("mohhos-bench-{}-{}", index(side), ::getpid());
  iox::runtime::PoshRuntime::initRuntime(
      iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.data(), name.size()));
}

class Iceoryx {
public:
  Iceoryx(std::size_t size, Waiting waiting)
      : name_(unique_name("iceoryx")), source_(size), waiting_(waiting) {}

  std::optional<std::string> open(Side side) {
    if (!roudi_runs) return "iox-roudi could not be started";
    static const bool kOnce = (join_roudi(side), true); // once for each process
    (void)kOnce;
    const std::uint64_t queue =
        source_.size() > 100'000 ? 16 : iox::popo::SubscriberOptions().queueCapacity;
    iox::popo::PublisherOptions out;
    out.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    publisher_.emplace(service(side), out);
    iox::popo::SubscriberOptions in;
    in.queueCapacity = queue;
    in.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    subscriber_.emplace(service(other(side)), in);
    if (waiting_ == Waiting::Sleeps) {
      wait_set_.emplace();
      if (wait_set_->attachState(*subscriber_, iox::popo::SubscriberState::HAS_DATA).has_error())
        return "attachState failed";
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!publisher_->hasSubscribers() ||
           subscriber_->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED) {
      if (std::chrono::steady_clock::now() > end) return "no subscription in 10 s";
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {};
  }
  void send() {
    for (;;) {
      auto loan = publisher_->loan(static_cast<std::uint32_t>(source_.size()));
      if (loan.has_error()) continue; // all chunks are on their way
      source_.copy_to(loan.value());
      publisher_->publish(loan.value());
      return;
    }
  }
  void receive() {
    for (;;) {
      auto taken = subscriber_->take();
      if (!taken.has_error()) {
        sum_ += look_at_all({static_cast<const std::byte*>(taken.value()), source_.size()});
        subscriber_->release(taken.value());
        return;
      }
      if (waiting_ == Waiting::Sleeps)
        (void)wait_set_->wait();
      else
        ipc::spin_pause();
    }
  }

private:
  iox::capro::ServiceDescription service(Side from) const {
    return {id("mohhos"), id(name_), id(from == Side::First ? "first" : "second")};
  }
  std::string name_;
  Source source_;
  Waiting waiting_;
  std::uint64_t sum_ = 0;
  std::optional<iox::popo::UntypedPublisher> publisher_;
  std::optional<iox::popo::UntypedSubscriber> subscriber_;
  std::optional<iox::popo::WaitSet<1>> wait_set_; // goes before what is attached to it
};

} // namespace

std::unique_ptr<Contestant> make_iceoryx(std::size_t size, Waiting waiting) {
  return make<Iceoryx>(size, waiting);
}

// Ready when it says so on its standard output.
int start_roudi() {
  char config[] = "/tmp/mohhos-bench-roudi-XXXXXX";
  const int file = ::mkstemp(config);
  int out[2] = {-1, -1};
  require(file >= 0 && ::pipe2(out, O_CLOEXEC) == 0, "a file and a pipe for iox-roudi");
  require(::write(file, kPools, std::strlen(kPools)) > 0, "writing a file");
  ::close(file);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  require(pid >= 0, "fork");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(out[1], STDERR_FILENO);
    ::execlp("iox-roudi", "iox-roudi", "-c", config, "-m", "off", "-k", "1", nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  std::string said;
  pollfd wait{out[0], POLLIN, 0};
  while (said.find("RouDi is ready for clients") == std::string::npos &&
         ::poll(&wait, 1, 10'000) > 0) {
    char text[512];
    const ssize_t got = ::read(out[0], text, sizeof text);
    if (got <= 0) break;
    said.append(text, static_cast<std::size_t>(got));
  }
  ::unlink(config);
  roudi_runs = said.find("RouDi is ready for clients") != std::string::npos;
  // The reading end stays open: it still talks.
  if (roudi_runs) return pid;
  std::fprintf(stderr, "iceoryx does not take part; iox-roudi said: %s\n", said.c_str());
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return -1;
}

} // namespace mohhos::bench
