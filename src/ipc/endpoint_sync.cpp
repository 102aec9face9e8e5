// Durable messages: having them on disk, waited for or told of later.
//
// What is asked is the same: for each ring with something durable in it, up to where. The manager
// may be replaced before it answers, so what is told later is asked again as well, with the same
// number.
#include <algorithm>

#include "ipc/endpoint_state.hpp"

namespace mohhos::ipc {
namespace {

constexpr auto kAskAgain = std::chrono::milliseconds(250);
constexpr auto kTryAgain = std::chrono::milliseconds(20); // after a refusal

Monotonic now() {
  return std::chrono::steady_clock::now();
}

} // namespace

// --- waited for ---

// Refused is 'not now': too many syncs of this channel wait for the disk.
Result<> Endpoint::State::sync_ring(ChannelId id, Monotonic deadline) {
  for (;;) {
    const Sending* const out = find_sending(id);
    if (out == nullptr) return fail(Code::PeerGone, "channel {} has ended", id.value);
    if (out->durable_to <= out->synced_to) return {};
    Sync question;
    question.channel_id = id.value;
    question.upto = out->durable_to;
    TRY(const LinkRecord record, ask(question, deadline));
    const auto answer = check_answer(record, LinkType::Synced);
    if (answer) {
      if (Sending* const still = find_sending(id)) still->synced_to = question.upto;
      return {};
    }
    if (answer.error().code != Code::Refused) return answer;
    const Monotonic again = now() + kTryAgain;
    if (again >= deadline)
      return fail(Code::TimedOut, "not on disk in time: {}", answer.error().text);
    while (!link_error && now() < again) note(waiter.wait(again));
  }
}

Result<> Endpoint::sync(ChannelId channel, Monotonic deadline) {
  const Sending* const base = state_->find_sending(channel);
  if (base == nullptr) return fail(Code::PeerGone, "channel {} has ended", channel.value);
  const auto lanes = base->lanes; // the channel may end while we wait
  TRY(state_->sync_ring(channel, deadline));
  for (const ChannelId lane : lanes)
    if (lane) TRY(state_->sync_ring(lane, deadline));
  return {};
}

Result<> Endpoint::sync(Monotonic deadline) {
  std::vector<ChannelId> owing;
  for (const auto& [id, out] : state_->sending)
    if (out->durable_to > out->synced_to) owing.push_back(out->id);
  for (const ChannelId id : owing) TRY(state_->sync_ring(id, deadline));
  return {};
}

// --- told later ---

Result<> Endpoint::sync_later(ChannelId channel, Monotonic deadline, SyncCallback callback) {
  PendingSync sync{.questions = {},
                   .deadline = deadline,
                   .again = now() + kAskAgain,
                   .callback = std::move(callback)};
  const auto owe = [&](const Sending* out) {
    if (out == nullptr || out->durable_to <= out->synced_to) return;
    Sync& question = sync.questions.emplace_back();
    question.header.sequence = ++state_->sequence;
    question.channel_id = out->id.value;
    question.upto = out->durable_to;
  };
  if (!channel) {
    for (const auto& [id, out] : state_->sending) owe(out.get());
  } else {
    const Sending* const base = state_->find_sending(channel);
    if (base == nullptr) return fail(Code::PeerGone, "channel {} has ended", channel.value);
    const auto lanes = base->lanes;
    owe(base);
    for (const ChannelId lane : lanes)
      if (lane) owe(state_->find_sending(lane));
  }
  state_->look_at_receivers();
  if (sync.questions.empty()) {
    state_->finish_sync(std::move(sync.callback), {});
    return {};
  }
  for (const Sync& question : sync.questions)
    (void)send_link_record(link_fd(), question); // Refused: there is another try
  state_->next_sync = std::min({state_->next_sync, sync.again, deadline});
  state_->syncs.push_back(std::move(sync));
  return {};
}

// Told in the next receive(), as the end of a request is.
void Endpoint::State::finish_sync(SyncCallback callback, Result<> result) {
  queue(finished, FinishedCall{[callback = std::move(callback), result = std::move(result)](
                                   const Result<const Message*>&) { callback(result); },
                               {}});
}

void Endpoint::State::take_synced(const LinkRecord& record) {
  for (auto sync = syncs.begin(); sync != syncs.end(); ++sync) {
    const auto question = std::ranges::find_if(sync->questions, [&](const Sync& one) {
      return one.header.sequence == record.header.sequence;
    });
    if (question == sync->questions.end()) continue;
    auto result = check_answer(record, LinkType::Synced);
    if (!result && result.error().code == Code::Refused) return; // too much at once: asked again
    if (Sending* const out = result ? find_sending(ChannelId{question->channel_id}) : nullptr)
      out->synced_to = std::max(out->synced_to, question->upto);
    sync->questions.erase(question);
    if (result && !sync->questions.empty()) return;
    finish_sync(std::move(sync->callback), std::move(result));
    syncs.erase(sync);
    return;
  }
}

void Endpoint::State::look_at_syncs(Monotonic time) {
  next_sync = Monotonic::max();
  for (auto sync = syncs.begin(); sync != syncs.end();) {
    if (time >= sync->deadline) {
      finish_sync(std::move(sync->callback),
                  fail(Code::TimedOut, "the manager did not say in time that it is on disk"));
      sync = syncs.erase(sync);
      continue;
    }
    if (time >= sync->again) {
      for (const Sync& question : sync->questions) (void)send_link_record(link.get(), question);
      sync->again = time + kAskAgain;
    }
    next_sync = std::min({next_sync, sync->again, sync->deadline});
    ++sync;
  }
}

} // namespace mohhos::ipc
