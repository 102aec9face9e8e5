// What is measured in one process: many channels at once, the memory of idle ones, and the parts of
// a send and a receive.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace mohhos::bench {

// Total messages per second over the active channels: alone, and with all the idle ones beside
// them.
struct FanResult {
  std::string name;
  int active = 0;
  int channels = 0; // with the idle ones
  std::vector<double> alone;
  std::vector<double> among_idle;
  std::string absent;
};
// 1 sender to 50 receivers, 50 senders to 1, 50 to 50 (every pair has a channel).
[[nodiscard]] std::vector<FanResult> measure_fans(std::chrono::milliseconds time);

// KiB for each channel that carried one message and is idle since, both ends together.
struct IdleMemory {
  int channels = 0;
  double ring_kib = 0;   // pages of the shared memories
  double heap_kib = 0;   // anonymous memory of the process
  double tables_kib = 0; // page tables
  double kernel_kib = 0; // slab: files, inodes, mappings, epoll. Of the whole machine: others count
  double returned_kib = 0; // ring pages again, after all of the ring was in use and given back
  [[nodiscard]] double total() const { return ring_kib + heap_kib + tables_kib + kernel_kib; }
};
[[nodiscard]] IdleMemory measure_idle_memory();

// ns for one message, one thread, everything in the first cache: what the instructions cost.
struct Part {
  std::string name;
  double ns = 0;
};
[[nodiscard]] std::vector<Part> measure_parts();

} // namespace mohhos::bench
