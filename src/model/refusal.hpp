// Something that a plugin tried and was refused, or was allowed and is logged: the raw material of
// `plugctl why`.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/ids.hpp"

namespace mohhos::model {

enum class Verdict : unsigned char { Refused = 0, Allowed = 1 };

struct Refusal {
  Verdict verdict = Verdict::Refused;
  bool self_reported =
      false;                 // by the plugin's process (its SIGSYS handler), not seen by the warden
  std::int32_t syscall = -1; // x86-64 number
  std::array<std::uint64_t, 6> arguments{};
  std::uint64_t instruction = 0; // where the call was made, as the plugin's address space has it
  std::string path;           // the path argument where the call has one, as it was when we looked
  std::uint64_t count = 1;    // how often the same call with the same path was made
  std::uint64_t first_us = 0; // wall clock, µs since 1970
  std::uint64_t last_us = 0;
  // From the table of rules:
  std::string call; // openat("/etc/shadow", O_RDONLY)
  std::string rule; // filesystem: the path is not granted
  std::string hint; // [acl] read = ["/etc/shadow"] in plugin.toml, and the operator's grant
};

} // namespace mohhos::model
