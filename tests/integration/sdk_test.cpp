// What the SDK promises, between two plugins in their sandboxes: structs, protobuf, coroutines,
// zero copy, and a typed no to what is wrong.
#include <sstream>

#include <gtest/gtest.h>

#include "fixture.hpp"
#include "mohhos/abi.h"

namespace mohhos::test {
namespace {

class Sdk : public WithDaemon {
protected:
  Sdk() {
    for (const char* name : {"survey", "surveyor"}) {
      const Outcome outcome = load_and_start(name);
      EXPECT_EQ(outcome.code, 0) << outcome.err << daemon.log();
    }
  }
  std::string ask(const std::string& what) { return trimmed(call("surveyor", what)); }
  void expect_failure(const std::string& what, int code, std::initializer_list<const char*> words) {
    const std::string answer = ask(what);
    EXPECT_TRUE(answer.starts_with("failure " + std::to_string(code) + ":")) << answer;
    for (const char* word : words) EXPECT_NE(answer.find(word), std::string::npos) << answer;
  }
};

TEST_F(Sdk, StructsAndProtobufTravelWithoutFraming) {
  EXPECT_EQ(ask("struct"), "12² = 144");
  EXPECT_EQ(ask("protobuf"), "a track of 2 points is 5 long");
  EXPECT_EQ(ask("large protobuf"), "a track of 5001 points is 1000 long");
}

TEST_F(Sdk, CoroutinesCallSleepAndWaitForSeveral) {
  EXPECT_EQ(ask("two at once"), "4 and 9");
  EXPECT_EQ(ask("sleep"), "slept");
  EXPECT_EQ(ask("blocking"), "49");
}

TEST_F(Sdk, LoansAreSentOrTakenBack) {
  // 3,000,000 (its ring is as large as its manifest says) + 12 + 2 bytes: neither the forgotten
  // loan nor the one that was replaced.
  EXPECT_EQ(ask("zero copy"), "3 of 3000014, late: " + std::to_string(MOHHOS_E_BAD_STATE));
}

// What is in force is reported, and not what was asked for.
TEST_F(Sdk, WhetherARingLiesInHugePagesIsSaid) {
  (void)ask("zero copy"); // 3 MB, through a ring of 4 MiB
  const std::string info = daemon.plugctl({"-o", "json", "info", "surveyor"}).out;
  EXPECT_EQ(json(info, "asks_huge_pages"), "true") << info;
  if (json(info, "huge_pages_unknown") == "true") GTEST_SKIP() << "this kernel does not say";
  const std::string mode = read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  const bool has_none = mode.empty() || mode.find("[never]") != std::string::npos ||
                        mode.find("[deny]") != std::string::npos;
  EXPECT_EQ(number(json(info, "huge_page_bytes")) == 0, has_none) << info << mode;
  const std::string text = daemon.plugctl({"info", "surveyor"}).out;
  EXPECT_NE(text.find("huge pages:"), std::string::npos) << text;
  EXPECT_EQ(text.find("none of") != std::string::npos, has_none) << text;
  EXPECT_EQ(daemon.value({"info", "survey"}, "asks_huge_pages"), "false");
  const std::string channels =
      daemon.plugctl({"-o", "json", "channels", "--plugin", "surveyor"}).out;
  bool found = false;
  for (int i = 0; !json(channels, "channels." + std::to_string(i) + ".id").empty(); ++i) {
    const std::string at = "channels." + std::to_string(i) + ".";
    const bool mine = json(channels, at + "sender") == "surveyor";
    EXPECT_EQ(json(channels, at + "asks_huge_pages"), mine ? "true" : "false") << channels;
    if (!mine || json(channels, at + "lane") != "normal" ||
        json(channels, at + "receiver") != "survey")
      continue;
    found = true;
    EXPECT_EQ(json(channels, at + "ring_bytes"), "4194304");
    EXPECT_EQ(number(json(channels, at + "huge_page_bytes")) == 0, has_none) << channels << mode;
  }
  EXPECT_TRUE(found) << channels;
  EXPECT_NE(daemon.plugctl({"channels"}).out.find("HUGE"), std::string::npos);
}

// `huge_pages = true` in the manifest. Few systems give any to shared memory by themselves; the
// machine of tools/vm does.
TEST_F(Sdk, ALargeRingLiesInHugePagesWhereTheSystemHasSome) {
  const std::string mode = read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  if (mode.empty() || mode.find("[never]") != std::string::npos ||
      mode.find("[deny]") != std::string::npos)
    GTEST_SKIP() << "this system gives no huge pages to shared memory: " << mode;
  (void)ask("zero copy"); // 3 MB, through a ring of 4 MiB
  std::istringstream maps(
      read_text("/proc/" + daemon.value({"info", "surveyor"}, "pid") + "/smaps"));
  std::uint64_t huge_kib = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.starts_with("ShmemPmdMapped:")) huge_kib += std::stoull(line.substr(15));
  EXPECT_GE(huge_kib, 2048U);
}

TEST_F(Sdk, RequestsAreTakenBackAndBothSidesHear) {
  const std::string code = std::to_string(MOHHOS_E_CANCELLED);
  EXPECT_EQ(ask("cancel"), "taken back, awaited " + code + ", status " + code + ", 3 of 3");
}

TEST_F(Sdk, ARequestThatNobodyWaitsForAnyMoreIsNotDelivered) {
  EXPECT_EQ(ask("expire"), std::to_string(MOHHOS_E_TIMED_OUT) + ", not delivered");
}

TEST_F(Sdk, EventsReachWhoAskedAndAreThoseOfTheManifest) {
  EXPECT_EQ(ask("events"), "sent to 11");
  EXPECT_EQ(ask("what came?"), "5:9 5:16");
  expect_failure("unknown event", MOHHOS_E_NOT_FOUND, {"subscribe"});
  expect_failure("undeclared event", MOHHOS_E_PLUGIN_FAILED, {"publish"});
}

TEST_F(Sdk, ACycleOfBlockingCallsIsNamed) {
  for (const char* name : {"cyclist_a", "cyclist_b", "cyclist_c"})
    ASSERT_EQ(load_and_start(name).code, 0) << daemon.log();
  // Whoever is found to close the circle hears of it, and the others get his answer.
  const std::string answer = trimmed(call("cyclist_a", "round and round"));
  EXPECT_TRUE(answer.starts_with(std::to_string(MOHHOS_E_BAD_STATE) + " ")) << answer;
  for (const char* pair :
       {"cyclist_a → cyclist_b", "cyclist_b → cyclist_c", "cyclist_c → cyclist_a"})
    EXPECT_NE(answer.find(pair), std::string::npos) << answer;
  for (const char* name : {"cyclist_a", "cyclist_b", "cyclist_c"})
    EXPECT_EQ(trimmed(call(name, "ping")), "pong");
}

TEST_F(Sdk, ACycleOfTwoIsNamedAndBothGoOn) {
  for (const char* name : {"cyclist_x", "cyclist_y"})
    ASSERT_EQ(load_and_start(name).code, 0) << daemon.log();
  for (int i = 0; i < 3; ++i) {
    const std::string answer = trimmed(call("cyclist_x", "there and back"));
    EXPECT_TRUE(answer.starts_with(std::to_string(MOHHOS_E_BAD_STATE) + " ")) << answer;
    EXPECT_NE(answer.find("cyclist_x → cyclist_y"), std::string::npos) << answer;
    EXPECT_NE(answer.find("cyclist_y → cyclist_x"), std::string::npos) << answer;
    for (const char* name : {"cyclist_x", "cyclist_y"})
      EXPECT_EQ(trimmed(call(name, "ping")), "pong");
  }
}

TEST_F(Sdk, WhatIsWrongIsATypedErrorAndBothLiveOn) {
  expect_failure("wrong size", MOHHOS_E_PLUGIN_FAILED,
                 {"3 bytes", "survey::Square", "which has 8"});
  expect_failure("wrong answer", MOHHOS_E_MALFORMED, {"16 bytes", "survey::Square", "which has 8"});
  expect_failure("no protobuf", MOHHOS_E_PLUGIN_FAILED, {"3 bytes is no survey::Track"});
  expect_failure("too large", MOHHOS_E_TOO_LARGE, {"larger than the channel carries"});
  expect_failure("to itself", MOHHOS_E_INVALID, {"surveyor"});
  expect_failure("to itself by number", MOHHOS_E_INVALID, {});
  ASSERT_EQ(load_and_start("plain").code, 0);
  expect_failure("without the right", MOHHOS_E_DENIED, {"acl.send_to"});
  EXPECT_EQ(ask("struct"), "12² = 144");
  EXPECT_EQ(daemon.state("survey"), "RUNNING");
}

} // namespace
} // namespace mohhos::test
