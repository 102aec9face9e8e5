// The plugin's process after confinement: takes the manager's orders, drives the plugin's
// callbacks.
//
// One thread, one loop: link records and messages come out of the Endpoint, the plugin's own work
// runs between them. The manager's orders are answered one by one, in order, with the plugin's own
// words when it failed. While the plugin is not RUNNING its messages stay in their rings.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "ipc/endpoint.hpp"
#include "loader/host_table.hpp"
#include "loader/library.hpp"
#include "sandbox/boot.hpp"

namespace mohhos::loader {

class Host {
public:
  // The link's descriptor is taken; watch_for_death() has been called on it.
  [[nodiscard]] static Result<std::unique_ptr<Host>> open(sys::Fd link, sandbox::Boot boot,
                                                          const char* plugin_path);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Until the plugin is unloaded or the link is gone; the process' exit status. [loop]
  [[nodiscard]] int run();

private:
  Host(std::unique_ptr<ipc::Endpoint> endpoint, sandbox::Boot boot, const char* plugin_path);

  void take_record(const ipc::LinkRecord& record);
  void take_end(const ipc::Ended& ended);
  [[nodiscard]] bool drain();
  void deliver(const ipc::Message& message);
  void tell_ends();
  void tell_cancelled(const ipc::ReplyTo& request);
  void obey_orders();
  void obey(const ipc::Operate& order);
  [[nodiscard]] Result<> perform(ipc::Operation operation);
  [[nodiscard]] Result<> init();
  [[nodiscard]] Result<> start();
  [[nodiscard]] Result<> stop();
  [[nodiscard]] Result<> configure();
  void unload();
  [[nodiscard]] bool work();
  [[nodiscard]] Monotonic own_time() const;
  [[nodiscard]] Monotonic own_deadline() const;
  [[nodiscard]] bool has_own_work() const;
  void rest();

  std::unique_ptr<ipc::Endpoint> endpoint_;
  sandbox::Boot boot_;
  const char* plugin_path_;
  std::unique_ptr<HostTable> table_;
  std::optional<Library> library_;
  void* self_ = nullptr;
  bool running_ = false;
  bool leaving_ = false;
  std::deque<ipc::LinkRecord> orders_;
  std::deque<ipc::Ended> ends_;
  std::vector<std::string> changed_; // configuration keys, until Configure
};

} // namespace mohhos::loader
