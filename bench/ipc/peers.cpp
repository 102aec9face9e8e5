#include "peers.hpp"

#include <csignal>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mohhos::bench {

const std::array<Peer, 4>& peers() {
  static constexpr std::array<Peer, 4> kPeers = {{
      {"iceoryx", "libiceoryx-posh-dev iceoryx",
#ifdef BENCH_ICEORYX
       make_iceoryx,
#else
       nullptr,
#endif
       true},
      {"seqpacket socket", "", make_seqpacket, true},
      {"ZeroMQ ipc", "libzmq3-dev",
#ifdef BENCH_ZEROMQ
       make_zeromq,
#else
       nullptr,
#endif
       false}, // a spinning caller would take the CPU from ZeroMQ's own thread
      {"gRPC, Unix socket", "libgrpc++-dev protobuf-compiler-grpc",
#ifdef BENCH_GRPC
       make_grpc,
#else
       nullptr,
#endif
       false},
  }};
  return kPeers;
}

PeerServices::PeerServices() {
#ifdef BENCH_ICEORYX
  roudi_ = start_roudi();
#endif
}

PeerServices::~PeerServices() {
  if (roudi_ <= 0) return;
  ::kill(roudi_, SIGTERM);
  ::waitpid(roudi_, nullptr, 0);
}

std::string unique_name(const char* peer) {
  static int number = 0;
  return fmt::format("mohhos-bench-{}-{}-{}", peer, ::getpid(), ++number);
}

} // namespace mohhos::bench
