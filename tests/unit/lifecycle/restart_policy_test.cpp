#include "lifecycle/restart_policy.hpp"

#include <gtest/gtest.h>

namespace mohhos::lifecycle {
namespace {

using namespace std::chrono_literals;

constexpr Monotonic kNoon{12h};

model::RestartPolicy three_times() {
  return {.on_crash = true, .backoff = 250ms, .limit = 3, .dead_letter_after = 2};
}

TEST(RestartPolicy, DoesNotRestartWhoDidNotAskForIt) {
  RestartHistory history;
  EXPECT_FALSE(on_death({}, history, kNoon).again);
  EXPECT_EQ(history.total, 0U);
}

TEST(RestartPolicy, WaitsForTheBackoffOfTheManifest) {
  RestartHistory history;
  const RestartDecision decision = on_death(three_times(), history, kNoon);
  EXPECT_TRUE(decision.again);
  EXPECT_EQ(decision.after, 250ms);
}

TEST(RestartPolicy, GivesUpWhenTheRestartsInARowAreUsedUp) {
  RestartHistory history;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(on_death(three_times(), history, kNoon).again) << i;
  EXPECT_FALSE(on_death(three_times(), history, kNoon).again);
  EXPECT_EQ(history.total, 3U);
}

TEST(RestartPolicy, BeginsANewRowAfterAMinuteOfRunning) {
  RestartHistory history;
  for (int i = 0; i < 20; ++i) {
    const Monotonic begun = kNoon + i * 2min;
    history.standing_since = begun;
    EXPECT_TRUE(on_death(three_times(), history, begun + 60s).again) << i;
    EXPECT_EQ(history.in_a_row, 1U);
  }
  EXPECT_EQ(history.total, 20U);
}

TEST(RestartPolicy, CountsOnWhenItRanForLessThanAMinute) {
  RestartHistory history;
  for (int i = 0; i < 3; ++i) {
    history.standing_since = kNoon;
    EXPECT_TRUE(on_death(three_times(), history, kNoon + 59s).again) << i;
  }
  history.standing_since = kNoon;
  EXPECT_FALSE(on_death(three_times(), history, kNoon + 59s).again);
}

TEST(RestartPolicy, TimeSpentRestartingIsNoRunning) {
  RestartHistory history;
  EXPECT_TRUE(on_death(three_times(), history, kNoon).again);
  EXPECT_TRUE(on_death(three_times(), history, kNoon + 1h).again); // died before it stood again
  EXPECT_EQ(history.in_a_row, 2U);
}

TEST(RestartPolicy, BringsAPluginBackToWhatItWas) {
  EXPECT_EQ(goal_of(State::Running), State::Running);
  EXPECT_EQ(goal_of(State::Loaded), State::Loaded);
  EXPECT_EQ(goal_of(State::Suspended), State::Suspended);
  for (const State state : {State::Loading, State::Unloading, State::Error, State::Unloaded})
    EXPECT_FALSE(goal_of(state)) << model::state_name(state);
}

TEST(RestartPolicy, EveryGoalIsReachedByStepsThatTheTableAllows) {
  for (const State goal : {State::Loaded, State::Running, State::Suspended}) {
    for (State state : {State::Loaded, State::Running, State::Suspended}) {
      int steps = 0;
      while (const auto step = step_towards(goal, state)) {
        ASSERT_LT(++steps, 4);
        ASSERT_TRUE(request(state, *step, "p")) << event_name(*step);
        state = *step == Event::Start || *step == Event::Resume ? State::Running
                : *step == Event::Stop                          ? State::Loaded
                                                                : State::Suspended;
      }
      EXPECT_EQ(state, goal);
    }
  }
  EXPECT_FALSE(step_towards(State::Running, State::Loading)) << "its process is still beginning";
}

TEST(RestartPolicy, AStopInTheMiddleLeavesItLoaded) {
  EXPECT_EQ(*new_goal(State::Running, Event::Stop, "p"), State::Loaded);
  EXPECT_EQ(*new_goal(State::Loaded, Event::Start, "p"), State::Running);
  EXPECT_EQ(*new_goal(State::Running, Event::Suspend, "p"), State::Suspended);
  EXPECT_EQ(*new_goal(State::Suspended, Event::Resume, "p"), State::Running);
}

TEST(RestartPolicy, ARequestForWhatItWillBeAnywayWaitsForIt) {
  EXPECT_EQ(*new_goal(State::Running, Event::Start, "p"), State::Running);
  EXPECT_EQ(*new_goal(State::Loaded, Event::Stop, "p"), State::Loaded);
}

TEST(RestartPolicy, WhatTheGoalDoesNotAllowIsRefusedWithTheTablesSentence) {
  const auto refused = new_goal(State::Loaded, Event::Suspend, "p");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::NotRunning);
}

TEST(RestartPolicy, SaysHowLongAndHowOften) {
  RestartHistory history;
  static_cast<void>(on_death(three_times(), history, kNoon));
  EXPECT_EQ(describe_restart(three_times(), history, "SIGSEGV"),
            "restarting in 250 ms (1 of at most 3 restarts in a row): SIGSEGV");
}

} // namespace
} // namespace mohhos::lifecycle
