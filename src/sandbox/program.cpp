#include "sandbox/program.hpp"

#include <cerrno>
#include <cstddef>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/boot.hpp"
#include "sandbox/filter.hpp"
#include "sys/fd.hpp"

namespace mohhos::sandbox {
namespace {

constexpr unsigned kApiLevel =
    6; // notification; said, because finding out takes calls that we may not make
constexpr int kBinaryTree = 2; // a lookup in log n instead of n comparisons
constexpr std::uint32_t kX32Bit = 0x40000000U;
constexpr std::uint32_t kFirstUnused = 335; // x86-64 leaves 335 to 423 to nobody
constexpr std::uint32_t kFirstUnified = 424;

constexpr std::uint32_t kArch = offsetof(seccomp_data, arch);
constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);

// Jumps are relative to the next instruction; the rules of libseccomp's program follow at 10.
constexpr std::array<sock_filter, 10> kPrelude = {{
    /* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArch),
    /* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),
    /* 2 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
    /* 3 */ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kLastKnownSyscall, 0, 2),
    /* 4 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 2 * kX32Bit, 3, 0),
    /* 5 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 3, 2),
    /* 6 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstUnused, 0, 3),
    /* 7 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstUnified, 2, 0),
    /* 8 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    /* 9 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
}};

Result<> check(int result, std::string_view what) {
  if (result != 0) return fail_errno(-result, fmt::format("libseccomp: {}", what));
  return {};
}

// libseccomp 2.5 writes to descriptors only.
Result<std::vector<sock_filter>> export_program(void* context) {
  const sys::Fd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file) return fail_errno("memfd_create");
  TRY(check(seccomp_export_bpf(context, file.get()), "export"));
  const off_t size = ::lseek(file.get(), 0, SEEK_CUR);
  if (size <= 0 || static_cast<std::size_t>(size) % sizeof(sock_filter) != 0)
    return fail(Code::Failed, "libseccomp: a program of {} bytes", size);
  std::vector<sock_filter> code(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), code.data(), static_cast<std::size_t>(size), 0) != size)
    return fail_errno("pread");
  return code;
}

} // namespace

Result<Program> Program::open(std::uint32_t default_action) {
  TRY(check(seccomp_api_set(kApiLevel), "API level"));
  Program program(seccomp_init(default_action));
  if (!program.context_) return fail(Code::Failed, "libseccomp: init");
  TRY(check(seccomp_attr_set(program.context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree),
            "optimize"));
  TRY(check(
      seccomp_attr_set(program.context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
      "bad arch"));
  return program;
}

Result<> Program::add(std::uint32_t action, int number, std::span<const Condition> conditions) {
  std::array<scmp_arg_cmp, 6> comparisons{};
  if (conditions.size() > comparisons.size())
    return fail(Code::Invalid, "a rule with {} conditions", conditions.size());
  for (std::size_t i = 0; i < conditions.size(); ++i)
    comparisons[i] = {.arg = conditions[i].argument,
                      .op = SCMP_CMP_MASKED_EQ,
                      .datum_a = conditions[i].mask,
                      .datum_b = conditions[i].value};
  return check(seccomp_rule_add_exact_array(context_.get(), action, number,
                                            static_cast<unsigned>(conditions.size()),
                                            comparisons.data()),
               fmt::format("rule for system call {}", number));
}

Result<std::vector<sock_filter>> Program::finish(Prelude prelude) && {
  TRY(std::vector<sock_filter> code, export_program(context_.get()));
  if (prelude == Prelude::With) code.insert(code.begin(), kPrelude.begin(), kPrelude.end());
  if (code.size() > kMaxFilterLength)
    return fail(Code::TooLarge, "a filter of {} instructions", code.size());
  return code;
}

} // namespace mohhos::sandbox
