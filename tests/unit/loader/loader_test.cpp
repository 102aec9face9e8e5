// The host, with the test as its manager: a real link, real rings, and a process of its own for
// each plugin. The sandbox is not there (the boot block has no filters); tests/hostile has it.
#include <csignal>
#include <functional>
#include <optional>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ipc/channel.hpp"
#include "ipc/link_codec.hpp"
#include "loader/host.hpp"
#include "loader/last_words.hpp"
#include "sys/socket.hpp"

namespace mohhos {
namespace {

constexpr int kPatience = 10'000; // ms

// A host process and the manager's end of its link.
class HostProcess {
public:
  explicit HostProcess(const char* plugin, std::string name = "obedient") {
    auto pair = sys::make_seqpacket_pair();
    EXPECT_TRUE(pair);
    link_ = std::move(pair->first);
    pid_ = ::fork();
    if (pid_ == 0) run(std::move(pair->second), plugin, std::move(name));
  }
  ~HostProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  void set(std::string_view key, std::string_view value) {
    ipc::SetConfig setting;
    put_text(setting.key, key);
    put_text(setting.value, value);
    EXPECT_TRUE(ipc::send_link_record(link_.get(), setting));
  }

  void order(ipc::Operation operation) {
    ipc::Operate order;
    order.header.sequence = ++sequence_;
    order.operation = operation;
    EXPECT_TRUE(ipc::send_link_record(link_.get(), order));
  }

  // The next record of this type; log lines on the way are kept in `logged`.
  template <class T>
  std::optional<T> next() {
    for (;;) {
      pollfd wait{.fd = link_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, kPatience) <= 0) return std::nullopt;
      auto record = ipc::receive_link_record(link_.get(), ipc::LinkSide::Endpoint);
      if (!record) return std::nullopt;
      if (!*record) continue;
      if ((*record)->type() == ipc::LinkType::LogLine)
        logged.emplace_back((*record)->as<ipc::LogLine>().text);
      if ((*record)->type() == T{}.header.type) return (*record)->as<T>();
    }
  }

  ipc::Done operate(ipc::Operation operation) {
    order(operation);
    auto done = next<ipc::Done>();
    EXPECT_TRUE(done);
    if (!done) return {};
    EXPECT_EQ(done->header.sequence, sequence_);
    EXPECT_EQ(done->operation, operation);
    return *done;
  }

  // Waits for log lines until one is this one.
  bool logs(std::string_view text) {
    for (;;) {
      for (const auto& line : logged)
        if (line == text) return true;
      if (!next<ipc::LogLine>()) return false;
    }
  }

  // Waits for the end.
  int status() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return status;
  }

  // Gives the host a channel to receive on, from a peer of this name; the test sends on it.
  ipc::SendingChannel give_channel(std::string_view peer_name) {
    constexpr std::uint64_t kRing = 64 * 1024;
    auto memory = ipc::make_channel_memory(kRing);
    EXPECT_TRUE(memory);
    auto receiver = ipc::make_receiver_end(*memory);
    auto sender = ipc::make_sender_end(*memory);
    ipc::ChannelOpened opened;
    opened.channel_id = 1;
    opened.peer_id = 99;
    opened.ring_bytes = kRing;
    opened.role = ipc::Role::Receive;
    opened.peer_generation = opened.ring_generation = 1;
    put_text(opened.peer_name, peer_name);
    EXPECT_TRUE(ipc::send_link_record(link_.get(), opened, receiver->in_order()));
    auto channel = ipc::SendingChannel::attach(std::move(*sender), kRing, 1);
    EXPECT_TRUE(channel);
    return std::move(*channel);
  }

  std::vector<std::string> logged;

private:
  [[noreturn]] static void run(sys::Fd link, const char* plugin, std::string name) {
    loader::watch_for_death(link.get());
    sandbox::Boot boot;
    boot.plugin = PluginId{5};
    boot.generation = Generation{1};
    boot.name = std::move(name);
    auto host = loader::Host::open(std::move(link), std::move(boot), plugin);
    if (!host) loader::die(ipc::LastWordsKind::Exception, host.error().text);
    loader::leave((*host)->run());
  }

  sys::Fd link_;
  pid_t pid_ = -1;
  std::uint32_t sequence_ = 0;
};

void send(ipc::SendingChannel& channel, std::string_view text, const ipc::Outgoing& about = {}) {
  std::span<std::byte> bytes;
  ASSERT_EQ(channel.ring().loan(static_cast<std::uint32_t>(text.size()), about, bytes),
            ipc::RingSender::Outcome::Ok);
  std::memcpy(bytes.data(), text.data(), text.size());
  channel.commit();
}

TEST(Loader, APluginGoesThroughItsLifeAndLeavesWithStatusZero) {
  HostProcess host(OBEDIENT);
  for (const auto step : {ipc::Operation::Init, ipc::Operation::Start, ipc::Operation::Stop,
                          ipc::Operation::Start, ipc::Operation::Stop, ipc::Operation::Unload}) {
    const auto done = host.operate(step);
    EXPECT_EQ(done.code, 0) << done.text;
  }
  EXPECT_EQ(host.status(), 0);
}

TEST(Loader, AStepOutOfOrderIsRefusedAndTheProcessLivesOn) {
  HostProcess host(OBEDIENT);
  EXPECT_EQ(host.operate(ipc::Operation::Start).code, static_cast<int>(Code::BadState));
  EXPECT_EQ(host.operate(ipc::Operation::Init).code, 0);
  EXPECT_EQ(host.operate(ipc::Operation::Init).code, static_cast<int>(Code::BadState));
  EXPECT_EQ(host.operate(ipc::Operation::Stop).code, static_cast<int>(Code::BadState));
}

TEST(Loader, AFileThatIsNotThereIsRefusedWithTheLinkersWords) {
  HostProcess host("/no/such/plugin.so");
  const auto done = host.operate(ipc::Operation::Init);
  EXPECT_EQ(done.code, static_cast<int>(Code::Incompatible));
  EXPECT_NE(std::string(done.text).find("/no/such/plugin.so"), std::string::npos);
}

TEST(Loader, AnotherAbiVersionIsRefusedWithBothNumbers) {
  HostProcess host(FOREIGN);
  const auto done = host.operate(ipc::Operation::Init);
  EXPECT_EQ(done.code, static_cast<int>(Code::Incompatible));
  EXPECT_NE(std::string(done.text).find("version 2"), std::string::npos) << done.text;
  EXPECT_NE(std::string(done.text).find("version 1"), std::string::npos) << done.text;
}

TEST(Loader, AnObjectThatIsNoPluginIsRefused) {
  HostProcess host("libm.so.6");
  const auto done = host.operate(ipc::Operation::Init);
  EXPECT_EQ(done.code, static_cast<int>(Code::Incompatible));
  EXPECT_NE(std::string(done.text).find("mohhos_plugin"), std::string::npos);
}

TEST(Loader, ATableWhoseNameIsNotTheManifestsIsRefused) {
  mohhos_plugin_t table{};
  table.struct_size = sizeof table;
  table.abi_version = MOHHOS_ABI_VERSION;
  table.create = [](const mohhos_host_t*) -> void* { return nullptr; };
  EXPECT_TRUE(loader::verify_table(table, "anything"));
  table.name = "reader";
  EXPECT_TRUE(loader::verify_table(table, "reader"));
  EXPECT_FALSE(loader::verify_table(table, "writer"));
  table.struct_size = 16;
  EXPECT_FALSE(loader::verify_table(table, "reader"));
}

TEST(Loader, AnExceptionInInitIsTheAnswerWithItsText) {
  HostProcess host(OBEDIENT);
  host.set("in", "init");
  host.set("do", "throw");
  const auto done = host.operate(ipc::Operation::Init);
  EXPECT_EQ(done.code, static_cast<int>(Code::PluginFailed));
  EXPECT_STREQ(done.text, "on_init: thrown on purpose");
}

// What a plugin does that ends its process, and the last words that must be heard.
struct Death {
  const char* in;
  const char* what;
  ipc::LastWordsKind kind;
  int value;
  const char* text;
};
void PrintTo(const Death& death, std::ostream* out) {
  *out << death.what << " in " << death.in;
}

class Deaths : public testing::TestWithParam<Death> {};

TEST_P(Deaths, AreReportedWithTheirCause) {
  HostProcess host(OBEDIENT);
  host.set("in", GetParam().in);
  host.set("do", GetParam().what);
  host.order(ipc::Operation::Init);
  // Whoever dies in on_init may be gone before a second order.
  if (std::string_view(GetParam().in) != "init") host.order(ipc::Operation::Start);
  const auto words = host.next<ipc::LastWords>();
  ASSERT_TRUE(words);
  EXPECT_EQ(words->kind, GetParam().kind);
  EXPECT_EQ(words->value, GetParam().value);
  EXPECT_NE(std::string(words->text).find(GetParam().text), std::string::npos) << words->text;
  EXPECT_NE(host.status(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, Deaths,
    testing::Values(
        Death{"work", "throw", ipc::LastWordsKind::Exception, 0, "on_work: thrown on purpose"},
        Death{"init", "throw-in-thread", ipc::LastWordsKind::Exception, 0, "thrown in a thread"},
        Death{"start", "exit", ipc::LastWordsKind::Exit, 7, "exit"},
        Death{"start", "abort", ipc::LastWordsKind::Abort, SIGABRT, ""},
        Death{"init", "null", ipc::LastWordsKind::Signal, SIGSEGV, "0x0000000000000000"},
        Death{"init", "segv", ipc::LastWordsKind::Signal, SIGSEGV, ""}));

TEST(Loader, WorkRunsInSlicesUntilThePluginHasEnough) {
  HostProcess host(OBEDIENT);
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  ASSERT_EQ(host.operate(ipc::Operation::Start).code, 0);
  EXPECT_TRUE(host.logs("work 3"));
}

TEST(Loader, APluginThatWorksWithoutEndHearsItsOrders) {
  HostProcess host(OBEDIENT);
  host.set("do", "work-without-end");
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  ASSERT_EQ(host.operate(ipc::Operation::Start).code, 0);
  host.set("colour", "red");
  ASSERT_EQ(host.operate(ipc::Operation::Configure).code, 0);
  EXPECT_TRUE(host.logs("colour is now red"));
  EXPECT_EQ(host.operate(ipc::Operation::Stop).code, 0);
}

TEST(Loader, AThreadOfThePluginCanAskForWork) {
  HostProcess host(OBEDIENT);
  host.set("in", "config");
  host.set("do", "wake-from-thread");
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  ASSERT_EQ(host.operate(ipc::Operation::Start).code, 0);
  ASSERT_TRUE(host.logs("work 3"));
  host.set("colour", "red");
  ASSERT_EQ(host.operate(ipc::Operation::Configure).code, 0);
  EXPECT_TRUE(host.logs("colour is now red"));
  EXPECT_TRUE(host.logs("work 4"));
}

TEST(Loader, AFailureIsToldInOneThreadsWordsWhoeverFailsMeanwhile) {
  HostProcess host(QUARREL, "quarrel");
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  const std::string prefix = "on_config: ";
  int told = 0;
  for (int i = 0; i < 1000; ++i) {
    host.set("key", "value");
    const auto done = host.operate(ipc::Operation::Configure);
    ASSERT_EQ(done.code, static_cast<int>(Code::Failed)) << done.text;
    const std::string text = done.text;
    if (!text.starts_with(prefix)) continue; // nobody has said anything since the last one
    ++told;
    const std::string words = text.substr(prefix.size());
    ASSERT_TRUE(words == std::string(900, 'a') || words == std::string(300, 'b')) << words;
  }
  EXPECT_GT(told, 0);
  EXPECT_EQ(host.operate(ipc::Operation::Unload).code, 0);
}

TEST(Loader, MessagesWaitInTheirRingUntilThePluginRuns) {
  HostProcess host(OBEDIENT);
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  auto channel = host.give_channel("friend");
  send(channel, "early");
  ASSERT_EQ(host.operate(ipc::Operation::Configure).code,
            0); // the host has seen the channel by now
  ASSERT_EQ(host.operate(ipc::Operation::Start).code, 0);
  EXPECT_TRUE(host.logs("message from friend: early"));
  send(channel, "late");
  EXPECT_TRUE(host.logs("message from friend: late"));
}

TEST(Loader, ARequestThatIsTakenBackIsToldAfterItCame) {
  HostProcess host(OBEDIENT);
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  ASSERT_EQ(host.operate(ipc::Operation::Start).code, 0);
  auto channel = host.give_channel("friend");
  send(channel, "no request");
  send(channel, "", {.type = ipc::MessageType::DataRequest, .cancels = true, .correlation = 7});
  EXPECT_TRUE(host.logs("cancelled 7"));
  EXPECT_EQ(host.logged.at(host.logged.size() - 2), "message from friend: no request");
}

TEST(Loader, ATableOfTheFirstDaysIsNotReadBeyondItsEnd) {
  HostProcess host(ELDER);
  ASSERT_EQ(host.operate(ipc::Operation::Init).code, 0);
  ASSERT_EQ(host.operate(ipc::Operation::Start).code, 0);
  EXPECT_TRUE(host.logs("old and well"));
  auto channel = host.give_channel("friend");
  send(channel, "", {.type = ipc::MessageType::DataRequest, .cancels = true, .correlation = 7});
  ASSERT_EQ(host.operate(ipc::Operation::Configure).code, 0); // the host has the channel by now
  ASSERT_EQ(host.operate(ipc::Operation::Stop).code, 0);
  ASSERT_EQ(host.operate(ipc::Operation::Unload).code, 0);
  EXPECT_EQ(host.status(), 0);
}

TEST(Loader, ALinkThatIsClosedEndsTheHost) {
  auto pair = sys::make_seqpacket_pair();
  ASSERT_TRUE(pair);
  sandbox::Boot boot;
  boot.name = "obedient";
  auto host = loader::Host::open(std::move(pair->second), std::move(boot), OBEDIENT);
  ASSERT_TRUE(host);
  pair->first.reset();
  EXPECT_EQ((*host)->run(), 0);
}

} // namespace
} // namespace mohhos
