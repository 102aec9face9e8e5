#include "manager/link_port.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include <sys/epoll.h>

#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

// Records that a peer may leave unread: what the socket held may all have to be announced as
// closed, and every channel that it may have as opened (take_back() takes the rest).
constexpr std::size_t kLongestQueue = 1024;
// An answer may carry descriptors: they count against us until the peer has read it.
constexpr std::size_t kMostAnswers = 32;
// Of one link, before the others have their turn; one that has more then waits for a moment. What a
// record costs us is not the same for all: a group of a hundred members, a memory to be made.
constexpr int kRecordsPerTurn = 128;
constexpr std::chrono::milliseconds kTurn{1};
constexpr std::chrono::milliseconds kRest{5};
// How often, and for how long, what the kernel has no room for is tried again.
constexpr std::chrono::milliseconds kAgain{5};
constexpr std::chrono::milliseconds kPatience{500};

} // namespace

LinkPort::LinkPort(sys::Loop& loop, sys::Fd socket, OnRecord on_record, OnEnd on_end)
    : loop_(loop), socket_(std::move(socket)), on_record_(std::move(on_record)),
      on_end_(std::move(on_end)) {}

Result<std::unique_ptr<LinkPort>> LinkPort::open(sys::Loop& loop, sys::Fd socket,
                                                 OnRecord on_record, OnEnd on_end) {
  std::unique_ptr<LinkPort> port(
      new LinkPort(loop, std::move(socket), std::move(on_record), std::move(on_end)));
  auto* self = port.get();
  TRY(port->source_, loop.on_fd(port->socket_.get(), EPOLLIN,
                                [self](std::uint32_t events) { self->on_events(events); }));
  return port;
}

Result<> LinkPort::put(std::span<const std::byte> bytes, const std::vector<sys::Fd>& owned) {
  std::vector<int> fds;
  fds.reserve(owned.size());
  for (const sys::Fd& fd : owned) fds.push_back(fd.get());
  TRY(ipc::send_link_bytes(socket_.get(), bytes, fds));
  if (!fds.empty()) starved_since_.reset();
  return {};
}

void LinkPort::push(std::span<const std::byte> bytes, std::vector<sys::Fd> fds,
                    OnGivenUp on_given_up) {
  if (ended()) return;
  if (serving_) ++answers_;
  Code outcome = Code::Refused; // behind those that wait
  if (queue_.empty()) {
    const auto sent = put(bytes, fds);
    if (sent) return;
    outcome = sent.error().code;
    if (outcome == Code::Unreachable)
      return; // its end is read from the socket, after its last words
    if (outcome != Code::Refused && outcome != Code::Exhausted) return end(sent.error());
  }
  if (queue_.size() == kLongestQueue) return end({Code::Exhausted, "it does not read its link"});
  queue_.push_back({.bytes = {bytes.begin(), bytes.end()},
                    .fds = std::move(fds),
                    .on_given_up = std::move(on_given_up),
                    .answer = serving_});
  if (outcome == Code::Exhausted) {
    if (!starved_since_) starved_since_ = loop_.now();
    try_again();
  } else if (!again_) {
    source_.watch(EPOLLIN | EPOLLOUT);
  }
}

bool LinkPort::push_now(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (ended() || !queue_.empty()) return false;
  return ipc::send_link_bytes(socket_.get(), bytes, fds).has_value();
}

void LinkPort::flush() {
  while (!queue_.empty()) {
    const auto sent = put(queue_.front().bytes, queue_.front().fds);
    if (!sent && sent.error().code == Code::Refused) return source_.watch(EPOLLIN | EPOLLOUT);
    if (!sent && sent.error().code == Code::Exhausted) {
      const Monotonic now = loop_.now();
      if (!starved_since_) starved_since_ = now;
      if (now - *starved_since_ < kPatience) return try_again();
      const Queued given_up = std::move(queue_.front());
      queue_.pop_front();
      if (!given_up.on_given_up) return end(sent.error());
      given_up.on_given_up(sent.error());
      if (ended()) return;
    } else if (!sent) {
      queue_.clear(); // gone; read its end from the socket
    } else {
      queue_.pop_front();
    }
  }
  source_.watch(EPOLLIN);
}

// The socket itself is writable all the while.
void LinkPort::try_again() {
  auto again = loop_.after(kAgain, [this] {
    const sys::Source ended = std::move(again_);
    flush();
  });
  if (!again) return end(again.error());
  again_ = std::move(*again);
  source_.watch(EPOLLIN);
}

bool LinkPort::take_back(std::uint64_t channel) {
  const auto waits = std::ranges::find_if(queue_, [&](const Queued& waiting) {
    ipc::ChannelOpened record;
    if (waiting.answer || waiting.bytes.size() != sizeof record) return false;
    std::memcpy(&record, waiting.bytes.data(), sizeof record);
    return record.header.type == ipc::LinkType::ChannelOpened && record.channel_id == channel;
  });
  if (waits == queue_.end()) return false;
  queue_.erase(waits);
  return true;
}

bool LinkPort::is_deaf() {
  if (answers_ < kMostAnswers) return false;
  if (!queue_.empty() || sys::unread_bytes(socket_.get()) != 0) return true;
  answers_ = 0;
  return false;
}

void LinkPort::on_events(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush();
  const Monotonic until = loop_.now() + kTurn;
  for (int i = 0; i < kRecordsPerTurn && !is_deaf(); ++i) {
    if (!receive_one()) return;
    if (loop_.now() >= until) break;
  }
  if (is_deaf()) note_served(SIZE_MAX);
  rest();
}

bool LinkPort::after_unread(std::function<void()> then) {
  if (ended() || is_deaf()) return false;
  const std::size_t bytes = sys::waiting_bytes(socket_.get());
  if (bytes == 0) return false;
  backlogs_.push_back({bytes, std::move(then)});
  return true;
}

void LinkPort::note_served(std::size_t bytes) {
  for (Backlog& backlog : backlogs_) backlog.bytes -= std::min(backlog.bytes, bytes);
  while (!backlogs_.empty() && backlogs_.front().bytes == 0) {
    const auto then = std::move(backlogs_.front().then);
    backlogs_.pop_front();
    then();
  }
}

void LinkPort::rest() {
  auto rest = loop_.after(kRest, [this] {
    if (source_) source_.resume();
  });
  if (!rest) return;
  rest_ = std::move(*rest);
  source_.pause();
}

bool LinkPort::receive_one() {
  if (ended()) return false;
  auto received = ipc::receive_link_record(socket_.get(), ipc::LinkSide::Endpoint);
  if (!received) {
    end(received.error());
    return false;
  }
  if (!*received) return false;
  serving_ = true;
  on_record_(**received);
  serving_ = false;
  note_served((*received)->header.size);
  return true;
}

void LinkPort::drain() {
  while (receive_one()) {
  }
}

void LinkPort::end(const Error& why) {
  source_.reset();
  again_.reset();
  note_served(SIZE_MAX);
  if (on_end_) std::exchange(on_end_, nullptr)(why);
}

} // namespace mohhos::manager
