// What plugctl says of channels, beside what was really sent.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class Channels : public WithDaemon {
protected:
  // One value of the first channel from `sender` to `receiver` on this lane.
  std::string of(const std::string& sender, const std::string& receiver, const std::string& lane,
                 const std::string& key) const {
    const std::string all = daemon.plugctl({"-o", "json", "channels"}).out;
    for (int i = 0;; ++i) {
      const std::string at = "channels." + std::to_string(i) + ".";
      if (json(all, at + "id").empty()) return "";
      if (json(all, at + "sender") == sender && json(all, at + "receiver") == receiver &&
          json(all, at + "lane") == lane)
        return json(all, at + key);
    }
  }
};

TEST_F(Channels, CountWhatWasSent) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load_and_start("counter_out").code, 0);
  ASSERT_TRUE(Daemon::eventually(
      [&] { return number(of("counter_out", "counter_in", "normal", "sent")) > 1000; }));
  const std::string sent = trimmed(call("counter_out", "stop"));
  ASSERT_TRUE(Daemon::eventually([&] {
    return of("counter_out", "counter_in", "normal", "acknowledged") == sent;
  })) << of("counter_out", "counter_in", "normal", "acknowledged")
      << " of " << sent;
  EXPECT_EQ(of("counter_out", "counter_in", "normal", "sent"), sent);
  EXPECT_EQ(of("counter_out", "counter_in", "normal", "bytes"), std::to_string(8 * number(sent)));
  EXPECT_EQ(of("counter_out", "counter_in", "normal", "depth"), "0");
  EXPECT_EQ(of("counter_out", "counter_in", "normal", "dropped"), "0");
  EXPECT_EQ(of("counter_out", "counter_in", "normal", "doubt"), "");
  EXPECT_GT(number(of("counter_out", "counter_in", "normal", "latency_p50_ns")), 0);
  EXPECT_GT(number(of("counter_out", "counter_in", "normal", "high_water_bytes")), 0);
}

TEST_F(Channels, AreThoseOfOnePluginOrOfAll) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load_and_start("counter_out").code, 0);
  ASSERT_EQ(load_and_start("plain").code, 0);
  ASSERT_TRUE(
      Daemon::eventually([&] { return !of("counter_out", "counter_in", "normal", "id").empty(); }));
  const Outcome table = daemon.plugctl({"channels"});
  EXPECT_NE(table.out.find("counter_out → counter_in"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("P99.9"), std::string::npos) << table.out;
  const std::string none = daemon.plugctl({"-o", "json", "channels", "--plugin", "plain"}).out;
  EXPECT_EQ(json(none, "channels.0.id"), "") << none;
  EXPECT_REFUSED(daemon.plugctl({"channels", "--plugin", "absent"}), 4, "absent", "counter_in");
  EXPECT_REFUSED(daemon.plugctl({"channels", "--plugin", "99999"}), 4, "99999");
  EXPECT_GT(number(daemon.value({"status"}, "channels")), 0);
}

TEST_F(Channels, CountTheMemoriesThatTheirReceiverHas) {
  ASSERT_EQ(load_and_start("gallery").code, 0);
  ASSERT_EQ(load_and_start("painter").code, 0);
  const auto memories = [this] { return of("painter", "gallery", "normal", "memories"); };
  EXPECT_EQ(memories(), "0");
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0); // unread ones count
  EXPECT_EQ(trimmed(call("painter", "paint 1 4096")), "0");
  EXPECT_EQ(trimmed(call("painter", "paint 2 4096")), "0");
  EXPECT_EQ(memories(), "2");
  EXPECT_NE(daemon.plugctl({"channels"}).out.find("MEMORIES"), std::string::npos);
  EXPECT_EQ(daemon.plugctl({"resume", "gallery"}).code, 0);
  ASSERT_TRUE(Daemon::eventually([this] { return trimmed(call("gallery", "?")) == "1=,2=,"; }));
  EXPECT_EQ(memories(), "2"); // so do those that are kept
  EXPECT_EQ(trimmed(call("gallery", "clear")), "cleared");
  EXPECT_TRUE(Daemon::eventually([&] { return memories() == "0"; })) << memories();
}

TEST_F(Channels, AreWatchedWithTheirRates) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load_and_start("counter_out").code, 0);
  const Outcome seen = daemon.plugctl(
      {"-o", "json", "--timeout", "500ms", "channels", "--watch", "--every", "100ms"});
  EXPECT_EQ(seen.code, 0) << seen.err;
  const auto lines = std::count(seen.out.begin(), seen.out.end(), '\n');
  EXPECT_GE(lines, 2) << seen.out;
  EXPECT_NE(seen.out.find("\"messages_per_s\":"), std::string::npos) << seen.out;
  EXPECT_REFUSED(daemon.plugctl({"channels", "--watch", "--every", "soon"}), 2, "--every soon");
  EXPECT_REFUSED(daemon.plugctl({"channels", "--every", "1s"}), 2, "--watch");
}

} // namespace
} // namespace mohhos::test
