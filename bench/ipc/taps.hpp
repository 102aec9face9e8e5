// What it costs a receiver that it can be recorded, that it was, and that it is: an endpoint like
// OurEndpoint, and a recorder beside it.
//
// The recorder lies in the receiver's process and reads its copies there, in the same thread: two
// CPUs are all that a pair has. So 'being recorded' has the recorder's work in it as well.
#pragma once

#include "ours.hpp"

namespace mohhos::bench {

enum class Recording : std::uint8_t { Never, Once, Now };

template <std::size_t Size, Recording How>
class OurTapped {
public:
  OurTapped() : pair_(kSpinsAWhile, ipc::kDefaultRing) {
    if constexpr (How == Recording::Never) return;
    recorder_link_ = pair_.exchange().connect(kRecorder);
    copies_ = pair_.exchange().open(EndpointPair::party(Side::Second), kRecorder, ipc::kDefaultRing,
                                    ipc::Lane::Tap);
    pair_.exchange().tap(EndpointPair::party(Side::Second), pair_.there(), copies_);
  }
  // All three exchange the same messages before they are measured.
  std::optional<std::string> open(Side side) {
    pair_.open(side);
    if (side == Side::First) {
      for (int i = 0; i < 2; ++i) {
        send();
        receive();
      }
      return {};
    }
    if constexpr (How != Recording::Never) open_recorder();
    receive();
    require(copies() == (How == Recording::Never ? 0 : 1), "a copy of the first message");
    if constexpr (How == Recording::Once) end_recording();
    send();
    receive();
    require(copies() == (How == Recording::Now ? 1 : 0), "a copy of the second message");
    send();
    return {};
  }
  void send() {
    fill<Size>(pair_.loan(Size, false));
    pair_.commit();
  }
  void receive() {
    pair_.take([this](const ipc::Message& message) { sum_ += look<Size>(message.payload.data()); });
    if constexpr (How == Recording::Now)
      if (++taken_ % kCopiesAtATime == 0) (void)copies();
  }

private:
  static constexpr PluginId kRecorder{3};
  static constexpr std::uint64_t kCopiesAtATime = 64;

  void open_recorder() {
    auto recorder = ipc::Endpoint::open(std::move(recorder_link_), {});
    require(recorder.has_value(), "Endpoint::open");
    recorder_ = *std::move(recorder);
  }
  void end_recording() {
    pair_.exchange().tap(EndpointPair::party(Side::Second), pair_.there(), ChannelId{});
    (void)pair_.endpoint().rest(ipc::kNoWait); // looks at its link
  }
  // How many there were.
  int copies() {
    if (!recorder_) return 0;
    for (int count = 0;; ++count) {
      const auto copy = recorder_->receive(ipc::kNoWait);
      require(copy.has_value(), "the recorder's link");
      if (!*copy) return count;
      require((*copy)->payload.size() > Size, "a copy");
      recorder_->release(**copy);
    }
  }

  EndpointPair pair_;
  sys::Fd recorder_link_;
  ChannelId copies_;
  std::unique_ptr<ipc::Endpoint> recorder_;
  std::uint64_t taken_ = 0;
  unsigned sum_ = 0;
};

} // namespace mohhos::bench
