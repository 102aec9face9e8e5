// What every integration test starts from: a daemon with a trusted key, and the test plugins by
// name.
#pragma once

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "harness/daemon.hpp"

namespace mohhos::test {

inline std::filesystem::path plugin_file(const std::string& name) {
  return std::filesystem::path(TEST_PLUGINS) / (name + ".so");
}

class WithDaemon : public testing::Test {
protected:
  // The daemon must end by itself and leave nothing, whatever the test did to it.
  void TearDown() override { EXPECT_EQ(daemon.stop(), ""); }

  Outcome load(const std::string& name) { return daemon.load(daemon.sign(plugin_file(name))); }
  Outcome load_and_start(const std::string& name) {
    return daemon.load_and_start(daemon.sign(plugin_file(name)), name);
  }
  std::string call(const std::string& name, const std::string& text) {
    return daemon.plugctl({"call", name, text}).out;
  }
  void expect_serving() { EXPECT_EQ(daemon.plugctl({"status"}).code, 0) << daemon.log(); }

  Daemon daemon;
};

// One failed command: its exit code, one line on stderr that says all of `words`, and a daemon that
// serves on.
#define EXPECT_REFUSED(outcome, exit, ...)                                                         \
  expect_refused((outcome), (exit), {__VA_ARGS__}, __LINE__)

inline void expect_refused(const Outcome& outcome, int exit,
                           std::initializer_list<const char*> words, int line) {
  const testing::ScopedTrace trace(__FILE__, line, outcome.err);
  EXPECT_EQ(outcome.code, exit);
  EXPECT_TRUE(outcome.err.starts_with("plugctl: "));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << "not one line";
  for (const char* word : words)
    EXPECT_NE(outcome.err.find(word), std::string::npos) << "does not say: " << word;
}

inline std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

} // namespace mohhos::test
