#include "api/client.hpp"

#include <poll.h>

#include "api/status.hpp"
#include "api/utf8.hpp"
#include "sys/file.hpp"
#include "sys/memfd.hpp"
#include "sys/socket.hpp"

namespace mohhos::api {
namespace {

constexpr Bytes kLargestSignature{2048};

Result<> status_of(const ttrpc::Response& response) {
  if (response.status().code() == 0) return {};
  return std::unexpected(read_status(response.status()));
}

Result<ttrpc::Response> parse_response(const Frame& frame) {
  ttrpc::Response response;
  if (frame.header.type != static_cast<std::uint8_t>(FrameType::Response) ||
      !response.ParseFromString(frame.payload))
    return fail(Code::Malformed, "the daemon's answer cannot be read");
  return response;
}

} // namespace

struct Client::Deadline {
  Timeout timeout;
  std::optional<Monotonic> at;

  explicit Deadline(Timeout after) : timeout(after) {
    if (after) at = std::chrono::steady_clock::now() + *after;
  }
  [[nodiscard]] Result<> wait(int fd, short events) const {
    TRY(const bool ready, sys::wait_for(fd, events, at));
    if (ready) return {};
    return fail(Code::TimedOut, "no answer within {} ms", timeout->count());
  }
};

Result<Client> Client::connect(const std::filesystem::path& socket) {
  TRY(sys::Fd fd, sys::connect_unix(socket));
  return Client(std::move(fd));
}

bool Client::is_closed() const {
  const auto now = std::chrono::steady_clock::now();
  const auto hung_up = sys::wait_for(socket_.get(), POLLRDHUP, now);
  return !hung_up || *hung_up;
}

Result<std::uint32_t> Client::send_request(Method method, const google::protobuf::Message& request,
                                           const Deadline& deadline, int fd) {
  const MethodName& name = name_of(method);
  ttrpc::Request envelope;
  envelope.set_service(std::string(name.service));
  envelope.set_method(std::string(name.name));
  envelope.set_payload(request.SerializeAsString());
  const std::string payload = envelope.SerializeAsString();
  if (payload.size() > kMaxFrame)
    return fail(Code::TooLarge, "a request of {} bytes, and the limit is {}", payload.size(),
                kMaxFrame);
  const std::uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  const std::uint8_t flags = name.streams ? kFlagRemoteClosed : 0;
  const std::string frame = encode_frame(stream, FrameType::Request, flags, payload);
  auto rest = std::as_bytes(std::span(frame));
  while (!rest.empty()) {
    const auto put = sys::send_some(socket_.get(), rest, fd);
    // Gone, but perhaps not without a last word: receive_frame finds it.
    if (!put && put.error().code == Code::Unreachable) break;
    if (!put) return std::unexpected(put.error());
    if (*put == 0) TRY(deadline.wait(socket_.get(), POLLOUT));
    if (*put > 0) fd = -1;
    rest = rest.subspan(*put);
  }
  return stream;
}

Result<Frame> Client::receive_frame(std::uint32_t stream, const Deadline& deadline,
                                    sys::Fd* received) {
  FrameAssembler assembler;
  for (;;) {
    auto got = sys::receive_message(socket_.get(), assembler.space());
    if (!got) return std::unexpected(std::move(got).error());
    if (!*got) {
      (void)assembler.filled(0);
      TRY(deadline.wait(socket_.get(), POLLIN));
      continue;
    }
    if ((*got)->size == 0)
      return fail(Code::Unreachable, "the daemon closed the connection before it answered");
    if (received != nullptr && (*got)->fds.size() == 1) *received = std::move((*got)->fds.front());
    TRY(auto frame, assembler.filled((*got)->size));
    // An answer that nobody waits for any more belongs to a call that was given up.
    if (frame && frame->header.stream == stream) return std::move(*frame);
  }
}

Result<> Client::call_into(Method method, const google::protobuf::Message& request,
                           google::protobuf::Message& answer, Timeout timeout, int fd,
                           sys::Fd* received) {
  const Deadline deadline(timeout);
  TRY(const std::uint32_t stream, send_request(method, request, deadline, fd));
  TRY(const Frame frame, receive_frame(stream, deadline, received));
  TRY(const ttrpc::Response response, parse_response(frame));
  TRY(status_of(response));
  if (!answer.ParseFromString(response.payload()))
    return fail(Code::Malformed, "the daemon's answer cannot be read");
  return {};
}

Result<> Client::stream_payloads(Method method, const google::protobuf::Message& request,
                                 Timeout timeout,
                                 const std::function<Result<bool>(const std::string&)>& each) {
  const Deadline deadline(timeout);
  TRY(const std::uint32_t stream, send_request(method, request, deadline, -1));
  for (;;) {
    TRY(const Frame frame, receive_frame(stream, deadline, nullptr));
    if (frame.header.type == static_cast<std::uint8_t>(FrameType::Response)) {
      TRY(const ttrpc::Response response, parse_response(frame));
      return status_of(response);
    }
    if ((frame.header.flags & kFlagNoData) == 0) {
      TRY(const bool more, each(frame.payload));
      if (!more) return {};
    }
    if ((frame.header.flags & kFlagRemoteClosed) != 0) return {};
  }
}

Result<PluginFile> read_plugin_file(const std::filesystem::path& path) {
  TRY(const sys::Fd file, sys::open_regular(path));
  const std::filesystem::path beside = path.native() + ".minisig";
  auto signature = sys::read_file(beside, kLargestSignature);
  if (!signature && signature.error().code == Code::NotFound)
    return fail(Code::Untrusted,
                "unsigned: no signature beside {} (no {}); sign it with plugctl sign",
                path.native(), beside.filename().native());
  if (!signature) return std::unexpected(std::move(signature).error());
  auto image = sys::seal_file(file.get(), "mohhos-plugin", kLargestPlugin);
  if (!image) return std::unexpected(std::move(image).error().within(path.native()));
  PluginFile result{.image = std::move(*image), .request = {}};
  std::error_code ignored;
  const auto absolute = std::filesystem::absolute(path, ignored);
  result.request.set_path(as_utf8((ignored ? path : absolute.lexically_normal()).native()));
  result.request.set_signature(std::move(*signature));
  return result;
}

} // namespace mohhos::api
