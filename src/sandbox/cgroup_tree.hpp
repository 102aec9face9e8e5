// The control groups' file system: where its hierarchies are mounted, where this process is in
// them, and what is done with one directory of theirs. What a group of ours is made of: cgroup.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace mohhos::sandbox {

// Where this process is in a hierarchy, as its own mounts show it.
struct OwnPlace {
  std::string mount; // "/sys/fs/cgroup/memory"
  std::string home;  // the directory of the group that we are in
  friend bool operator==(const OwnPlace&, const OwnPlace&) = default;
};
// `mounts` is /proc/self/mountinfo, `cgroups` /proc/self/cgroup; the controller is "memory", "cpu",
// "pids" of v1, or "" for the v2 tree. Nothing: not mounted, or we are not visible in it. [any]
[[nodiscard]] std::optional<OwnPlace>
find_hierarchy(std::string_view mounts, std::string_view cgroups, std::string_view controller);

// Of a list such as "cpu memory pids\n". [pure]
[[nodiscard]] bool has_word(std::string_view list, std::string_view word, char separator);
// The number of the line "key 12"; 0: there is none. [pure]
[[nodiscard]] std::uint64_t number_after(std::string_view text, std::string_view key);

[[nodiscard]] Result<sys::Fd> open_directory(const std::string& path);
[[nodiscard]] Result<> make_directory(const std::string& path);
// rmdir, with patience: a process that was just killed leaves its v1 groups a moment after the v2
// one. [any]
[[nodiscard]] Result<> remove_directory(const std::string& path,
                                        std::chrono::milliseconds patience);
// Waits until cgroup.events says `line` ("populated 0", "frozen 1"): the file polls POLLPRI on each
// change. False: it did not in time. [any]
[[nodiscard]] Result<bool> await_event(int directory, std::string_view line,
                                       std::chrono::milliseconds patience);

// --- pure v2: a group that hands controllers down may have no processes of its own ---

[[nodiscard]] bool enable(const std::string& directory, std::string_view controller);
[[nodiscard]] bool is_alone_in(const std::string& directory);
[[nodiscard]] bool move_self(const std::string& directory);

// --- what a life before us left ---

// Every directory called `name` beneath `top`, bounded in depth and number. [any]
[[nodiscard]] std::vector<std::string> find_directories(const std::string& top,
                                                        std::string_view name);
[[nodiscard]] std::vector<std::string> subdirectories(const std::string& path);
void kill_all_in(const std::string& path);

} // namespace mohhos::sandbox
