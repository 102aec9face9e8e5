#include "loader/last_words.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>
#include <utility>

#if !defined(__x86_64__)
#error "the SIGSYS handler writes the result into a register of x86-64"
#endif

namespace mohhos::loader {
namespace {

constexpr std::size_t kAlternateStack = 16 * 1024;

struct Watch {
  int link = -1;
  std::atomic<bool> spoken = false; // last words are said once, by whoever is first
  std::atomic_flag remembering;     // set: a thread is at the next two
  char remembered[ipc::kTextSize] = {};
  std::size_t remembered_size = 0;
  char taken[ipc::kTextSize] = {}; // out of there, by the main thread
  alignas(16) char stack[kAlternateStack];
};
Watch watch;

// Async-signal-safe: a struct on the stack and one send(2). A link that is full or gone changes
// nothing.
template <class Record>
void say(const Record& record) noexcept {
  const int saved = errno;
  ::send(watch.link, &record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT);
  errno = saved;
}

void put(char (&array)[ipc::kTextSize], std::string_view text) noexcept {
  const std::size_t size = text.size() < ipc::kTextSize ? text.size() : ipc::kTextSize - 1;
  std::memcpy(array, text.data(), size);
}

// Any thread may fail, and at once with another: each has a copy of a kilobyte, at most, to wait
// for.
void begin_remembering() noexcept {
  while (watch.remembering.test_and_set(std::memory_order_acquire)) {
  }
}
void end_remembering() noexcept {
  watch.remembering.clear(std::memory_order_release);
}

void say_last_words(ipc::LastWordsKind kind, int value, std::string_view text) noexcept {
  if (watch.spoken.exchange(true)) return;
  ipc::LastWords words;
  words.kind = kind;
  words.value = value;
  put(words.text, text);
  say(words);
}

extern "C" {

void on_fault(int signal, siginfo_t* info, void*) noexcept {
  // No formatting in here that could lock: the address in hexadecimal, by hand.
  char text[64] = "at address 0x";
  std::size_t size = std::strlen(text);
  auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (int shift = 60; shift >= 0; shift -= 4)
    text[size++] = "0123456789abcdef"[address >> static_cast<unsigned>(shift) & 15U];
  say_last_words(ipc::LastWordsKind::Signal, signal, {text, size});
  // SA_RESETHAND has restored the default: returning repeats the fault, which the kernel forces.
  // One that was sent (kill) does not repeat itself and does not end a pid 1.
  if (info->si_code <= 0) ::_exit(128 + signal);
}

void on_abort(int, siginfo_t*, void*) noexcept {
  // Waiting for a thread that is in the middle of a sentence could be waiting for ourselves.
  const bool whole = !watch.remembering.test_and_set(std::memory_order_acquire);
  const std::size_t size = whole ? watch.remembered_size : 0;
  say_last_words(ipc::LastWordsKind::Abort, SIGABRT, {watch.remembered, size});
  ::_exit(128 + SIGABRT);
}

void on_refused(int, siginfo_t* info, void* raw) noexcept {
  auto* context = static_cast<ucontext_t*>(raw);
  auto& registers = context->uc_mcontext.gregs;
  ipc::RefusedCall call;
  call.syscall = info->si_syscall;
  constexpr std::array kArguments = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
  for (std::size_t i = 0; i < kArguments.size(); ++i)
    call.arguments[i] = static_cast<std::uint64_t>(registers[kArguments[i]]);
  call.instruction = reinterpret_cast<std::uintptr_t>(info->si_call_addr);
  say(call);
  registers[REG_RAX] = -EACCES;
}

} // extern "C"

// exit() by somebody else than leave().
void on_exit_called(int status, void*) noexcept {
  say_last_words(ipc::LastWordsKind::Exit, status, "the plugin called exit()");
  ::_exit(status);
}

// An exception that reached the host's own frames: a plugin without the SDK threw through the C
// interface.
[[noreturn]] void on_terminate() noexcept {
  std::string_view text = "an exception left the plugin";
  if (const auto current = std::current_exception()) {
    try {
      std::rethrow_exception(current);
    } catch (const std::exception& exception) {
      die(ipc::LastWordsKind::Exception, exception.what());
    } catch (...) {
      text = "an exception that is not a std::exception left the plugin";
    }
  }
  die(ipc::LastWordsKind::Exception, text);
}

void handle(int signal, void (*handler)(int, siginfo_t*, void*), unsigned flags) noexcept {
  struct sigaction action{};
  action.sa_sigaction = handler;
  action.sa_flags = static_cast<int>(static_cast<unsigned>(SA_SIGINFO | SA_ONSTACK) | flags);
  ::sigaction(signal, &action, nullptr);
}

} // namespace

void watch_for_death(int link) noexcept {
  watch.link = link;
  const stack_t stack{.ss_sp = watch.stack, .ss_flags = 0, .ss_size = sizeof watch.stack};
  ::sigaltstack(&stack, nullptr);
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE})
    handle(signal, &on_fault, SA_RESETHAND);
  handle(SIGABRT, &on_abort, 0);
  handle(SIGSYS, &on_refused, SA_RESTART | SA_NODEFER);
  ::signal(SIGPIPE, SIG_IGN);
  std::set_terminate(&on_terminate);
  ::on_exit(&on_exit_called, nullptr); // atexit's sister that knows the status
}

void remember(std::string_view text) noexcept {
  const std::size_t size = text.size() < ipc::kTextSize ? text.size() : ipc::kTextSize - 1;
  begin_remembering();
  std::memcpy(watch.remembered, text.data(), size);
  watch.remembered_size = size;
  end_remembering();
}

std::string_view take_remembered() noexcept {
  begin_remembering();
  const std::size_t size = std::exchange(watch.remembered_size, 0);
  std::memcpy(watch.taken, watch.remembered, size);
  end_remembering();
  return {watch.taken, size};
}

void die(ipc::LastWordsKind kind, std::string_view text) noexcept {
  say_last_words(kind, 0, text);
  ::_exit(1);
}

void leave(int status) noexcept {
  watch.spoken.store(true);
  ::_exit(status);
}

} // namespace mohhos::loader
