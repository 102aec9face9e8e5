#include "harness/run.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace mohhos::test {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> merged_environment(const Environment& more) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!more.contains(text.substr(0, text.find('=')))) merged.push_back(text);
  }
  for (const auto& [key, value] : more) merged.push_back(fmt::format("{}={}", key, value));
  return merged;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
};

// False at end of file.
bool read_some(int fd, std::string& into) {
  std::array<char, 65536> buffer;
  const ssize_t size = read(fd, buffer.data(), buffer.size());
  if (size > 0) into.append(buffer.data(), static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && errno == EINTR);
}

// Until both pipes are closed and the process has ended; false when the time is over.
bool collect(std::array<pollfd, 3>& fds, Outcome& outcome, Clock::time_point deadline) {
  while (fds[0].fd >= 0 || fds[1].fd >= 0 || fds[2].fd >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || poll(fds.data(), fds.size(), static_cast<int>(left)) == 0) return false;
    if (fds[0].revents != 0 && !read_some(fds[0].fd, outcome.out)) fds[0].fd = -1;
    if (fds[1].revents != 0 && !read_some(fds[1].fd, outcome.err)) fds[1].fd = -1;
    if (fds[2].revents != 0) fds[2].fd = -1;
    // A daemon that a script left behind may hold the pipes: the process' own end is enough.
    if (fds[2].fd < 0 && poll(fds.data(), 2, 0) == 0) return true;
  }
  return true;
}

} // namespace

Outcome run(const std::vector<std::string>& arguments, const Environment& more,
            std::chrono::milliseconds timeout) {
  const Pipe out;
  const Pipe err;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write_end, 1);
  posix_spawn_file_actions_adddup2(&actions, err.write_end, 2);
  const std::vector<std::string> environment = merged_environment(more);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, arguments[0].c_str(), &actions, nullptr,
                                  pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  close(out.write_end);
  close(err.write_end);
  Outcome outcome;
  if (failed != 0) {
    outcome.err = fmt::format("{}: {}", arguments[0], std::strerror(failed));
    outcome.code = 127;
  } else {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    std::array<pollfd, 3> fds{
        {{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}, {pidfd, POLLIN, 0}}};
    const bool ended = collect(fds, outcome, Clock::now() + timeout);
    if (!ended) kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    outcome.code = !ended ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    close(pidfd);
  }
  close(out.read_end);
  close(err.read_end);
  return outcome;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::filesystem::path program(const std::string& name) {
  return std::filesystem::path(MOHHOS_BUILD_DIR) / "bin" / name;
}

std::string json(const std::string& text, const std::string& path) {
  auto value = nlohmann::json::parse(text, nullptr, false);
  std::istringstream keys(path);
  for (std::string key; std::getline(keys, key, '.');) {
    if (value.is_array() && std::stoul(key) < value.size()) {
      value = nlohmann::json(value[std::stoul(key)]);
    } else if (value.is_object() && value.contains(key)) {
      value = nlohmann::json(value[key]);
    } else {
      return "";
    }
  }
  return value.is_discarded() ? "" : value.is_string() ? value.get<std::string>() : value.dump();
}

long number(const std::string& text) {
  return std::strtol(text.c_str(), nullptr, 10);
}

} // namespace mohhos::test
