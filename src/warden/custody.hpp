// What the warden keeps for the manager and does not understand: descriptors under plugin, kind and
// key. They outlive the manager; its successor gets them all. Bounded per plugin and in all, so
// that a manager that was taken over cannot starve the launches of descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>

#include "sys/record_link.hpp"
#include "warden/protocol.hpp"

namespace mohhos::warden {

struct CustodyBounds {
  std::size_t per_plugin = 2048;
  std::size_t in_all = 8192;
};

class Custody {
public:
  explicit Custody(CustodyBounds bounds) : bounds_(bounds) {}

  // Replaces what was kept under the same names. Exhausted names the bound. [loop]
  [[nodiscard]] Result<> keep(const Keep& names, sys::Fd fd);
  // Kind 0: all of the plugin's. Nothing kept there is not an error. [loop]
  void forget(const Forget& names);
  // In the order of the handing over: plugin by plugin (0, the manager's own, first), a plugin's
  // Record before all else of it. [loop]
  void visit(const std::function<void(const Kept&, const sys::SharedFd&)>& visitor) const;
  [[nodiscard]] std::size_t size() const { return kept_.size(); }

private:
  struct Name {
    std::uint64_t plugin_id;
    KeepKind kind;
    std::uint64_t key;
    friend auto operator<=>(const Name&, const Name&) = default;
  };
  CustodyBounds bounds_;
  std::map<Name, sys::SharedFd> kept_;
  std::map<std::uint64_t, std::size_t> count_; // per plugin
};

} // namespace mohhos::warden
