#include "manager/warden_port.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <sys/epoll.h>

#include "base/check.hpp"
#include "sys/duplicate.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

using warden::MessageType;

struct Row {
  MessageType type;
  std::size_t size;
  std::size_t fds;
};
// How often, and for how long, what the kernel has no room for is tried again (as on links).
constexpr std::chrono::milliseconds kAgain{5};
constexpr std::chrono::milliseconds kPatience{500};

// What the warden may say.
constexpr std::array kMessages = {
    Row{MessageType::Hello, sizeof(warden::Hello), 1},
    Row{MessageType::Kept, sizeof(warden::Kept), 1},
    Row{MessageType::Running, sizeof(warden::Running), 1},
    Row{MessageType::HelloEnd, sizeof(warden::Signal), 0},
    Row{MessageType::Launched, sizeof(warden::Launched), 1},
    Row{MessageType::LaunchFailed, sizeof(warden::LaunchFailed), 0},
    Row{MessageType::Exited, sizeof(warden::Exited), 0},
    Row{MessageType::Attempt, sizeof(warden::Attempt), 0},
    Row{MessageType::Answer, sizeof(warden::Answer), 0},
    Row{MessageType::Shutdown, sizeof(warden::Signal), 0},
    Row{MessageType::Reload, sizeof(warden::Signal), 0},
};

Result<> check(const warden::Header& header, std::size_t size, std::size_t fds) {
  const auto row = std::ranges::find(kMessages, header.type, &Row::type);
  if (row == kMessages.end())
    return fail(Code::Malformed, "a message of the unknown type {}",
                static_cast<unsigned>(header.type));
  if (header.version != warden::kProtocolVersion)
    return fail(Code::Malformed, "protocol version {}, and this manager speaks {}; restart mohhosd",
                header.version, warden::kProtocolVersion);
  if (size != row->size || header.size != row->size || fds != row->fds)
    return fail(Code::Malformed, "message {} with {} bytes and {} descriptors",
                static_cast<unsigned>(header.type), size, fds);
  return {};
}

} // namespace

WardenPort::WardenPort(sys::Loop& loop, sys::Fd socket,
                       std::function<void(WardenMessage)> on_message,
                       std::function<void(const Error&)> on_end)
    : loop_(loop), socket_(std::move(socket)), on_message_(std::move(on_message)),
      on_end_(std::move(on_end)), buffer_(warden::kMaxMessage) {}

Result<std::unique_ptr<WardenPort>> WardenPort::open(sys::Loop& loop, sys::Fd socket,
                                                     std::function<void(WardenMessage)> on_message,
                                                     std::function<void(const Error&)> on_end) {
  std::unique_ptr<WardenPort> port(
      new WardenPort(loop, std::move(socket), std::move(on_message), std::move(on_end)));
  auto* self = port.get();
  TRY(port->source_, loop.on_fd(port->socket_.get(), EPOLLIN,
                                [self](std::uint32_t events) { self->on_events(events); }));
  return port;
}

Result<> WardenPort::put(std::span<const std::byte> bytes, std::span<const int> fds,
                         Request& request) {
  TRY(sys::send_message(socket_.get(), bytes, fds));
  if (!fds.empty()) starved_since_.reset();
  if (request.answered) waiting_.emplace(request.sequence, std::move(request.answered));
  return {};
}

Result<> WardenPort::push(std::span<const std::byte> bytes, std::span<const int> fds,
                          Request request) {
  if (!source_) return {};      // ended: nobody is told anything any more
  Code outcome = Code::Refused; // behind those that wait
  if (queue_.empty()) {
    const auto sent = put(bytes, fds, request);
    if (sent) return {};
    outcome = sent.error().code;
    if (outcome != Code::Refused && outcome != Code::Exhausted) {
      end(sent.error());
      return {};
    }
  }
  auto copies = sys::duplicate_all(fds);
  if (!copies)
    return fail(
        Code::Exhausted,
        "mohhos-manager has no descriptors to spare for what has to wait until mohhosd takes "
        "it ({}, RLIMIT_NOFILE): try again, unload what is not needed, or raise the limit",
        copies.error().text);
  queue_.push_back({{bytes.begin(), bytes.end()}, std::move(*copies), std::move(request)});
  if (outcome == Code::Exhausted) {
    if (!starved_since_) starved_since_ = loop_.now();
    try_again();
  } else if (!again_) {
    source_.watch(EPOLLIN | EPOLLOUT);
  }
  return {};
}

void WardenPort::flush() {
  while (!queue_.empty() && source_) {
    Queued& first = queue_.front();
    std::vector<int> fds;
    fds.reserve(first.fds.size());
    for (const sys::Fd& fd : first.fds) fds.push_back(fd.get());
    const auto sent = put(first.bytes, fds, first.request);
    if (sent) {
      queue_.pop_front();
    } else if (sent.error().code == Code::Refused) {
      return source_.watch(EPOLLIN | EPOLLOUT);
    } else if (sent.error().code == Code::Exhausted) {
      const Monotonic now = loop_.now();
      if (!starved_since_) starved_since_ = now;
      if (now - *starved_since_ < kPatience) return try_again();
      give_up_first(sent.error());
    } else {
      return end(sent.error());
    }
  }
  if (source_) source_.watch(EPOLLIN);
}

// The socket itself is writable all the while.
void WardenPort::try_again() {
  auto again = loop_.after(kAgain, [this] {
    const sys::Source ended = std::move(again_);
    flush();
  });
  if (!again) return end(again.error());
  again_ = *std::move(again);
  source_.watch(EPOLLIN);
}

// What has descriptors; without any, it would be memory that the kernel has not.
void WardenPort::give_up_first(const Error& why) {
  const Queued given_up = std::move(queue_.front());
  queue_.pop_front();
  if (given_up.fds.empty()) return end(why);
  if (given_up.request.not_sent)
    given_up.request.not_sent(
        {Code::Exhausted,
         fmt::format("{}: descriptors that mohhos-manager has sent and nobody has read count "
                     "against its RLIMIT_NOFILE; end programs that do not read their links, or "
                     "raise the limit",
                     why.text)});
}

void WardenPort::on_events(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void WardenPort::receive() {
  // A batch per turn: attempts of a noisy plugin must not keep links and callers waiting.
  for (int i = 0; i < 64 && source_; ++i) {
    auto received = sys::receive_message(socket_.get(), buffer_);
    if (!received) return end(received.error());
    if (!*received) return;
    if ((*received)->size == 0) return end({Code::Unreachable, "the warden is gone"});
    take((*received)->size, std::move((*received)->fds));
  }
}

void WardenPort::take(std::size_t size, std::vector<sys::Fd> fds) {
  WardenMessage message;
  if (size < sizeof message.header) return end({Code::Malformed, "a message without a header"});
  std::memcpy(&message.header, buffer_.data(), sizeof message.header);
  if (auto ok = check(message.header, size, fds.size()); !ok) return end(ok.error());
  message.bytes.assign(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(size));
  message.fds = std::move(fds);
  if (message.header.type != MessageType::Answer) return on_message_(std::move(message));
  const auto found = waiting_.find(message.header.sequence);
  if (found == waiting_.end()) return; // nobody asked to hear it
  const Answered answered = std::move(found->second);
  waiting_.erase(found);
  warden::Answer answer = message.as<warden::Answer>();
  answer.text[warden::kTextSize - 1] = '\0';
  if (answer.code == 0)
    answered({});
  else
    answered(fail(static_cast<Code>(answer.code), "{}", answer.text));
}

void WardenPort::end(const Error& why) {
  source_.reset();
  again_.reset();
  if (on_end_) std::exchange(on_end_, nullptr)(why);
}

} // namespace mohhos::manager
