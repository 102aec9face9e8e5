#include "manager/manager.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "manager/parts.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

constexpr std::chrono::seconds kSampling{1};
// Lines of the audit log for what one user may not do.
constexpr double kDenialsPerSecond = 1;
constexpr double kDenialsSaved = 64;
constexpr std::string_view kCustom = "custom:";

// Half of the descriptors that there can be: a channel takes four, here and in the warden, and two
// more while the journal reads it.
constexpr std::uint64_t kDescriptorsOfAChannel = 8;

constexpr std::uint64_t kDescriptorsForAMemory = 16; // a sixteenth of them is for memories

std::uint64_t most_descriptors() {
  rlimit descriptors{};
  return ::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 ? descriptors.rlim_max : 1024;
}

ipc::BrokerLimits broker_limits(const Config& config) {
  ipc::BrokerLimits limits{.default_ring = config.ring_bytes.count};
  limits.channels = std::min(limits.channels, most_descriptors() / kDescriptorsOfAChannel);
  return limits;
}

ipc::MemoryLimits memory_limits() {
  ipc::MemoryLimits limits;
  const std::uint64_t possible = most_descriptors() / kDescriptorsForAMemory;
  if (possible < limits.memories) limits.memories = static_cast<std::uint32_t>(possible);
  return limits;
}

registry::Host this_host() {
  utsname kernel{};
  ::uname(&kernel);
  registry::Host host;
  host.machine = kernel.machine;
  const std::string_view release = kernel.release;
  const auto digits = release.substr(0, release.find_first_not_of("0123456789."));
  if (auto version = model::parse_version(digits.substr(0, digits.find_last_not_of('.') + 1)))
    host.kernel = *version;
  return host;
}

Result<unsigned> parse_custom(std::string_view capability) {
  const std::string_view digits = capability.substr(kCustom.size());
  unsigned bit = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bit);
  if (error != std::errc() || end != digits.data() + digits.size() || bit > 31)
    return fail(Code::Invalid, "'{}' is not a custom capability; custom:0 to custom:31",
                capability);
  return bit;
}

} // namespace

Manager::Parts::Parts(sys::Loop& the_loop, Setup the_setup,
                      std::function<void(sys::Fd)> ready_callback, security::Keyring keys,
                      monitor::AuditLog log, std::unique_ptr<LetterKeeper> keeper)
    : loop(the_loop), setup(std::move(the_setup)), on_ready(std::move(ready_callback)),
      host(this_host()), broker(broker_limits(setup.config)), memories(memory_limits()),
      letters(std::move(keeper)), keyring(std::move(keys)), elf_policy(elf_policy_of(setup.config)),
      layout(sandbox::find_system_layout()), audit(std::move(log)) {}

Manager::Manager(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Manager::~Manager() = default;

Result<std::unique_ptr<Manager>> Manager::open(sys::Loop& loop, Setup setup,
                                               std::function<void(sys::Fd)> on_ready) {
  TRY(const sys::PeerCredentials owner, sys::peer_credentials(setup.warden.get()));
  TRY(security::Keyring keyring, security::Keyring::open(setup.paths.keys()));
  TRY(monitor::AuditLog audit, monitor::AuditLog::open(setup.paths.log / "audit.jsonl"));
  std::vector<std::string> problems;
  TRY(auto letters,
      LetterKeeper::open(loop, DeadLetters::open(setup.paths.dead_letters(),
                                                 letter_bounds(setup.config), problems)));
  for (const std::string& problem : problems) spdlog::error("dead letters: {}", problem);
  sys::Fd socket = std::move(setup.warden);
  auto parts = std::make_unique<Parts>(loop, std::move(setup), std::move(on_ready),
                                       std::move(keyring), std::move(audit), std::move(letters));
  Parts* self = parts.get();
  parts->owner_uid = owner.uid;
  TRY(parts->warden, WardenPort::open(
                         loop, std::move(socket),
                         [self](WardenMessage message) { self->on_warden(std::move(message)); },
                         [self](const Error& why) { self->on_warden_end(why); }));
  TRY(parts->sampling, loop.every(kSampling, [self] {
    self->sample_all();
    self->broker.forgive();
    self->deliver_put_off();
    self->save_unsaved();
  }));
  return std::unique_ptr<Manager>(new Manager(std::move(parts)));
}

void Manager::load(const Caller& caller, LoadRequest request, Reply<model::PluginInfo> reply) {
  parts_->load(caller, std::move(request), std::move(reply));
}

void Manager::unload(const Caller& caller, PluginId id, bool force,
                     Reply<model::PluginInfo> reply) {
  // Force is for what would be refused; a plugin that can be asked is asked even so.
  const Plugin* plugin = parts_->find(id);
  const bool needed =
      force && plugin != nullptr && !parts_->may_request(*plugin, lifecycle::Event::Unload);
  parts_->request(caller, id, needed ? lifecycle::Event::ForceUnload : lifecycle::Event::Unload,
                  std::move(reply));
}

void Manager::start(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply) {
  parts_->request(caller, id, lifecycle::Event::Start, std::move(reply));
}

void Manager::stop(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply) {
  parts_->request(caller, id, lifecycle::Event::Stop, std::move(reply));
}

void Manager::suspend(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply) {
  parts_->request(caller, id, lifecycle::Event::Suspend, std::move(reply));
}

void Manager::resume(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply) {
  parts_->request(caller, id, lifecycle::Event::Resume, std::move(reply));
}

Result<model::PluginInfo> Manager::info(PluginId id) const {
  const Plugin* plugin = parts_->find(id);
  if (plugin == nullptr) return std::unexpected(parts_->unknown(id, ""));
  return parts_->info_of(*plugin);
}

std::vector<model::PluginInfo> Manager::list() const {
  std::vector<model::PluginInfo> all;
  for (const auto& [id, plugin] : parts_->plugins)
    if (plugin->info.state != model::State::Unloaded) all.push_back(parts_->info_of(*plugin));
  return all;
}

Result<PluginId> Manager::resolve(PluginId id, std::string_view name) const {
  const registry::Entry* entry = id ? parts_->registry.find(id) : parts_->registry.find(name);
  if (entry == nullptr) return std::unexpected(parts_->unknown(id, id ? "" : name));
  return entry->id;
}

Result<Attempts> Manager::attempts(PluginId id) const {
  const Plugin* plugin = parts_->find(id);
  if (plugin == nullptr) return std::unexpected(parts_->unknown(id, ""));
  return Attempts{parts_->info_of(*plugin), plugin->attempts.entries(), plugin->attempts.lost()};
}

Result<bool> Manager::check_capability(PluginId id, std::string_view capability) const {
  const Plugin* plugin = parts_->find(id);
  if (plugin == nullptr) return std::unexpected(parts_->unknown(id, ""));
  const model::CapabilitySet& granted = plugin->info.grant.capabilities;
  if (capability.starts_with(kCustom)) {
    TRY(const unsigned bit, parse_custom(capability));
    return (granted.custom >> bit & 1U) != 0;
  }
  if (const auto known = model::parse_capability(capability)) return granted.has(*known);
  std::string names;
  for (const model::Capability each : model::kCapabilities)
    names += fmt::format("{}, ", model::capability_name(each));
  return fail(Code::Invalid, "'{}' is not a capability; there are {}custom:0 to custom:31",
              monitor::escape_controls(capability.substr(0, 64)), names);
}

Result<std::vector<registry::DependencyState>> Manager::check_dependencies(PluginId id) const {
  const Plugin* plugin = parts_->find(id);
  if (plugin == nullptr) return std::unexpected(parts_->unknown(id, ""));
  return parts_->registry.dependencies_of(plugin->info.metadata);
}

std::vector<LogRecord> Manager::logs(PluginId id, std::size_t tail) const {
  std::vector<LogRecord> records;
  for (const auto& [each, plugin] : parts_->plugins) {
    if (id && each != id) continue;
    for (const monitor::LogLine& line : plugin->logs.lines())
      records.push_back({each, plugin->info.metadata.name, line});
  }
  std::ranges::stable_sort(records, {},
                           [](const LogRecord& record) { return record.line.when_us; });
  if (tail != 0 && records.size() > tail)
    records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(tail));
  return records;
}

Subscription Manager::follow_logs(PluginId id, std::function<void(const LogRecord&)> on_line) {
  const std::uint64_t key = parts_->next_subscription++;
  parts_->log_followers[key] = {id, std::move(on_line)};
  return Subscription([parts = parts_.get(), alive = std::weak_ptr(parts_->alive), key] {
    if (!alive.expired()) parts->log_followers.erase(key);
  });
}

Subscription Manager::watch(PluginId id, std::function<void(const Event&)> on_event) {
  const std::uint64_t key = parts_->next_subscription++;
  parts_->watchers[key] = {id, std::move(on_event)};
  return Subscription([parts = parts_.get(), alive = std::weak_ptr(parts_->alive), key] {
    if (!alive.expired()) parts->watchers.erase(key);
  });
}

Result<OpenedEndpoint> Manager::open_endpoint(const Caller& caller, std::string_view name) {
  return parts_->open_endpoint(caller, name);
}

Result<std::vector<ChannelStatus>> Manager::channels(PluginId end) const {
  TRY(auto all, parts_->channel_statuses(end));
  parts_->note_huge_pages(all);
  return all;
}

Result<TapStatus> Manager::tap(const Caller& caller, const TapRequest& request) {
  return parts_->tap(caller, request);
}

Result<OpenedReplay> Manager::open_replay(const Caller& caller, PluginId receiver,
                                          std::string_view recording, std::uint64_t messages) {
  return parts_->open_replay(caller, receiver, recording, messages);
}

void Manager::dead_letters(Reply<std::vector<LetterHead>> reply) {
  parts_->letters->list(std::move(reply));
}

void Manager::show_letter(const Caller& caller, std::uint64_t id, Reply<DeadLetter> reply) {
  parts_->letters->read(
      id, [parts = parts_.get(), caller, id, reply = std::move(reply)](Result<DeadLetter> letter) {
        parts->audit_letter("dead-letter-show", caller, id, letter.has_value());
        reply(std::move(letter));
      });
}

void Manager::retry_letter(const Caller& caller, std::uint64_t id, Reply<LetterRetry> reply) {
  parts_->retry_letter(caller, id, std::move(reply));
}

void Manager::drop_letter(const Caller& caller, std::uint64_t id, Reply<void> reply) {
  parts_->letters->drop(
      id, [parts = parts_.get(), caller, id, reply = std::move(reply)](Result<> dropped) {
        parts->audit_letter("dead-letter-drop", caller, id, dropped.has_value());
        reply(std::move(dropped));
      });
}

DaemonStatus Manager::status() const {
  return parts_->status();
}
const Config& Manager::config() const {
  return parts_->setup.config;
}

Role Manager::role_of(std::uint32_t uid, const std::vector<std::uint32_t>& gids) const {
  return manager::role_of(parts_->setup.config, uid, gids, parts_->owner_uid);
}

void Manager::audit_denied(const Caller& caller, std::string_view method, std::string_view why) {
  const auto now = parts_->loop.now();
  const auto [found, is_new] = parts_->denials.try_emplace(
      caller.uid, Denials{.budget = {kDenialsPerSecond, kDenialsSaved, now}});
  Denials& denials = found->second;
  if (!denials.budget.take(now)) {
    ++denials.left_out;
    return;
  }
  parts_->audit.append("denied", {{"method", method},
                                  {"uid", std::uint64_t{caller.uid}},
                                  {"pid", std::int64_t{caller.pid}},
                                  {"left_out_before", std::exchange(denials.left_out, 0)},
                                  {"text", why}});
}

} // namespace mohhos::manager
