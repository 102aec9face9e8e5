// A load, from a file to LOADED. Steps 1 to 10 happen in one turn of the loop, before there is a
// process; whatever fails in them leaves nothing behind. Then the warden and the plugin answer in
// their own time.
#include <algorithm>
#include <cstring>

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "manager/parts.hpp"
#include "sandbox/boot.hpp"
#include "security/manifest.hpp"
#include "security/policy.hpp"
#include "security/trust.hpp"
#include "sys/file.hpp"
#include "sys/memfd.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

// Spawn and confinement take a millisecond; this is for a warden that has lost its way.
constexpr std::chrono::seconds kLaunchDeadline{20};

struct SealedPlugin {
  sys::Fd image;
  std::string signature;
};

Result<sys::Fd> seal(sys::Fd file, Bytes limit) {
  if (auto size = sys::verify_seals(file.get(), sys::kSealedContent)) {
    if (*size > limit)
      return fail(Code::TooLarge, "it has {} bytes and [plugins] max_file_mb allows {}",
                  size->count, limit.count);
    return file;
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno("fstat");
  if (!S_ISREG(status.st_mode)) return fail(Code::Invalid, "not a regular file");
  return sys::seal_file(file.get(), "plugin", limit);
}

Result<SealedPlugin> seal_request(LoadRequest& request, Bytes limit) {
  SealedPlugin plugin;
  const bool by_path = !request.image;
  if (by_path) {
    TRY(request.image, sys::open_regular(request.path));
    TRY(plugin.signature, security::read_signature_beside(request.path));
  } else {
    plugin.signature = std::move(request.signature);
  }
  auto sealed = seal(std::move(request.image), limit);
  if (!sealed) return std::unexpected(std::move(sealed).error().within(request.path));
  plugin.image = std::move(*sealed);
  return plugin;
}

template <std::size_t N>
void put(char (&array)[N], std::string_view text) {
  std::memcpy(array, text.data(), std::min(text.size(), N - 1));
}

} // namespace

void Manager::Parts::load(const Caller& caller, LoadRequest request,
                          Reply<model::PluginInfo> reply) {
  const Monotonic since = loop.now();
  const std::string path = request.path;
  auto begun = begin_load(std::move(request), since, caller, reply);
  if (begun) return;
  Error error = std::move(begun).error();
  spdlog::warn("load of {} refused: {}", monitor::escape_controls(path), error.text);
  audit.append("load-refused", {{"path", std::string_view(path)},
                                {"uid", std::uint64_t{caller.uid}},
                                {"pid", std::int64_t{caller.pid}},
                                {"code", code_name(error.code)},
                                {"text", std::string_view(error.text)}});
  later([reply = std::move(reply), error = std::move(error)] { reply(std::unexpected(error)); });
}

Result<model::Grant> Manager::Parts::decide_grant(const security::VerifiedPackage& package,
                                                  model::TrustLevel& level) {
  TRY(const security::Trust trust, security::read_trust(setup.paths.trust()));
  TRY(const security::KeyTrust key, trust.of(package.signer()));
  TRY(const security::OperatorPolicy policy,
      security::read_policy(setup.paths.grants(), package.metadata().name));
  level = key.level;
  TRY(model::Grant granted, security::grant(package.metadata(), key, policy, setup.paths.trust()));
  granted.limits = lower_limits(granted.limits, setup.config.max_limits);
  return granted;
}

// What cannot be written down is not begun.
Result<> Manager::Parts::may_load(const Caller& caller, const std::string& path) {
  if (shutting_down) return fail(Code::BadState, "mohhosd is shutting down");
  if (plugins.size() >= setup.config.max_plugins)
    return fail(Code::Exhausted, "{} plugins are loaded, and [plugins] max_count allows no more",
                plugins.size());
  audit.append("load", {{"path", std::string_view(path)},
                        {"uid", std::uint64_t{caller.uid}},
                        {"pid", std::int64_t{caller.pid}}});
  if (audit.full())
    return fail(Code::Exhausted,
                "the audit log in {} cannot be written (is the disk full?); no plugin is loaded "
                "until it can",
                setup.paths.log.native());
  return {};
}

// Steps 1 to 8: decisions, and memory of our own.
Result<Manager::Parts::Prepared> Manager::Parts::prepare(LoadRequest& request, PluginId id,
                                                         Generation generation) {
  // 1. The bytes, sealed: from here on these, never the path.
  TRY(SealedPlugin sealed, seal_request(request, setup.config.max_plugin_bytes));

  // 2. Signature, 3. ELF rules, 4. manifest.
  TRY(keyring.refresh());
  auto opened = security::open_package(std::move(sealed.image), std::move(sealed.signature),
                                       keyring, elf_policy);
  if (!opened) return std::unexpected(std::move(opened).error().within(request.path));
  Prepared prepared{.id = id, .package = std::move(*opened)};
  const model::Metadata& metadata = prepared.package.metadata();
  // Messages of its name wait for it: then it is the one that they are from.
  if (const auto waited_for = broker.waits_for(metadata.name)) prepared.id = *waited_for;

  // 5. Does it fit: name, API, platform, dependencies.
  TRY(registry.admit(metadata, host));
  if (const registry::Entry* before = registry.find(metadata.name); before != nullptr) {
    const Plugin* old = find(before->id);
    if (old != nullptr && (old->process || old->parting))
      return fail(Code::BadState, "the {} before it is still being cleaned up; try again",
                  metadata.name);
    prepared.replaces = before->id;
  }

  // 6. What it gets.
  TRY(prepared.grant, decide_grant(prepared.package, prepared.trust));

  // 7. The sandbox as a value, 8. its filters and the boot block.
  const sandbox::CompileOptions options{.floor = setup.config.min_level, .extra_walls = 0};
  TRY(const sandbox::Spec spec, sandbox::compile(prepared.grant, metadata, layout, options));
  prepared.spec = std::make_unique<sandbox::Spec>(spec);
  TRY(const sandbox::FilterPair* pair, filters.find(prepared.grant.capabilities));
  TRY(prepared.boot, sandbox::make_boot(sandbox::compile_boot(spec, prepared.grant, metadata, *pair,
                                                              prepared.id, generation)));
  return prepared;
}

Plugin& Manager::Parts::enter(const Prepared& prepared, PluginId id, Generation generation,
                              const std::string& path) {
  const model::Metadata& metadata = prepared.package.metadata();
  if (prepared.replaces) {
    warden->send(warden::Forget{.plugin_id = prepared.replaces.value});
    plugins.erase(prepared.replaces);
  }
  auto owned = std::make_unique<Plugin>();
  Plugin& plugin = *owned;
  plugin.info.id = id;
  plugin.info.metadata = metadata;
  plugin.info.generation = generation;
  plugin.info.signer = security::to_string(prepared.package.signer().id);
  plugin.info.trust = prepared.trust;
  plugin.info.grant = prepared.grant;
  plugin.info.load_time_us = plugin.info.last_activity_us = wall_clock_us();
  plugin.info.path = monitor::escape_controls(path);
  plugin.info.sha256 = prepared.package.sha256();
  plugin.signature = prepared.package.signature();
  if (const auto section =
          security::find_section(prepared.package.image().bytes(), security::kManifestSection))
    plugin.manifest.assign(reinterpret_cast<const char*>(section->data()), section->size());
  registry.insert({id, metadata, true});
  plugins.emplace(id, std::move(owned));
  return plugin;
}

Result<> Manager::Parts::begin_load(LoadRequest request, Monotonic since, const Caller& caller,
                                    Reply<model::PluginInfo>& reply) {
  TRY(may_load(caller, request.path));
  const Generation generation{1};
  TRY(Prepared prepared, prepare(request, {next_id}, generation));
  const PluginId id = prepared.id;

  // 9. The plugin's ways out: link and log pipes.
  TRY(Ways ways, make_ways());
  if (id.value == next_id) ++next_id;
  Plugin& plugin = enter(prepared, id, generation, request.path);
  plugin.pending =
      Pending{.request = lifecycle::Event::Load, .doing = "its launch", .since = since};
  plugin.pending->reply = std::move(reply);

  // 10. Into custody first, then Launch. 11. is on_launched, 12. on_done.
  save_manager();
  set_state(plugin, model::State::Loading);
  sys::Fd image = prepared.package.take_fd();
  begin_process(plugin, std::move(ways), *prepared.spec, image.get(), prepared.boot.get());
  if (plugin.info.metadata.restart.on_crash) plugin.image = std::move(image);
  return {};
}

Result<Manager::Parts::Ways> Manager::Parts::make_ways() {
  Ways ways;
  TRY(ways.link, sys::make_seqpacket_pair());
  TRY(ways.out, make_log_pipe());
  TRY(ways.err, make_log_pipe());
  return ways;
}

void Manager::Parts::begin_process(Plugin& plugin, Ways ways, const sandbox::Spec& spec, int image,
                                   int boot) {
  plugin.process = true;
  const auto ordered = [&]() -> Result<> {
    const PluginId id = plugin.info.id;
    TRY(keep(id, warden::KeepKind::Image, 0, image));
    TRY(keep(id, warden::KeepKind::Link, 0, ways.link.first.get()));
    TRY(keep(id, warden::KeepKind::Stdout, 0, ways.out.read.get()));
    TRY(keep(id, warden::KeepKind::Stderr, 0, ways.err.read.get()));
    const std::array fds = {image, boot, ways.link.second.get(), ways.out.write.get(),
                            ways.err.write.get()};
    return send_launch(plugin, spec, fds);
  }();
  if (!ordered) {
    const warden::Target process{.plugin_id = plugin.info.id.value,
                                 .generation = plugin.info.generation.value};
    return later([this, process, why = ordered.error()] { not_launched(process, why); });
  }
  arm_deadline(plugin, kLaunchDeadline);
  if (auto attached = attach(plugin, std::move(ways.link.first), std::move(ways.out.read),
                             std::move(ways.err.read));
      !attached)
    fail_plugin(plugin, lifecycle::Event::Failed, attached.error().code, attached.error().text);
}

Result<> Manager::Parts::send_launch(const Plugin& plugin, const sandbox::Spec& spec,
                                     std::span<const int> fds) {
  const model::PluginInfo& info = plugin.info;
  warden::Launch launch;
  launch.plugin_id = info.id.value;
  launch.generation = info.generation.value;
  launch.spec = spec;
  launch.signature_size = static_cast<std::uint32_t>(plugin.signature.size());
  put(launch.name, info.metadata.name);
  std::memcpy(launch.signature, plugin.signature.data(),
              std::min(plugin.signature.size(), sizeof launch.signature));
  const warden::Target process{.plugin_id = launch.plugin_id, .generation = launch.generation};
  TRY(warden->send(launch, fds, {},
                   [this, process](const Error& why) { not_launched(process, why); }));
  audit.append("grant", {{"plugin", std::string_view(info.metadata.name)},
                         {"id", info.id.value},
                         {"signer", std::string_view(info.signer)},
                         {"sha256", std::string_view(info.sha256)},
                         {"capabilities", std::uint64_t{info.grant.capabilities.bits}},
                         {"custom", std::uint64_t{info.grant.capabilities.custom}}});
  return {};
}

// The warden has not been asked at all.
void Manager::Parts::not_launched(const warden::Target& process, const Error& why) {
  warden::LaunchFailed failed{.plugin_id = process.plugin_id, .generation = process.generation};
  failed.code = static_cast<std::int32_t>(why.code);
  put_text(failed.text, why.text);
  on_launch_failed(failed);
}

void Manager::Parts::on_launched(const warden::Launched& launched, sys::Fd pidfd) {
  Plugin* plugin = find({launched.plugin_id});
  if (plugin == nullptr || plugin->info.generation.value != launched.generation) return;
  plugin->info.pid = launched.pid;
  plugin->info.walls = launched.standing;
  plugin->info.level = model::level_of(launched.standing);
  plugin->sources = {launched.pid, launched.memory_cgroup, launched.cpu_cgroup};
  plugin->pidfd = std::move(pidfd);
  if (plugin->info.state != model::State::Loading)
    return; // being unloaded by force: Exited follows
  if (plugin->pending) plugin->pending->deadline.reset();
  ask_init(*plugin);
}

void Manager::Parts::ask_init(Plugin& plugin) {
  const auto set = [&](std::string_view key, std::string_view value) {
    ipc::SetConfig config;
    put_text(config.key, key);
    put_text(config.value, value);
    plugin.link->send(config);
  };
  set("mohhos.spin_us", std::to_string(setup.config.spin.count()));
  if (plugin.info.metadata.channels.huge_pages) set("mohhos.huge_pages", "1");
  for (const auto& [key, value] : plugin.info.grant.config) set(key, value);
  ask(plugin, ipc::Operation::Init);
}

void Manager::Parts::on_launch_failed(const warden::LaunchFailed& failed) {
  Plugin* plugin = find({failed.plugin_id});
  if (plugin == nullptr || plugin->info.generation.value != failed.generation) return;
  warden::LaunchFailed copy = failed;
  copy.text[warden::kTextSize - 1] = '\0';
  plugin->process = false; // the warden has cleaned up already
  plugin->info.cause = copy.text;
  plugin->failure = copy.code == 0 ? Code::Failed : static_cast<Code>(copy.code);
  const std::string& name = plugin->info.metadata.name;
  spdlog::warn("{} was not launched: {}", name, plugin->info.cause);
  audit.append("load-refused", {{"plugin", std::string_view(name)},
                                {"id", plugin->info.id.value},
                                {"code", code_name(plugin->failure)},
                                {"text", std::string_view(plugin->info.cause)}});
  if (plugin->info.state != model::State::Loading) return on_exited(*plugin, nullptr);
  if (plugin->restarting) return on_restart_failed(*plugin, {plugin->failure, plugin->info.cause});
  if (plugin->pending && plugin->pending->reply) {
    Reply<model::PluginInfo> reply = std::move(plugin->pending->reply);
    plugin->at_end.push_back(
        [reply = std::move(reply), code = plugin->failure, name, cause = plugin->info.cause] {
          reply(fail(code, "{}: {}", name, cause));
        });
  }
  plugin->pending.reset();
  happen(*plugin, lifecycle::Event::Rejected);
}

} // namespace mohhos::manager
