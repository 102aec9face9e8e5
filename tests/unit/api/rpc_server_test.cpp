#include "api/rpc_server.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/status.hpp"
#include "serving.hpp"
#include "sys/memfd.hpp"

namespace mohhos::api::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr int kOk = 0;
constexpr int kInvalid = static_cast<int>(GrpcCode::InvalidArgument);
constexpr int kExhausted = static_cast<int>(GrpcCode::ResourceExhausted);
constexpr int kDenied = static_cast<int>(GrpcCode::PermissionDenied);

void echo(Call call, const Responder& responder) {
  responder.answer(std::move(call.payload));
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

TEST(RpcServer, AnswersAUnaryCall) {
  Serving server({}, echo);
  RawClient client(server.socket());
  client.request(1, "Info", "payload");
  const auto frame = client.receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.stream, 1U);
  ttrpc::Response response;
  ASSERT_TRUE(response.ParseFromString(frame->payload));
  EXPECT_EQ(response.payload(), "payload");
}

TEST(RpcServer, ServesManyCallsThatArriveInOnePiece) {
  Serving server({}, echo);
  RawClient client(server.socket());
  for (std::uint32_t stream = 1; stream < 100; stream += 2) client.request(stream, "Info");
  for (std::uint32_t stream = 1; stream < 100; stream += 2)
    EXPECT_EQ(client.receive()->header.stream, stream);
}

TEST(RpcServer, ADescriptorBesideALoadReachesTheMethod) {
  Serving server({}, [&](Call call, const Responder& responder) {
    char text[16] = {};
    const ssize_t got = call.fd ? ::pread(call.fd.get(), text, sizeof text, 0) : -1;
    responder.answer(got < 0 ? "none" : std::string(text, static_cast<std::size_t>(got)),
                     std::move(call.fd));
  });
  RawClient client(server.socket());
  const std::string_view bytes = "plugin";
  const auto file = sys::make_sealed("test", std::as_bytes(std::span(bytes)));
  client.request(1, "Load", "", 0, {file->get()});
  EXPECT_THAT(client.receive()->payload, HasSubstr("plugin"));
  EXPECT_TRUE(client.received_fd); // and back
  client.request(3, "Load");
  EXPECT_THAT(client.receive()->payload, HasSubstr("none"));
}

TEST(RpcServer, ClosesAConnectionThatSendsMoreThanOneDescriptorAndKeepsNone) {
  Serving server({}, echo);
  (void)RawClient(server.socket()); // the loop's own descriptors come with the first connection
  server.on_loop([] {});
  while (server.connections() != 0) {
  }
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 50; ++i) {
    RawClient client(server.socket());
    client.request(1, "Load", "", 0, {0, 0, 0});
    EXPECT_TRUE(client.is_closed());
  }
  while (server.connections() != 0) {
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(RpcServer, ClosesAConnectionThatSendsADescriptorInTheMiddleOfAFrame) {
  Serving server({}, echo);
  RawClient client(server.socket());
  const std::string frame = encode_frame(1, FrameType::Request, 0, "abcdef");
  client.send(frame.substr(0, 12));
  while (server.connections() != 1) {
  }
  client.send(frame.substr(12), {0});
  EXPECT_TRUE(client.is_closed());
}

TEST(RpcServer, RefusesAnUnknownMethodAndServesOn) {
  Serving server({}, echo);
  RawClient client(server.socket());
  client.request(1, "Explode");
  const auto [code, text] = client.receive_status();
  EXPECT_EQ(code, static_cast<int>(GrpcCode::Unimplemented));
  EXPECT_THAT(text, HasSubstr("Explode"));
  client.request(3, "Info");
  EXPECT_EQ(client.receive_status().first, kOk);
}

TEST(RpcServer, RefusesARequestThatIsNoMessageAndServesOn) {
  Serving server({}, echo);
  RawClient client(server.socket());
  client.send(encode_frame(1, FrameType::Request, 0, "\xFF\xFF\xFF"));
  EXPECT_EQ(client.receive_status().first, kInvalid);
  client.request(3, "Info");
  EXPECT_EQ(client.receive_status().first, kOk);
}

TEST(RpcServer, RefusesWhatTheRoleDoesNotAllow) {
  Serving server({}, echo, Role::Observe);
  RawClient client(server.socket());
  client.request(1, "Unload");
  EXPECT_EQ(client.receive_status().first, kDenied);
  client.request(3, "Info");
  EXPECT_EQ(client.receive_status().first, kOk);
}

TEST(RpcServer, TellsACallerWithoutARoleWhyItIsNotServed) {
  Serving server({}, echo, Role::None);
  RawClient client(server.socket());
  EXPECT_EQ(client.receive_status().first, kDenied);
  EXPECT_TRUE(client.is_closed());
}

// Everything after which the framing or the numbering cannot be trusted ends the connection, with a
// sentence.
struct Breach {
  const char* name;
  std::string bytes;
  const char* says;
};

void PrintTo(const Breach& breach, std::ostream* out) {
  *out << breach.name;
}

class Breaches : public ::testing::TestWithParam<Breach> {};

TEST_P(Breaches, GetASentenceAndTheEnd) {
  Serving server({}, echo);
  RawClient client(server.socket());
  client.send(GetParam().bytes);
  const auto [code, text] = client.receive_status();
  EXPECT_TRUE(code == kInvalid || code == kExhausted) << code << ": " << text;
  EXPECT_THAT(text, HasSubstr(GetParam().says));
  EXPECT_TRUE(client.is_closed());
  RawClient another(server.socket());
  another.request(1, "Info");
  EXPECT_EQ(another.receive_status().first, kOk);
}

INSTANTIATE_TEST_SUITE_P(
    RpcServer, Breaches,
    ::testing::Values(Breach{"FourGigabytesAnnounced",
                             std::string("\xFF\xFF\xFF\xFF\0\0\0\1\1\0", 10), "4294967295"},
                      Breach{"AnEvenStreamId", encode_frame(2, FrameType::Request, 0, ""), "odd"},
                      Breach{"StreamZero", encode_frame(0, FrameType::Request, 0, ""), "odd"},
                      Breach{"AResponse", encode_frame(1, FrameType::Response, 0, ""), "type 2"},
                      Breach{"AnUnknownType", std::string("\0\0\0\0\0\0\0\1\x63\0", 10), "type 99"},
                      Breach{"DataWithoutAStream", encode_frame(1, FrameType::Data, 0, "x"),
                             "data frame"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(RpcServer, RefusesAStreamIdThatDoesNotRise) {
  Serving server({}, echo);
  RawClient client(server.socket());
  client.request(5, "Info");
  EXPECT_EQ(client.receive_status().first, kOk);
  client.request(5, "Info");
  EXPECT_THAT(client.receive_status().second, HasSubstr("rise"));
  EXPECT_TRUE(client.is_closed());
}

TEST(RpcServer, ClosesAConnectionWhoseFrameStaysHalf) {
  Serving server({.frame_time = 50ms}, echo);
  RawClient client(server.socket());
  client.send(encode_frame(1, FrameType::Request, 0, "abcdef").substr(0, 12));
  EXPECT_TRUE(client.is_closed());
  RawClient silent(server.socket());
  EXPECT_TRUE(silent.is_closed());
}

TEST(RpcServer, AnIdleConnectionStaysOpen) {
  Serving server({.frame_time = 30ms}, echo);
  RawClient client(server.socket());
  client.request(1, "Info");
  EXPECT_EQ(client.receive_status().first, kOk);
  RawClient silent(server.socket()); // its end is the sign that the time has passed
  EXPECT_TRUE(silent.is_closed());
  client.request(3, "Info");
  EXPECT_EQ(client.receive_status().first, kOk);
}

TEST(RpcServer, StreamsUntilItIsFinished) {
  Serving server({}, [](const Call&, const Responder& responder) {
    EXPECT_TRUE(responder.send("one"));
    EXPECT_TRUE(responder.send(""));
    responder.finish();
    EXPECT_FALSE(responder.send("too late"));
  });
  RawClient client(server.socket());
  client.request(1, "Watch");
  EXPECT_EQ(client.receive()->payload, "one");
  EXPECT_EQ(client.receive()->header.flags, 0);
  const auto end = client.receive();
  EXPECT_EQ(end->header.flags, kFlagRemoteClosed | kFlagNoData);
}

TEST(RpcServer, DropsAReaderThatDoesNotReadAndGivesBackWhatItsStreamHeld) {
  auto held = std::make_shared<int>(0);
  std::weak_ptr<int> watched = held;
  std::optional<Responder> stream;
  Serving server({.unread_bytes = 1U << 20}, [&](const Call&, const Responder& responder) {
    responder.hold(std::move(held));
    stream = responder;
  });
  RawClient client(server.socket());
  client.request(1, "Watch");
  bool listening = true;
  for (int i = 0; i < 10'000 && listening; ++i)
    server.on_loop([&] { listening = !stream || stream->send(std::string(10'000, 'x')); });
  EXPECT_FALSE(listening);
  while (server.connections() != 0) {
  }
  server.on_loop([] {});
  EXPECT_TRUE(watched.expired());
  server.on_loop([&] { stream.reset(); });
}

TEST(RpcServer, AnAnswerAfterTheClientHasGoneDoesNothing) {
  std::optional<Responder> late;
  Serving server({}, [&](const Call&, const Responder& responder) { late = responder; });
  RawClient client(server.socket());
  client.request(1, "Info");
  bool called = false;
  while (!called) server.on_loop([&] { called = late.has_value(); });
  client.close();
  while (server.connections() != 0) {
  }
  server.on_loop([&] {
    late->answer("nobody");
    late->fail({Code::Failed, "nobody"});
    late.reset();
  });
}

TEST(RpcServer, EndsACallWhoseOwnDeadlinePasses) {
  std::vector<Responder> never;
  Serving server({}, [&](const Call&, const Responder& responder) { never.push_back(responder); });
  RawClient client(server.socket());
  client.request(1, "Info", "", 20'000'000);
  EXPECT_EQ(client.receive_status().first, static_cast<int>(GrpcCode::DeadlineExceeded));
  server.on_loop([&] { never.clear(); });
}

TEST(RpcServer, LimitsTheCallsInFlightOfAConnection) {
  std::vector<Responder> waiting;
  Serving server({.calls_per_connection = 3},
                 [&](const Call&, const Responder& responder) { waiting.push_back(responder); });
  RawClient client(server.socket());
  for (const std::uint32_t stream : {1U, 3U, 5U, 7U}) client.request(stream, "Info");
  const auto refused = client.receive();
  EXPECT_EQ(refused->header.stream, 7U);
  server.on_loop([&] {
    for (const auto& responder : waiting) responder.answer("");
    waiting.clear();
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.receive_status().first, kOk);
}

TEST(RpcServer, LimitsTheCostOfAllCallsOfAUid) {
  std::vector<Responder> waiting;
  Serving server({.cost_per_uid = 20},
                 [&](const Call&, const Responder& responder) { waiting.push_back(responder); });
  RawClient first(server.socket());
  RawClient second(server.socket());
  first.request(1, "Load"); // 8 each
  first.request(3, "Load");
  second.request(1, "Start"); // 2: it is there when `first`'s were, or not; the sum decides
  second.request(3, "Load");
  EXPECT_EQ(second.receive()->header.stream, 3U);
  server.on_loop([&] {
    for (const auto& responder : waiting) responder.answer("");
    waiting.clear();
  });
  second.request(5, "Load");
  EXPECT_EQ(second.receive_status().first, kOk); // of stream 1
  server.on_loop([&] { waiting.clear(); });
}

TEST(RpcServer, LimitsTheConnectionsOfAUid) {
  Serving server({.connections_per_uid = 2}, echo);
  RawClient first(server.socket());
  RawClient second(server.socket());
  first.request(1, "Info");
  EXPECT_EQ(first.receive_status().first, kOk);
  RawClient third(server.socket());
  EXPECT_EQ(third.receive_status().first, kExhausted);
  EXPECT_TRUE(third.is_closed());
  second.close();
  while (server.connections() != 1) {
  }
  RawClient fourth(server.socket());
  fourth.request(1, "Info");
  EXPECT_EQ(fourth.receive_status().first, kOk);
}

TEST(RpcServer, WithoutDescriptorsItShedsTheNewcomerAndServesOn) {
  Serving server({}, echo);
  RawClient old(server.socket());
  old.request(1, "Info");
  EXPECT_EQ(old.receive_status().first, kOk);
  RawClient newcomer = [&] {
    // The client's own descriptor is the last one that there is.
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const int next = ::dup(0);
    ::close(next);
    rlimit tight = limit;
    tight.rlim_cur = static_cast<rlim_t>(next) + 1;
    ::setrlimit(RLIMIT_NOFILE, &tight);
    RawClient client(server.socket());
    EXPECT_TRUE(client.is_closed());
    old.request(3, "Info");
    EXPECT_EQ(old.receive_status().first, kOk);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return client;
  }();
  RawClient next(server.socket());
  next.request(1, "Info");
  EXPECT_EQ(next.receive_status().first, kOk);
}

} // namespace
} // namespace mohhos::api::test
