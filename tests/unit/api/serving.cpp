#include "serving.hpp"

#include <cstdlib>
#include <future>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/check.hpp"
#include "sys/socket.hpp"

namespace mohhos::api::test {

Serving::Serving(ServerLimits limits, std::function<void(Call, Responder)> dispatch, Role role)
    : loop_(*sys::Loop::open()), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Service service{
      .role_of = [role](std::uint32_t, const std::vector<std::uint32_t>&) { return role; },
      .on_denied = [](const manager::Caller&, std::string_view, std::string_view) {},
      .dispatch = std::move(dispatch)};
  auto opened =
      RpcServer::open(loop_, *sys::listen_unix(socket(), 0600), limits, std::move(service));
  CHECK(opened.has_value());
  server_.emplace(std::move(*opened));
  waker_ = *loop_.on_fd(wake_.get(), EPOLLIN, [this](std::uint32_t) {
    std::uint64_t rung = 0;
    CHECK(::read(wake_.get(), &rung, sizeof rung) == sizeof rung);
    job_();
  });
  thread_ = std::thread([this] { CHECK(loop_.run().has_value()); });
}

Serving::~Serving() {
  on_loop([this] {
    server_.reset();
    loop_.stop();
  });
  thread_.join();
}

void Serving::on_loop(const std::function<void()>& what) {
  std::promise<void> done;
  job_ = [&] {
    what();
    done.set_value();
  };
  const std::uint64_t ring = 1;
  CHECK(::write(wake_.get(), &ring, sizeof ring) == sizeof ring);
  done.get_future().wait();
}

std::size_t Serving::connections() {
  std::size_t count = 0;
  on_loop([&] { count = server_->connections(); });
  return count;
}

RawClient::RawClient(const std::filesystem::path& socket) : socket_(*sys::connect_unix(socket)) {}

void RawClient::send(std::string_view bytes, const std::vector<int>& fds) {
  auto rest = std::as_bytes(std::span(bytes));
  if (!fds.empty()) {
    (void)sys::send_message(socket_.get(), rest, fds);
    return;
  }
  while (!rest.empty()) {
    const auto put = sys::send_some(socket_.get(), rest);
    if (!put) return; // the server has closed: what it said can still be read
    rest = rest.subspan(*put);
    if (!rest.empty()) (void)sys::wait_for(socket_.get(), POLLOUT, std::nullopt);
  }
}

void RawClient::request(std::uint32_t stream, std::string_view method, std::string_view payload,
                        std::int64_t timeout_ns, const std::vector<int>& fds) {
  ttrpc::Request request;
  request.set_service("mohhos.v1.Plugins");
  request.set_method(std::string(method));
  request.set_payload(std::string(payload));
  request.set_timeout_nano(timeout_ns);
  send(encode_frame(stream, FrameType::Request, 0, request.SerializeAsString()), fds);
}

std::optional<Frame> RawClient::receive() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    auto got = sys::receive_message(socket_.get(), assembler_.space());
    if (!got || (*got && (*got)->size == 0)) return std::nullopt;
    if (!*got) {
      (void)assembler_.filled(0);
      const auto ready = sys::wait_for(socket_.get(), POLLIN, deadline);
      if (!ready || !*ready) {
        ADD_FAILURE() << "the server said nothing for ten seconds";
        return std::nullopt;
      }
      continue;
    }
    if (!(*got)->fds.empty()) received_fd = std::move((*got)->fds.front());
    auto frame = assembler_.filled((*got)->size);
    if (!frame) return std::nullopt;
    if (*frame) return *std::move(frame);
  }
}

std::pair<int, std::string> RawClient::receive_status() {
  const auto frame = receive();
  ttrpc::Response response;
  if (!frame || !response.ParseFromString(frame->payload)) return {-1, "no response"};
  return {response.status().code(), response.status().message()};
}

} // namespace mohhos::api::test
