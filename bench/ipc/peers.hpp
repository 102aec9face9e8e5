// What others use between processes of one machine. Each is optional: its library is found when the
// build is configured (`tools/install-deps --bench` installs all), and a peer that is missing is
// named in the result with its packages.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "contestant.hpp"

namespace mohhos::bench {

// How a receiver waits: looks again and again, or sleeps until the library or kernel wakes it.
enum class Waiting : std::uint8_t { Spins, Sleeps };

using MakePeer = std::unique_ptr<Contestant> (*)(std::size_t size, Waiting waiting);

struct Peer {
  const char* name;
  const char* packages; // of Debian 12
  MakePeer make;        // nullptr: not built
  bool can_spin;        // does not get slower when its caller looks again and again
};

[[nodiscard]] const std::array<Peer, 4>& peers();

// A broker that a peer needs, running while this lives; started before the pair forks.
class PeerServices {
public:
  PeerServices();
  ~PeerServices();
  PeerServices(const PeerServices&) = delete;
  PeerServices& operator=(const PeerServices&) = delete;

private:
  int roudi_ = -1; // a pid
};

// In peer_<name>.cpp, each built only when its library is there.
[[nodiscard]] std::unique_ptr<Contestant> make_seqpacket(std::size_t size, Waiting waiting);
[[nodiscard]] std::unique_ptr<Contestant> make_zeromq(std::size_t size, Waiting waiting);
[[nodiscard]] std::unique_ptr<Contestant> make_grpc(std::size_t size, Waiting waiting);
[[nodiscard]] std::unique_ptr<Contestant> make_iceoryx(std::size_t size, Waiting waiting);
// Its pid, or -1: the reason is printed and iceoryx does not take part.
[[nodiscard]] int start_roudi();

// A name that no other run uses, for sockets and services.
[[nodiscard]] std::string unique_name(const char* peer);

} // namespace mohhos::bench
