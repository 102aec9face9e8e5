// Who waits for whom in a blocking call, and whether that can ever end.
//
// An endpoint has one thread, so it waits for one other at most: the graph is a set of chains, and
// a cycle is found by walking one. Who closes a cycle is told; the others go on waiting for what
// it will answer then.
#pragma once

#include <map>
#include <vector>

#include "base/ids.hpp"

namespace mohhos::ipc {

class WaitGraph {
public:
  // `waiter` waits for `on` from now on, and not for whom it waited before. If that closes a cycle:
  // those in it, beginning with the waiter, and the waiter does not count as waiting. [pure]
  [[nodiscard]] std::vector<PluginId> wait(PluginId waiter, PluginId on) {
    std::vector<PluginId> chain{waiter};
    for (PluginId next = on;; next = waits_.at(next)) {
      if (next == waiter) {
        waits_.erase(waiter);
        return chain;
      }
      chain.push_back(next);
      if (!waits_.contains(next)) break;
    }
    waits_[waiter] = on;
    return {};
  }
  void stop(PluginId waiter) { waits_.erase(waiter); }

private:
  std::map<PluginId, PluginId> waits_; // never a cycle: wait() does not let one in
};

} // namespace mohhos::ipc
