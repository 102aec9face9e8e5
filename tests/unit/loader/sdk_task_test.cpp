// Coroutines on a host that answers when the test says so.
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "mohhos/sdk.hpp"

namespace {

using mohhos::test::FakeHost;
using namespace std::chrono_literals;

struct Number {
  std::uint32_t value = 0;
};

// Whether its frame was destroyed, and whether the plugin was still there then.
struct Witness {
  explicit Witness(std::vector<std::string>* to) : events(to) {}
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() { events->push_back("frame"); }
  std::vector<std::string>* events;
};
std::vector<std::string> destroyed;

class Coroutines : public mohhos::Plugin {
public:
  ~Coroutines() override { destroyed.push_back("plugin"); }
  void on_start() override { peer_ = open("peer"); }
  void on_cancel(const mohhos::Request& request) override {
    info("cancelled " + std::to_string(request.correlation));
  }
  void on_message(const mohhos::Message& message) override {
    const std::string what = message.copy();
    if (what == "relay") start(relay(message.keep()));
    if (what == "two") start(two_at_once());
    if (what == "nested") start(nested());
    if (what == "throw now") start(fails_at_once());
    if (what == "throw later") start(fails_later());
    if (what == "catch") start(catches());
    if (what == "number") start(number());
    if (what == "drop") start(drops_a_call());
    if (what == "many")
      for (int i = 0; i < 1000; ++i) start(naps(i));
    if (what == "wait") start(waits());
    if (what == "keep") start(keeps());
    if (what == "never started") static_cast<void>(waits());
  }

private:
  mohhos::Task relay(mohhos::OwnedMessage question) {
    const auto answer = co_await peer_.call<std::string>(question.text(), 1s);
    co_await mohhos::sleep(10ms);
    reply(question, answer + "!");
  }
  mohhos::Task two_at_once() {
    auto first = call<std::string>(peer_, "first", 1s);
    auto second = call<std::string>(peer_, "second", 1s);
    const auto b = co_await second;
    const auto a = co_await first; // answered before it was awaited
    info(a + " " + b);
  }
  mohhos::TaskOf<std::string> inner(std::string text) {
    co_await mohhos::sleep(1ms);
    if (text == "bad") throw std::runtime_error("inner failed");
    co_return text + " is done";
  }
  mohhos::Task nested() {
    info(co_await inner("good"));
    try {
      info(co_await inner("bad"));
    } catch (const std::exception& exception) {
      info(exception.what());
    }
  }
  mohhos::Task fails_at_once() {
    throw std::runtime_error("failed at once");
    co_return;
  }
  mohhos::Task fails_later() {
    co_await mohhos::sleep(1ms);
    throw std::runtime_error("failed later");
  }
  mohhos::Task catches() {
    try {
      static_cast<void>(co_await peer_.call<std::string>("?", 1s));
    } catch (const mohhos::Failure& failure) {
      info(std::to_string(failure.code()) + " " + failure.what());
    }
  }
  mohhos::Task number() {
    const auto answer = co_await peer_.call<Number>(Number{1}, 1s);
    info(std::to_string(answer.value));
  }
  mohhos::Task drops_a_call() {
    {
      auto dropped = peer_.call<std::string>("dropped", 1s);
    }
    info("went on");
    co_return;
  }
  mohhos::Task naps(int i) {
    co_await mohhos::sleep(std::chrono::milliseconds(i % 7));
    if (i == 999) info("last");
  }
  mohhos::Task keeps() {
    peer_.send("kept", {.durable = true});
    try {
      co_await sync(peer_);
      info("on disk");
      co_await peer_.synced(1s);
      info("again");
    } catch (const mohhos::Failure& failure) {
      info(std::to_string(failure.code()) + " " + failure.what());
    }
  }
  mohhos::Task waits() {
    const Witness witness(&destroyed);
    static_cast<void>(co_await peer_.call<std::string>("for ever", 1s));
    info("answered");
  }

  mohhos::Channel peer_;
};

class SdkTask : public testing::Test {
protected:
  SdkTask() {
    destroyed.clear();
    EXPECT_EQ(kTable.on_start(self), MOHHOS_OK);
  }
  ~SdkTask() override {
    if (self != nullptr) kTable.destroy(self);
  }
  std::int32_t tell(std::string text) {
    const auto message = FakeHost::message(text, MOHHOS_MSG_DATA_REQUEST, 5);
    const auto result = kTable.on_message(self, &message);
    text.assign(text.size(), '#'); // the view is gone
    return result;
  }

  static constexpr mohhos_plugin_t kTable = mohhos::Exported<Coroutines>::table("under-test");
  FakeHost host;
  void* self = kTable.create(host.table());
};

TEST_F(SdkTask, WaitsForTheDiskAndLetsTheRestGoOn) {
  ASSERT_EQ(tell("keep"), MOHHOS_OK);
  EXPECT_EQ(host.sent.at(0).bytes, "kept");
  ASSERT_EQ(host.synced.size(), 1U);
  EXPECT_EQ(host.synced[0], 1U); // the peer's channel
  EXPECT_TRUE(host.logged.empty());
  ASSERT_EQ(tell("throw later"), MOHHOS_OK); // another one begins meanwhile
  EXPECT_EQ(host.answer(""), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"on disk"});
  EXPECT_EQ(host.answer("the disk is full", MOHHOS_E_EXHAUSTED), MOHHOS_OK);
  EXPECT_EQ(host.logged.at(1), std::to_string(MOHHOS_E_EXHAUSTED) + " the disk is full");
  EXPECT_LT(host.pass_time(), 0); // and the other one ends
}

TEST_F(SdkTask, ASyncThatCannotBeAskedForThrowsAtOnce) {
  host.sync_result = MOHHOS_E_PEER_GONE;
  ASSERT_EQ(tell("keep"), MOHHOS_OK);
  ASSERT_EQ(host.logged.size(), 1U);
  EXPECT_EQ(host.logged[0].substr(0, 3), std::to_string(MOHHOS_E_PEER_GONE));
}

TEST_F(SdkTask, ASyncThatWasBegunMayEndAfterItsPlugin) {
  ASSERT_EQ(tell("keep"), MOHHOS_OK);
  kTable.destroy(self);
  self = nullptr;
  EXPECT_EQ(host.answer(""), MOHHOS_OK); // reaches nobody
}

TEST_F(SdkTask, GoesOnWithTheAnswerAndWithTime) {
  ASSERT_EQ(tell("relay"), MOHHOS_OK);
  EXPECT_EQ(host.asked.at(0), "relay");
  EXPECT_EQ(host.answer("yes"), MOHHOS_OK);
  EXPECT_TRUE(host.answers.empty());
  EXPECT_EQ(host.timers.begin()->first, 10'000'000U);
  EXPECT_EQ(host.pass_time(), MOHHOS_OK);
  ASSERT_EQ(host.answers.size(), 1U);
  EXPECT_EQ(host.answers[0].bytes, "yes!");
  EXPECT_EQ(host.answers[0].correlation, 5U);
}

TEST_F(SdkTask, SeveralCallsAreUnderWayAtOnce) {
  ASSERT_EQ(tell("two"), MOHHOS_OK);
  EXPECT_EQ(host.asked, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(host.answer("one"), MOHHOS_OK);
  EXPECT_TRUE(host.logged.empty());
  EXPECT_EQ(host.answer("two"), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"one two"});
}

TEST_F(SdkTask, OneInsideAnotherGivesItsValueOrItsException) {
  ASSERT_EQ(tell("nested"), MOHHOS_OK);
  EXPECT_EQ(host.pass_time(), MOHHOS_OK);
  EXPECT_EQ(host.pass_time(), MOHHOS_OK);
  EXPECT_EQ(host.logged, (std::vector<std::string>{"good is done", "inner failed"}));
}

TEST_F(SdkTask, AnExceptionIsTheFailureOfTheCallbackThatItRanIn) {
  EXPECT_EQ(tell("throw now"), MOHHOS_E_PLUGIN_FAILED);
  EXPECT_EQ(host.failure, "failed at once");
  EXPECT_EQ(tell("throw later"), MOHHOS_OK);
  EXPECT_EQ(host.pass_time(), MOHHOS_E_PLUGIN_FAILED);
  EXPECT_EQ(host.failure, "failed later");
}

TEST_F(SdkTask, ACallWithoutAnAnswerThrowsItsReason) {
  ASSERT_EQ(tell("catch"), MOHHOS_OK);
  EXPECT_EQ(host.answer("peer was restarted", MOHHOS_E_PEER_RESTARTED), MOHHOS_OK);
  EXPECT_EQ(host.logged.at(0), std::to_string(MOHHOS_E_PEER_RESTARTED) + " peer was restarted");
  host.request_result = MOHHOS_E_REFUSED;
  ASSERT_EQ(tell("catch"), MOHHOS_OK);
  EXPECT_EQ(host.logged.at(1), std::to_string(MOHHOS_E_REFUSED) + " call: the peer's ring is full");
}

TEST_F(SdkTask, AnAnswerOfTheWrongSizeIsMalformed) {
  ASSERT_EQ(tell("number"), MOHHOS_OK);
  EXPECT_EQ(host.answer("12345"), MOHHOS_E_MALFORMED);
  EXPECT_NE(host.failure.find("5 bytes"), std::string::npos);
  EXPECT_NE(host.failure.find("which has 4"), std::string::npos);
}

TEST_F(SdkTask, ThePluginTakesItsFramesAlongWhileItIsStillThere) {
  ASSERT_EQ(tell("wait"), MOHHOS_OK);
  kTable.destroy(std::exchange(self, nullptr));
  EXPECT_EQ(destroyed, (std::vector<std::string>{"frame", "plugin"}));
  EXPECT_EQ(host.answer("late"), MOHHOS_OK); // to nobody
  EXPECT_TRUE(host.logged.empty());
}

TEST_F(SdkTask, ACallThatIsDroppedIsAnsweredToNobody) {
  ASSERT_EQ(tell("drop"), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"went on"});
  EXPECT_EQ(host.cancelled, std::vector<std::int32_t>{1});
  EXPECT_EQ(host.answer("late"), MOHHOS_OK);
}

TEST_F(SdkTask, ACallThatEndedIsNotTakenBack) {
  ASSERT_EQ(tell("relay"), MOHHOS_OK);
  EXPECT_EQ(host.answer("yes"), MOHHOS_OK);
  EXPECT_EQ(host.pass_time(), MOHHOS_OK);
  EXPECT_TRUE(host.cancelled.empty());
}

TEST_F(SdkTask, ThePluginHearsOfCancelledRequests) {
  const mohhos_request_t request{.sender = 9, .correlation = 5, .deadline_ns = 0};
  EXPECT_EQ(kTable.on_cancel(self, &request), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"cancelled 5"});
}

TEST_F(SdkTask, ATaskThatWasNotStartedNeverRuns) {
  ASSERT_EQ(tell("never started"), MOHHOS_OK);
  EXPECT_TRUE(host.asked.empty());
  EXPECT_TRUE(destroyed.empty());
}

TEST_F(SdkTask, AThousandEndInAnyOrder) {
  ASSERT_EQ(tell("many"), MOHHOS_OK);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(host.pass_time(), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"last"});
}

} // namespace
