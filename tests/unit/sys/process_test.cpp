#include "sys/process.hpp"

#include <csignal>
#include <poll.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace mohhos::sys {
namespace {

constexpr int kPatienceMs = 10'000;

// A child that waits for a byte and then exits with it.
struct Child {
  pid_t pid = -1;
  Fd to;
  Fd pidfd;
};

Child start_child() {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[1]);
    char status = 0;
    if (::read(ends[0], &status, 1) != 1) ::_exit(99);
    ::_exit(status);
  }
  ::close(ends[0]);
  return {pid, Fd(ends[1]), open_pidfd(pid).value()};
}

ExitStatus wait_for(const Child& child) {
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, kPatienceMs), 1);
  return reap(child.pidfd.get()).value().value();
}

TEST(Process, ARunningChildHasNoStatusAndAnEndedOneHasIts) {
  const Child child = start_child();
  EXPECT_FALSE(reap(child.pidfd.get()).value());
  ASSERT_EQ(::write(child.to.get(), "\7", 1), 1);
  const ExitStatus status = wait_for(child);
  EXPECT_FALSE(status.signaled);
  EXPECT_EQ(status.value, 7);
}

TEST(Process, AKilledChildTellsItsSignalAndASecondSignalIsNoError) {
  const Child child = start_child();
  ASSERT_TRUE(send_signal(child.pidfd.get(), SIGKILL));
  const ExitStatus status = wait_for(child);
  EXPECT_TRUE(status.signaled);
  EXPECT_EQ(status.value, SIGKILL);
  EXPECT_TRUE(send_signal(child.pidfd.get(), SIGKILL));
}

} // namespace
} // namespace mohhos::sys
