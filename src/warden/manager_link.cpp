#include "warden/manager_link.hpp"

#include <sys/epoll.h>

#include "sys/socket.hpp"

namespace mohhos::warden {
namespace {
constexpr std::size_t kRoomForAttempts = 256; // waiting messages
constexpr std::size_t kStopReading = 4096;
constexpr int kMessagesPerTurn = 64;
} // namespace

ManagerLink::ManagerLink(sys::Loop& loop, sys::Fd socket, Receive receive,
                         std::function<void(const Error&)> broken)
    : loop_(loop), socket_(std::move(socket)), receive_(std::move(receive)),
      broken_(std::move(broken)), buffer_(kMaxMessage) {}

Result<std::unique_ptr<ManagerLink>> ManagerLink::open(sys::Loop& loop, sys::Fd socket,
                                                       Receive receive,
                                                       std::function<void(const Error&)> broken) {
  std::unique_ptr<ManagerLink> link(
      new ManagerLink(loop, std::move(socket), std::move(receive), std::move(broken)));
  ManagerLink* self = link.get();
  TRY(link->ready_, loop.on_fd(link->socket_.get(), EPOLLIN, [self](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) self->flush();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    for (int i = 0; i < kMessagesPerTurn; ++i)
      if (!self->receive_one()) return;
  }));
  return link;
}

bool ManagerLink::receive_one() {
  if (closed_) return false;
  auto received = sys::receive_message(socket_.get(), buffer_);
  if (received && !*received) return false;
  if (!received || (*received)->size == 0) {
    closed_ = true;
    ready_.reset();
    broken_(received ? Error{Code::PeerGone, "it closed the link"} : received.error());
    return false;
  }
  return receive_(std::span(buffer_).first((*received)->size), std::move((*received)->fds));
}

void ManagerLink::drain() {
  while (receive_one()) {
  }
}

bool ManagerLink::post_if_room(const Attempt& message) {
  if (closed_ || waiting_.size() >= kRoomForAttempts) return false;
  post(message);
  return true;
}

void ManagerLink::post_bytes(std::span<const std::byte> bytes, std::vector<SharedFd> fds) {
  if (closed_) return;
  waiting_.push_back({{bytes.begin(), bytes.end()}, std::move(fds)});
  if (waiting_.size() == 1) flush();
}

void ManagerLink::flush() {
  while (!waiting_.empty()) {
    const Waiting& first = waiting_.front();
    std::vector<int> numbers;
    for (const SharedFd& fd : first.fds) numbers.push_back(fd->get());
    const auto sent = sys::send_message(socket_.get(), first.bytes, numbers);
    if (sent) {
      waiting_.pop_front();
      continue;
    }
    if (sent.error().code == Code::Unreachable) waiting_.clear(); // its pidfd says the rest
    // Not a full queue, which EPOLLOUT tells of: too many descriptors on their way (ETOOMANYREFS).
    else if (sent.error().code != Code::Refused) {
      auto later = loop_.after(std::chrono::milliseconds(5), [this] { flush(); });
      if (later) retry_ = *std::move(later);
      return;
    }
    break;
  }
  watch();
}

void ManagerLink::watch() {
  if (!ready_) return;
  const std::uint32_t in = waiting_.size() < kStopReading ? std::uint32_t{EPOLLIN} : 0U;
  const std::uint32_t out = waiting_.empty() ? 0U : std::uint32_t{EPOLLOUT};
  ready_.watch(in | out);
}

} // namespace mohhos::warden
