// TOML text into a protobuf message: the message's descriptor is the schema, and no field is mapped
// by hand.
//
// The text is first held against the descriptor, because only there file and line are known: an
// unknown key (with the nearest known one), a value of the wrong kind or out of its type's range.
// Then toml++ writes it as JSON and protobuf's own JSON mapping fills the message. This is the only
// file that includes toml++.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/units.hpp"

namespace google::protobuf {
class Message;
}

namespace mohhos::security {

// Where a value stands, for the errors of later checks. Paths: "acl.read[0]",
// "limits.max_memory_mb".
struct Source {
  std::string file;
  std::map<std::string, unsigned, std::less<>> lines = {};

  [[nodiscard]] bool has(std::string_view path) const { return lines.contains(path); }
  // "plugin.toml:12: ", or "plugin.toml: " where there is no line. [pure]
  [[nodiscard]] std::string at(std::string_view path) const;
};

// Fills `message`. Invalid names file, line, key, value and what is allowed; TooLarge names the
// limit. [pure]
[[nodiscard]] Result<Source> parse_toml(std::string_view text, std::string_view file, Bytes limit,
                                        google::protobuf::Message& message);

} // namespace mohhos::security
