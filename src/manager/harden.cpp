#include "manager/harden.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/filter.hpp"

namespace mohhos::manager {

Result<> harden() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("no_new_privs");
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("PR_SET_DUMPABLE");
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &descriptors) != 0) return fail_errno("RLIMIT_NOFILE");
  }
  const rlimit none{};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return fail_errno("RLIMIT_CORE");
  return sandbox::confine_manager();
}

} // namespace mohhos::manager
