// The manager's ends of its sockets and pipes, each against a peer in the test.
#include <array>
#include <filesystem>
#include <iterator>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "manager/link_port.hpp"
#include "manager/log_pipe.hpp"
#include "manager/warden_port.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// As long as it lives, this process gets no descriptors.
class NoDescriptors {
public:
  NoDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &usual_), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = usual_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &usual_), 0); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
  rlimit usual_{};
};

class Ports : public testing::Test {
protected:
  // Runs the loop until the condition holds, 10 seconds at the most.
  void run_until(const std::function<bool()>& condition) {
    auto tick = loop.every(1ms, [&] {
      if (condition()) loop.stop();
    });
    auto late = loop.after(10s, [&] { loop.stop(1); });
    ASSERT_TRUE(tick && late);
    const auto status = loop.run();
    ASSERT_TRUE(status);
    ASSERT_EQ(*status, 0) << "it did not happen";
  }

  sys::Loop loop = *sys::Loop::open();
  sys::SocketPair pair = *sys::make_seqpacket_pair();
};

TEST_F(Ports, ALinkHandsOnRecordsAndThenItsEnd) {
  std::vector<std::string> lines;
  std::optional<Error> end;
  auto port = LinkPort::open(
      loop, std::move(pair.first),
      [&](const ipc::LinkRecord& record) { lines.emplace_back(record.as<ipc::LogLine>().text); },
      [&](const Error& why) { end = why; });
  ASSERT_TRUE(port);
  ipc::LogLine line;
  put_text(line.text, "hello");
  ASSERT_TRUE(ipc::send_link_record(pair.second.get(), line));
  pair.second.reset();
  run_until([&] { return end.has_value(); });
  EXPECT_THAT(lines, ElementsAre("hello"));
  EXPECT_EQ(end->code, Code::Unreachable);
}

TEST_F(Ports, ALinkThatSpeaksWronglyIsEnded) {
  std::optional<Error> end;
  auto port = LinkPort::open(
      loop, std::move(pair.first), [](const ipc::LinkRecord&) { FAIL(); },
      [&](const Error& why) { end = why; });
  ASSERT_TRUE(port);
  ASSERT_TRUE(sys::send_message(pair.second.get(), std::as_bytes(std::span("junk"))));
  run_until([&] { return end.has_value(); });
  EXPECT_EQ(end->code, Code::Malformed);
}

TEST_F(Ports, APeerThatNeverReadsItsLinkIsEnded) {
  std::optional<Error> end;
  auto port = LinkPort::open(
      loop, std::move(pair.first), [](const ipc::LinkRecord&) {},
      [&](const Error& why) { end = why; });
  ASSERT_TRUE(port);
  for (int i = 0; i < 100000 && !end; ++i) (*port)->send(ipc::GroupStale{});
  ASSERT_TRUE(end);
  EXPECT_THAT(end->text, HasSubstr("does not read"));
}

TEST_F(Ports, ALinkKeepsTheOrderForAPeerThatReadsLate) {
  auto port = LinkPort::open(
      loop, std::move(pair.first), [](const ipc::LinkRecord&) {},
      [](const Error& why) { FAIL() << why.text; });
  ASSERT_TRUE(port);
  constexpr std::uint32_t kRecords = 400;
  for (std::uint32_t i = 0; i < kRecords; ++i)
    (*port)->send(ipc::Operate{.operation = ipc::Operation::Start, .reserved = i});
  std::uint32_t expected = 0;
  run_until([&] {
    for (;;) {
      const auto record = ipc::receive_link_record(pair.second.get(), ipc::LinkSide::Manager);
      if (!record || !*record) return expected == kRecords;
      EXPECT_EQ((*record)->as<ipc::Operate>().reserved, expected++);
    }
  });
}

// Each answer may carry descriptors, which count against the manager until they are read.
TEST_F(Ports, APeerThatDoesNotReadItsAnswersIsNotListenedTo) {
  std::unique_ptr<LinkPort> port;
  int served = 0;
  auto opened = LinkPort::open(
      loop, std::move(pair.first),
      [&](const ipc::LinkRecord&) {
        ++served;
        port->send(ipc::ChannelRefused{});
      },
      [](const Error& why) { FAIL() << why.text; });
  ASSERT_TRUE(opened);
  port = std::move(*opened);
  int sent = 0;
  while (sent < 100 && ipc::send_link_record(pair.second.get(), ipc::OpenChannel{})) ++sent;
  ASSERT_EQ(sent, 100);
  int turns = 0;
  run_until([&] {
    if (++turns < 50) return false; // time enough to serve them all
    if (turns == 50) {
      EXPECT_EQ(served, 32);
    }
    while (true) {
      const auto record = ipc::receive_link_record(pair.second.get(), ipc::LinkSide::Manager);
      if (!record || !*record) return served == sent;
    }
  });
}

// What a record costs is not the same for all: it is time that is shared.
TEST_F(Ports, WhoAsksForMuchDoesNotHoldUpTheOthers) {
  sys::SocketPair other = *sys::make_seqpacket_pair();
  int dear = 0;
  int cheap = 0;
  const auto never = [](const Error& why) { FAIL() << why.text; };
  const auto greedy = LinkPort::open(
      loop, std::move(pair.first),
      [&](const ipc::LinkRecord&) {
        ++dear;
        const Monotonic until = loop.now() + 2ms;
        while (loop.now() < until) {
        }
      },
      never);
  const auto modest = LinkPort::open(
      loop, std::move(other.first),
      [&](const ipc::LinkRecord&) {
        ++cheap;
        ASSERT_TRUE(ipc::send_link_record(other.second.get(), ipc::Waiting{}));
      },
      never);
  ASSERT_TRUE(greedy && modest);
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(ipc::send_link_record(pair.second.get(), ipc::Waiting{}));
  ASSERT_TRUE(ipc::send_link_record(other.second.get(), ipc::Waiting{}));
  run_until([&] { return cheap >= 10; });
  EXPECT_LT(dear, 50);
}

// No endpoint sends descriptors. What a program sends all the same is closed, and its link ends.
TEST_F(Ports, DescriptorsFromAPeerAreClosedAndEndItsLink) {
  const auto descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::ranges::distance(begin(all), end(all));
  };
  const auto timer = loop.after(1min, [] {}); // the loop's own descriptor for timers is there
  const auto before = descriptors();
  constexpr std::array kCounts = {1U, 4U, 16U, 253U};
  std::vector<std::unique_ptr<LinkPort>> ports;
  std::vector<sys::Fd> peers;
  std::vector<Code> ends;
  for (const std::size_t count : kCounts) {
    sys::SocketPair link = *sys::make_seqpacket_pair();
    auto port = LinkPort::open(
        loop, std::move(link.first), [](const ipc::LinkRecord&) { FAIL(); },
        [&](const Error& why) { ends.push_back(why.code); });
    ASSERT_TRUE(port) << port.error().text;
    ipc::Waiting record;
    iovec part{&record, sizeof record};
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    const std::vector<int> fds(count, link.second.get());
    std::memcpy(CMSG_DATA(header), fds.data(), count * sizeof(int));
    ASSERT_EQ(::sendmsg(link.second.get(), &message, 0), ssize_t{sizeof record});
    ports.push_back(std::move(*port));
    peers.push_back(std::move(link.second));
  }
  run_until([&] { return ends.size() == kCounts.size(); });
  EXPECT_THAT(ends, testing::Each(Code::Malformed));
  ports.clear();
  peers.clear();
  EXPECT_EQ(descriptors(), before);
}

// What it has said by then, and not what it says afterwards.
TEST_F(Ports, WhatAPeerHasSaidByNowCanBeHeardFirst) {
  std::vector<std::string> events;
  std::unique_ptr<LinkPort> port;
  auto opened = LinkPort::open(
      loop, std::move(pair.first),
      [&](const ipc::LinkRecord& record) {
        events.emplace_back(record.as<ipc::LogLine>().text);
        if (events.back() == "second") {
          EXPECT_TRUE(ipc::send_link_record(pair.second.get(), ipc::LogLine{}));
        }
      },
      [&](const Error&) { events.emplace_back("end"); });
  ASSERT_TRUE(opened);
  port = std::move(*opened);
  const auto note = [&] { events.emplace_back("heard"); };
  EXPECT_FALSE(port->after_unread(note)); // it has said nothing
  ipc::LogLine line;
  for (const char* text : {"first", "second", "third"}) {
    put_text(line.text, text);
    ASSERT_TRUE(ipc::send_link_record(pair.second.get(), line));
    if (std::string_view(text) == "first") {
      EXPECT_TRUE(port->after_unread(note));
    }
  }
  EXPECT_TRUE(port->after_unread(note));
  run_until([&] { return events.size() == 6; });
  EXPECT_THAT(events, ElementsAre("first", "heard", "second", "third", "heard", ""));
}

TEST_F(Ports, WhatAPeerHasSaidByItsEndIsHeardFirstToo) {
  std::vector<std::string> events;
  auto port = LinkPort::open(
      loop, std::move(pair.first),
      [&](const ipc::LinkRecord& record) { events.emplace_back(record.as<ipc::LogLine>().text); },
      [&](const Error&) { events.emplace_back("end"); });
  ASSERT_TRUE(port);
  ipc::LogLine line;
  put_text(line.text, "last");
  ASSERT_TRUE(ipc::send_link_record(pair.second.get(), line));
  ASSERT_TRUE(sys::send_message(pair.second.get(), std::as_bytes(std::span("junk"))));
  EXPECT_TRUE((*port)->after_unread([&] { events.emplace_back("heard"); }));
  run_until([&] { return (*port)->ended(); });
  EXPECT_THAT(events, ElementsAre("last", "heard", "end"));
  EXPECT_FALSE((*port)->after_unread([] { FAIL(); }));
}

TEST_F(Ports, APeerThatIsNotListenedToIsNotWaitedFor) {
  std::unique_ptr<LinkPort> port;
  auto opened = LinkPort::open(
      loop, std::move(pair.first),
      [&](const ipc::LinkRecord&) {
        for (int i = 0; i < 32; ++i) port->send(ipc::ChannelRefused{});
      },
      [](const Error& why) { FAIL() << why.text; });
  ASSERT_TRUE(opened);
  port = std::move(*opened);
  bool heard = false;
  ASSERT_TRUE(ipc::send_link_record(pair.second.get(), ipc::OpenChannel{}));
  ASSERT_TRUE(ipc::send_link_record(pair.second.get(), ipc::OpenChannel{}));
  EXPECT_TRUE(port->after_unread([&] { heard = true; }));
  run_until([&] { return heard; }); // after the first: its answers are not read
  EXPECT_FALSE(port->after_unread([] { FAIL(); }));
}

// The peer is frozen, and somebody opens and closes channels to it.
TEST_F(Ports, WhatIsOpenedAndClosedBeforeAPeerReadsIsTakenBack) {
  auto port = LinkPort::open(
      loop, std::move(pair.first), [](const ipc::LinkRecord&) {},
      [](const Error& why) { FAIL() << why.text; });
  ASSERT_TRUE(port);
  for (std::uint64_t channel = 1; channel <= 20000; ++channel) {
    ipc::ChannelOpened opened;
    opened.channel_id = channel;
    (*port)->send(opened);
    if ((*port)->take_back(channel)) continue;
    ipc::ChannelClosed closed;
    closed.channel_id = channel;
    (*port)->send(closed);
  }
  EXPECT_FALSE((*port)->ended());
}

TEST_F(Ports, TheWardensAnswerGoesToWhoAsked) {
  std::vector<std::string> answers;
  auto port = WardenPort::open(
      loop, std::move(pair.first), [](const WardenMessage&) { FAIL(); },
      [](const Error& why) { FAIL() << why.text; });
  ASSERT_TRUE(port);
  const auto note = [&](const Result<>& answer) {
    answers.push_back(answer ? "yes" : answer.error().text);
  };
  (*port)->send(warden::Target{.header = {.type = warden::MessageType::Freeze,
                                          .size = sizeof(warden::Target)}},
                note);
  (*port)->send(
      warden::Target{.header = {.type = warden::MessageType::Thaw, .size = sizeof(warden::Target)}},
      note);
  warden::Answer second{.header = {.type = warden::MessageType::Answer,
                                   .size = sizeof(warden::Answer),
                                   .sequence = 2},
                        .code = static_cast<std::int32_t>(Code::NotFound)};
  std::memcpy(second.text, "no such plugin", 15);
  warden::Answer first{.header = {.type = warden::MessageType::Answer,
                                  .size = sizeof(warden::Answer),
                                  .sequence = 1}};
  ASSERT_TRUE(sys::send_message(pair.second.get(), std::as_bytes(std::span(&second, 1))));
  ASSERT_TRUE(sys::send_message(pair.second.get(), std::as_bytes(std::span(&first, 1))));
  run_until([&] { return answers.size() == 2; });
  EXPECT_THAT(answers, ElementsAre("no such plugin", "yes"));
}

// Until the warden reads again; only what has descriptors needs some of its own meanwhile.
TEST_F(Ports, WhatMustWaitForTheWardenAndFindsNoDescriptorsIsRefusedAndNothingElse) {
  auto port = WardenPort::open(
      loop, std::move(pair.first), [](const WardenMessage&) { FAIL(); },
      [](const Error& why) { FAIL() << why.text; });
  ASSERT_TRUE(port);
  const int fd = STDIN_FILENO;
  const auto keep = [&](std::uint64_t key) {
    return (*port)->send(
        warden::Keep{.plugin_id = 1, .key = key, .kind = warden::KeepKind::RingData},
        std::span(&fd, 1), [](const Result<>&) { FAIL() << "nobody has answered it"; });
  };
  std::uint64_t sent = 0;
  Result<> kept;
  Result<> overtaking;
  {
    const NoDescriptors none; // (a sanitizer needs some where it judges a matcher)
    while (sent < 100'000 && (kept = keep(sent + 1))) ++sent;
    (*port)->send(warden::Forget{.plugin_id = 2});
    overtaking = keep(100'001);
  }
  ASSERT_FALSE(kept) << "the socket took all";
  EXPECT_EQ(kept.error().code, Code::Exhausted);
  EXPECT_THAT(kept.error().text, HasSubstr("RLIMIT_NOFILE"));
  EXPECT_FALSE(overtaking);    // it may not overtake the one before
  ASSERT_TRUE(keep(sent + 1)); // there is room again, and it waits
  std::uint64_t keys = 0;
  bool forgot = false;
  std::vector<std::byte> buffer(warden::kMaxMessage);
  run_until([&] {
    for (;;) {
      const auto received = sys::receive_message(pair.second.get(), buffer);
      if (!received || !*received) return keys == sent + 1;
      warden::Header header;
      std::memcpy(&header, buffer.data(), sizeof header);
      if (header.type == warden::MessageType::Forget) {
        EXPECT_EQ(keys, sent);
        forgot = true;
        continue;
      }
      warden::Keep message;
      std::memcpy(&message, buffer.data(), sizeof message);
      EXPECT_EQ(message.key, ++keys);
      EXPECT_EQ((*received)->fds.size(), 1U);
    }
  });
  EXPECT_TRUE(forgot);
}

TEST_F(Ports, AWardenOfAnotherVersionIsRefused) {
  std::optional<Error> end;
  auto port = WardenPort::open(
      loop, std::move(pair.first), [](const WardenMessage&) { FAIL(); },
      [&](const Error& why) { end = why; });
  ASSERT_TRUE(port);
  warden::Signal other{.header = {.version = 99,
                                  .type = warden::MessageType::Shutdown,
                                  .size = sizeof(warden::Signal)}};
  ASSERT_TRUE(sys::send_message(pair.second.get(), std::as_bytes(std::span(&other, 1))));
  run_until([&] { return end.has_value(); });
  EXPECT_THAT(end->text, HasSubstr("version 99"));
}

TEST_F(Ports, APipeGivesLinesAndTheUnfinishedLastOne) {
  auto pipe = make_log_pipe();
  ASSERT_TRUE(pipe);
  std::vector<std::string> lines;
  auto log = LogPipe::open(loop, std::move(pipe->read),
                           [&](std::string_view line) { lines.emplace_back(line); });
  ASSERT_TRUE(log);
  ASSERT_EQ(::write(pipe->write.get(), "one\ntw", 6), 6);
  run_until([&] { return !lines.empty(); });
  pipe->write.reset();
  (*log)->drain();
  EXPECT_THAT(lines, ElementsAre("one", "tw"));
}

} // namespace
} // namespace mohhos::manager
