// One end of a SOCK_SEQPACKET conversation on the loop: what cannot be sent at once waits, in
// order; a peer that does not read is not read from either.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::sys {

// A descriptor that a waiting message and somebody else both need.
using SharedFd = std::shared_ptr<const Fd>;

class RecordLink {
public:
  // Called for every record, bytes and descriptors as they came. False: stop reading for now.
  using Receive = std::function<bool(std::span<const std::byte>, std::vector<Fd>)>;
  // Called once, when the peer has closed it or sent what is no record; nothing is read after that.
  using Broken = std::function<void(const Error&)>;
  // Neither callback may destroy the link.
  [[nodiscard]] static Result<std::unique_ptr<RecordLink>>
  open(Loop& loop, Fd socket, std::size_t largest, Receive receive, Broken broken);

  void send(std::span<const std::byte> record, std::vector<SharedFd> fds = {});
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  // Reads what is there, without waiting: the last words of a peer that has died. [loop]
  void drain();

private:
  struct Waiting {
    std::vector<std::byte> bytes;
    std::vector<SharedFd> fds;
  };
  RecordLink(Loop& loop, Fd socket, std::size_t largest, Receive receive, Broken broken)
      : loop_(loop), socket_(std::move(socket)), receive_(std::move(receive)),
        broken_(std::move(broken)), buffer_(largest) {}
  void flush();
  void watch();
  [[nodiscard]] bool receive_one();

  Loop& loop_;
  Fd socket_;
  Receive receive_;
  Broken broken_;
  std::deque<Waiting> waiting_;
  std::vector<std::byte> buffer_;
  Source ready_;
  Source retry_;
  bool closed_ = false;
};

} // namespace mohhos::sys
