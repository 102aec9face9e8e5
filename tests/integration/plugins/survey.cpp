// Answers structs with structs (type CUSTOM) and protobuf with protobuf (DATA_REQUEST), counts what
// comes without a request (AI_INFERENCE tells), never answers CONFIG_UPDATE, publishes on SHUTDOWN,
// says no to what it cannot read, and stands still between "stop" and what surveyor answers.
#include <chrono>
#include <cmath>
#include <string>

#include <mohhos/sdk.hpp>

#include "survey.hpp"
#include "survey.pb.h"

namespace {

using namespace std::chrono_literals;

class Survey : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) {
      if (message.text() == "stop")
        static_cast<void>(open("surveyor").ask<std::string>("go on?", 5s));
      ++tally_.messages;
      tally_.bytes += message.size();
      return;
    }
    try {
      answer(message);
    } catch (const mohhos::Failure& failure) {
      refuse(message, failure.code(), failure.what());
    }
  }

  void on_cancel(const mohhos::Request& request) override {
    if (request.correlation == slow_.correlation && request.sender == slow_.sender)
      ++tally_.cancelled;
  }

private:
  void answer(const mohhos::Message& message) {
    switch (message.type()) {
    case mohhos::MessageType::AiInference: return reply(message, tally_);
    case mohhos::MessageType::ConfigUpdate:
      ++tally_.slow;
      slow_ = message.request();
      return;
    case mohhos::MessageType::Shutdown: return reply(message, std::to_string(announce(message)));
    case mohhos::MessageType::Custom: {
      const auto number = message.as<survey::Square>().number;
      return reply(message, survey::Squared{number, number * number});
    }
    default: return measure(message);
    }
  }

  std::int32_t announce(const mohhos::Message& message) const {
    const auto number = message.as<survey::Square>().number;
    return publish(number == 0 ? survey::kUndeclared : survey::kEvent,
                   survey::Squared{number, number * number});
  }

  void measure(const mohhos::Message& message) const {
    const auto track = message.as<survey::Track>();
    survey::Summary summary;
    summary.set_name(track.name());
    summary.set_points(static_cast<std::uint32_t>(track.points_size()));
    double length = 0;
    for (int i = 1; i < track.points_size(); ++i)
      length += std::hypot(track.points(i).x() - track.points(i - 1).x(),
                           track.points(i).y() - track.points(i - 1).y());
    summary.set_length(length);
    reply(message, summary);
  }

  survey::Tally tally_;
  mohhos::Request slow_{};
};

} // namespace

MOHHOS_PLUGIN(Survey)
