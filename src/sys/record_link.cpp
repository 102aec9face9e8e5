#include "sys/record_link.hpp"

#include <sys/epoll.h>

#include "sys/socket.hpp"

namespace mohhos::sys {
namespace {
constexpr std::size_t kStopReading = 4096; // waiting records
constexpr int kRecordsPerTurn = 64;
} // namespace

Result<std::unique_ptr<RecordLink>> RecordLink::open(Loop& loop, Fd socket, std::size_t largest,
                                                     Receive receive, Broken broken) {
  std::unique_ptr<RecordLink> link(
      new RecordLink(loop, std::move(socket), largest, std::move(receive), std::move(broken)));
  RecordLink* self = link.get();
  TRY(link->ready_, loop.on_fd(link->socket_.get(), EPOLLIN, [self](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) self->flush();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    for (int i = 0; i < kRecordsPerTurn; ++i)
      if (!self->receive_one()) return;
  }));
  return link;
}

bool RecordLink::receive_one() {
  if (closed_) return false;
  auto received = receive_message(socket_.get(), buffer_);
  if (received && !*received) return false;
  if (!received || (*received)->size == 0) {
    closed_ = true;
    ready_.reset();
    broken_(received ? Error{Code::PeerGone, "it closed the link"} : received.error());
    return false;
  }
  return receive_(std::span(buffer_).first((*received)->size), std::move((*received)->fds));
}

void RecordLink::drain() {
  while (receive_one()) {
  }
}

void RecordLink::send(std::span<const std::byte> record, std::vector<SharedFd> fds) {
  if (closed_) return;
  waiting_.push_back({{record.begin(), record.end()}, std::move(fds)});
  if (waiting_.size() == 1) flush();
}

void RecordLink::flush() {
  while (!waiting_.empty()) {
    const Waiting& first = waiting_.front();
    std::vector<int> numbers;
    numbers.reserve(first.fds.size());
    for (const SharedFd& fd : first.fds) numbers.push_back(fd->get());
    const auto sent = send_message(socket_.get(), first.bytes, numbers);
    if (sent) {
      waiting_.pop_front();
      continue;
    }
    if (sent.error().code == Code::Unreachable) waiting_.clear(); // reading will tell
    // Not a full queue, of which EPOLLOUT tells: too many descriptors on their way (ETOOMANYREFS).
    else if (sent.error().code != Code::Refused) {
      auto later = loop_.after(std::chrono::milliseconds(5), [this] { flush(); });
      if (later) retry_ = *std::move(later);
      return;
    }
    break;
  }
  watch();
}

void RecordLink::watch() {
  if (!ready_) return;
  const std::uint32_t in = waiting_.size() < kStopReading ? std::uint32_t{EPOLLIN} : 0;
  const std::uint32_t out = waiting_.empty() ? 0 : std::uint32_t{EPOLLOUT};
  ready_.watch(in | out);
}

} // namespace mohhos::sys
