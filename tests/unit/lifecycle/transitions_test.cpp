#include "lifecycle/transitions.hpp"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mohhos::lifecycle {
namespace {

using testing::HasSubstr;
using testing::Not;

// Walks a sequence of events from UNLOADED.
State walk(std::initializer_list<Event> events) {
  State state = State::Unloaded;
  for (const Event event : events) {
    const auto step = next(state, event);
    if (!step) {
      ADD_FAILURE() << "no row for " << event_name(event) << " in " << state_name(state);
      return state;
    }
    state = step->to;
  }
  return state;
}

TEST(Transitions, LeadAPluginThroughAllSevenStatesAndBack) {
  EXPECT_EQ(walk({Event::Load}), State::Loading);
  EXPECT_EQ(walk({Event::Load, Event::Ready}), State::Loaded);
  EXPECT_EQ(walk({Event::Load, Event::Ready, Event::Start, Event::Started}), State::Running);
  EXPECT_EQ(walk({Event::Load, Event::Ready, Event::Start, Event::Started, Event::Suspend,
                  Event::Frozen}),
            State::Suspended);
  EXPECT_EQ(
      walk({Event::Load, Event::Ready, Event::Start, Event::Started, Event::Suspend, Event::Frozen,
            Event::Resume, Event::Thawed, Event::Stop, Event::Stopped, Event::Unload}),
      State::Unloading);
  EXPECT_EQ(walk({Event::Load, Event::Ready, Event::Unload, Event::Parted, Event::Died}),
            State::Unloaded);
}

TEST(Transitions, ALoadThatIsRejectedLeavesNothing) {
  EXPECT_EQ(walk({Event::Load, Event::Rejected}), State::Unloaded);
  EXPECT_EQ(next(State::Loading, Event::Rejected)->act, Action::Remove);
}

TEST(Transitions, ADeathInEveryLiveStateButUnloadingIsAnError) {
  for (const State state : {State::Loading, State::Loaded, State::Running, State::Suspended}) {
    ASSERT_TRUE(next(state, Event::Died));
    EXPECT_EQ(next(state, Event::Died)->to, State::Error) << state_name(state);
    EXPECT_EQ(next(state, Event::Died)->act, Action::Release) << state_name(state);
  }
  EXPECT_EQ(next(State::Unloading, Event::Died)->to, State::Unloaded);
}

TEST(Transitions, AFactThatCannotBeTrueInAStateHasNoRow) {
  EXPECT_FALSE(next(State::Unloaded, Event::Died));
  EXPECT_FALSE(next(State::Running, Event::Started));
  EXPECT_FALSE(next(State::Loaded, Event::Frozen));
}

TEST(Transitions, EveryRefusalNamesThePluginAndIsOneSentence) {
  for (const Refusal& refusal : refusals()) {
    const auto result = request(refusal.in, refusal.request, "ocr");
    ASSERT_FALSE(result) << state_name(refusal.in) << " " << event_name(refusal.request);
    EXPECT_THAT(result.error().text, HasSubstr("ocr"));
    EXPECT_THAT(result.error().text, Not(HasSubstr("{")));
    EXPECT_THAT(result.error().text, Not(HasSubstr("\n")));
    EXPECT_EQ(result.error().code, refusal.code);
  }
}

TEST(Transitions, AllowedRequestsGiveTheirStep) {
  const auto step = request(State::Loaded, Event::Start, "ocr");
  ASSERT_TRUE(step);
  EXPECT_EQ(step->act, Action::AskStart);
}

TEST(Transitions, UnloadOfARunningPluginSaysWhatToDo) {
  const auto refused = request(State::Running, Event::Unload, "ocr");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::BadState);
  EXPECT_THAT(refused.error().text, HasSubstr("plugctl stop ocr"));
  EXPECT_THAT(refused.error().text, HasSubstr("--force"));
}

TEST(Transitions, AFactIsNotARequest) {
  const auto refused = request(State::Loading, Event::Ready, "ocr");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::BadState);
}

TEST(Transitions, EveryStateCanBeLeftForUnloadedByForce) {
  for (const State state :
       {State::Loading, State::Loaded, State::Running, State::Suspended, State::Unloading}) {
    const auto step = next(state, Event::ForceUnload);
    ASSERT_TRUE(step) << state_name(state);
    ASSERT_TRUE(next(step->to, Event::Died));
    EXPECT_EQ(next(step->to, Event::Died)->to, State::Unloaded);
  }
  EXPECT_EQ(next(State::Error, Event::ForceUnload)->to, State::Unloaded);
}

TEST(Transitions, TheDocumentIsWhatTheTablesSay) {
  std::ifstream file(MOHHOS_LIFECYCLE_DOC);
  ASSERT_TRUE(file) << MOHHOS_LIFECYCLE_DOC;
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), describe())
      << "print it again: build lifecycle_doc and redirect it to docs/lifecycle.md";
}

} // namespace
} // namespace mohhos::lifecycle
