// Answers structs with structs (type CUSTOM) and protobuf with protobuf (DATA_REQUEST), counts what
// comes without a request ("how much?" answers), and says no to what it cannot read.
#include <cmath>
#include <string>

#include <mohhos/sdk.hpp>

#include "survey.hpp"
#include "survey.pb.h"

namespace {

class Survey : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) {
      ++messages_;
      bytes_ += message.size();
      return;
    }
    try {
      answer(message);
    } catch (const mohhos::Failure& failure) {
      refuse(message, failure.code(), failure.what());
    }
  }

private:
  void answer(const mohhos::Message& message) {
    if (message.type() == mohhos::MessageType::AiInference)
      return reply(message, std::to_string(messages_) + " of " + std::to_string(bytes_));
    if (message.type() == mohhos::MessageType::Custom) {
      const auto number = message.as<survey::Square>().number;
      return reply(message, survey::Squared{number, number * number});
    }
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

  std::uint64_t messages_ = 0;
  std::uint64_t bytes_ = 0;
};

} // namespace

MOHHOS_PLUGIN(Survey)
