// What one has not tried one does not know: the host tries what its walls should forbid, and
// reports only those that held. Two groups: before the first filter (which would otherwise answer
// in the place of the wall that is to be tried), and after it.
//
// Only probes whose success would do no harm, and only by raw system calls. Namespaces cannot be
// told apart from inside without /proc: spawn.hpp's inspect() sees to those.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/wall.hpp"

namespace mohhos::sandbox {

// A file in the private root that everything but Landlock would let the plugin read.
inline constexpr char kProbePath[] = "/.wall";

// The walls that the child can judge.
inline constexpr model::WallSet kProbedInside =
    model::wall_bit(model::Wall::OwnUid) | model::wall_bit(model::Wall::PrivateRoot) |
    model::wall_bit(model::Wall::NoCapabilities) | model::wall_bit(model::Wall::NoNewPrivileges) |
    model::wall_bit(model::Wall::Rlimits) | model::wall_bit(model::Wall::NoTerminal) |
    model::wall_bit(model::Wall::CleanDescriptors) |
    model::wall_bit(model::Wall::CleanEnvironment) | model::wall_bit(model::Wall::NoExecWrite) |
    model::wall_bit(model::Wall::Landlock) | model::wall_bit(model::Wall::LandlockScope) |
    model::wall_bit(model::Wall::Seccomp);

struct ProbeResult {
  model::WallSet standing = 0;
  char text[256] = {}; // the first that did not stand: "private-root: /proc can be opened"

  void stands(model::Wall wall) noexcept { standing |= model::wall_bit(wall); }
  // Keeps the first. [any]
  void falls(model::Wall wall, const char* how) noexcept;
};

// With Landlock on and no filter yet: PrivateRoot, NoCapabilities, NoNewPrivileges, Rlimits,
// NoTerminal, CleanDescriptors, CleanEnvironment, OwnUid (the ids inside), Landlock, LandlockScope.
// [any]
void probe_before_filter(ProbeResult& result, std::uint32_t landlock_abi) noexcept;

// With the filter on and somebody at its listener (two of the calls reach it: socket, mmap):
// Seccomp, NoExecWrite. [any]
void probe_after_filter(ProbeResult& result) noexcept;

} // namespace mohhos::sandbox
