#include "sys/notification.hpp"

#include <algorithm>
#include <array>

#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mohhos::sys {
namespace {

void answer(int listener, seccomp_notif_resp verdict) {
  static_cast<void>(::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &verdict));
}

} // namespace

std::optional<seccomp_notif> receive_notification(int listener) {
  for (;;) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 0) != 1 || (waiting.revents & POLLIN) == 0) return std::nullopt;
    seccomp_notif call{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) return call;
    if (errno != ENOENT && errno != EINTR) return std::nullopt; // ENOENT: it died meanwhile
  }
}

bool still_waits(int listener, const seccomp_notif& call) {
  std::uint64_t id = call.id;
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void let_pass(int listener, const seccomp_notif& call) {
  answer(listener,
         {.id = call.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE});
}

void refuse(int listener, const seccomp_notif& call, int error_number) {
  answer(listener, {.id = call.id, .val = 0, .error = -error_number, .flags = 0});
}

bool read_memory(pid_t pid, std::uint64_t address, void* into, std::size_t size) {
  const iovec local{into, size};
  const iovec remote{reinterpret_cast<void*>(address), size}; // NOLINT(performance-no-int-to-ptr)
  return ::process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

std::optional<std::string> read_text(pid_t pid, std::uint64_t address) {
  constexpr std::size_t kPage = 4096;
  std::array<char, kPage> page;
  std::string text;
  while (text.size() < PATH_MAX) { // page by page: the next one may not be there
    const std::size_t size = std::min(kPage - address % kPage, PATH_MAX - text.size());
    if (!read_memory(pid, address, page.data(), size)) return std::nullopt;
    const auto last = page.begin() + static_cast<std::ptrdiff_t>(size);
    const auto end = std::find(page.begin(), last, '\0');
    text.append(page.begin(), end);
    if (end != last) return text;
    address += size;
  }
  return std::nullopt;
}

std::string path_of_descriptor(pid_t pid, int descriptor) {
  std::array<char, PATH_MAX> target;
  const std::string link = fmt::format("/proc/{}/fd/{}", pid, descriptor);
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

} // namespace mohhos::sys
