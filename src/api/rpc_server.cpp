#include "api/rpc_server.hpp"

#include <fcntl.h>
#include <sys/epoll.h>

#include <google/protobuf/stubs/logging.h>

#include "api/connection.hpp"
#include "api/status.hpp"
#include "sys/socket.hpp"

namespace mohhos::api {
namespace {

constexpr int kAcceptsPerTurn = 16;
constexpr unsigned kReservedForAdmins = 16;
constexpr std::chrono::milliseconds kPauseAccepting{100};

} // namespace

struct RpcServer::State : ServerState {
  sys::Fd listening;
  // Given up when there are no descriptors left, so that a waiting connection can be taken and
  // closed; otherwise the listener would be ready, and the loop busy, for as long as that lasts.
  sys::Fd reserve;
  sys::Source acceptor;
  sys::Source pause;

  State(sys::Loop& event_loop, ServerLimits server_limits, Service server_service)
      : ServerState{event_loop, server_limits, std::move(server_service), {}, {}, {}, {}} {}

  void accept_some();
  void shed();
  void welcome(sys::Fd socket);
  [[nodiscard]] Result<> judge(const sys::PeerCredentials& peer, Role role) const;
};

void RpcServer::State::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    auto socket = sys::accept_connection(listening.get());
    if (!socket) return shed();
    if (!*socket) return;
    welcome(std::move(**socket));
  }
}

void RpcServer::State::shed() {
  reserve.reset();
  {
    const auto unlucky = sys::accept_connection(listening.get());
  }
  reserve = sys::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (reserve) return;
  acceptor.pause();
  auto timer = loop.after(kPauseAccepting, [this] {
    reserve = sys::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    acceptor.resume();
  });
  if (timer) pause = std::move(*timer);
}

Result<> RpcServer::State::judge(const sys::PeerCredentials& peer, Role role) const {
  if (role == Role::None)
    return fail(Code::Denied, "uid {} may not use this socket; see [control] in mohhosd.toml",
                peer.uid);
  const unsigned reserved = role == Role::Admin ? 0 : kReservedForAdmins;
  if (connections.size() + reserved >= limits.connections)
    return fail(Code::Exhausted, "{} connections are open; try again later", connections.size());
  const auto usage = by_uid.find(peer.uid);
  if (usage != by_uid.end() && usage->second.connections >= limits.connections_per_uid)
    return fail(Code::Exhausted, "uid {} has {} connections open; close one", peer.uid,
                usage->second.connections);
  return {};
}

void RpcServer::State::welcome(sys::Fd socket) {
  const auto peer = sys::peer_credentials(socket.get());
  auto groups = sys::peer_groups(socket.get());
  if (!peer || !groups) return; // nobody that we know: closed
  groups->insert(groups->begin(), peer->gid);
  const Role role = service.role_of(peer->uid, {groups->begin(), groups->end()});
  const auto verdict = judge(*peer, role);
  if (!verdict) {
    // The first stream of every client is 1. One attempt: nothing is kept for somebody refused.
    ttrpc::Response response;
    write_status(verdict.error(), *response.mutable_status());
    const auto frame = encode_frame(1, FrameType::Response, 0, response.SerializeAsString());
    (void)sys::send_some(socket.get(), std::as_bytes(std::span(frame)));
    return;
  }
  auto connection = std::make_shared<Connection>(
      *this, std::move(socket), manager::Caller{peer->uid, peer->gid, peer->pid}, role);
  if (connection->start()) connections.emplace(connection.get(), connection);
}

RpcServer::RpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
RpcServer::RpcServer(RpcServer&&) noexcept = default;
RpcServer& RpcServer::operator=(RpcServer&&) noexcept = default;

RpcServer::~RpcServer() {
  if (!state_) return;
  while (!state_->connections.empty()) state_->connections.begin()->second->close();
  std::exchange(state_->dead, {}).clear();
}

Result<RpcServer> RpcServer::open(sys::Loop& loop, sys::Fd listening, ServerLimits limits,
                                  Service service) {
  // libprotobuf writes a line to stderr for every string that is no UTF-8: a stranger's way into
  // our log. What is wrong with a message is in our answers.
  google::protobuf::SetLogHandler(nullptr);
  auto state = std::make_unique<State>(loop, limits, std::move(service));
  state->listening = std::move(listening);
  state->reserve = sys::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!state->reserve) return fail_errno("opening /dev/null");
  TRY(state->acceptor, loop.on_fd(state->listening.get(), EPOLLIN,
                                  [raw = state.get()](std::uint32_t) { raw->accept_some(); }));
  return RpcServer(std::move(state));
}

std::size_t RpcServer::connections() const {
  return state_->connections.size();
}

} // namespace mohhos::api
