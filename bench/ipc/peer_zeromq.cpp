// ZeroMQ's PAIR sockets over ipc://: a Unix stream socket, with a thread of its own in each process
// that does the input and output.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <zmq.h>

#include "ipc/shared_word.hpp"
#include "payload.hpp"
#include "peers.hpp"
#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

class ZeroMq {
public:
  ZeroMq(std::size_t size, Waiting waiting)
      : address_("ipc://@" + unique_name("zeromq")), source_(size),
        flags_(waiting == Waiting::Spins ? ZMQ_DONTWAIT : 0) {}
  ~ZeroMq() {
    if (socket_ != nullptr) zmq_close(socket_);
    if (context_ != nullptr) zmq_ctx_term(context_);
  }
  std::optional<std::string> open(Side side) {
    context_ = zmq_ctx_new();
    socket_ = zmq_socket(context_, ZMQ_PAIR);
    require(socket_ != nullptr, "zmq_socket");
    // Messages that may wait on a side: ZeroMQ's own 1000, but not more than 32 MB.
    const int most = static_cast<int>(
        std::clamp<std::size_t>((std::size_t{32} << 20) / source_.size(), 8, 1000));
    const int no_linger = 0;
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &most, sizeof most);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &most, sizeof most);
    zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof no_linger);
    const int result = side == Side::First ? zmq_bind(socket_, address_.c_str())
                                           : zmq_connect(socket_, address_.c_str());
    if (result != 0) return fmt::format("{}: {}", address_, zmq_strerror(zmq_errno()));
    return {};
  }
  void send() {
    while (zmq_send(socket_, source_.bytes().data(), source_.size(), flags_) < 0) {
      require(zmq_errno() == EAGAIN || zmq_errno() == EINTR, "zmq_send");
      ipc::spin_pause();
    }
  }
  void receive() {
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (zmq_msg_recv(&message, socket_, flags_) < 0) {
      require(zmq_errno() == EAGAIN || zmq_errno() == EINTR, "zmq_msg_recv");
      ipc::spin_pause();
    }
    require(zmq_msg_size(&message) == source_.size(), "a message of another size");
    sum_ += look_at_all({static_cast<const std::byte*>(zmq_msg_data(&message)), source_.size()});
    zmq_msg_close(&message);
  }

private:
  std::string address_;
  Source source_;
  int flags_;
  void* context_ = nullptr;
  void* socket_ = nullptr;
  std::uint64_t sum_ = 0;
};

} // namespace

std::unique_ptr<Contestant> make_zeromq(std::size_t size, Waiting waiting) {
  return make<ZeroMq>(size, waiting);
}

} // namespace mohhos::bench
