#include "sys/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace mohhos::sys {
namespace {

using namespace std::chrono_literals;

TEST(Loop, ADescriptorThatIsReadyCallsItsCallback) {
  Loop loop = Loop::open().value();
  const Fd bell(::eventfd(1, EFD_CLOEXEC));
  std::uint32_t seen = 0;
  const Source source = loop.on_fd(bell.get(), EPOLLIN,
                                   [&](std::uint32_t events) {
                                     seen = events;
                                     loop.stop(7);
                                   })
                            .value();
  EXPECT_EQ(loop.run().value(), 7);
  EXPECT_EQ(seen, static_cast<std::uint32_t>(EPOLLIN));
}

TEST(Loop, ASourceMayDestroyItselfInItsOwnCallback) {
  Loop loop = Loop::open().value();
  const Fd bell(::eventfd(1, EFD_CLOEXEC));
  int calls = 0;
  Source source;
  source = loop.on_fd(bell.get(), EPOLLIN,
                      [&](std::uint32_t) {
                        ++calls;
                        source.reset();
                      })
               .value();
  const Source later = loop.after(5ms, [&] { loop.stop(); }).value();
  ASSERT_TRUE(loop.run());
  EXPECT_EQ(calls, 1) << "level-triggered and never read: it would have gone on";
}

TEST(Loop, TimersFireInTheOrderOfTheirTimes) {
  Loop loop = Loop::open().value();
  std::string order;
  const Source late = loop.after(4ms,
                                 [&] {
                                   order += 'b';
                                   loop.stop();
                                 })
                          .value();
  const Source early = loop.after(1ms, [&] { order += 'a'; }).value();
  ASSERT_TRUE(loop.run());
  EXPECT_EQ(order, "ab");
}

TEST(Loop, APeriodicTimerGoesOnUntilItIsReset) {
  Loop loop = Loop::open().value();
  int ticks = 0;
  Source tick;
  tick = loop.every(1ms,
                    [&] {
                      if (++ticks == 3) loop.stop();
                    })
             .value();
  ASSERT_TRUE(loop.run());
  EXPECT_EQ(ticks, 3);
}

TEST(Loop, APausedSourceStaysSilentUntilItIsResumed) {
  Loop loop = Loop::open().value();
  const Fd bell(::eventfd(1, EFD_CLOEXEC));
  bool resumed = false;
  Source source = loop.on_fd(bell.get(), EPOLLIN,
                             [&](std::uint32_t) {
                               EXPECT_TRUE(resumed);
                               loop.stop();
                             })
                      .value();
  source.pause();
  const Source later = loop.after(2ms,
                                  [&] {
                                    resumed = true;
                                    source.resume();
                                  })
                           .value();
  ASSERT_TRUE(loop.run());
}

TEST(Loop, ADeferredCallRunsOnce) {
  Loop loop = Loop::open().value();
  int calls = 0;
  const Source deferred = loop.defer([&] { ++calls; }).value();
  const Source later = loop.after(2ms, [&] { loop.stop(); }).value();
  ASSERT_TRUE(loop.run());
  EXPECT_EQ(calls, 1);
}

} // namespace
} // namespace mohhos::sys
