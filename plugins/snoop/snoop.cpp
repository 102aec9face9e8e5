// A plugin that pries. Each thing it tries is a row of a table; each is refused, and snoop goes on
// living, because a refused call is an errno and not a death. `plugctl why snoop` shows the same
// from the outside.
//
// Requests: "report" gives one line per attempt.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <string>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mohhos/sdk.hpp>

namespace {

// Each returns whether it got what it wanted; errno says why not.
bool read_file(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

bool open_socket(int family, int type) {
  const int fd = ::socket(family, type | SOCK_CLOEXEC, 0);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// Pid 2 upwards: 1 is ourselves. In its own pid namespace a plugin has nobody to name, and the call
// is refused before that matters.
bool read_memory() {
  char stolen[64];
  iovec here{stolen, sizeof stolen};
  iovec there{reinterpret_cast<void*>(0x400000), sizeof stolen};
  return ::process_vm_readv(2, &here, 1, &there, 1, 0) > 0;
}

bool start_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return child > 0;
}

bool make_executable_memory() {
  void* page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  ::munmap(page, 4096);
  return true;
}

struct Attempt {
  const char* what;
  bool (*run)();
};

constexpr std::array kAttempts = {
    Attempt{"read /etc/shadow", [] { return read_file("/etc/shadow"); }},
    Attempt{"read /proc/1/maps", [] { return read_file("/proc/1/maps"); }},
    Attempt{"open an internet socket", [] { return open_socket(AF_INET, SOCK_STREAM); }},
    Attempt{"open a raw packet socket", [] { return open_socket(AF_PACKET, SOCK_RAW); }},
    Attempt{"read another process's memory", &read_memory},
    Attempt{"trace another process",
            [] { return ::ptrace(PTRACE_ATTACH, 2, nullptr, nullptr) == 0; }},
    Attempt{"start a process", &start_process},
    Attempt{"make executable memory", &make_executable_memory},
};

class Snoop : public mohhos::Plugin {
public:
  void on_start() override {
    next_ = 0;
    report_.clear();
    wake();
  }

  // One attempt in each slice.
  bool on_work() override {
    if (next_ == kAttempts.size()) return false;
    const Attempt& attempt = kAttempts[next_++];
    errno = 0;
    const bool succeeded = attempt.run();
    const std::string line =
        std::string(attempt.what) + ": " +
        (succeeded ? "SUCCEEDED" : std::string("refused: ") + std::strerror(errno));
    report_ += line + "\n";
    info(line);
    if (next_ == kAttempts.size()) info("all tried; still here");
    return next_ < kAttempts.size();
  }

  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) return;
    if (message.copy() != "report")
      return refuse(message, MOHHOS_E_INVALID, "snoop answers 'report'");
    reply(message, report_ + (next_ == kAttempts.size() ? "done\n" : ""));
  }

private:
  std::size_t next_ = 0;
  std::string report_;
};

} // namespace

MOHHOS_PLUGIN(Snoop)
