#include "loader/host.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <poll.h>

#include "loader/last_words.hpp"
#include "sandbox/enter.hpp"

namespace mohhos::loader {
namespace {

// Messages in a row before orders and own work get their turn.
constexpr int kBatch = 256;
// Configuration keys that begin like this are the host's own.
constexpr std::string_view kSpinKey = "mohhos.spin_us";
constexpr std::string_view kHugePagesKey = "mohhos.huge_pages";

// The result of a callback that may fail as an operation: the plugin's sentence, or one that names
// the callback.
Result<> judge(std::int32_t result, std::string_view callback) {
  if (result >= 0) return {};
  const std::string_view words = take_remembered();
  const auto code =
      result >= to_abi(Code::Unsupported) ? static_cast<Code>(-result) : Code::PluginFailed;
  if (words.empty())
    return fail(code, "{} failed with {} and said nothing (fail())", callback, result);
  return fail(code, "{}: {}", callback, words);
}

// The result of a callback whose failure ends the process.
void demand(std::int32_t result, std::string_view callback) {
  if (result >= 0) [[likely]]
    return;
  if (const auto judged = judge(result, callback); !judged)
    die(ipc::LastWordsKind::Exception, judged.error().text);
}

std::uint32_t peer_event(Code why) {
  switch (why) {
  case Code::PeerRestarted: return MOHHOS_PEER_RESTARTED;
  case Code::Malformed: return MOHHOS_PEER_BROKEN;
  case Code::Denied: return MOHHOS_PEER_REVOKED;
  default: return MOHHOS_PEER_GONE;
  }
}

} // namespace

Result<std::unique_ptr<Host>> Host::open(sys::Fd link, sandbox::Boot boot,
                                         const char* plugin_path) {
  TRY(auto endpoint, ipc::Endpoint::open(std::move(link), {}));
  std::unique_ptr<Host> host(new Host(std::move(endpoint), std::move(boot), plugin_path));
  TRY(host->table_, HostTable::open(*host->endpoint_, host->boot_));
  TRY(host->endpoint_->wake_by(host->table_->wake_fd()));
  host->endpoint_->hold_messages(true);
  host->endpoint_->on_record(
      [raw = host.get()](const ipc::LinkRecord& record) { raw->take_record(record); });
  host->endpoint_->on_cancel(
      [raw = host.get()](const ipc::ReplyTo& request) { raw->tell_cancelled(request); });
  host->endpoint_->on_ended([raw = host.get()](const ipc::Ended& ended) { raw->take_end(ended); });
  return host;
}

Host::Host(std::unique_ptr<ipc::Endpoint> endpoint, sandbox::Boot boot, const char* plugin_path)
    : endpoint_(std::move(endpoint)), boot_(std::move(boot)), plugin_path_(plugin_path) {}

int Host::run() {
  while (!leaving_) {
    const bool came = drain();
    obey_orders();
    tell_ends();
    const bool called = table_->call_back(own_time());
    const bool worked = work();
    if (called || worked)
      (void)endpoint_->rest(ipc::kNoWait); // orders, and messages on rings that were idle
    else if (!came && !leaving_)
      rest();
  }
  return EXIT_SUCCESS;
}

// Called from inside receive(): only notes down. What an order does may receive by itself
// (open_channel).
void Host::take_record(const ipc::LinkRecord& record) {
  if (record.type() == ipc::LinkType::Operate) {
    ipc::LinkRecord copy;
    copy.header = record.header;
    copy.bytes = record.bytes;
    orders_.push_back(std::move(copy));
  } else if (record.type() == ipc::LinkType::SetConfig) {
    const auto setting = record.as<ipc::SetConfig>();
    table_->set_config(setting.key, setting.value);
    changed_.emplace_back(setting.key);
  }
}

void Host::take_end(const ipc::Ended& ended) {
  ends_.push_back(ended);
}

// True if anything arrived: then it is worth looking again before sleeping. What needs a system
// call to be seen is rest()'s, or comes with every so many messages.
bool Host::drain() {
  bool any = false;
  for (int i = 0; i < kBatch && !leaving_; ++i) {
    auto message = endpoint_->receive(ipc::kAtHand);
    if (!message) { // the link is gone: nobody can ask for anything any more
      leaving_ = true;
      return true;
    }
    if (!*message) return any || !orders_.empty();
    any = true;
    deliver(**message);
    if (!orders_.empty()) break;
  }
  return any;
}

void Host::deliver(const ipc::Message& message) {
  const mohhos_plugin_t& plugin = library_->plugin();
  if (plugin.on_message != nullptr) {
    const mohhos_message_t view = table_->view_of(message);
    const bool has_memory = message.info.attachment != 0;
    if (has_memory) [[unlikely]]
      table_->offer_memory(&view, message);
    demand(plugin.on_message(self_, &view), "on_message");
    if (has_memory) [[unlikely]]
      table_->withdraw_memory(&view);
  }
  endpoint_->release(message);
}

// Called from inside receive(), as the ends of requests are.
void Host::tell_cancelled(const ipc::ReplyTo& request) {
  if (!running_ || library_->plugin().on_cancel == nullptr) return;
  const mohhos_request_t cancelled{.sender = request.asker.value,
                                   .correlation = request.correlation,
                                   .deadline_ns = request.deadline_ns};
  demand(library_->plugin().on_cancel(self_, &cancelled), "on_cancel");
}

void Host::tell_ends() {
  while (!ends_.empty() && running_) {
    const ipc::Ended ended = std::move(ends_.front());
    ends_.pop_front();
    if (library_->plugin().on_peer != nullptr)
      demand(library_->plugin().on_peer(self_, ended.peer.value, peer_event(ended.why.code)),
             "on_peer");
  }
}

void Host::obey_orders() {
  while (!orders_.empty()) {
    const auto order = orders_.front().as<ipc::Operate>();
    orders_.pop_front();
    obey(order);
  }
}

void Host::obey(const ipc::Operate& order) {
  const auto result = perform(order.operation);
  ipc::Done done;
  done.header.sequence = order.header.sequence;
  done.operation = order.operation;
  if (!result) {
    done.code = static_cast<std::int32_t>(result.error().code);
    put_text(done.text, result.error().text);
  }
  // A manager that is just being replaced does not read: wait for it, the answer must not be lost.
  for (;;) {
    const auto sent = endpoint_->send_record(done);
    if (sent || sent.error().code != Code::Refused) break;
    pollfd link{.fd = endpoint_->link_fd(), .events = POLLOUT, .revents = 0};
    ::poll(&link, 1, -1);
  }
  if (order.operation == ipc::Operation::Unload) leaving_ = true;
}

Result<> Host::perform(ipc::Operation operation) {
  switch (operation) {
  case ipc::Operation::Init: return init();
  case ipc::Operation::Start: return start();
  case ipc::Operation::Stop: return stop();
  case ipc::Operation::Configure: return configure();
  case ipc::Operation::Unload: unload(); return {};
  }
  return fail(Code::Unsupported, "this host does not know operation {}",
              static_cast<std::uint32_t>(operation));
}

// dlopen runs the plugin's constructors, under the first filter. Then, before anything else of the
// plugin runs, the second: nothing executable can be made any more.
Result<> Host::init() {
  if (library_) return fail(Code::BadState, "the plugin is initialised already");
  TRY(auto library, Library::open(plugin_path_, boot_.name));
  TRY(sandbox::tighten(boot_));
  library_ = library;
  changed_.clear();
  if (const char* spin = table_->find_config(kSpinKey); spin != nullptr) {
    unsigned value = 0;
    if (std::from_chars(spin, spin + std::strlen(spin), value).ec == std::errc())
      endpoint_->set_spin(std::chrono::microseconds(value));
  }
  // (How large rings are by default is the broker's, which knows the manifest.)
  endpoint_->set_rings(0, table_->find_config(kHugePagesKey) != nullptr);
  self_ = library.plugin().create(table_->table());
  if (self_ == nullptr) TRY(judge(MOHHOS_E_PLUGIN_FAILED, "create"));
  if (library.plugin().on_init != nullptr) TRY(judge(library.plugin().on_init(self_), "on_init"));
  return {};
}

Result<> Host::start() {
  if (self_ == nullptr || running_)
    return fail(Code::BadState, "start needs a plugin that is loaded and stopped");
  table_->allow_talking();
  if (library_->plugin().on_start != nullptr)
    TRY(judge(library_->plugin().on_start(self_), "on_start"));
  running_ = true;
  endpoint_->hold_messages(false);
  table_->want_work();
  return {};
}

Result<> Host::stop() {
  if (!running_) return fail(Code::BadState, "stop needs a plugin that runs");
  running_ = false;
  endpoint_->hold_messages(true); // what comes now waits in its ring, also for a process after us
  if (library_->plugin().on_stop != nullptr)
    TRY(judge(library_->plugin().on_stop(self_), "on_stop"));
  return {};
}

Result<> Host::configure() {
  if (self_ == nullptr) return fail(Code::BadState, "configure needs a plugin that is loaded");
  const auto changed = std::move(changed_);
  changed_.clear();
  if (library_->plugin().on_config == nullptr) return {};
  for (const std::string& key : changed)
    TRY(judge(library_->plugin().on_config(self_, key.c_str(), table_->find_config(key)),
              "on_config"));
  return {};
}

void Host::unload() {
  if (self_ == nullptr) return;
  if (running_) static_cast<void>(stop());
  if (library_->plugin().destroy != nullptr) library_->plugin().destroy(self_);
  self_ = nullptr;
}

// True if the plugin wants another slice at once.
bool Host::work() {
  if (!running_ || !table_->take_wake(own_time())) return false;
  if (library_->plugin().on_work == nullptr) return false; // the wake is taken all the same
  const std::int32_t result = library_->plugin().on_work(self_);
  demand(result, "on_work");
  if (result > 0) table_->want_work();
  return result > 0;
}

// Where the plugin's own clock stands: timers are its own work, so they wait until it runs. Looked
// at only while it waits for a time; that costs a tenth of a message's way.
Monotonic Host::own_time() const {
  return own_deadline() == ipc::kForever ? Monotonic::min() : std::chrono::steady_clock::now();
}

Monotonic Host::own_deadline() const {
  return running_ ? std::min(table_->wake_at(), table_->next_timer()) : ipc::kForever;
}

// Something of the plugin's own that waits for nobody.
bool Host::has_own_work() const {
  const Monotonic now = own_time();
  return table_->has_callbacks(now) || (running_ && table_->woken(now));
}

// Until something arrives. Another thread's wake() ends it, too.
void Host::rest() {
  table_->withdraw_answer();
  if (!has_own_work()) (void)endpoint_->rest(own_deadline());
}

} // namespace mohhos::loader
