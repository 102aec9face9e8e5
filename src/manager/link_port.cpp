#include "manager/link_port.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include <sys/epoll.h>

#include "sys/duplicate.hpp"
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

void LinkPort::push(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (ended()) return;
  if (serving_) ++answers_;
  if (queue_.empty()) {
    const auto sent = ipc::send_link_bytes(socket_.get(), bytes, fds);
    if (sent) return;
    if (sent.error().code == Code::Unreachable)
      return; // its end is read from the socket, after its last words
    if (sent.error().code != Code::Refused) return end(sent.error());
  }
  if (queue_.size() == kLongestQueue) return end({Code::Exhausted, "it does not read its link"});
  auto copies = sys::duplicate_all(fds);
  if (!copies) return end(copies.error());
  queue_.push_back(
      {.bytes = {bytes.begin(), bytes.end()}, .fds = std::move(*copies), .answer = serving_});
  source_.watch(EPOLLIN | EPOLLOUT);
}

bool LinkPort::push_now(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (ended() || !queue_.empty()) return false;
  return ipc::send_link_bytes(socket_.get(), bytes, fds).has_value();
}

void LinkPort::flush() {
  while (!queue_.empty()) {
    std::vector<int> fds;
    for (const sys::Fd& fd : queue_.front().fds) fds.push_back(fd.get());
    const auto sent = ipc::send_link_bytes(socket_.get(), queue_.front().bytes, fds);
    if (!sent && sent.error().code == Code::Refused) return;
    if (!sent)
      queue_.clear(); // gone; read its end from the socket
    else
      queue_.pop_front();
  }
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
    end(std::move(received).error());
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

void LinkPort::end(Error why) {
  source_.reset();
  note_served(SIZE_MAX);
  if (on_end_) std::exchange(on_end_, nullptr)(why);
}

} // namespace mohhos::manager
