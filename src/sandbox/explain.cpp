#include "sandbox/explain.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#include "sandbox/filter.hpp"
#include "sandbox/syscalls.hpp"

namespace mohhos::sandbox {
namespace {

enum class Topic : unsigned char {
  Opening,
  Network,
  OtherProcesses,
  NewProcesses,
  ExecutableMemory,
  PassingDescriptors,
  SharedFlags,
  SharedMemory,
  Signals,
  Kernel,
  Namespaces,
  Privileges,
  Keys,
  Devices,
  Directory,
  Other
};

struct TopicRow {
  int number;
  Topic topic;
};
constexpr std::array kTopics = {
    TopicRow{SYS_open, Topic::Opening},
    TopicRow{SYS_openat, Topic::Opening},
    TopicRow{SYS_openat2, Topic::Opening},
    TopicRow{SYS_creat, Topic::Opening},
    TopicRow{SYS_socket, Topic::Network},
    TopicRow{SYS_socketpair, Topic::Network},
    TopicRow{SYS_connect, Topic::Network},
    TopicRow{SYS_bind, Topic::Network},
    TopicRow{SYS_listen, Topic::Network},
    TopicRow{SYS_accept, Topic::Network},
    TopicRow{SYS_accept4, Topic::Network},
    TopicRow{SYS_setsockopt, Topic::Network},
    TopicRow{SYS_sendto, Topic::Network},
    TopicRow{SYS_sendmsg, Topic::PassingDescriptors},
    TopicRow{SYS_sendmmsg, Topic::PassingDescriptors},
    TopicRow{SYS_ptrace, Topic::OtherProcesses},
    TopicRow{SYS_process_vm_readv, Topic::OtherProcesses},
    TopicRow{SYS_process_vm_writev, Topic::OtherProcesses},
    TopicRow{SYS_pidfd_open, Topic::OtherProcesses},
    TopicRow{SYS_pidfd_getfd, Topic::OtherProcesses},
    TopicRow{SYS_process_madvise, Topic::OtherProcesses},
    TopicRow{SYS_kcmp, Topic::OtherProcesses},
    TopicRow{SYS_prlimit64, Topic::Privileges},
    TopicRow{SYS_clone, Topic::NewProcesses},
    TopicRow{SYS_clone3, Topic::NewProcesses},
    TopicRow{SYS_fork, Topic::NewProcesses},
    TopicRow{SYS_vfork, Topic::NewProcesses},
    TopicRow{SYS_execve, Topic::NewProcesses},
    TopicRow{SYS_execveat, Topic::NewProcesses},
    TopicRow{SYS_mmap, Topic::ExecutableMemory},
    TopicRow{SYS_mprotect, Topic::ExecutableMemory},
    TopicRow{SYS_pkey_mprotect, Topic::ExecutableMemory},
    TopicRow{SYS_memfd_create, Topic::ExecutableMemory},
    TopicRow{SYS_memfd_secret, Topic::ExecutableMemory},
    TopicRow{SYS_remap_file_pages, Topic::ExecutableMemory},
    TopicRow{SYS_personality, Topic::ExecutableMemory},
    TopicRow{SYS_shmat, Topic::ExecutableMemory},
    TopicRow{SYS_fcntl, Topic::SharedFlags},
    TopicRow{SYS_madvise, Topic::SharedMemory},
    TopicRow{SYS_fallocate, Topic::SharedMemory},
    TopicRow{SYS_kill, Topic::Signals},
    TopicRow{SYS_tkill, Topic::Signals},
    TopicRow{SYS_tgkill, Topic::Signals},
    TopicRow{SYS_rt_sigqueueinfo, Topic::Signals},
    TopicRow{SYS_pidfd_send_signal, Topic::Signals},
    TopicRow{SYS_bpf, Topic::Kernel},
    TopicRow{SYS_perf_event_open, Topic::Kernel},
    TopicRow{SYS_userfaultfd, Topic::Kernel},
    TopicRow{SYS_io_uring_setup, Topic::Kernel},
    TopicRow{SYS_io_uring_enter, Topic::Kernel},
    TopicRow{SYS_io_uring_register, Topic::Kernel},
    TopicRow{SYS_seccomp, Topic::Privileges},
    TopicRow{SYS_prctl, Topic::Privileges},
    TopicRow{SYS_setuid, Topic::Privileges},
    TopicRow{SYS_setresuid, Topic::Privileges},
    TopicRow{SYS_setgid, Topic::Privileges},
    TopicRow{SYS_setresgid, Topic::Privileges},
    TopicRow{SYS_setgroups, Topic::Privileges},
    TopicRow{SYS_capset, Topic::Privileges},
    TopicRow{SYS_unshare, Topic::Namespaces},
    TopicRow{SYS_setns, Topic::Namespaces},
    TopicRow{SYS_mount, Topic::Namespaces},
    TopicRow{SYS_umount2, Topic::Namespaces},
    TopicRow{SYS_chroot, Topic::Namespaces},
    TopicRow{SYS_fsopen, Topic::Namespaces},
    TopicRow{SYS_open_tree, Topic::Namespaces},
    TopicRow{SYS_move_mount, Topic::Namespaces},
    TopicRow{SYS_keyctl, Topic::Keys},
    TopicRow{SYS_add_key, Topic::Keys},
    TopicRow{SYS_request_key, Topic::Keys},
    TopicRow{SYS_ioctl, Topic::Devices},
    TopicRow{SYS_chdir, Topic::Directory},
    TopicRow{SYS_fchdir, Topic::Directory},
};

struct Text {
  Topic topic;
  std::string_view rule;
  std::string_view hint;
};
constexpr std::array kTexts = {
    Text{Topic::Network, "network: a plugin has no sockets of its own",
         "can_access_network with [acl] connect = [\"host:port\"] would be the capability, but "
         "connections are not "
         "available in this version; talk to other plugins over channels"},
    Text{Topic::OtherProcesses, "other processes: a plugin sees and touches only itself",
         "no capability allows it"},
    Text{Topic::ExecutableMemory,
         "executable memory: none can be made besides the plugin's own code",
         "no capability allows executable memory"},
    Text{Topic::PassingDescriptors,
         "descriptors: a plugin may not pass any on, so sendmsg is closed",
         "use send or write; data for other plugins goes over channels"},
    Text{Topic::SharedFlags, "descriptors: flags and seals belong to everybody who shares them",
         "no capability allows it; use MSG_DONTWAIT or a deadline instead of O_NONBLOCK"},
    Text{Topic::SharedMemory, "shared memory: holes may not be punched into it",
         "no capability allows it; free memory with MADV_DONTNEED or munmap"},
    Text{Topic::Signals, "signals: a plugin may only signal itself",
         "can_create_processes = true lets it signal the processes that it started"},
    Text{Topic::Kernel, "kernel: this interface is closed to every plugin",
         "no capability allows it"},
    Text{Topic::Privileges, "privileges: a plugin cannot change its own confinement",
         "no capability allows it"},
    Text{Topic::Namespaces, "namespaces: a plugin cannot build or enter any",
         "no capability allows it"},
    Text{Topic::Keys, "keys: the kernel's keyrings are closed to every plugin",
         "no capability allows it"},
    Text{Topic::Directory, "working directory: it is always /", "use absolute paths, or openat"},
};

Topic topic_of(int number) {
  const auto found = std::ranges::find(kTopics, number, &TopicRow::number);
  return found != kTopics.end() ? found->topic : Topic::Other;
}

bool wants_to_write(const model::Refusal& refusal) {
  if (refusal.syscall == SYS_creat) return true;
  if (refusal.syscall != SYS_open && refusal.syscall != SYS_openat)
    return false; // openat2's flags are in memory
  const std::uint64_t flags = refusal.arguments[refusal.syscall == SYS_open ? 1 : 2];
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

std::string with_capability(model::Capability capability, model::CapabilitySet granted,
                            std::string_view plugin) {
  if (granted.has(capability)) return {};
  const std::string_view name = model::capability_name(capability);
  return fmt::format(
      "[capabilities] {0} = true in plugin.toml, and the operator's consent (plugctl grant {1} "
      "--capability {0})",
      name, plugin);
}

Explanation explain_opening(const model::Refusal& refusal, std::string_view plugin,
                            model::CapabilitySet granted) {
  const bool write = wants_to_write(refusal);
  if (refusal.path.empty()) return {"filesystem: the path could not be read", "pass a valid path"};
  if (refusal.path.starts_with("/proc") || refusal.path.starts_with("/sys"))
    return {"filesystem: a plugin has no /proc and no /sys", "no capability allows it"};
  const bool device = refusal.path.starts_with("/dev/");
  const std::string_view key = device ? "devices" : (write ? "write" : "read");
  const std::string_view option = device ? "device" : key;
  const auto capability = device ? model::Capability::Hardware : model::Capability::Filesystem;
  std::string hint = fmt::format("[acl] {} = [{}] in plugin.toml", key, quote(refusal.path));
  if (!granted.has(capability))
    hint += fmt::format(" with [capabilities] {} = true", model::capability_name(capability));
  hint += fmt::format(", and the operator's grant: plugctl grant {} --{} {}", plugin, option,
                      refusal.path);
  return {device ? "hardware: the device is not granted"
                 : (write ? "filesystem: the path is not granted for writing"
                          : "filesystem: the path is not granted"),
          std::move(hint)};
}

Explanation explain_new_process(const model::Refusal& refusal, std::string_view plugin,
                                model::CapabilitySet granted) {
  constexpr std::uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                        CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (refusal.syscall == SYS_clone && (refusal.arguments[0] & kNamespaces) != 0)
    return {"namespaces: a plugin cannot build or enter any", "no capability allows it"};
  std::string hint = with_capability(model::Capability::CreateProcesses, granted, plugin);
  if (hint.empty())
    hint = "granted; it failed for another reason (the program must lie under a granted path)";
  return {"processes: a plugin may make threads, not processes", std::move(hint)};
}

Explanation explain_other(int number, std::string_view plugin, model::CapabilitySet granted) {
  const Opening opening = find_opening(number);
  if (opening.verdict == Verdict::Kill)
    return {"kernel: the call ends the plugin", "no capability allows it"};
  if (opening.any_capability && !granted.has(opening.capability))
    return {fmt::format("{} is not among the calls of a plugin without {}", syscall_name(number),
                        model::capability_name(opening.capability)),
            with_capability(opening.capability, granted, plugin)};
  if (opening.conditional)
    return {fmt::format("{} is allowed, but not with these arguments", syscall_name(number)),
            "no capability allows it"};
  return {fmt::format("{} is not among the calls of a plugin", syscall_name(number)),
          "no capability allows it"};
}

} // namespace

Explanation explain(const model::Refusal& refusal, std::string_view plugin,
                    model::CapabilitySet granted) {
  if (refusal.verdict == model::Verdict::Allowed) return {"granted by the access control list", ""};
  const Topic topic = topic_of(refusal.syscall);
  if (topic == Topic::Opening) return explain_opening(refusal, plugin, granted);
  if (topic == Topic::NewProcesses) return explain_new_process(refusal, plugin, granted);
  const auto text = std::ranges::find(kTexts, topic, &Text::topic);
  if (text == kTexts.end()) return explain_other(refusal.syscall, plugin, granted);
  return {std::string(text->rule), std::string(text->hint)};
}

void put_into_words(model::Refusal& refusal, std::string_view plugin,
                    model::CapabilitySet granted) {
  refusal.call = render_call(refusal.syscall, refusal.arguments, refusal.path);
  Explanation words = explain(refusal, plugin, granted);
  refusal.rule = std::move(words.rule);
  refusal.hint = std::move(words.hint);
}

} // namespace mohhos::sandbox
