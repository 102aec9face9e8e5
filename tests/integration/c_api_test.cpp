// US-004's own two tests, as they stand in the specification, and the rest of the C API: a program
// in C against this daemon.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

using CApi = WithDaemon;

TEST_F(CApi, PassesTheTestsOfUs004) {
  (void)daemon.sign(plugin_file("plain"), "test_plugin.so");
  const Outcome outcome =
      run({"env", "-C", daemon.root(), US004_C_TESTS}, {{"MOHHOS_SOCKET", daemon.socket()}});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  expect_serving();
}

TEST_F(CApi, SendsAndReceivesWithoutCopies) {
  const Outcome outcome = run({ZERO_COPY_C_TESTS, daemon.sign(plugin_file("bounce"))},
                              {{"MOHHOS_SOCKET", daemon.socket()}});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  expect_serving();
}

TEST_F(CApi, SendsAndTakesMemoriesThatRideAlong) {
  const Outcome outcome =
      run({MEMORY_C_TESTS, daemon.sign(plugin_file("bounce")), daemon.sign(plugin_file("gallery")),
           std::to_string(daemon.manager_pid())},
          {{"MOHHOS_SOCKET", daemon.socket()}});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  expect_serving();
}

TEST_F(CApi, SaysWhatIsWrongAndGoesOn) {
  const Outcome outcome =
      run({BAD_INPUT_C_TESTS, daemon.sign(plugin_file("bounce")), daemon.sign(plugin_file("plain")),
           daemon.sign(plugin_file("counter_closed")), daemon.sign(plugin_file("other_abi"))},
          {{"MOHHOS_SOCKET", daemon.socket()}});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  expect_serving();
}

TEST_F(CApi, WaitsForAnswersLaterAndTakesRequestsBack) {
  const Outcome outcome =
      run({REQUESTS_C_TESTS, daemon.sign(plugin_file("slow")), daemon.sign(plugin_file("slower"))},
          {{"MOHHOS_SOCKET", daemon.socket()}});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  expect_serving();
}

TEST_F(CApi, ServesManyThreadsAtOnceAndEndsWhileOneStillWaits) {
  const Outcome outcome = run({THREADS_C_TESTS, daemon.sign(plugin_file("bounce"))},
                              {{"MOHHOS_SOCKET", daemon.socket()}}, std::chrono::minutes(1));
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  EXPECT_EQ(outcome.out, "each once\n");
  expect_serving();
}

// The plugin rings bells of which this program holds the ears: not what it could fill.
TEST_F(CApi, AProgramThatSpoilsItsBellsDoesNotHoldThePlugin) {
  const Outcome outcome = run({FILL_BELLS_C_TESTS, daemon.sign(plugin_file("bounce"))},
                              {{"MOHHOS_SOCKET", daemon.socket()}});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err << daemon.log();
  EXPECT_NE(outcome.out.find("survived"), std::string::npos);
  EXPECT_EQ(daemon.state("bounce"), "RUNNING");
  EXPECT_EQ(trimmed(daemon.plugctl({"call", "bounce", "four"}).out), "4");
}

} // namespace
} // namespace mohhos::test
