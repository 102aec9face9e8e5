#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "mohhos/sdk.hpp"

namespace {

using mohhos::test::FakeHost;

struct Quiet : mohhos::Plugin {};

struct Thrower : mohhos::Plugin {
  void on_init() override { throw std::runtime_error("no table to sit at"); }
  void on_start() override { throw 42; }
  void on_stop() override { throw mohhos::Failure(MOHHOS_E_EXHAUSTED, "full"); }
};

struct Unborn : mohhos::Plugin {
  Unborn() { throw std::runtime_error("stillborn"); }
};

struct Talker : mohhos::Plugin {
  void on_start() override {
    peer = open("peer");
    info("born with " + config("colour").value_or("nothing"));
  }
  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return reply(message, message.copy() + "!");
    peer.send(message.text());
  }
  bool on_work() override {
    peer.call("question", std::chrono::seconds(1), [this](const mohhos::Reply& answer) {
      info((answer.ok() ? "answer: " : "none: ") + answer.copy());
    });
    return true;
  }
  mohhos::Channel peer;
};

template <class T>
constexpr mohhos_plugin_t kTable = mohhos::Exported<T>::table("under-test");

TEST(Sdk, ATableIsCompleteAndSaysItsVersion) {
  EXPECT_EQ(kTable<Quiet>.struct_size, sizeof(mohhos_plugin_t));
  EXPECT_EQ(kTable<Quiet>.abi_version, MOHHOS_ABI_VERSION);
  EXPECT_STREQ(kTable<Quiet>.name, "under-test");
  EXPECT_NE(kTable<Quiet>.create, nullptr);
  EXPECT_NE(kTable<Quiet>.destroy, nullptr);
}

TEST(Sdk, AnExceptionBecomesTheErrorOfItsCallbackWithItsText) {
  FakeHost host;
  void* self = kTable<Thrower>.create(host.table());
  ASSERT_NE(self, nullptr);
  EXPECT_EQ(kTable<Thrower>.on_init(self), MOHHOS_E_PLUGIN_FAILED);
  EXPECT_EQ(host.failure, "no table to sit at");
  EXPECT_EQ(kTable<Thrower>.on_start(self), MOHHOS_E_PLUGIN_FAILED);
  EXPECT_NE(host.failure.find("not a std::exception"), std::string::npos);
  EXPECT_EQ(kTable<Thrower>.on_stop(self), MOHHOS_E_EXHAUSTED);
  kTable<Thrower>.destroy(self);
}

TEST(Sdk, AConstructorThatThrowsMakesNoPlugin) {
  FakeHost host;
  EXPECT_EQ(kTable<Unborn>.create(host.table()), nullptr);
  EXPECT_EQ(host.failure, "stillborn");
}

TEST(Sdk, ARequestIsAnsweredAndARequestThatNobodyAnswersIsRefused) {
  FakeHost host;
  const auto request = FakeHost::message("hello", MOHHOS_MSG_DATA_REQUEST, 5);
  void* talker = kTable<Talker>.create(host.table());
  EXPECT_EQ(kTable<Talker>.on_message(talker, &request), MOHHOS_OK);
  void* quiet = kTable<Quiet>.create(host.table());
  EXPECT_EQ(kTable<Quiet>.on_message(quiet, &request), MOHHOS_OK);
  ASSERT_EQ(host.answers.size(), 2U);
  EXPECT_EQ(host.answers[0].bytes, "hello!");
  EXPECT_EQ(host.answers[0].correlation, 5U);
  EXPECT_EQ(host.answers[1].status, MOHHOS_E_UNSUPPORTED);
  kTable<Talker>.destroy(talker);
  kTable<Quiet>.destroy(quiet);
}

TEST(Sdk, ChannelsSendAndConfigurationIsRead) {
  FakeHost host;
  host.config["colour"] = "blue";
  void* self = kTable<Talker>.create(host.table());
  ASSERT_EQ(kTable<Talker>.on_start(self), MOHHOS_OK);
  EXPECT_EQ(host.opened, std::vector<std::string>{"peer"});
  EXPECT_EQ(host.logged, std::vector<std::string>{"born with blue"});
  const auto message = FakeHost::message("word");
  ASSERT_EQ(kTable<Talker>.on_message(self, &message), MOHHOS_OK);
  ASSERT_EQ(host.sent.size(), 1U);
  EXPECT_EQ(host.sent[0].bytes, "word");
  kTable<Talker>.destroy(self);
}

TEST(Sdk, AFullRingIsAnErrorThatNamesItself) {
  FakeHost host;
  host.room = 0;
  void* self = kTable<Talker>.create(host.table());
  ASSERT_EQ(kTable<Talker>.on_start(self), MOHHOS_OK);
  const auto message = FakeHost::message("word");
  EXPECT_EQ(kTable<Talker>.on_message(self, &message), MOHHOS_E_REFUSED);
  EXPECT_EQ(host.failure, "send: the peer's ring is full");
  kTable<Talker>.destroy(self);
}

TEST(Sdk, AChannelThatIsDeniedNamesThePeer) {
  FakeHost host;
  host.open_result = MOHHOS_E_DENIED;
  void* self = kTable<Talker>.create(host.table());
  EXPECT_EQ(kTable<Talker>.on_start(self), MOHHOS_E_DENIED);
  EXPECT_NE(host.failure.find("peer"), std::string::npos);
  EXPECT_NE(host.failure.find("acl"), std::string::npos);
  kTable<Talker>.destroy(self);
}

TEST(Sdk, ACallEndsInItsCallbackWithAnswerOrReason) {
  FakeHost host;
  void* self = kTable<Talker>.create(host.table());
  ASSERT_EQ(kTable<Talker>.on_start(self), MOHHOS_OK);
  ASSERT_EQ(kTable<Talker>.on_work(self), 1);
  const auto answer = FakeHost::message("42", MOHHOS_MSG_DATA_RESPONSE, 1);
  EXPECT_EQ(host.done(host.user, MOHHOS_OK, &answer), MOHHOS_OK);
  ASSERT_EQ(kTable<Talker>.on_work(self), 1);
  const auto why = FakeHost::message("it has gone");
  EXPECT_EQ(host.done(host.user, MOHHOS_E_PEER_GONE, &why), MOHHOS_OK);
  EXPECT_EQ(host.logged[1], "answer: 42");
  EXPECT_EQ(host.logged[2], "none: it has gone");
  kTable<Talker>.destroy(self);
}

} // namespace
