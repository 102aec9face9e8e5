// What the manager is made of, and the steps of its work, each group in a file of its own:
//   launch.cpp      a load, from a file to LOADED (docs/architecture.md, 'a load in 12 steps')
//   operations.cpp  start, stop, suspend, resume, unload; taking a step of the lifecycle table
//   restarting.cpp  a plugin that died is begun again
//   burying.cpp     what killed it and what nobody reads any more: which are dead letters
//   regranting.cpp  what the operator takes back from plugins that run
//   ending.cpp      a process ends, by whoever's will; everything of it is released
//   warden_events.cpp, link_events.cpp   what the warden and the endpoints say
//   channels.cpp    the broker's plans, executed
//   memories.cpp    memories that ride along messages
//   durable.cpp     messages that are to be on disk, and those that still are
//   recorders.cpp   copies of channels for recorders, and replays of what they wrote
//   adoption.cpp    what the manager before us left in the warden's custody
//   reports.cpp     info, samples, logs, status
//   channel_reports.cpp  what channels have counted
#pragma once

#include <array>
#include <deque>
#include <map>
#include <set>

#include "base/token_bucket.hpp"
#include "ipc/broker.hpp"
#include "ipc/channel.hpp"
#include "ipc/memory_book.hpp"
#include "ipc/remains.hpp"
#include "manager/journal.hpp"
#include "manager/letter_keeper.hpp"
#include "manager/manager.hpp"
#include "manager/plugin.hpp"
#include "manager/record.hpp"
#include "manager/warden_port.hpp"
#include "monitor/audit.hpp"
#include "registry/registry.hpp"
#include "sandbox/compile.hpp"
#include "sandbox/filter.hpp"
#include "security/keyring.hpp"
#include "security/package.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {

// What the warden keeps of a channel, in the order of ChannelMemory.
inline constexpr std::array kChannelKinds = {
    warden::KeepKind::RingData, warden::KeepKind::RingControl, warden::KeepKind::DataBell,
    warden::KeepKind::SpaceBell};

// A program on the control socket that has a link.
struct Endpoint {
  PluginId id;
  std::string name;
  std::uint32_t uid = 0;
  std::unique_ptr<LinkPort> link;
  std::string delivers_to{}; // a plugin that it may send to, whatever the ACLs say
};

// Lines of the audit log for what a user asked for and may not do, and how many were left out since
// the last one.
struct Denials {
  TokenBucket budget;
  std::uint64_t left_out = 0;
};

// How often one user may open an endpoint.
struct Openings {
  TokenBucket budget;
  bool refused = false; // the last one, and the audit log has it
};

// What the warden hands over of one plugin (or endpoint) before it is known what it was.
struct Inheritance {
  std::map<std::pair<warden::KeepKind, std::uint64_t>, sys::Fd> kept;
  std::optional<warden::Launched> running;
  sys::Fd pidfd;
  std::optional<warden::Exited> exited;
};

[[nodiscard]] std::uint64_t wall_clock_us();

struct Manager::Parts {
  Parts(sys::Loop& the_loop, Setup the_setup, std::function<void(sys::Fd)> ready,
        security::Keyring keys, monitor::AuditLog log, std::unique_ptr<LetterKeeper> keeper);

  // --- launch.cpp
  void load(const Caller& caller, LoadRequest request, Reply<model::PluginInfo> reply);
  // What is decided about a plugin before it exists.
  struct Prepared {
    PluginId id;
    security::VerifiedPackage package;
    model::TrustLevel trust{};
    model::Grant grant{};
    std::unique_ptr<sandbox::Spec> spec{};
    sys::Fd boot{};
    PluginId replaces{}; // one of the same name, in ERROR
  };
  [[nodiscard]] Result<> may_load(const Caller& caller, const std::string& path);
  [[nodiscard]] Result<Prepared> prepare(LoadRequest& request, PluginId id, Generation generation);
  [[nodiscard]] Plugin& enter(const Prepared& prepared, PluginId id, Generation generation,
                              const std::string& path);
  [[nodiscard]] Result<> begin_load(LoadRequest request, Monotonic since, const Caller& caller,
                                    Reply<model::PluginInfo>& reply);
  struct Ways { // out of the plugin, both ends
    sys::SocketPair link;
    PipePair out;
    PipePair err;
  };
  [[nodiscard]] static Result<Ways> make_ways();
  void begin_process(Plugin& plugin, Ways ways, const sandbox::Spec& spec, int image, int boot);
  [[nodiscard]] Result<> send_launch(const Plugin& plugin, const sandbox::Spec& spec,
                                     std::span<const int> fds);
  void not_launched(const warden::Target& process, const Error& why);
  [[nodiscard]] Result<model::Grant> decide_grant(const security::VerifiedPackage& package,
                                                  model::TrustLevel& level);
  void on_launched(const warden::Launched& launched, sys::Fd pidfd);
  void on_launch_failed(const warden::LaunchFailed& failed);
  void ask_init(Plugin& plugin);

  // --- operations.cpp
  void request(const Caller& caller, PluginId id, lifecycle::Event event,
               Reply<model::PluginInfo> reply);
  [[nodiscard]] Result<> may_request(const Plugin& plugin, lifecycle::Event event) const;
  void happen(Plugin& plugin, lifecycle::Event event);
  void take_step(Plugin& plugin, lifecycle::Step step);
  void set_state(Plugin& plugin, model::State to);
  void ask(Plugin& plugin, ipc::Operation operation);
  void arm_deadline(Plugin& plugin, std::chrono::milliseconds time);
  void settle(Plugin& plugin, lifecycle::Event done);
  void freeze_or_thaw(Plugin& plugin, warden::MessageType type, lifecycle::Event done);
  void announce(Plugin& plugin);
  void on_done(Plugin& plugin, const ipc::Done& done, std::uint32_t sequence);

  // --- restarting.cpp
  [[nodiscard]] std::optional<model::State> goal_after_death(const Plugin& plugin) const;
  // False: it is not begun again.
  bool restart(Plugin& plugin, model::State goal);
  void recover(Plugin& plugin);
  void restart_later(Plugin& plugin, std::chrono::milliseconds after);
  void restart_now(PluginId id);
  [[nodiscard]] Result<> begin_again(Plugin& plugin);
  void on_restart_failed(Plugin& plugin, const Error& why);
  void towards_goal(Plugin& plugin);
  void end_restart(Plugin& plugin);
  [[nodiscard]] Result<> may_steer_restart(const Plugin& plugin, lifecycle::Event event) const;
  void steer_restart(Plugin& plugin, lifecycle::Event event, Reply<model::PluginInfo> reply);
  void adopt_restart(Plugin& plugin, SavedRestart saved, bool has_process);

  // --- regranting.cpp
  [[nodiscard]] Result<model::CapabilitySet> allowed_now(const Plugin& plugin);
  void regrant(Plugin& plugin);

  // --- burying.cpp
  [[nodiscard]] std::optional<ipc::Remains> remains_of(const ipc::ChannelRecord& channel) const;
  [[nodiscard]] std::string name_of(PluginId id) const;
  // For the letters' thread; nothing: it has no memory.
  [[nodiscard]] std::optional<LeftRing> left_ring(const Plugin& plugin,
                                                  const ipc::ChannelRecord& channel) const;
  void examine_rings(Plugin& plugin);
  void bury_suspects(Plugin& plugin);
  void on_buried(PluginId id, const ipc::Suspect& suspect,
                 const Result<std::optional<LetterHead>>& letter);
  // `then` when all that finds room is on disk.
  void bury_unread(const Plugin& plugin, std::string_view reason, std::function<void()> then);
  void note_letters_refused(const Plugin& plugin, std::uint64_t count, std::string_view why);
  void retry_letter(const Caller& caller, std::uint64_t id, Reply<LetterRetry> reply);
  void audit_letter(std::string_view event, const Caller& caller, std::uint64_t id, bool accepted);

  // --- ending.cpp
  void kill(Plugin& plugin);
  void fail_plugin(Plugin& plugin, lifecycle::Event event, Code code, std::string cause);
  void on_exited(Plugin& plugin, const warden::Exited* exited);
  void forget_process(Plugin& plugin);
  void release(Plugin& plugin, bool remove);
  void let_go(Plugin& plugin, bool remove);
  void finish_end(PluginId id, bool remove);
  void drop_pending(Plugin& plugin, Code code);
  void begin_shutdown();
  void shutdown_step();

  // --- warden_events.cpp
  void on_warden(WardenMessage message);
  void on_warden_end(const Error& why);
  void on_attempt(const warden::Attempt& attempt);
  void reload_config();
  [[nodiscard]] static security::ElfPolicy elf_policy_of(const Config& config);

  // --- link_events.cpp
  [[nodiscard]] Result<> attach(Plugin& plugin, sys::Fd link, sys::Fd out, sys::Fd err);
  void on_record(PluginId id, const ipc::LinkRecord& record);
  void on_link_end(PluginId id, const Error& why);
  void on_log_line(PluginId id, monitor::LogLine line);
  void on_refused_call(Plugin& plugin, const ipc::RefusedCall& call);
  [[nodiscard]] Result<> may_open_endpoint(const Caller& caller);
  [[nodiscard]] Result<OpenedEndpoint> open_endpoint(const Caller& caller, std::string_view name,
                                                     std::string delivers_to = {});
  [[nodiscard]] Result<> attach_endpoint(Endpoint endpoint, sys::Fd link);
  void on_endpoint_end(PluginId id);

  // --- channels.cpp
  void execute(const ipc::Plan& plan);
  [[nodiscard]] Result<> make_channel(const ipc::ChannelRecord& record);
  [[nodiscard]] Result<> keep_channel(ChannelId id);
  void deliver(const ipc::Delivery& delivery);
  void put_off(ipc::Delivery delivery, const Error& why);
  void deliver_put_off();
  void forget_channel(ChannelId id);
  [[nodiscard]] LinkPort* port_of(PluginId id);
  [[nodiscard]] ipc::Party party_of(const Plugin& plugin) const;
  [[nodiscard]] ipc::Party party_of(const Endpoint& endpoint) const;
  bool serve_broker(PluginId id, const ipc::LinkRecord& record);
  void note_broken(PluginId by, const ipc::CloseChannel& close);
  // Whether the audit log can bear another line about what this endpoint did.
  [[nodiscard]] bool may_report(PluginId by);
  [[nodiscard]] Result<> may_call(PluginId asker, const ipc::OpenChannel& request) const;

  // --- memories.cpp
  bool serve_memories(PluginId id, const ipc::LinkRecord& record);
  void on_make_memory(PluginId id, const ipc::MakeMemory& question);
  void on_send_memory(PluginId id, const ipc::SendMemory& question);
  [[nodiscard]] Result<> send_memory(PluginId id, const ipc::SendMemory& question);
  [[nodiscard]] bool ask_receiver_first(PluginId id, const ipc::SendMemory& question);
  void answer_send_memory(PluginId id, const ipc::SendMemory& question, const Result<>& sent);
  void refuse_memory(PluginId id, std::uint32_t sequence, std::string_view what, const Error& why);
  bool deliver_memory(const ipc::Passage& passage, bool now);
  void deliver_memories(ChannelId channel);
  void sweep_memories();
  void forget_unused_memories();
  void adopt_memories(Inheritance& heir, std::span<const std::byte> book);

  // --- durable.cpp
  void open_journal();
  void on_sync(PluginId id, const ipc::Sync& request);
  [[nodiscard]] Result<LogInfo> may_sync(PluginId id, ChannelId channel) const;
  [[nodiscard]] LogInfo log_info(const ipc::ChannelRecord& channel) const;
  [[nodiscard]] Result<JournaledRing> journaled(LogInfo info) const;
  void attach_known_rings(const std::vector<LogInfo>& logs);
  // Puts what a journal still has for the plugin into rings of its own, then goes on. Before
  // join().
  void restore_messages(const Plugin& plugin, std::function<void()> then);
  void restore_group(const Leftovers& leftovers, const Plugin& receiver,
                     const std::function<void()>& then);
  [[nodiscard]] Result<ipc::ChannelRecord> restored_channel(const Leftovers& leftovers,
                                                            const Plugin& receiver);
  // --- recorders.cpp
  [[nodiscard]] Result<TapStatus> tap(const Caller& caller, const TapRequest& request);
  [[nodiscard]] Result<> check_end(std::string_view name) const;
  [[nodiscard]] bool is_end(PluginId id, std::string_view name) const;
  [[nodiscard]] bool is_wished(const ipc::ChannelRecord& channel, const TapWish& wish) const;
  void tap_as_wished(const ipc::Delivery& delivery);
  [[nodiscard]] Result<OpenedReplay> open_replay(const Caller& caller, PluginId receiver,
                                                 std::string_view recording,
                                                 std::uint64_t messages);

  // --- adoption.cpp
  void on_hello(const warden::Hello& hello, sys::Fd listening);
  void on_kept(const warden::Kept& kept, sys::Fd fd);
  void on_hello_end();
  void adopt_manager(Inheritance& inheritance);
  [[nodiscard]] Result<> adopt_plugin(PluginId id, Inheritance& inheritance);
  Plugin& recall(const SavedPlugin& saved, sys::Fd image);
  [[nodiscard]] Result<> adopt_process(Plugin& plugin, const SavedPlugin& saved,
                                       Inheritance& inheritance);
  void go_on(Plugin& plugin, const SavedPlugin& saved);
  void adopt_channels();
  // Exhausted: the warden has not been given it.
  [[nodiscard]] Result<> keep(PluginId id, warden::KeepKind kind, std::uint64_t key, int fd);
  void save(Plugin& plugin);
  void save_manager();
  void keep_record(PluginId id, std::string_view record);
  void save_unsaved();

  // --- reports.cpp
  [[nodiscard]] model::PluginInfo info_of(const Plugin& plugin) const;
  void sample_all();
  [[nodiscard]] DaemonStatus status() const;
  // channel_reports.cpp
  [[nodiscard]] Result<std::vector<ChannelStatus>> channel_statuses(PluginId end) const;
  void note_huge_pages(std::vector<ChannelStatus>& all) const;
  void tell(const Event& event);
  void tell(const LogRecord& record);

  [[nodiscard]] Plugin* find(PluginId id);
  [[nodiscard]] const Plugin* find(PluginId id) const;
  // While this very process has not ended: for answers about it, which may come behind its end.
  [[nodiscard]] Plugin* find_process(const warden::Target& process);
  [[nodiscard]] Error unknown(PluginId id, std::string_view name) const;
  // On the loop's next turn. [loop]
  void later(std::function<void()> what);

  sys::Loop& loop;
  Setup setup;
  std::function<void(sys::Fd)> on_ready;
  std::unique_ptr<WardenPort> warden;
  warden::Hello hello;
  sys::Fd listening;
  bool ready = false;
  bool shutting_down = false;
  sys::Source shutdown_deadline;
  std::uint32_t owner_uid = 0;
  std::uint64_t started_us = 0;
  std::uint64_t next_id = 1;
  std::uint64_t life = 0; // of the daemon: channels of another life are not there any more

  registry::Registry registry;
  registry::Host host;
  std::map<PluginId, std::unique_ptr<Plugin>> plugins;
  std::map<PluginId, Endpoint> endpoints;
  ipc::Broker broker;
  std::map<ChannelId, ipc::ChannelMemory> channels;
  std::vector<ipc::Delivery> put_off_deliveries; // until the next second
  std::map<ChannelId, PluginId> channel_owner;   // in whose name the warden keeps it: the receiver
  ipc::MemoryBook memories;
  std::map<std::uint64_t, sys::Fd> memory_fds; // by number
  // By sender, the number of the question that waits for what its receiver has said already.
  std::map<PluginId, std::weak_ptr<const std::uint32_t>> waiting_memories;
  std::vector<TapWish> tap_wishes;
  std::map<PluginId, Inheritance> inheritance;
  // Whose records, and which channels' memories, the warden was not given; until the next second.
  std::set<PluginId> unsaved;
  std::set<ChannelId> unkept;

  std::unique_ptr<LetterKeeper> letters;

  security::Keyring keyring;
  security::ElfPolicy elf_policy;
  sandbox::SystemLayout layout;
  sandbox::FilterCache filters;
  monitor::AuditLog audit;
  std::map<PluginId, TokenBucket> report_budgets; // of what endpoints get into the audit log
  std::map<std::uint32_t, Denials> denials;       // by uid
  std::map<std::uint32_t, Openings> openings;     // by uid

  std::map<std::uint64_t, std::pair<PluginId, std::function<void(const LogRecord&)>>> log_followers;
  std::map<std::uint64_t, std::pair<PluginId, std::function<void(const Event&)>>> watchers;
  std::uint64_t next_subscription = 1;

  std::unique_ptr<Journal> journal; // none: not enabled

  sys::Source sampling;
  std::deque<std::function<void()>> deferred;
  sys::Source deferred_source;
  // Subscriptions may outlive us; they look here first.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

} // namespace mohhos::manager
