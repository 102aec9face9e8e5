#include "api/connection.hpp"

#include <sys/epoll.h>

#include "api/status.hpp"
#include "base/check.hpp"
#include "sys/socket.hpp"

namespace mohhos::api {
namespace {

constexpr int kReadsPerTurn = 32;                 // then the others have their turn
constexpr std::size_t kPauseReading = 256U << 10; // while this much of our answers waits

std::string encode_response(std::uint32_t stream, const Error& error) {
  ttrpc::Response response;
  write_status(error, *response.mutable_status());
  return encode_frame(stream, FrameType::Response, 0, response.SerializeAsString());
}

} // namespace

void ServerState::bury(std::shared_ptr<void> what) {
  dead.push_back(std::move(what));
  if (dead.size() > 1) return;
  auto source = loop.defer([this] { std::exchange(dead, {}).clear(); });
  CHECK(source.has_value()); // only for want of memory
  burial = std::move(*source);
}

void ServerState::forget(Connection& connection) {
  const auto found = connections.find(&connection);
  if (found == connections.end()) return;
  bury(std::move(found->second));
  connections.erase(found);
}

Connection::Connection(ServerState& server, sys::Fd socket, manager::Caller caller, Role role)
    : server_(server), socket_(std::move(socket)), caller_(caller), role_(role),
      assembler_(server.limits.request_bytes) {
  ++server_.by_uid[caller_.uid].connections;
}

Connection::~Connection() {
  close();
  const auto usage = server_.by_uid.find(caller_.uid);
  if (--usage->second.connections == 0 && usage->second.cost == 0) server_.by_uid.erase(usage);
}

Result<> Connection::start() {
  TRY(ready_, server_.loop.on_fd(socket_.get(), EPOLLIN, [this](std::uint32_t events) {
    const auto alive = shared_from_this();
    on_ready(events);
  }));
  arm_deadline();
  return {};
}

void Connection::close() {
  if (!open_) return;
  open_ = false;
  ready_.reset();
  deadline_.reset();
  for (auto& [id, stream] : std::exchange(streams_, {})) end_stream(*stream);
  queue_.clear();
  socket_.reset();
  server_.forget(*this);
}

void Connection::refuse(std::uint32_t stream, const Error& error) {
  draining_ = true;
  arm_deadline();
  answer_error(stream, error);
}

void Connection::end_stream(Stream& stream) {
  if (std::exchange(stream.ended, true)) return;
  server_.by_uid[caller_.uid].cost -= stream.cost;
  stream.deadline.reset();
  for (auto& held : std::exchange(stream.held, {})) server_.bury(std::move(held));
  streams_.erase(stream.id);
}

void Connection::answer_error(std::uint32_t stream, const Error& error) {
  enqueue(encode_response(stream, error), {});
}

void Connection::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush();
  if (open_ && !draining_ && (events & EPOLLIN) != 0) read_some();
  // Hung up, and nothing left to read: EPOLLIN would have come with it.
  if (open_ && (events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0) close();
  if (open_) update_interest();
}

void Connection::read_some() {
  for (int i = 0; i < kReadsPerTurn && open_ && !draining_; ++i)
    if (queued_bytes_ >= kPauseReading || !read_once()) return;
}

bool Connection::read_once() {
  const bool at_start = assembler_.at_start();
  auto received = sys::receive_message(socket_.get(), assembler_.space());
  if (!received || (*received && (*received)->size == 0)) {
    close();
    return false;
  }
  if (!*received) {
    (void)assembler_.filled(0);
    return false;
  }
  take_fds(std::move((*received)->fds), at_start);
  if (!open_) return false;
  auto frame = assembler_.filled((*received)->size);
  if (!frame) { // the length lies or is too large: what follows cannot be framed
    refuse(assembler_.header().stream, frame.error());
    return false;
  }
  if (*frame)
    on_frame(**frame);
  else if (at_start)
    arm_deadline();
  return true;
}

void Connection::take_fds(std::vector<sys::Fd> fds, bool at_start) {
  if (fds.empty()) return;
  // One, beside the first byte of a frame. Whoever sends more tries what happens: nothing does.
  if (fds.size() > 1 || !at_start) return close();
  fd_ = std::move(fds.front());
}

void Connection::on_frame(const Frame& frame) {
  deadline_.reset();
  if (frame.header.type == static_cast<std::uint8_t>(FrameType::Request)) {
    on_request(frame);
    fd_.reset();
    return;
  }
  fd_.reset();
  if (frame.header.type == static_cast<std::uint8_t>(FrameType::Data)) return on_data(frame);
  refuse(frame.header.stream,
         {Code::Malformed,
          fmt::format("a frame of type {}, and a client sends 1 (request) or 3 (data)",
                      frame.header.type)});
}

void Connection::on_data(const Frame& frame) {
  // No method takes a stream of requests. The end of one that was never opened is harmless, and
  // some clients send it.
  const bool closes = (frame.header.flags & kFlagRemoteClosed) != 0 && frame.payload.empty();
  if (closes && frame.header.stream <= last_stream_) return;
  refuse(frame.header.stream,
         {Code::Malformed, "a data frame, and no method takes a stream of requests"});
}

void Connection::on_request(const Frame& frame) {
  const std::uint32_t stream = frame.header.stream;
  if (stream % 2 == 0 || stream <= last_stream_)
    return refuse(stream,
                  {Code::Malformed, fmt::format("stream id {} after {}: ids must be odd and rise",
                                                stream, last_stream_)});
  last_stream_ = stream;
  std::string payload;
  std::int64_t timeout_ns = 0;
  const auto method = admit(frame, payload, timeout_ns);
  if (!method) return answer_error(stream, method.error());
  open_stream(stream, *method, std::move(payload), timeout_ns);
}

Result<Method> Connection::admit(const Frame& frame, std::string& payload,
                                 std::int64_t& timeout_ns) {
  ttrpc::Request request;
  if (!request.ParseFromString(frame.payload))
    return fail(Code::Malformed, "the request is not a ttrpc Request message");
  const MethodName* name = find_method(request.service(), request.method());
  if (name == nullptr)
    return fail(Code::Unsupported, "there is no method {}/{}", request.service(), request.method());
  if (const auto permitted = check_permit(name->method, role_); !permitted) {
    server_.service.on_denied(caller_, name->name, permitted.error().text);
    return std::unexpected(permitted.error());
  }
  if (streams_.size() >= server_.limits.calls_per_connection)
    return fail(Code::Exhausted, "{} calls are in flight on this connection; wait for an answer",
                streams_.size());
  const unsigned cost = permit_for(name->method).cost;
  if (server_.by_uid[caller_.uid].cost + cost > server_.limits.cost_per_uid)
    return fail(Code::Exhausted, "uid {} has too many calls in flight; wait for an answer",
                caller_.uid);
  payload = std::move(*request.mutable_payload());
  timeout_ns = request.timeout_nano();
  return name->method;
}

void Connection::open_stream(std::uint32_t id, Method method, std::string payload,
                             std::int64_t timeout_ns) {
  auto stream = std::make_shared<Stream>();
  stream->connection = weak_from_this();
  stream->id = id;
  stream->method = method;
  stream->cost = permit_for(method).cost;
  server_.by_uid[caller_.uid].cost += stream->cost;
  streams_.emplace(id, stream);
  const Responder responder(stream);
  if (timeout_ns > 0) {
    const auto after = std::chrono::microseconds(timeout_ns / 1000 + 1);
    // By value: the source dies with the stream, which the answer ends.
    auto timer = server_.loop.after(after, [weak = std::weak_ptr(stream)] {
      if (const auto late = weak.lock())
        Responder(late).fail({Code::TimedOut, "the call's own deadline passed"});
    });
    if (timer) stream->deadline = std::move(*timer);
  }
  server_.service.dispatch(
      {.method = method, .caller = caller_, .payload = std::move(payload), .fd = std::move(fd_)},
      responder);
}

void Connection::enqueue(std::string frame, sys::Fd fd) {
  if (!open_) return;
  queued_bytes_ += frame.size();
  queue_.push_back({.bytes = std::move(frame), .sent = 0, .fd = std::move(fd)});
  if (queue_.size() == 1) flush();
  if (!open_) return;
  if (queued_bytes_ > server_.limits.unread_bytes)
    return close(); // reads too slowly for what it asked
  update_interest();
}

void Connection::flush() {
  while (open_ && !queue_.empty()) {
    Outgoing& next = queue_.front();
    const auto rest = std::as_bytes(std::span(next.bytes)).subspan(next.sent);
    const auto put = sys::send_some(socket_.get(), rest, next.fd.get());
    if (!put) return close();
    if (*put == 0) return;
    next.fd.reset(); // went with the first byte
    next.sent += *put;
    queued_bytes_ -= *put;
    if (next.sent == next.bytes.size()) queue_.pop_front();
  }
  if (open_ && draining_) close();
}

void Connection::update_interest() {
  std::uint32_t events = 0;
  if (!draining_ && queued_bytes_ < kPauseReading) events |= EPOLLIN;
  if (!queue_.empty()) events |= EPOLLOUT;
  ready_.watch(events);
}

void Connection::arm_deadline() {
  auto timer = server_.loop.after(server_.limits.frame_time, [this] {
    const auto alive = shared_from_this();
    close();
  });
  if (timer) deadline_ = std::move(*timer);
}

void Responder::answer(std::string payload, sys::Fd fd) const {
  if (stream_->ended) return;
  if (payload.size() > kMaxFrame - 64)
    return fail({Code::TooLarge, fmt::format("the answer has {} bytes, and the limit is {}",
                                             payload.size(), kMaxFrame)});
  const auto connection = stream_->connection.lock();
  if (!connection) return;
  ttrpc::Response response;
  response.mutable_status();
  response.set_payload(std::move(payload));
  connection->end_stream(*stream_);
  connection->enqueue(
      encode_frame(stream_->id, FrameType::Response, 0, response.SerializeAsString()),
      std::move(fd));
}

bool Responder::send(const std::string& payload) const {
  if (stream_->ended) return false;
  const auto connection = stream_->connection.lock();
  if (!connection) return false;
  connection->enqueue(encode_frame(stream_->id, FrameType::Data, 0, payload), {});
  return connection->is_open();
}

void Responder::finish() const {
  if (stream_->ended) return;
  const auto connection = stream_->connection.lock();
  if (!connection) return;
  connection->end_stream(*stream_);
  connection->enqueue(
      encode_frame(stream_->id, FrameType::Data, kFlagRemoteClosed | kFlagNoData, {}), {});
}

void Responder::fail(const Error& error) const {
  if (stream_->ended) return;
  const auto connection = stream_->connection.lock();
  if (!connection) return;
  connection->end_stream(*stream_);
  connection->enqueue(encode_response(stream_->id, error), {});
}

void Responder::hold(std::shared_ptr<void> what) const {
  if (!stream_->ended) stream_->held.push_back(std::move(what));
}

} // namespace mohhos::api
