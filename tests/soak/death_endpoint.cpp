// Death inside Endpoint, the class that plugins and programs talk through: sending, receiving and
// releasing, asking, answering, taking an answer. The rings are the worlds' own, so what is left is
// judged as for rings by themselves.
#include <functional>

#include "death_judge.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/link_codec.hpp"
#include "stepper.hpp"
#include "sys/socket.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;

constexpr PluginId kPeer{2};

// --- an endpoint over the rings of worlds ---

// A manager that says once which channels there are.
class Link {
public:
  Link() {
    auto pair = must(sys::make_seqpacket_pair());
    ours_ = std::move(pair.first);
    theirs_ = std::move(pair.second);
  }
  void open(const World& world, Role role, Lane lane) {
    const ChannelEnd end =
        must(role == Role::Send ? make_sender_end(world.memory) : make_receiver_end(world.memory));
    ChannelOpened opened;
    opened.channel_id = ++channels_;
    opened.peer_id = kPeer.value;
    opened.ring_bytes = kCapacity;
    opened.role = role;
    opened.lane = lane;
    opened.peer_generation = opened.ring_generation = 1;
    put_text(opened.peer_name, "peer");
    if (!send_link_record(ours_.get(), opened, end.in_order())) std::abort();
  }
  std::unique_ptr<Endpoint> connect() {
    auto endpoint = must(Endpoint::open(std::move(theirs_), {.spin = {}}));
    (void)endpoint->rest(kNoWait);
    return endpoint;
  }

private:
  sys::Fd ours_;
  sys::Fd theirs_;
  std::uint64_t channels_ = 0;
};

std::span<const std::byte> payload_of(std::uint64_t number) {
  static std::array<std::byte, 512> space;
  const std::span payload(space.data(), size_of(number));
  fill(payload, number);
  return payload;
}

// --- what may die ---

// The judged ring, and for an endpoint that answers the ring of the requests.
struct Stage {
  World ring;
  World requests;
  std::unique_ptr<Endpoint> endpoint;
  ChannelId channel; // to the peer, where there is one

  // Nothing when the ring is full.
  void send() {
    const std::uint64_t number = ring.progress->sent;
    if (endpoint->send(channel, about(number), payload_of(number), kNoWait)) ++ring.progress->sent;
  }
  void ask() {
    const std::uint64_t number = ring.progress->sent;
    const auto asked =
        endpoint->call(channel, {.type = MessageType::DataRequest}, payload_of(number),
                       Clock::now() + std::chrono::hours(1), [](const auto&) {});
    if (asked) ++ring.progress->sent;
  }
  void receive() {
    const auto message = endpoint->receive(kNoWait);
    if (!message || !*message) return;
    ++ring.progress->started;
    ++ring.progress->handled;
    endpoint->release(**message);
    ++ring.progress->released;
  }
  void answer() {
    const auto request = endpoint->receive(kNoWait);
    if (!request || !*request) return;
    ++requests.progress->started;
    const std::uint64_t number = ring.progress->sent;
    if (endpoint->respond(reply_to(**request), payload_of(number), kNoWait)) ++ring.progress->sent;
    ++requests.progress->handled;
    endpoint->release(**request);
    ++requests.progress->released;
  }
};

enum class Part { Sender, Receiver, Asker, Answerer, Asked };

struct Scenario {
  const char* name;
  Part part;
  int unread; // -1: full
  void (*operation)(Stage&);
};

constexpr std::array kScenarios = {
    Scenario{"Endpoint::send", Part::Sender, 2, [](Stage& s) { s.send(); }},
    Scenario{"Endpoint::send until it is full", Part::Sender, -1,
             [](Stage& s) {
               s.send();
               s.send();
             }},
    Scenario{"Endpoint::call", Part::Asker, 1, [](Stage& s) { s.ask(); }},
    Scenario{"Endpoint::receive and release", Part::Receiver, 3,
             [](Stage& s) {
               s.receive();
               s.receive();
             }},
    Scenario{"Endpoint::receive of the last", Part::Receiver, 1,
             [](Stage& s) {
               s.receive();
               s.receive();
             }},
    Scenario{"Endpoint::receive, respond and release", Part::Answerer, 0,
             [](Stage& s) { s.answer(); }},
    Scenario{"Endpoint::receive of an answer", Part::Asked, 0,
             [](Stage& s) { (void)s.endpoint->receive(kNoWait); }},
};

// --- before it dies ---

void pass(World& world, std::uint64_t count) {
  View view;
  for (std::uint64_t number = 0; number < count; ++number) {
    send_one(*world.sender, number);
    if (world.receiver->next(view) == RingReceiver::Outcome::Message) world.receiver->release(view);
  }
  *world.progress = {.sent = count, .started = count, .handled = count, .released = count};
}

// One more than what is there: a request from, or an answer to, this correlation.
void put(World& world, MessageType type, std::uint64_t correlation) {
  const std::uint64_t number = world.progress->sent++;
  std::span<std::byte> space;
  Outgoing about{};
  about.type = type;
  about.correlation = correlation;
  if (world.sender->ring().loan(size_of(number), about, space) != RingSender::Outcome::Ok)
    std::abort();
  fill(space, number);
  world.sender->commit();
}

void set_up(Stage& stage, const Scenario& scenario, std::uint64_t start) {
  World& ring = stage.ring;
  pass(ring, start);
  for (int i = 0; i != scenario.unread && send_one(*ring.sender, ring.progress->sent); ++i)
    ++ring.progress->sent;
  Link link;
  const bool sends = scenario.part == Part::Sender || scenario.part == Part::Asker;
  switch (scenario.part) {
  case Part::Sender:
  case Part::Asker: link.open(ring, Role::Send, Lane::Normal); break;
  case Part::Receiver: link.open(ring, Role::Receive, Lane::Normal); break;
  case Part::Answerer:
    pass(stage.requests, start);
    put(stage.requests, MessageType::DataRequest, 77);
    link.open(stage.requests, Role::Receive, Lane::Normal);
    link.open(ring, Role::Send, Lane::Reply);
    break;
  case Part::Asked:
    link.open(stage.requests, Role::Send, Lane::Normal);
    link.open(ring, Role::Receive, Lane::Reply);
  }
  ring.any_correlation = stage.requests.any_correlation =
      scenario.part != Part::Sender && scenario.part != Part::Receiver;
  stage.endpoint = link.connect();
  if (sends || scenario.part == Part::Asked)
    stage.channel = must(stage.endpoint->open_channel(kPeer, kNoWait));
  if (scenario.part == Part::Asked) {
    Progress* const progress = ring.progress;
    const std::uint64_t asked =
        must(stage.endpoint->call(stage.channel, {.type = MessageType::DataRequest}, {},
                                  Clock::now() + std::chrono::hours(1), [progress](const auto&) {
                                    ++progress->started;
                                    ++progress->handled;
                                  }));
    put(ring, MessageType::DataResponse, asked);
  }
  if (sends || scenario.part == Part::Answerer) ring.receiver->ring().arm(); // asleep
}

// --- what must hold afterwards ---

// Of a request and its answer: one of them is there. Only looks.
bool is_answered_or_comes_again(const Stage& stage) {
  return stage.ring.receiver->ready() || stage.requests.new_receiver().ready();
}

void run(const Scenario& scenario, std::uint64_t start, Tally& tally, Report& report) {
  Stage stage;
  set_up(stage, scenario, start);
  Judge ring(stage.ring, tally, report);
  Judge requests(stage.requests, tally, report);
  const auto judge = [&](std::uint64_t k) {
    switch (scenario.part) {
    case Part::Sender:
    case Part::Asker: ring.sender_died(scenario.name, k, start); break;
    case Part::Receiver:
    case Part::Asked: ring.receiver_died(scenario.name, k); break;
    case Part::Answerer: {
      const World::Snapshot saved = stage.requests.save();
      if (!is_answered_or_comes_again(stage)) {
        ++tally.lost;
        report.note(fmt::format("{}, instruction {}: a request is lost", scenario.name, k));
      }
      stage.requests.restore(saved);
      ring.sender_died(scenario.name, k, start);
      requests.receiver_died(scenario.name, k);
    }
    }
  };
  tally.deaths += step_through([&] { scenario.operation(stage); }, {}, judge);
}

} // namespace

void die_in_endpoints(std::uint64_t start, Tally& tally, Report& report, bool aloud) {
  for (const Scenario& scenario : kScenarios) {
    const std::uint64_t before = tally.deaths;
    run(scenario, start, tally, report);
    if (aloud) fmt::print(stderr, "death: {}: {} deaths\n", scenario.name, tally.deaths - before);
  }
}

} // namespace mohhos::soak
