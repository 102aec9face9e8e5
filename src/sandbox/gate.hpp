// The gate: what a child on its way into the sandbox and the warden say to each other, before any
// code of the plugin runs. SOCK_SEQPACKET, fixed-size records, no descriptors beside them.
//
//   warden                         child (spawn's child half, then mohhos-plugin-host)
//   Proceed  ───────────────────▶  id maps and groups are in place: build root, drop everything,
//   exec
//            ◀───────────────────  Failed, from whichever step said no; or
//            ◀───────────────────  Listening: the first filter is on; `listener` is its
//            notification descriptor
//   (pidfd_getfd of that number: the filter already forbids sendmsg, so it cannot be sent)
//   Proceed  ───────────────────▶  closes its copy, probes the rest of the walls
//            ◀───────────────────  Confined: what stands
//   Go       ───────────────────▶  closes the gate, loads the plugin
//
// The warden trusts nothing of this for more than a report: it looks at the process from outside
// too. A closed gate is a refusal, at either end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <variant>

#include "model/wall.hpp"
#include "sys/fd.hpp"

namespace mohhos::sandbox {

inline constexpr std::uint32_t kGateVersion = 1;
inline constexpr std::size_t kGateText = 256;

enum class GateType : std::uint32_t {
  Proceed = 1, // warden → child
  Go,          // warden → child
  Failed = 64, // child → warden
  Listening,
  Confined,
};

// The steps of a child's way in, in their order; step_name() says each in words.
enum class Step : std::uint32_t {
  Groups = 1,
  WaitForParent,
  Identity,
  PrivateMounts,
  Root,
  Mounts,
  Tmp,
  Devices,
  SealRoot,
  Pivot,
  Descriptors,
  Session,
  Rlimits,
  Capabilities,
  NoNewPrivileges,
  Exec,
  Boot, // from here on in mohhos-plugin-host
  Dumpable,
  MemoryDenyWriteExecute,
  Landlock,
  Filter,
  Listener,
  Probe,
};

struct GateHeader {
  std::uint32_t version = kGateVersion;
  GateType type{};
};

struct GateSignal { // Proceed, Go
  GateHeader header;
};

struct GateFailed {
  GateHeader header{.type = GateType::Failed};
  Step step{};
  std::int32_t error_number = 0; // errno; 0: none
  std::uint32_t wall = 0;        // model::Wall
  char text[kGateText] = {};     // what was tried
};

struct GateListening {
  GateHeader header{.type = GateType::Listening};
  std::int32_t listener = -1; // in the child
  std::uint32_t landlock_abi = 0;
};

struct GateConfined {
  GateHeader header{.type = GateType::Confined};
  model::WallSet standing =
      0; // what the child found by trying; the warden adds what only it can see
  std::uint32_t landlock_abi = 0;
  char text[kGateText] = {}; // the first wall that did not stand, and how that showed; empty: none
};

template <class T>
inline constexpr bool kIsGateRecord =
    std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T> &&
    offsetof(T, header) == 0;
static_assert(kIsGateRecord<GateSignal> && kIsGateRecord<GateFailed> &&
              kIsGateRecord<GateListening> && kIsGateRecord<GateConfined>);

// "mount the private root", … [pure]
[[nodiscard]] std::string_view step_name(Step step) noexcept;

// The warden's side. `gate` is Spawned::gate, non-blocking.
struct GateClosed {}; // the child is gone or gave up without a word
using GateReport = std::variant<GateClosed, GateFailed, GateListening, GateConfined>;
// The child's next record; nothing when none is waiting. Malformed: kill it. Texts are
// NUL-terminated. [any]
[[nodiscard]] Result<std::optional<GateReport>> receive_report(int gate);
// Proceed or Go. [any]
[[nodiscard]] Result<> send_signal_to_child(int gate, GateType type);
// Fetches the listener out of the child (needs ptrace rights over it, which the parent of its user
// namespace has). Close-on-exec; checks that it is a seccomp listener by asking it. [any]
[[nodiscard]] Result<sys::Fd> take_listener(int pidfd, const GateListening& listening);
// One sentence: "mount the private root: size=16777216: No space left on device". Code NoSandbox.
// [pure]
[[nodiscard]] Error to_error(const GateFailed& failed);

} // namespace mohhos::sandbox
