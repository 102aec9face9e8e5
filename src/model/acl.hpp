// What a plugin's capabilities apply to. In a manifest these are requests; in a Grant they are what
// is in force.
#pragma once

#include <string>
#include <vector>

namespace mohhos::model {

struct Acl {
  // Absolute paths of files or directories. In a manifest an entry may be "${key}": the operator's
  // configuration value of that key takes its place (and setting it is the consent).
  std::vector<std::string> read;
  std::vector<std::string> write;   // read and write
  std::vector<std::string> devices; // "/dev/dri/renderD128"
  std::vector<std::string> connect; // "host:port"
  // Peers by name, "type:<plugin type>", "application" (programs on the control socket), or "*".
  std::vector<std::string> send_to;
  std::vector<std::string> receive_from;
};

} // namespace mohhos::model
