// Asks survey in every way that the SDK has, one for each word that it is called with, and answers
// what came of it.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include <mohhos/sdk.hpp>

#include "survey.hpp"
#include "survey.pb.h"

namespace {

using namespace std::chrono_literals;

constexpr mohhos::SendOptions kStruct{.type = mohhos::MessageType::Custom};
constexpr mohhos::SendOptions kTally{.type = mohhos::MessageType::AiInference};
constexpr mohhos::SendOptions kSlow{.type = mohhos::MessageType::ConfigUpdate};
constexpr mohhos::SendOptions kAnnounce{.type = mohhos::MessageType::Shutdown};

class Surveyor : public mohhos::Plugin {
public:
  void on_start() override { survey_ = open("survey"); }

  void on_message(const mohhos::Message& message) override {
    if (message.type() == mohhos::MessageType::EventNotify)
      events_ += std::to_string(message.event()) + ":" +
                 std::to_string(message.as<survey::Squared>().square) + " ";
    if (!message.wants_reply()) return answer_waiting();
    if (message.text() == "go on?" || message.text() == "what came?")
      waiting_.emplace(message.keep());
    else
      start(answer(message.keep()));
    answer_waiting();
  }

private:
  // Questions whose answer is that something has happened.
  void answer_waiting() {
    if (!waiting_) return;
    const bool is_survey = waiting_->text() == "go on?";
    if (is_survey ? !has_expired_ : events_.size() < std::string_view("5:9 5:16 ").size()) return;
    reply(*waiting_, is_survey ? "go on" : events_);
    waiting_.reset();
  }

  mohhos::Task answer(mohhos::OwnedMessage question) {
    std::string text;
    try {
      text = co_await answer_to(question.copy());
    } catch (const mohhos::Failure& failure) {
      text = "failure " + std::to_string(failure.code()) + ": " + failure.what();
    }
    reply(question, text);
  }

  mohhos::TaskOf<std::string> answer_to(std::string what) {
    if (what == "struct") {
      const auto answer = co_await survey_.call<survey::Squared>(survey::Square{12}, 5s, kStruct);
      co_return std::to_string(answer.number) + "² = " + std::to_string(answer.square);
    }
    if (what == "protobuf") co_return co_await measure(3, 4);
    if (what == "large protobuf") co_return co_await measure(1000, 0);
    if (what == "blocking") {
      const auto answer = survey_.ask<survey::Squared>(survey::Square{7}, 5s, kStruct);
      co_return std::to_string(answer.square);
    }
    if (what == "two at once") {
      auto first = survey_.call<survey::Squared>(survey::Square{2}, 5s, kStruct);
      auto second = survey_.call<survey::Squared>(survey::Square{3}, 5s, kStruct);
      const auto b = co_await second;
      const auto a = co_await first;
      co_return std::to_string(a.square) + " and " + std::to_string(b.square);
    }
    if (what == "sleep") { // the SDK's: no earlier than it says
      const std::uint64_t before = now_ns();
      for (int i = 0; i < 3; ++i) co_await mohhos::sleep(5ms);
      co_return now_ns() - before >= 15'000'000 ? "slept" : "woke too early";
    }
    if (what == "zero copy") co_return co_await send_loans();
    if (what == "wrong size") co_return co_await survey_.call<std::string>("abc", 5s, kStruct);
    if (what == "wrong answer") // a Squared is no Square
      co_return std::to_string(
          (co_await survey_.call<survey::Square>(survey::Square{1}, 5s, kStruct)).number);
    if (what == "no protobuf") co_return co_await survey_.call<std::string>("\x08\xFF\xFF", 5s);
    if (what == "too large") static_cast<void>(survey_.loan(1U << 31));
    if (what == "to itself") static_cast<void>(open(std::string(name())));
    if (what == "to itself by number") static_cast<void>(open(id()));
    if (what == "without the right") static_cast<void>(open("plain"));
    if (what == "cancel") co_return co_await cancel_calls();
    if (what == "expire") co_return co_await let_a_call_expire();
    if (what == "events") co_return co_await take_events();
    if (what == "unknown event") subscribe({&survey::kUndeclared, 1});
    if (what == "undeclared event")
      co_return co_await survey_.call<std::string>(survey::Square{0}, 5s, kAnnounce);
    co_return "I do not know '" + what + "'";
  }

  mohhos::TaskOf<std::string> measure(int x, int y) {
    survey::Track track;
    track.set_name("a track");
    const int steps = x > 100 ? 5000 : 1;
    for (int i = 0; i <= steps; ++i) {
      auto& point = *track.add_points();
      point.set_x(double(x) * i / steps);
      point.set_y(double(y) * i / steps);
    }
    const auto summary = co_await call<survey::Summary>(survey_, track, 5s);
    co_return summary.name() + " of " + std::to_string(summary.points()) + " points is " +
        std::to_string(std::lround(summary.length())) + " long";
  }

  // Three are sent, of three kinds; one is not, and one is sent too late.
  mohhos::TaskOf<std::string> send_loans() {
    auto large = survey_.loan(3'000'000);
    std::fill_n(large.data(), large.size(), std::byte{'x'});
    large.send();
    {
      auto forgotten = survey_.loan(1000);
    }
    survey::Track track;
    track.set_name("0123456789");
    survey_.send(track); // 12 bytes
    auto replaced = survey_.loan(2000);
    survey_.send("ab");
    std::string late = "sent";
    try {
      replaced.send();
    } catch (const mohhos::Failure& failure) {
      late = std::to_string(failure.code());
    }
    const auto tally = co_await survey_.call<survey::Tally>("", 5s, kTally);
    co_return std::to_string(tally.messages) + " of " + std::to_string(tally.bytes) +
        ", late: " + late;
  }

  // One by its handle, one by dropping it, one that is awaited; the last two have ended already.
  mohhos::TaskOf<std::string> cancel_calls() {
    std::string text;
    const auto handle = survey_.call(
        "1", 60s, [this](const mohhos::Reply& reply) { last_status_ = reply.status(); }, kSlow);
    text += handle.cancel() ? "taken back" : "too late";
    {
      auto dropped = survey_.call<std::string>("2", 60s, kSlow);
    }
    auto awaited = survey_.call<std::string>("3", 60s, kSlow);
    awaited.cancel();
    try {
      static_cast<void>(co_await awaited);
    } catch (const mohhos::Failure& failure) {
      text += ", awaited " + std::to_string(failure.code());
    }
    text += ", status " + std::to_string(last_status_);
    if (handle.cancel() || awaited.cancel()) text += ", twice";
    const auto tally = co_await survey_.call<survey::Tally>("", 5s, kTally);
    co_return text + ", " + std::to_string(tally.cancelled) + " of " + std::to_string(tally.slow);
  }

  mohhos::TaskOf<std::string> let_a_call_expire() {
    const auto before = co_await survey_.call<survey::Tally>("", 5s, kTally);
    survey_.send("stop"); // what is behind it stays in the ring until survey may go on
    std::string text = "answered";
    try {
      static_cast<void>(co_await survey_.call<std::string>("4", 1ms, kSlow));
    } catch (const mohhos::Failure& failure) {
      text = std::to_string(failure.code());
    }
    has_expired_ = true;
    answer_waiting();
    const auto after = co_await survey_.call<survey::Tally>("", 5s, kTally);
    co_return text + (after.slow == before.slow ? ", not delivered" : ", delivered");
  }

  mohhos::TaskOf<std::string> take_events() {
    subscribe({&survey::kEvent, 1});
    std::string sent;
    for (const std::uint64_t number : {3, 4})
      sent += co_await survey_.call<std::string>(survey::Square{number}, 5s, kAnnounce);
    co_return "sent to " + sent;
  }

  mohhos::Channel survey_;
  std::string events_;
  std::int32_t last_status_ = 0;
  std::optional<mohhos::OwnedMessage> waiting_;
  bool has_expired_ = false;
};

} // namespace

MOHHOS_PLUGIN(Surveyor)
