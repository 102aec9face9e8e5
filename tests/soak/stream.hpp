// A mohhosd in a temporary directory with a stream of messages from one plugin to another, and the
// ledger of both: what the soaks of the whole path have in common.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/client.hpp"
#include "harness/daemon.hpp"
#include "ledger.hpp"
#include "report.hpp"
#include "sys/fd.hpp"
#include "sys/mapping.hpp"

namespace mohhos::soak {

[[nodiscard]] std::uint64_t now_ns(); // as the plugins' now_ns()

class Stream {
public:
  // `largest`: bytes of a payload. `rate`: messages per second; 0: as many as there is room for.
  // Throws with a sentence when it cannot be begun.
  Stream(std::uint64_t largest, std::uint64_t rate);

  [[nodiscard]] test::Daemon& daemon() { return daemon_; }
  [[nodiscard]] Ledger& ledger() { return *ledger_; }

  // Asks the manager, over and over while there is none; throws after a minute.
  [[nodiscard]] v1::PluginInfo info(const std::string& name);
  [[nodiscard]] v1::DaemonStatus status();

  // A copy of a test plugin, signed, loaded and started.
  test::Outcome try_load(const std::string& name);

  // The source ends, and the sink gets what is left.
  void drain();

  // What was sent against what came, and all that the sink found wrong.
  struct Totals {
    std::uint64_t lives = 0; // of the source that sent anything
    std::uint64_t sent = 0;  // noted as sent, or received though the source died before it noted it
    std::uint64_t received = 0;
    std::uint64_t in_hand = 0; // of these: the source died before it noted it
  };
  Totals judge(Report& report);

  // Until it is true: it throws after a minute, with what the daemon has to say.
  void wait_for(const char* what, const std::function<bool()>& condition);

private:
  template <class Answer>
  Answer ask(api::Method method, const google::protobuf::Message& request);

  test::Daemon daemon_;
  test::TemporaryDirectory directory_;
  sys::Mapping mapping_;
  Ledger* ledger_ = nullptr;
  std::optional<api::Client> client_;
};

// The value below which this part of them lies; 0 of none. Sorts them.
[[nodiscard]] double percentile(std::vector<double>& values, double part);
// ... of what the sink counted in one window, in ns.
[[nodiscard]] double percentile(const Histogram& histogram, double part);
[[nodiscard]] std::uint64_t count_of(const Histogram& histogram);

} // namespace mohhos::soak
