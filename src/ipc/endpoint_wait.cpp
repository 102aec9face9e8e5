// Waiting: look at the rings for a while, then arm them and sleep.
#include <algorithm>
#include <utility>

#include "ipc/endpoint_state.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint32_t kBellStorm = 1000;

Monotonic now() {
  return std::chrono::steady_clock::now();
}

bool has_work(const Receiving& channel) {
  return channel.channel.ready() || channel.calls_fail ||
         (channel.ending && channel.channel.all_released());
}

} // namespace

bool Endpoint::State::note(std::span<const Wake> wakes) {
  for (const Wake wake : wakes) {
    if (wake.kind == WakeKind::Link) {
      read_link();
    } else if (wake.kind == WakeKind::Other) {
      woken = true;
    } else if (wake.kind == WakeKind::Data) {
      Receiving* const channel = find_receiving(ChannelId{wake.channel});
      if (channel == nullptr) continue;
      ReceiverCounters& mine = channel->channel.ring().counters();
      store_relaxed(&mine.wakeups, mine.wakeups + 1);
      activate(*channel);
      if (!channel->channel.ready() && ++channel->idle_bells > kBellStorm)
        break_receiving(*channel, Breach::BellStorm);
    } else if (Sending* const out = find_sending(ChannelId{wake.channel})) {
      if (++out->idle_bells > kBellStorm) {
        out->channel.ring().condemn(Breach::BellStorm);
        (void)break_sending(*out);
      }
    }
  }
  return !wakes.empty();
}

bool Endpoint::State::anything_ready() {
  if (!records.empty() || !ends.empty() || !finished.empty() || link_error || woken) return true;
  return std::ranges::any_of(served(), [](const Service& service) {
    return std::ranges::any_of(service.active,
                               [](const Receiving* channel) { return has_work(*channel); });
  });
}

bool Endpoint::State::arm(const Receiving* only) {
  std::vector<Receiving*> chosen;
  for (const Service& service : served())
    for (Receiving* const channel : service.active)
      if (only == nullptr || channel == only) chosen.push_back(channel);
  for (Receiving* const channel : chosen) channel->channel.ring().arm();
  store_load_fence(); // the senders: commit(), fence, load of armed in must_wake()
  const bool ready = only != nullptr ? has_work(*only) : anything_ready();
  for (Receiving* const channel : chosen) {
    if (ready) channel->channel.ring().disarm();
    channel->active = ready;
  }
  if (!ready)
    for (Service& service : served())
      std::erase_if(service.active, [](const Receiving* channel) { return !channel->active; });
  return !ready;
}

// What we have to do ourselves, whoever rings or not.
Monotonic Endpoint::State::own_deadline() const {
  return std::min(calls.next_deadline(), idle_look);
}

bool Endpoint::State::any_ring_ready() {
  for (const Service& service : served())
    for (const Receiving* const channel : service.active)
      if (channel->channel.ready()) return true;
  return false;
}

// The rings again and again; everything else, which takes a system call, once in a while.
bool Endpoint::State::spin(Monotonic until) {
  for (;;) {
    for (std::uint32_t look = 0; look < kSpinsPerPoll; ++look) {
      if (any_ring_ready()) return true;
      spin_pause();
    }
    (void)note(waiter.wait(kNoWait));
    if (anything_ready()) return true;
    if (now() >= until) return false;
  }
}

// True: something came while we looked.
bool Endpoint::State::look_before_sleep(Monotonic time, Monotonic deadline) {
  const bool polls =
      std::ranges::any_of(served(), [](const Service& service) { return !service.active.empty(); });
  if (!polls) return false;
  const auto extra = linger.time();
  const auto look = std::max(settings.spin, extra);
  if (look.count() == 0) return false;
  const Monotonic until = std::min(deadline, time + look);
  const auto pause = gather.pause(counters.received - std::exchange(gathered, counters.received));
  for (const Monotonic end = std::min(until, time + pause); pause.count() != 0 && now() < end;)
    spin_pause();
  const bool found = spin(until);
  if (extra.count() > 0 && settings.spin < extra) found ? linger.found() : linger.in_vain();
  return found;
}

void Endpoint::State::sleep(Monotonic deadline) {
  const Monotonic begin = now();
  if (begin >= deadline || !arm()) return;
  ++counters.sleeps;
  if (note(waiter.wait(std::min(deadline, own_deadline())))) linger.woken_after(now() - begin);
}

bool Endpoint::State::wait(Monotonic deadline) {
  look_at_receivers();
  if (deadline == kNoWait) {
    (void)note(waiter.wait(kNoWait));
  } else if (const Monotonic time = now(); time < deadline) {
    if (sent_lately && idle_look == Monotonic::max()) idle_look = time + settings.idle_after;
    if (look_before_sleep(time, deadline)) return true;
    sleep(deadline);
  }
  const Monotonic time = now();
  if (time >= idle_look) return_idle_memory(time);
  expire(time);
  return time < deadline || anything_ready();
}

bool Endpoint::rest(Monotonic deadline) {
  const bool something = state_->wait(deadline);
  state_->woken = false;
  return something;
}

Result<> Endpoint::wake_by(int eventfd) {
  return state_->waiter.add_bell(eventfd, WakeKind::Other, 0);
}

int Endpoint::wait_fd() const {
  return state_->waiter.fd();
}
bool Endpoint::prepare_wait() {
  state_->look_at_receivers();
  return state_->arm();
}
Monotonic Endpoint::next_deadline() const {
  return state_->own_deadline();
}

} // namespace mohhos::ipc
