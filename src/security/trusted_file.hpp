// Files that decide who is trusted: they belong to root or to the daemon's own user, and nobody
// else may write them. (A file that anybody could have written says what anybody likes.)
#pragma once

#include <filesystem>
#include <string>

#include "base/units.hpp"
#include "sys/status.hpp"

namespace mohhos::security {

// Untrusted names the path, what is wrong with it and the command that mends it. [any]
[[nodiscard]] Result<> check_owner(const std::filesystem::path& path,
                                   const sys::FileStatus& status);

// The content of such a file, checked on the opened file itself. NotFound: there is none. [any]
[[nodiscard]] Result<std::string> read_trusted_file(const std::filesystem::path& path, Bytes limit);

} // namespace mohhos::security
