#include "api/client.hpp"

#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serving.hpp"
#include "sys/memfd.hpp"

namespace mohhos::api::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

v1::PluginRef ref(const std::string& name) {
  v1::PluginRef message;
  message.set_name(name);
  return message;
}

TEST(Client, GetsTheAnswer) {
  Serving server({}, [](const Call& call, const Responder& responder) {
    v1::PluginRef asked;
    ASSERT_TRUE(asked.ParseFromString(call.payload));
    v1::PluginInfo info;
    info.set_name(asked.name());
    responder.answer(info.SerializeAsString());
  });
  auto client = Client::connect(server.socket());
  ASSERT_TRUE(client);
  for (const char* name : {"one", "two", "three"})
    EXPECT_EQ(client->call<v1::PluginInfo>(Method::Info, ref(name), 5s)->name(), name);
}

TEST(Client, GetsTheErrorWithItsCodeAndSentence) {
  Serving server({}, [](const Call&, const Responder& responder) {
    responder.fail({Code::ConsentNeeded, "grant it first"});
  });
  auto client = Client::connect(server.socket());
  const auto answer = client->call<v1::PluginInfo>(Method::Info, ref("x"), 5s);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::ConsentNeeded);
  EXPECT_EQ(answer.error().text, "grant it first");
}

TEST(Client, WaitsNoLongerThanItsTimeout) {
  Serving server({}, [](const Call&, const Responder&) {});
  auto client = Client::connect(server.socket());
  const auto answer = client->call<v1::PluginInfo>(Method::Info, ref("x"), 30ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::TimedOut);
}

TEST(Client, SaysThatNobodyAnswersAtThatSocket) {
  const auto client = Client::connect("/nowhere/control.sock");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Code::Unreachable);
  EXPECT_THAT(client.error().text, HasSubstr("/nowhere/control.sock"));
}

TEST(Client, NoticesThatTheServerHasGone) {
  auto server = std::make_unique<Serving>(ServerLimits{}, [](const Call&, const Responder&) {});
  auto client = Client::connect(server->socket());
  EXPECT_FALSE(client->is_closed());
  server.reset();
  EXPECT_TRUE(client->is_closed());
  const auto answer = client->call<v1::PluginInfo>(Method::Info, ref("x"), 5s);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::Unreachable);
}

TEST(Client, StreamsUntilTheServerEndsOrItHasEnough) {
  Serving server({}, [](const Call&, const Responder& responder) {
    for (int i = 0; i < 5; ++i) {
      v1::Event event;
      event.set_id(static_cast<std::uint64_t>(i));
      (void)responder.send(event.SerializeAsString());
    }
    responder.finish();
  });
  auto client = Client::connect(server.socket());
  int seen = 0;
  EXPECT_TRUE(
      client->stream<v1::Event>(Method::Watch, v1::WatchRequest(), 5s, [&](const v1::Event& event) {
        EXPECT_EQ(event.id(), static_cast<std::uint64_t>(seen++));
        return true;
      }));
  EXPECT_EQ(seen, 5);
  EXPECT_TRUE(client->stream<v1::Event>(Method::Watch, v1::WatchRequest(), 5s,
                                        [&](const v1::Event&) { return ++seen < 7; }));
  EXPECT_EQ(seen, 7);
}

class PluginFiles : public ::testing::Test {
protected:
  std::string write(const std::string& name, const std::string& content) {
    const std::string path = directory_ / name;
    std::ofstream(path) << content;
    return path;
  }
  mohhos::test::TemporaryDirectory scratch_;
  const std::filesystem::path& directory_ = scratch_.path();
};

TEST_F(PluginFiles, AreSentAsASealedCopyWithTheirSignature) {
  const std::string path = write("a.so", "bytes");
  write("a.so.minisig", "signature");
  const auto file = read_plugin_file(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->request.path(), path);
  EXPECT_EQ(file->request.signature(), "signature");
  EXPECT_EQ(sys::verify_seals(file->image.get(), sys::kSealedContent)->count, 5U);
}

TEST_F(PluginFiles, WithoutASignatureAreRefusedAsUnsigned) {
  const auto file = read_plugin_file(write("a.so", "bytes"));
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::Untrusted);
  EXPECT_THAT(file.error().text, HasSubstr("unsigned"));
}

TEST_F(PluginFiles, OfTwoGigabytesAreRefusedBeforeAnythingIsCopied) {
  const std::string path = write("a.so", "");
  write("a.so.minisig", "signature");
  std::filesystem::resize_file(path, std::uintmax_t{2} << 30);
  const auto file = read_plugin_file(path);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::TooLarge);
  EXPECT_THAT(file.error().text, HasSubstr(path));
}

TEST_F(PluginFiles, ThatAreNotThereOrAreDirectoriesAreNamed) {
  EXPECT_EQ(read_plugin_file(directory_ / "none.so").error().code, Code::NotFound);
  EXPECT_THAT(read_plugin_file(directory_).error().text, HasSubstr("directory"));
}

} // namespace
} // namespace mohhos::api::test
