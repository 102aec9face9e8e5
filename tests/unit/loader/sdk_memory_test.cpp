// Memories that ride along, on a host that writes down who has which.
#include <cstring>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "mohhos/sdk.hpp"

namespace {

using mohhos::test::FakeHost;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<mohhos::Memory> &&
              !std::is_copy_constructible_v<mohhos::MemoryView> &&
              std::is_nothrow_move_constructible_v<mohhos::Memory> &&
              std::is_nothrow_move_constructible_v<mohhos::MemoryView>);

std::string text_of(const mohhos::MemoryView& memory) {
  return {reinterpret_cast<const char*>(memory.bytes().data()), memory.size()};
}

class Keeper : public mohhos::Plugin {
public:
  void on_start() override { peer_ = open("peer"); }
  void on_message(const mohhos::Message& message) override {
    const std::string what = message.copy();
    if (what == "take") {
      views_.push_back(message.memory());
      const auto again = message.memory();
      info(text_of(views_.back()) + (again ? " twice" : ""));
    }
    if (what == "keep") kept_.push_back(message.keep());
    if (what == "show") {
      const mohhos::MemoryView memory = kept_.back().memory();
      info(text_of(memory) + (kept_.back().memory() ? " twice" : ""));
    }
    if (what == "drop") {
      views_.clear();
      kept_.clear();
    }
    if (what == "send") send();
    if (what == "answer") answer(message);
    if (what == "whole") start(whole());
    if (what == "whole, later") start(whole_later());
    if (what == "text, later") start(text_later());
    if (what == "ask") info(text_of(peer_.ask<mohhos::OwnedMessage>("?", 1s).memory()));
    if (what == "callback")
      peer_.call("?", 1s,
                 [this](const mohhos::Reply& reply) { kept_.push_back(reply.message().keep()); });
  }

private:
  void send() {
    mohhos::Memory memory = make_memory(5);
    std::memcpy(memory.bytes().data(), "hello", 5);
    mohhos::Memory moved = std::move(memory);
    peer_.send("first", {.memory = &moved});
    info(std::to_string(moved.bytes().size()) + " of " + std::to_string(moved.size()) +
         (memory ? ", two of them" : ""));
    peer_.send("second", {.memory = &moved});
    static_cast<void>(peer_.call<std::string>("third", 1s, {.memory = &moved}));
  }
  void answer(const mohhos::Message& question) {
    mohhos::Memory memory = make_memory(1);
    reply(question, "with one", memory);
  }
  mohhos::Task whole() {
    try {
      const auto got = co_await peer_.call<mohhos::OwnedMessage>("?", 1s);
      info(got.copy());
      info(text_of(got.memory()));
    } catch (const mohhos::Failure& failure) {
      info(std::to_string(failure.code()));
    }
  }
  // The answer is there before it is awaited.
  mohhos::Task whole_later() {
    auto call = peer_.call<mohhos::OwnedMessage>("?", 1s);
    co_await mohhos::sleep(1ms);
    try {
      const auto got = co_await call;
      info(got.copy());
      info(text_of(got.memory()));
    } catch (const mohhos::Failure& failure) {
      info(std::to_string(failure.code()));
    }
  }
  mohhos::Task text_later() {
    auto call = peer_.call<std::string>("?", 1s);
    co_await mohhos::sleep(1ms);
    info(co_await call);
  }

  mohhos::Channel peer_;
  std::vector<mohhos::MemoryView> views_;
  std::vector<mohhos::OwnedMessage> kept_;
};

class SdkMemory : public testing::Test {
protected:
  SdkMemory() { EXPECT_EQ(kTable.on_start(self), MOHHOS_OK); }
  ~SdkMemory() override {
    if (self != nullptr) kTable.destroy(self);
    EXPECT_TRUE(host.memories.empty()) << "some were not dropped";
  }
  std::int32_t tell(std::string text, const std::string& memory = {}) {
    auto message = FakeHost::message(text, MOHHOS_MSG_DATA_REQUEST, 5);
    host.offer(message, memory);
    const auto result = kTable.on_message(self, &message);
    host.offers.erase(&message);
    // What nobody took ends with the callback.
    if (!memory.empty() && host.taken == 0) host.memories.erase(host.last_memory);
    text.assign(text.size(), '#'); // the view is gone
    return result;
  }

  static constexpr mohhos_plugin_t kTable = mohhos::Exported<Keeper>::table("under-test");
  FakeHost host;
  void* self = kTable.create(host.table());
};

TEST_F(SdkMemory, IsSentAsOftenAsOneLikesAndItsBytesAreGoneFromTheFirstTimeOn) {
  ASSERT_EQ(tell("send"), MOHHOS_OK);
  ASSERT_EQ(host.sent.size(), 2U);
  EXPECT_EQ(host.sent[0].memory, 1U);
  EXPECT_EQ(host.sent[1].memory, 1U);
  EXPECT_EQ(host.asked_with, 1U); // also with a request of a coroutine
  EXPECT_EQ(host.logged, std::vector<std::string>{"0 of 5"});
  EXPECT_TRUE(host.memories.empty());                        // dropped with the object
  EXPECT_EQ(host.answer("", MOHHOS_E_CANCELLED), MOHHOS_OK); // the request was, too
}

TEST_F(SdkMemory, ThatCannotBeMadeIsAFailure) {
  host.make_result = MOHHOS_E_EXHAUSTED;
  EXPECT_LT(tell("send"), 0);
  EXPECT_NE(host.failure.find("make_memory"), std::string::npos) << host.failure;
}

TEST_F(SdkMemory, IsTakenOnceAndStaysBeyondItsMessage) {
  ASSERT_EQ(tell("take", "content"), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"content"});
  EXPECT_EQ(host.taken, 1);
  EXPECT_EQ(host.memories.size(), 1U);
  ASSERT_EQ(tell("drop"), MOHHOS_OK);
  EXPECT_TRUE(host.memories.empty());
}

TEST_F(SdkMemory, ThatDidNotComeIsNone) {
  ASSERT_EQ(tell("take"), MOHHOS_OK);
  host.take_result = MOHHOS_E_NOT_FOUND; // whatever its sender says
  ASSERT_EQ(tell("take", "content"), MOHHOS_OK);
  EXPECT_EQ(host.logged, (std::vector<std::string>{"", ""}));
  host.take_result = MOHHOS_E_EXHAUSTED;
  EXPECT_LT(tell("take", "content"), 0);
  EXPECT_NE(host.failure.find("memory of a message"), std::string::npos) << host.failure;
}

TEST_F(SdkMemory, IsKeptWithItsMessage) {
  ASSERT_EQ(tell("keep", "content"), MOHHOS_OK);
  EXPECT_EQ(host.memories.size(), 1U);
  ASSERT_EQ(tell("show"), MOHHOS_OK); // the first time it is the caller's, who drops it
  EXPECT_EQ(host.logged, std::vector<std::string>{"content"});
  EXPECT_TRUE(host.memories.empty());
  ASSERT_EQ(tell("keep", "another"), MOHHOS_OK);
  ASSERT_EQ(tell("drop"), MOHHOS_OK);
  EXPECT_TRUE(host.memories.empty());
}

TEST_F(SdkMemory, GoesAlongWithAnAnswer) {
  ASSERT_EQ(tell("answer"), MOHHOS_OK);
  ASSERT_EQ(host.answers.size(), 1U);
  EXPECT_EQ(host.answers[0].bytes, "with one");
  EXPECT_EQ(host.answers[0].memory, 1U);
}

TEST_F(SdkMemory, ComesWithTheAnswerToACoroutine) {
  ASSERT_EQ(tell("whole"), MOHHOS_OK);
  ASSERT_EQ(host.answer("here", MOHHOS_OK, "content"), MOHHOS_OK);
  ASSERT_EQ(tell("whole, later"), MOHHOS_OK);
  ASSERT_EQ(host.answer("there", MOHHOS_OK, "kept"), MOHHOS_OK);
  ASSERT_EQ(host.pass_time(), MOHHOS_OK);
  ASSERT_EQ(tell("whole"), MOHHOS_OK);
  ASSERT_EQ(host.answer("none"), MOHHOS_OK);
  EXPECT_EQ(host.logged,
            (std::vector<std::string>{"here", "content", "there", "kept", "none", ""}));
  EXPECT_TRUE(host.memories.empty());
}

TEST_F(SdkMemory, OfAnAnswerThatFailedOrHasNoRoomIsATypedFailure) {
  for (const char* verb : {"whole", "whole, later"}) {
    ASSERT_EQ(tell(verb), MOHHOS_OK);
    ASSERT_EQ(host.answer("no", MOHHOS_E_PLUGIN_FAILED), MOHHOS_OK);
    if (!host.timers.empty()) {
      ASSERT_EQ(host.pass_time(), MOHHOS_OK);
    }
    EXPECT_EQ(host.logged.back(), std::to_string(MOHHOS_E_PLUGIN_FAILED));
    host.take_result = MOHHOS_E_EXHAUSTED;
    ASSERT_EQ(tell(verb), MOHHOS_OK);
    ASSERT_EQ(host.answer("yes", MOHHOS_OK, "content"), MOHHOS_OK);
    if (!host.timers.empty()) {
      ASSERT_EQ(host.pass_time(), MOHHOS_OK);
    }
    EXPECT_EQ(host.logged.back(), std::to_string(MOHHOS_E_EXHAUSTED));
    host.take_result = MOHHOS_OK;
    host.memories.clear();
  }
}

// It counts against the sender until it is dropped.
TEST_F(SdkMemory, IsNotTakenForWhoWantsTheBytesOfTheAnswerOnly) {
  ASSERT_EQ(tell("text, later"), MOHHOS_OK);
  ASSERT_EQ(host.answer("text", MOHHOS_OK, "content"), MOHHOS_OK);
  ASSERT_EQ(host.pass_time(), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"text"});
  EXPECT_EQ(host.taken, 0);
  host.memories.clear(); // the host's
}

TEST_F(SdkMemory, ComesWithTheAnswerThatIsWaitedFor) {
  host.call_words = "here";
  host.call_memory = "content";
  ASSERT_EQ(tell("ask"), MOHHOS_OK);
  EXPECT_EQ(host.logged, std::vector<std::string>{"content"});
  ASSERT_EQ(tell("callback"), MOHHOS_OK);
  ASSERT_EQ(host.answer("there", MOHHOS_OK, "more"), MOHHOS_OK);
  ASSERT_EQ(tell("show"), MOHHOS_OK);
  EXPECT_EQ(host.logged.back(), "more");
}

TEST(SdkOldHost, HasNoMemories) {
  FakeHost host;
  mohhos_host_t old = *host.table();
  old.struct_size = offsetof(mohhos_host_t, make_memory);
  void* const self = mohhos::Exported<Keeper>::table("under-test").create(&old);
  ASSERT_EQ(mohhos::Exported<Keeper>::on_start(self), MOHHOS_OK);
  const auto message = FakeHost::message("send", MOHHOS_MSG_DATA_REQUEST, 5);
  EXPECT_LT(mohhos::Exported<Keeper>::on_message(self, &message), 0);
  EXPECT_NE(host.failure.find("no shared memories"), std::string::npos) << host.failure;
  mohhos::Exported<Keeper>::table("under-test").destroy(self);
}

} // namespace
