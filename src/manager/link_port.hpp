// The manager's end of one link (ipc/link.hpp): records in, records out with their descriptors, and
// a bounded queue for a peer that does not read just now. The peer is hostile: whatever is not
// exactly a record ends the link, and one that lets the queue fill up is ended too.
//
// That the kernel has no room for descriptors on their way is nobody's fault and passes: it is
// tried again, and after a while the record alone is given up, not the link.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "ipc/link_codec.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

class LinkPort {
public:
  using OnRecord = std::function<void(const ipc::LinkRecord&)>;
  // Called once. Unreachable: the peer closed it. Anything else: it was the peer's fault, in one
  // sentence.
  using OnEnd = std::function<void(const Error&)>;

  [[nodiscard]] static Result<std::unique_ptr<LinkPort>> open(sys::Loop& loop, sys::Fd socket,
                                                              OnRecord on_record, OnEnd on_end);
  LinkPort(const LinkPort&) = delete;
  LinkPort& operator=(const LinkPort&) = delete;

  // `on_given_up`: this record with descriptors was not sent after all (Exhausted), those behind it
  // are; called at most once, while the link lasts, not from inside send() of another. Without it
  // the link ends.
  using OnGivenUp = std::function<void(const Error&)>;
  template <class T>
    requires ipc::kIsLinkRecord<T>
  void send(const T& record, std::vector<sys::Fd> fds = {}, OnGivenUp on_given_up = {}) {
    push(std::as_bytes(std::span(&record, 1)), std::move(fds), std::move(on_given_up));
  }
  // The same, at once or not at all: false, when the peer does not read just now. [loop]
  template <class T>
    requires ipc::kIsLinkRecord<T>
  [[nodiscard]] bool send_now(const T& record, std::span<const int> fds) {
    return push_now(std::as_bytes(std::span(&record, 1)), fds);
  }
  // Takes an announcement of this channel back that still waits here, unless the peer asked for it.
  // True: there was one, and its end need not be announced either. [loop]
  [[nodiscard]] bool take_back(std::uint64_t channel);
  // `then` is called once what the peer has said by now is served: for what it may have said about
  // the matter at hand. False, and it is not called: it has said nothing, or is not listened to.
  // Bounded by what the socket holds; what the peer says meanwhile is not waited for. [loop]
  [[nodiscard]] bool after_unread(std::function<void()> then);
  // Reads what is still there: the last words of a process that has ended. [loop]
  void drain();
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool ended() const { return !on_end_; }

private:
  struct Queued {
    std::vector<std::byte> bytes;
    std::vector<sys::Fd> fds;
    OnGivenUp on_given_up;
    bool answer = false;
  };
  LinkPort(sys::Loop& loop, sys::Fd socket, OnRecord on_record, OnEnd on_end);
  void push(std::span<const std::byte> bytes, std::vector<sys::Fd> fds, OnGivenUp on_given_up);
  [[nodiscard]] Result<> put(std::span<const std::byte> bytes, const std::vector<sys::Fd>& owned);
  bool push_now(std::span<const std::byte> bytes, std::span<const int> fds);
  void on_events(std::uint32_t events);
  void flush();
  void try_again();
  void rest();
  void note_served(std::size_t bytes);
  // It asks and asks, and does not read what it is answered.
  [[nodiscard]] bool is_deaf();
  // False: nothing more is there, or the link has ended.
  bool receive_one();
  void end(const Error& why);

  sys::Loop& loop_;
  sys::Fd socket_;
  sys::Source source_;
  sys::Source rest_;  // while we do not read
  sys::Source again_; // while the kernel has no room
  std::optional<Monotonic> starved_since_;
  OnRecord on_record_;
  OnEnd on_end_;
  struct Backlog {
    std::size_t bytes; // of the peer's records that come before
    std::function<void()> then;
  };
  std::deque<Queued> queue_;
  std::deque<Backlog> backlogs_;
  bool serving_ = false;    // a record of the peer's: what is sent meanwhile are its answers
  std::size_t answers_ = 0; // since the peer had last read everything
};

} // namespace mohhos::manager
