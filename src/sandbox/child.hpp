// The child half of a launch: between clone and exec, straight down, nothing but system calls.
//
// It runs in a copy of the warden's memory, possibly of a warden in any state: no allocation, no
// locks, no library function that is not async-signal-safe. Everything it needs was prepared in a
// ChildPlan; every failure goes through the gate with its step, errno and wall.
#pragma once

#include <array>
#include <span>

#include <sys/resource.h>
#include <sys/types.h>

namespace mohhos::sandbox {

struct PlannedMount {
  int tree = -1;           // a detached tree with its flags set; -1: a symbolic link
  bool directory = false;  // what is to be bound is a directory
  bool device = false;     // for the report only
  const char* target = ""; // absolute, normal
  const char* link_text = "";
};

struct PlannedLimit {
  int resource = 0;
  rlim_t value = 0; // or the present hard limit where that is lower
};

struct ChildPlan {
  std::span<const int> doors;           // Group::open_doors
  std::span<const PlannedMount> mounts; // parents before what lies in them
  std::span<const PlannedLimit> limits;
  const char* tmp_size = ""; // fsconfig's words
  const char* tmp_inodes = "";
  uid_t id = 0; // uid and gid inside
  bool drop_groups = true;
  int gate = -1; // blocking
  int host = -1;
  std::array<int, 6> descriptors{}; // become 0…5; the last is the gate
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
};

[[noreturn]] void run_child(const ChildPlan& plan) noexcept; // [child]

} // namespace mohhos::sandbox
