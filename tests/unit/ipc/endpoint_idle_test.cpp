// Memory of rings that is not needed any more goes back to the system: of idle ones all but a page
// or two, of those that go on what a busier time took.
#include <sys/stat.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

class IdleEndpoint : public EndpointTest {
protected:
  static EndpointSettings quick() {
    EndpointSettings settings;
    settings.idle_after = 1ms;
    return settings;
  }
  std::uint64_t memory_of_the_ring() {
    struct stat about{};
    EXPECT_EQ(::fstat(board.sender_end(ChannelId{1}).data.get(), &about), 0);
    return static_cast<std::uint64_t>(about.st_blocks) * 512;
  }
  // As much as the ring holds, and all of it received.
  void fill_and_drain() {
    const std::string text(1000, 'x');
    int sent = 0;
    while (a->send(to_b, {}, bytes_of(text), kNoWait)) ++sent;
    EXPECT_GT(memory_of_the_ring(), kDefaultRing - 2 * kHeaderPage);
    for (int i = 0; i < sent; ++i) ASSERT_EQ(take(*b), text);
  }
  // Until it is no more than this, or for too long. `between`: what goes on meanwhile.
  template <class Between>
  bool shrinks_to(std::uint64_t bytes, Between between) {
    const Monotonic end = soon();
    while (memory_of_the_ring() > bytes) {
      if (std::chrono::steady_clock::now() > end) return false;
      between();
      (void)a->rest(in(2ms));
    }
    return true;
  }

  std::unique_ptr<Endpoint> a = open(plugin(1, "a"), quick());
  std::unique_ptr<Endpoint> b = open(plugin(2, "b"));
  ChannelId to_b = channel_to(*a, "b");
};

TEST_F(IdleEndpoint, AnIdleRingGivesItsMemoryBackAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(fill_and_drain());
  EXPECT_TRUE(shrinks_to(3 * kHeaderPage, [] {}));
  ASSERT_NO_FATAL_FAILURE(fill_and_drain());
}

TEST_F(IdleEndpoint, ARingThatGoesOnSlowlyGivesBackWhatABusierTimeTook) {
  ASSERT_NO_FATAL_FAILURE(fill_and_drain());
  int sent = 0;
  EXPECT_TRUE(shrinks_to(kHeaderPage + 3 * kShortLap / 2, [&] {
    ASSERT_TRUE(a->send(to_b, {}, bytes_of(std::to_string(sent)), kNoWait));
    ASSERT_EQ(take(*b), std::to_string(sent++));
  }));
  EXPECT_GT(sent, 0);
  ASSERT_NO_FATAL_FAILURE(fill_and_drain());
}

} // namespace
} // namespace mohhos::ipc
