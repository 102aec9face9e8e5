// A directory of the test's own, removed with all that is in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace mohhos::test {

// In memory where that is possible: for tests of what is written often, whose subject is no disk.
inline std::filesystem::path fast_place() {
  return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

class TemporaryDirectory {
public:
  explicit TemporaryDirectory(const std::filesystem::path& parent = "/tmp") {
    // Not "mohhos…" in /dev/shm: a daemon's test takes that for what its daemon left there.
    std::string name = (parent / (parent == "/dev/shm" ? "test-XXXXXX" : "mohhos-test-XXXXXX"));
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  operator const std::filesystem::path&() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace mohhos::test
