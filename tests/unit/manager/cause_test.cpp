#include "manager/cause.hpp"

#include <csignal>

#include <gtest/gtest.h>

namespace mohhos::manager {
namespace {

Death signaled(int signal) {
  return {.signaled = true, .value = signal};
}
Death exited(int status) {
  return {.signaled = false, .value = status};
}

TEST(Cause, NamesTheSignalAndTheCallItCameIn) {
  Death death = signaled(SIGSEGV);
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV");
  death.doing = "on_start";
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV in on_start");
  EXPECT_EQ(cause_of(signaled(SIGABRT)), "crashed with SIGABRT");
}

TEST(Cause, NamesTheExitStatus) {
  EXPECT_EQ(cause_of(exited(3)), "the process exited with status 3");
}

TEST(Cause, ForbiddenSystemCallsAreTheSandboxs) {
  EXPECT_EQ(cause_of(signaled(SIGSYS)), "ended by its sandbox: forbidden system call (SIGSYS)");
}

TEST(Cause, TheMemoryLimitSaysHowMuchItIs) {
  Death death = signaled(SIGKILL);
  death.out_of_memory = 1;
  death.memory_limit_mb = 64;
  EXPECT_EQ(cause_of(death), "killed by its memory limit of 64 MB");
}

TEST(Cause, AKillThatNobodyHereOrderedCameFromOutside) {
  EXPECT_EQ(cause_of(signaled(SIGKILL)), "killed by SIGKILL from outside");
}

TEST(Cause, WhatWeDecidedGoesBeforeHowItWasCarriedOut) {
  Death death = signaled(SIGKILL);
  death.decided = "it did not answer on_start within 5000 ms";
  death.out_of_memory = 1;
  EXPECT_EQ(cause_of(death), "it did not answer on_start within 5000 ms");
}

TEST(Cause, AnExceptionBringsItsText) {
  Death death = signaled(SIGABRT);
  death.words = LastWords{LastWordsKind::Exception, 0, "std::runtime_error: no model"};
  death.doing = "on_init";
  EXPECT_EQ(cause_of(death), "uncaught exception in on_init: std::runtime_error: no model");
  death.words->text.clear();
  EXPECT_EQ(cause_of(death), "uncaught exception in on_init: of an unknown type");
}

TEST(Cause, ExitCalledByThePluginIsToldFromAnExitOfTheProcess) {
  Death death = exited(4);
  death.words = LastWords{LastWordsKind::Exit, 4, ""};
  EXPECT_EQ(cause_of(death), "exit(3) called with status 4");
  death.value = 5;
  EXPECT_EQ(cause_of(death), "the process exited with status 5");
}

TEST(Cause, WordsThatDoNotFitTheEndAreNotBelieved) {
  Death death = signaled(SIGSEGV);
  death.words = LastWords{LastWordsKind::Exit, 0, ""};
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV");
  death.words = LastWords{LastWordsKind::Signal, SIGBUS, ""};
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV");
  death.words = LastWords{LastWordsKind::Signal, SIGSEGV, ""};
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV");
}

TEST(Cause, ASignalMayEndTheFirstProcessOfANamespaceAsAnExit) {
  Death death = exited(128 + SIGSEGV);
  death.words = LastWords{LastWordsKind::Signal, SIGSEGV, "at address 0x0"};
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV at address 0x0");
  death.value = 3;
  EXPECT_EQ(cause_of(death), "the process exited with status 3");
}

TEST(Cause, AClosedLinkIsTheCauseOnlyWhereWeKilledForIt) {
  Death death = signaled(SIGKILL);
  death.link = "the plugin closed it";
  EXPECT_EQ(cause_of(death), "its link to the manager was closed: the plugin closed it");
  death.value = SIGSEGV;
  EXPECT_EQ(cause_of(death), "crashed with SIGSEGV") << "a dying process closes its link too";
  EXPECT_EQ(cause_of({.link = "the plugin closed it", .signaled = false, .value = 3}),
            "the process exited with status 3");
}

TEST(Cause, AnEndThatNobodySawIsSaidToBeOne) {
  Death death;
  death.exit_known = false;
  EXPECT_EQ(cause_of(death), "the process ended while the manager was being replaced");
}

TEST(Cause, UnknownSignalsHaveANumber) {
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(250), "signal 250");
}

} // namespace
} // namespace mohhos::manager
