// The seccomp listener of one plugin: every call that its filter does not allow waits here for a
// ruling (sandbox/ruling.hpp), and the manager hears of it.
//
// A plugin that floods is read more slowly: its own calls wait, nobody else's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <linux/seccomp.h>

#include "base/token_bucket.hpp"
#include "sandbox/ruling.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"
#include "warden/protocol.hpp"

namespace mohhos::warden {

class Listener {
public:
  // Tells the manager; false: nobody could be told, and it is counted as lost.
  using Report = std::function<bool(Attempt&)>;
  // The spec must outlive the listener. Nothing is reported before report_from_now_on(): until then
  // it is the host, trying its walls. [loop]
  [[nodiscard]] static Result<std::unique_ptr<Listener>>
  open(sys::Loop& loop, sys::Fd fd, const sandbox::Spec& spec, Report report);
  void report_from_now_on() { reporting_ = true; }
  // The plugin is loaded: from now on no code is mapped any more. [loop]
  void settle() { phase_ = sandbox::Phase::Settled; }

private:
  Listener(sys::Loop& loop, sys::Fd fd, const sandbox::Spec& spec, Report report);
  void read_some();
  void pause();
  void decide(const seccomp_notif& call);

  sys::Loop& loop_;
  sys::Fd fd_;
  const sandbox::Spec& spec_;
  Report report_;
  TokenBucket bucket_;
  sys::Source ready_;
  sys::Source resume_;
  std::uint32_t lost_ = 0;
  bool reporting_ = false;
  sandbox::Phase phase_ = sandbox::Phase::Loading;
};

} // namespace mohhos::warden
