// docs/ring-format.md, held against a second implementation made by what it says
// (ring_format.py): each side understands the other's messages, wakes it, takes up where it died,
// and counts what it overwrote.
#include <array>
#include <fcntl.h>
#include <functional>
#include <sstream>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "ipc/remains.hpp"
#include "ipc/shared_word.hpp"
#include "ring_memory.hpp"
#include "sys/memfd.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using Got = RingReceiver::Outcome;
using Sent = RingSender::Outcome;
using testing::Pair;
using testing::Writable;

constexpr std::uint64_t kRing = 8192;
constexpr auto kPatience = 20s;

// --- messages by number; ring_format.py has the same ---

Outgoing about(unsigned i) {
  Outgoing one{.type = static_cast<MessageType>(i % 8),
               .priority = static_cast<Priority>(i % 4),
               .failed = i % 5 == 0,
               .cancels = i % 7 == 0,
               .durable = i % 2 == 0};
  if (i % 3 == 0) {
    one.correlation = (i + 1) * std::uint64_t{1'000'003};
    one.deadline_ns = i * std::uint64_t{17};
    one.event = i % 11;
    one.attachment = i % 13;
  }
  return one;
}

std::vector<std::byte> payload(unsigned i) {
  std::vector<std::byte> bytes(i * 37 % 3000);
  for (std::size_t j = 0; j < bytes.size(); ++j) bytes[j] = static_cast<std::byte>(i + j);
  return bytes;
}

std::string line_of(const MessageInfo& info, std::span<const std::byte> bytes) {
  std::string flags;
  for (const auto& [is_set, name] :
       {std::pair(info.failed, "failed"), std::pair(info.cancels, "cancels"),
        std::pair(info.durable, "durable"), std::pair(info.redelivered, "again")})
    if (is_set) flags += (flags.empty() ? "" : "+") + std::string(name);
  std::string line =
      fmt::format("{} {} {} {} {} {} {} {} ", static_cast<unsigned>(info.type),
                  static_cast<unsigned>(info.priority), info.correlation, info.deadline_ns,
                  info.generation, info.event, info.attachment, flags.empty() ? "-" : flags);
  for (const std::byte byte : bytes) line += fmt::format("{:02x}", std::to_integer<int>(byte));
  return line + (bytes.empty() ? "-" : "");
}

// What whoever receives message i sees, without its id.
std::string expected(unsigned i, bool again = false, bool lossy = false) {
  const Outgoing sent = about(i);
  const bool extended = i % 3 == 0 || lossy;
  const MessageInfo info{.type = sent.type,
                         .priority = sent.priority,
                         .failed = sent.failed,
                         .cancels = sent.cancels,
                         .durable = sent.durable,
                         .redelivered = again,
                         .event = sent.event,
                         .generation = extended ? 1U : 0U,
                         .correlation = lossy ? 0 : sent.correlation, // the event's number
                         .deadline_ns = sent.deadline_ns,
                         .attachment = sent.attachment};
  return line_of(info, payload(i));
}

// --- sleeping as the page says: edge-triggered, nobody reads a bell ---

class Ear {
public:
  explicit Ear(int bell) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell, &event), 0);
  }
  void wait(std::chrono::milliseconds time) {
    epoll_event event{};
    static_cast<void>(::epoll_wait(epoll_.get(), &event, 1, static_cast<int>(time.count())));
  }

private:
  sys::Fd epoll_;
};

void send(SendingChannel& to, unsigned i, bool more = false, std::uint64_t* id = nullptr) {
  Ear ear(to.space_bell());
  const auto bytes = payload(i);
  std::span<std::byte> space;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const Spacing spacing = i % 6 < 3 ? Spacing::Apart : Spacing::Close;
  const auto size = static_cast<std::uint32_t>(bytes.size());
  auto outcome = to.ring().loan(size, about(i), space, spacing);
  while (outcome == Sent::Full) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    to.wake();
    to.ring().arm();
    outcome = to.ring().loan(size, about(i), space, spacing);
    if (outcome == Sent::Full) ear.wait(1ms);
    to.ring().disarm();
  }
  ASSERT_EQ(outcome, Sent::Ok);
  std::ranges::copy(bytes, space.begin());
  const std::uint64_t made = to.commit(more);
  if (id != nullptr) *id = made;
}

void wait_for(ReceivingChannel& from, View& view) {
  Ear ear(from.data_bell());
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto outcome = from.next(view);
    ASSERT_NE(outcome, Got::Broken) << breach_text(from.ring().breach());
    if (outcome == Got::Message) return;
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    from.ring().arm();
    store_load_fence(); // the sender: commit(), fence, load of armed
    if (!from.ready()) ear.wait(kPatience);
    from.ring().disarm();
  }
}

// The next message's line, acknowledged; nothing when the ring is empty.
std::string take(ReceivingChannel& from) {
  View view;
  if (from.next(view) != Got::Message) return "";
  std::string line = line_of(view.info, view.payload);
  from.release(view);
  return line;
}

// --- the other implementation, as a process of its own ---

class Second {
public:
  Second(const std::string& role, Result<ChannelEnd> made, unsigned number = 0)
      : end_(*std::move(made)), output_(*sys::make_memfd("output", 0600)) {
    std::vector<std::string> words = {PYTHON, RING_FORMAT, role};
    for (const int fd : end_.in_order()) words.push_back(std::to_string(fd));
    words.push_back(std::to_string(kRing));
    words.push_back(std::to_string(number));
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    if (process_ != 0) return;
    for (const int fd : end_.in_order()) ::fcntl(fd, F_SETFD, 0);
    ::dup2(output_.get(), STDOUT_FILENO);
    ::execv(PYTHON, arguments.data());
    ::_exit(127);
  }
  ~Second() {
    if (process_ > 0) static_cast<void>(finish());
  }
  Second(const Second&) = delete;
  Second& operator=(const Second&) = delete;

  // Waits for its end; the lines that it wrote.
  std::vector<std::string> finish() {
    int status = 0;
    EXPECT_EQ(::waitpid(std::exchange(process_, -1), &status, 0) > 0 ? status : -1, 0);
    std::string text(static_cast<std::size_t>(::lseek(output_.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(output_.get(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }

private:
  ChannelEnd end_;
  sys::Fd output_;
  pid_t process_ = -1;
};

std::string without_id(const std::string& line) {
  return line.substr(line.find(' ') + 1);
}

enum class Way : std::uint8_t { Single, Batches, Laps };
const char* name_of(Way way) {
  return way == Way::Single ? "send" : way == Way::Batches ? "send-batches" : "send-laps";
}
Pair ring_for(Way way) {
  return Pair(kRing, Loss::Never, false, way == Way::Laps ? testing::kTestLaps : Laps{});
}

class RingFormat : public ::testing::TestWithParam<Way> {};

// Many laps of a small ring: records that cross its end, a sender that waits for space, a receiver
// that sleeps. With and without batches, and with laps that end before the ring does.
TEST_P(RingFormat, ItsMessagesAreUnderstood) {
  constexpr unsigned kCount = 300;
  Pair ring = ring_for(GetParam());
  ring.sender.reset();
  Second second(name_of(GetParam()), make_sender_end(ring.memory), kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    View view;
    ASSERT_NO_FATAL_FAILURE(wait_for(*ring.receiver, view));
    ASSERT_EQ(line_of(view.info, view.payload), expected(i)) << i;
    ring.receiver->release(view);
  }
  (void)second.finish();
  EXPECT_EQ(take(*ring.receiver), "");
  EXPECT_EQ(Writable(ring).header()->skip_end != 0, GetParam() == Way::Laps);
}

TEST_P(RingFormat, ItUnderstandsOurMessages) {
  constexpr unsigned kCount = 300;
  Pair ring = ring_for(GetParam());
  ring.receiver.reset();
  Second second("receive", make_receiver_end(ring.memory), kCount);
  std::vector<std::uint64_t> ids(kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    ASSERT_NO_FATAL_FAILURE(
        send(*ring.sender, i, GetParam() == Way::Batches && i % 8 != 7, &ids[i]));
    // A lap ends where its receiver keeps up.
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (GetParam() == Way::Laps && !ring.sender->ring().drained()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::yield();
    }
  }
  ring.sender->wake();
  const auto lines = second.finish();
  ASSERT_EQ(lines.size(), kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    EXPECT_EQ(without_id(lines[i]), expected(i)) << i;
    EXPECT_EQ(std::stoull(lines[i]), ids[i]);
  }
  EXPECT_EQ(Writable(ring).header()->skip_end != 0, GetParam() == Way::Laps);
}

INSTANTIATE_TEST_SUITE_P(Ways, RingFormat, ::testing::Values(Way::Single, Way::Batches, Way::Laps));

TEST(RingFormatDeath, WhatItHadInHandComesAgain) {
  Pair ring(kRing);
  for (unsigned i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(send(*ring.sender, i));
  EXPECT_EQ(Second("receive-and-die", make_receiver_end(ring.memory), 4).finish().size(), 4U);
  ring.new_receiver();
  for (unsigned i = 1; i < 5; ++i) EXPECT_EQ(take(*ring.receiver), expected(i, i < 4));
  EXPECT_EQ(take(*ring.receiver), "");
}

TEST(RingFormatDeath, ItGetsAgainWhatWeHadInHand) {
  Pair ring(kRing);
  for (unsigned i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(send(*ring.sender, i));
  EXPECT_EQ(take(*ring.receiver), expected(0));
  View view;
  for (int i = 0; i < 2; ++i) ASSERT_EQ(ring.receiver->next(view), Got::Message);
  ring.receiver.reset();
  const auto lines = Second("drain", make_receiver_end(ring.memory)).finish();
  ASSERT_EQ(lines.size(), 4U);
  for (unsigned i = 1; i < 5; ++i) EXPECT_EQ(without_id(lines[i - 1]), expected(i, i < 3));
}

TEST(RingFormatDeath, WeGoOnBehindWhatItPublished) {
  Pair ring(kRing);
  ring.sender.reset();
  (void)Second("send-and-die", make_sender_end(ring.memory), 3).finish();
  ring.new_sender();
  ASSERT_NO_FATAL_FAILURE(send(*ring.sender, 3));
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(take(*ring.receiver), expected(i));
  EXPECT_EQ(take(*ring.receiver), "");
}

TEST(RingFormatDeath, ItGoesOnBehindWhatWePublished) {
  Pair ring(kRing);
  ASSERT_EQ(ring.send("ours"), Sent::Ok);
  std::span<std::byte> space;
  ASSERT_EQ(ring.sender->ring().loan(200, {}, space), Sent::Ok);
  std::ranges::fill(space, std::byte{0xFF}); // and published never
  ring.sender.reset();
  (void)Second("send", make_sender_end(ring.memory), 3).finish();
  EXPECT_EQ(ring.take(), "ours");
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(take(*ring.receiver), expected(i));
  EXPECT_EQ(take(*ring.receiver), "");
}

TEST(RingFormatDeath, ItSkipsWhatWasBuried) {
  Pair ring(kRing);
  for (unsigned i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(send(*ring.sender, i));
  View view;
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  ring.receiver.reset();
  const Remains remains(ring.memory.data.get(), ring.memory.control.get(), kRing);
  ASSERT_TRUE(remains.bury_before(view.end));
  const auto lines = Second("drain", make_receiver_end(ring.memory)).finish();
  ASSERT_EQ(lines.size(), 2U);
  for (unsigned i = 1; i < 3; ++i) EXPECT_EQ(without_id(lines[i - 1]), expected(i));
}

// --- the ring that overwrites its oldest records ---

TEST(RingFormatLossy, WeCountWhatItOverwrote) {
  Pair ring(kRing, Loss::Oldest);
  ring.sender.reset();
  constexpr unsigned kCount = 100;
  (void)Second("lossy-send", make_sender_end(ring.memory), kCount).finish();
  std::vector<std::string> lines;
  for (std::string line; !(line = take(*ring.receiver)).empty();) lines.push_back(line);
  ASSERT_GT(lines.size(), 1U);
  for (std::size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(lines[i], expected(static_cast<unsigned>(kCount - lines.size() + i), false, true));
  const auto dropped = [&] { return ring.receiver->ring().counters().dropped; };
  EXPECT_EQ(lines.size() + dropped(), kCount);
  // Its successor, and then ours, number on where it stopped though the ring is empty: nothing is
  // missed.
  const std::uint64_t before = dropped();
  (void)Second("lossy-send", make_sender_end(ring.memory), 3).finish();
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(take(*ring.receiver), expected(i, false, true));
  ring.new_sender();
  ASSERT_NO_FATAL_FAILURE(send(*ring.sender, 3));
  EXPECT_EQ(take(*ring.receiver), expected(3, false, true));
  EXPECT_EQ(dropped(), before);
}

TEST(RingFormatLossy, ItCountsWhatWeOverwrote) {
  Pair ring(kRing, Loss::Oldest);
  ring.receiver.reset();
  constexpr unsigned kCount = 100;
  for (unsigned i = 0; i < kCount; ++i) ASSERT_NO_FATAL_FAILURE(send(*ring.sender, i));
  auto lines = Second("lossy-drain", make_receiver_end(ring.memory)).finish();
  ASSERT_GT(lines.size(), 1U);
  for (std::size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(without_id(lines[i]),
              expected(static_cast<unsigned>(kCount - lines.size() + i), false, true));
  const Writable seen(ring);
  EXPECT_EQ(lines.size() + seen.control()->counters.dropped, kCount);
  // Its successor counts on.
  ASSERT_NO_FATAL_FAILURE(send(*ring.sender, 0));
  lines = Second("lossy-drain", make_receiver_end(ring.memory)).finish();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(seen.control()->counters.acknowledged + seen.control()->counters.dropped, kCount + 1);
}

} // namespace
} // namespace mohhos::ipc
