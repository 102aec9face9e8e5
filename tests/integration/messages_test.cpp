// plugctl send, call, listen and bench against real plugins.
#include <future>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class Messages : public WithDaemon {
protected:
  std::future<Outcome> listening(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "listen");
    return std::async(std::launch::async, [this, arguments] { return daemon.plugctl(arguments); });
  }
};

TEST_F(Messages, AreSentAndAcknowledged) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  EXPECT_EQ(daemon.plugctl({"send", "keeper", "one"}).code, 0);
  const Outcome sent = daemon.plugctl(
      {"-o", "json", "send", "keeper", "two", "--priority", "critical", "--type", "config-update"});
  EXPECT_EQ(json(sent.out, "acknowledged"), "true") << sent.out << sent.err;
  EXPECT_EQ(json(sent.out, "bytes"), "3");
  TemporaryDirectory directory;
  write_text(directory.path() / "three", "three");
  EXPECT_EQ(daemon.plugctl({"send", "keeper", "--file", directory.path() / "three"}).code, 0);
  EXPECT_EQ(trimmed(call("keeper", "?")), "one,two,three,");
}

TEST_F(Messages, ThatWaitForAPluginThatEndsSaySoAtOnce) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  ASSERT_EQ(daemon.plugctl({"suspend", "keeper"}).code, 0);
  auto sending = std::async(std::launch::async, [&] {
    return daemon.plugctl({"--timeout", "1m", "send", "keeper", "x"}, std::chrono::seconds(60));
  });
  EXPECT_TRUE(Daemon::eventually([&] {
    return json(daemon.plugctl({"-o", "json", "channels", "--plugin", "keeper"}).out,
                "channels.0.sent") == "1";
  }));
  ASSERT_EQ(daemon.plugctl({"unload", "keeper", "--force"}).code, 0);
  EXPECT_REFUSED(sending.get(), 1, "it ended", "not known");
}

TEST_F(Messages, OfAMegabyteGetARingThatTakesThem) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  TemporaryDirectory directory;
  write_text(directory.path() / "large", std::string(1 << 20, 'x'));
  const Outcome sent =
      daemon.plugctl({"-o", "json", "send", "keeper", "--file", directory.path() / "large"});
  EXPECT_EQ(json(sent.out, "acknowledged"), "true") << sent.err;
  EXPECT_EQ(json(sent.out, "bytes"), "1048576");
}

TEST_F(Messages, WithoutTheRightAreRefusedWithTheLineThatIsMissing) {
  ASSERT_EQ(load_and_start("counter_closed").code, 0);
  for (const char* verb : {"send", "call", "bench"})
    EXPECT_REFUSED(daemon.plugctl(verb == std::string("bench")
                                      ? std::vector<std::string>{verb, "counter_closed"}
                                      : std::vector<std::string>{verb, "counter_closed", "x"}),
                   5, "does not receive from", "\"application\"", "receive_from", "plugin.toml");
}

TEST_F(Messages, ThatMakeNoSenseAreUsageErrors) {
  EXPECT_REFUSED(daemon.plugctl({"send", "a", "x", "--priority", "urgent!"}), 2, "critical");
  EXPECT_REFUSED(daemon.plugctl({"send", "a", "x", "--type", "data-response"}), 2, "config-update");
  EXPECT_REFUSED(daemon.plugctl({"send", "a"}), 2, "stdin", "--file");
  EXPECT_REFUSED(daemon.plugctl({"send", "a", "x", "--file", "y"}), 2, "--file");
  EXPECT_REFUSED(daemon.plugctl({"send", "absent", "x"}), 4, "absent");
  EXPECT_REFUSED(daemon.plugctl({"bench", "absent", "--count", "0"}), 2, "--count");
  ASSERT_EQ(load("keeper").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"send", "keeper", "x"}), 3, "keeper", "start");
}

TEST_F(Messages, NumbersThatCannotBeAreUsageErrors) {
  EXPECT_REFUSED(daemon.plugctl({"listen", "--count", "-1"}), 2, "--count", "-1");
  EXPECT_REFUSED(daemon.plugctl({"listen", "--event", "0"}), 2, "--event");
  EXPECT_REFUSED(daemon.plugctl({"send", "a", "x", "--event", "0"}), 2, "--event");
  EXPECT_REFUSED(daemon.plugctl({"send", "a", "x", "--event", "4294967296"}), 2, "4294967296");
  EXPECT_REFUSED(daemon.plugctl({"bench", "a", "--count", "-1"}), 2, "--count", "-1");
  EXPECT_REFUSED(daemon.plugctl({"bench", "a", "--count", "100000001"}), 2, "100000001");
  EXPECT_REFUSED(daemon.plugctl({"bench", "a", "--size", "4294967295"}), 2, "4294967295");
  EXPECT_REFUSED(daemon.plugctl({"bench", "a", "--pipeline", "0"}), 2, "--pipeline");
  EXPECT_REFUSED(daemon.plugctl({"deadletter", "show", "-1"}), 2, "-1");
  EXPECT_REFUSED(daemon.plugctl({"record", "1", "file", "--count", "0"}), 2, "--count");
  EXPECT_REFUSED(daemon.plugctl({"--timeout", "0", "send", "a", "x"}), 2, "--timeout 0");
}

TEST_F(Messages, AreRefusedByADaemonThatIsNotThere) {
  const std::string nowhere = daemon.root() / "nowhere.sock";
  const std::vector<std::vector<std::string>> commands = {{"send", "plain", "x"},
                                                          {"call", "plain", "x"},
                                                          {"listen"},
                                                          {"bench", "plain"},
                                                          {"channels"},
                                                          {"record", "1", daemon.root() / "file"},
                                                          {"deadletter", "list"},
                                                          {"deadletter", "retry", "1"}};
  for (auto command : commands) {
    command.insert(command.begin(), {"-H", nowhere});
    EXPECT_REFUSED(daemon.plugctl(command), 69, "no mohhosd answers at", "nowhere.sock");
  }
  EXPECT_FALSE(std::filesystem::exists(daemon.root() / "file"));
}

TEST_F(Messages, ThatNobodyReadsAnyMoreEndQuietly) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  for (const char* verb : {"call plain ping", "channels --watch --every 20ms", "deadletter list",
                           "bench plain --count 10"}) {
    const std::string line = "set -o pipefail; '" + program("plugctl").native() + "' --root '" +
                             daemon.root().native() + "' " + verb + " | :";
    const Outcome ended = run({"bash", "-c", line});
    // Who writes before the reader has gone is not told.
    EXPECT_TRUE(ended.code == 141 || ended.code == 0) << verb << ended.code;
    EXPECT_EQ(ended.err, "") << verb;
    const Outcome full = run({"bash", "-c", line.substr(0, line.rfind('|')) + " > /dev/full"});
    EXPECT_REFUSED(full, 1, "writing the output");
  }
}

TEST_F(Messages, AnswersThatAreNoTextAreNotLost) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  TemporaryDirectory directory;
  const std::string bytes("\xFF\x00\x01", 3);
  write_text(directory.path() / "bytes", bytes);
  const std::vector<std::string> ask = {"call", "plain", "--file", directory.path() / "bytes"};
  EXPECT_EQ(daemon.plugctl(ask).out, bytes + "\n");
  std::vector<std::string> as_json = {"-o", "json"};
  as_json.insert(as_json.end(), ask.begin(), ask.end());
  const std::string answer = daemon.plugctl(as_json).out;
  EXPECT_EQ(json(answer, "response_hex"), "ff0001") << answer;
  EXPECT_EQ(json(answer, "response"), "") << answer;
  const std::string text = daemon.plugctl({"-o", "json", "call", "plain", "ping"}).out;
  EXPECT_EQ(json(text, "response"), "pong") << text;
  EXPECT_EQ(json(text, "response_hex"), "") << text;
}

TEST_F(Messages, RequestsAreAnsweredInTheirPriorityAndTimeOut) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  EXPECT_EQ(trimmed(daemon.plugctl({"call", "plain", "ping", "--priority", "critical"}).out),
            "pong");
  EXPECT_REFUSED(daemon.plugctl({"--timeout", "200ms", "call", "plain", "nothing"}), 124,
                 "in time");
}

TEST_F(Messages, ARequestIsTakenBackByAnInterrupt) {
  ASSERT_EQ(load_and_start("herald").code, 0);
  const Outcome ended = run({"timeout", "--preserve-status", "-s", "INT", "1", program("plugctl"),
                             "--root", daemon.root(), "call", "herald", "slowly"});
  EXPECT_EQ(ended.code, 130);
  EXPECT_NE(ended.err.find("taken back"), std::string::npos) << ended.err;
}

// Whatever it waits for: an answer, acknowledgements, room in a ring.
TEST_F(Messages, ABenchIsInterrupted) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  ASSERT_EQ(daemon.plugctl({"suspend", "plain"}).code, 0);
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--one-way", "--count", "10"}, {"--one-way", "--size", "1000"}}) {
    std::vector<std::string> command = {
        "timeout", "--preserve-status", "-s",    "INT",  "1", program("plugctl"),
        "--root",  daemon.root(),       "bench", "plain"};
    command.insert(command.end(), more.begin(), more.end());
    const Outcome ended = run(command);
    EXPECT_EQ(ended.code, 130) << ended.out << ended.err;
  }
  ASSERT_EQ(daemon.plugctl({"resume", "plain"}).code, 0);
}

TEST_F(Messages, EventsAreHeard) {
  ASSERT_EQ(load_and_start("herald").code, 0);
  auto both = listening({"--event", "7", "--event", "8", "--from", "herald", "--count", "2"});
  // Published again and again until somebody has subscribed.
  ASSERT_TRUE(Daemon::eventually([&] { return trimmed(call("herald", "tell 7 first")) == "1"; }));
  ASSERT_EQ(trimmed(call("herald", "tell 8 a\\tb")), "1");
  const Outcome heard = both.get();
  EXPECT_EQ(heard.code, 0) << heard.err;
  EXPECT_NE(heard.out.find("herald event-notify 7 normal: first\n"), std::string::npos)
      << heard.out;
  EXPECT_NE(heard.out.find("herald event-notify 8 normal: a\\tb\n"), std::string::npos)
      << heard.out;
  EXPECT_REFUSED(daemon.plugctl({"listen", "--event", "99"}), 4, "99");
  EXPECT_REFUSED(daemon.plugctl({"-q", "--timeout", "50ms", "listen", "--event", "7"}), 124,
                 "0 mess");
}

TEST_F(Messages, EventsAreOneObjectALine) {
  ASSERT_EQ(load_and_start("herald").code, 0);
  auto line = std::async(std::launch::async, [this] {
    return daemon.plugctl({"-o", "json", "listen", "--event", "7", "--count", "1"});
  });
  ASSERT_TRUE(Daemon::eventually([&] { return trimmed(call("herald", "tell 7 hello")) == "1"; }));
  const Outcome heard = line.get();
  EXPECT_EQ(std::count(heard.out.begin(), heard.out.end(), '\n'), 1) << heard.out;
  EXPECT_EQ(json(heard.out, "sender"), "herald") << heard.out;
  EXPECT_EQ(json(heard.out, "event"), "7");
  EXPECT_EQ(json(heard.out, "text"), "hello");
  EXPECT_EQ(json(heard.out, "hex"), "");
}

TEST_F(Messages, ABenchSaysRoundTripsOrOneWay) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  const std::string there = daemon.plugctl({"-o", "json", "bench", "plain", "--count", "2000"}).out;
  EXPECT_EQ(json(there, "kind"), "round-trip") << there;
  EXPECT_EQ(json(there, "messages"), "2000");
  EXPECT_LE(number(json(there, "p50_ns")), number(json(there, "max_ns")));
  const std::string many =
      daemon.plugctl({"-o", "json", "bench", "plain", "--count", "2000", "--pipeline", "16"}).out;
  EXPECT_EQ(json(many, "pipeline"), "16") << many;
  EXPECT_EQ(json(many, "failed"), "0");
  const std::string one_way =
      daemon.plugctl({"-q", "-o", "json", "bench", "plain", "--count", "5000", "--one-way"}).out;
  EXPECT_EQ(json(one_way, "kind"), "one-way") << one_way;
  EXPECT_GT(number(json(one_way, "messages_per_s")), 0);
}

} // namespace
} // namespace mohhos::test
