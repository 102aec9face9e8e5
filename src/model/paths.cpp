#include "model/paths.hpp"

#include <cstdlib>

namespace mohhos::model {

Paths paths_under(const std::filesystem::path& root) {
  return {.run = root / "run/mohhos",
          .etc = root / "etc/mohhos",
          .state = root / "var/lib/mohhos",
          .log = root / "var/log/mohhos"};
}

Paths paths_of_user(const std::string& runtime_dir, const std::string& home) {
  const std::filesystem::path state = std::filesystem::path(home) / ".local/state/mohhos";
  return {.run = std::filesystem::path(runtime_dir) / "mohhos",
          .etc = std::filesystem::path(home) / ".config/mohhos",
          .state = state,
          .log = state / "log"};
}

std::filesystem::path default_socket() {
  if (const char* named = std::getenv("MOHHOS_SOCKET"); named != nullptr && *named != '\0')
    return named;
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR");
      runtime != nullptr && *runtime != '\0') {
    std::error_code ignored;
    auto own = std::filesystem::path(runtime) / "mohhos/control.sock";
    if (std::filesystem::exists(own, ignored)) return own;
  }
  return "/run/mohhos/control.sock";
}

} // namespace mohhos::model
