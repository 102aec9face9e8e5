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
    } else if (wake.kind == WakeKind::Timer) {
      idle_look = IdleLook::Due;
    } else if (wake.kind == WakeKind::Data) {
      Receiving* const channel = find_receiving(ChannelId{wake.channel});
      if (channel == nullptr) continue;
      ReceiverCounters& mine = channel->channel.ring().counters();
      store_relaxed(&mine.wakeups, mine.wakeups + 1);
      activate(*channel);
      if (++channel->idle_bells > kBellStorm && !channel->channel.ready())
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

bool Endpoint::State::anything_ready(Rings which) const {
  if (has_news() || link_error || woken) return true;
  for (const std::size_t rank : busy_ranks())
    for (const Receiving* const channel : services[rank].active)
      if (is_one_of(which, *channel) && has_work(*channel)) return true;
  return false;
}

bool Endpoint::State::arm(Rings which) {
  const auto for_each = [this, which](auto act) {
    for (const std::size_t rank : busy_ranks())
      for (Receiving* const channel : services[rank].active)
        if (is_one_of(which, *channel)) act(*channel);
  };
  for_each([](Receiving& channel) { channel.channel.ring().arm(); });
  store_load_fence(); // the senders: commit(), fence, load of armed in must_wake()
  end_turn();
  if (anything_ready(which)) {
    for_each([](Receiving& channel) { channel.channel.ring().disarm(); });
    return false;
  }
  for (const std::size_t rank : busy_ranks()) {
    std::erase_if(services[rank].active, [this, which](Receiving* channel) {
      channel->active = !is_one_of(which, *channel);
      return !channel->active;
    });
    if (services[rank].active.empty()) busy &= ~(1U << rank);
  }
  return true;
}

bool Endpoint::State::arm_only(Receiving& channel) {
  if (!channel.active) return !has_work(channel);
  channel.channel.ring().arm();
  store_load_fence(); // as above
  if (has_work(channel)) {
    channel.channel.ring().disarm();
    return false;
  }
  deactivate(channel);
  return true;
}

// What we have to do ourselves, whoever rings or not.
Monotonic Endpoint::State::own_deadline() const {
  return std::min({calls.next_deadline(), next_sync, next_say});
}

bool Endpoint::State::any_ring_ready() {
  for (const std::size_t rank : busy_ranks())
    for (const Receiving* const channel : services[rank].active)
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

// True: something came while we looked. False: `time` is now again.
bool Endpoint::State::look_before_sleep(Monotonic& time, Monotonic deadline) {
  const auto extra = linger.time();
  const auto look = std::max(settings.spin, extra);
  if (look.count() == 0 || busy == 0) return false;
  const bool found = spin(std::min(deadline, time + look));
  if (extra.count() > 0 && settings.spin < extra) found ? linger.found() : linger.in_vain();
  if (!found) time = about_now();
  return found;
}

// Since the last time that we asked.
void Endpoint::State::note_burst() {
  burst = {.messages = counters.received - std::exchange(gathered, counters.received)};
  if (burst.messages == 0) return;
  for (const std::size_t rank : busy_ranks())
    for (Receiving* const channel : services[rank].active) {
      const std::uint64_t released = channel->channel.ring().released_bytes();
      channel->burst = released - std::exchange(channel->gathered_to, released);
      burst.add_ring(channel->burst, channel->channel.ring().capacity());
    }
}

// In a flow stays away from its rings for some microseconds (gather.hpp); whether it did. All other
// rings are armed, so that they cost nothing while it lasts. Who may not spin for so long naps.
// (own_deadline() is not so exact that it would matter.)
bool Endpoint::State::let_gather(Monotonic time, Monotonic deadline) {
  note_burst();
  const bool spins = settings.spin >= kLooksAway.longest;
  auto pause = gather.pause(burst, spins ? kLooksAway : kNaps, time);
  if (pause.count() == 0) return false;
  pause = std::min(pause, deadline - time);
  if (!arm(Rings::BesideTheFlow)) return true;
  spins ? look_away(time + pause) : nap(pause);
  gather.ended(about_now());
  return true;
}

void Endpoint::State::look_away(Monotonic until) {
  while (now() < until) spin_pause();
}

// The flow's own rings are not armed: its senders make no system call. All others end the nap.
void Endpoint::State::nap(std::chrono::nanoseconds pause) {
  ++counters.sleeps;
  (void)note(waiter.nap(pause));
}

void Endpoint::State::sleep(Monotonic time, Monotonic deadline) {
  if (time >= deadline || !arm(Rings::All)) return;
  ++counters.sleeps;
  if (note(waiter.wait(std::min(deadline, own_deadline())))) linger.woken_after(about_now() - time);
}

void Endpoint::State::plan_idle_look() {
  if (!sent_lately || idle_look != IdleLook::None) return;
  if (waiter.set_timer(settings.idle_after)) idle_look = IdleLook::Planned;
}

bool Endpoint::State::wait(Monotonic deadline) {
  look_at_receivers();
  if (deadline == kAtHand) return false;
  if (deadline == kNoWait) {
    (void)note(waiter.wait(kNoWait));
  } else if (Monotonic time = about_now(); time < deadline) {
    plan_idle_look();
    if (!let_gather(time, deadline)) {
      if (look_before_sleep(time, deadline)) return true;
      sleep(time, deadline);
    }
  }
  if (idle_look == IdleLook::Due) return_idle_memory();
  if (!calls.empty() || !syncs.empty() || !unsaid.empty()) expire(now());
  return deadline == kForever || about_now() < deadline || now() < deadline || anything_ready();
}

// Half the price of now(), and up to a microsecond away from it: not to end a wait by.
Monotonic Endpoint::State::about_now() {
  return Monotonic(std::chrono::nanoseconds(clock.now()));
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
  state_->plan_idle_look();
  return state_->arm(Rings::All);
}
Monotonic Endpoint::next_deadline() const {
  return state_->own_deadline();
}

} // namespace mohhos::ipc
