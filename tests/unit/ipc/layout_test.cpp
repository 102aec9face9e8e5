#include <gtest/gtest.h>

#include "ipc/layout.hpp"

namespace mohhos::ipc {
namespace {

TEST(Layout, APublishWordSurvivesPackingAndUnpacking) {
  const PublishWord word{.size = 0x89ABCDEF, .tag = 0xFEDC, .type = 7, .flags = 0x0F};
  const PublishWord again = PublishWord::unpack(word.pack());
  EXPECT_EQ(again.size, word.size);
  EXPECT_EQ(again.tag, word.tag);
  EXPECT_EQ(again.type, word.type);
  EXPECT_EQ(again.flags, word.flags);
}

TEST(Layout, NoPublishedWordIsEverZero) {
  for (std::uint64_t grain = 0; grain < 200'000; ++grain) ASSERT_NE(tag_of(grain * kGrain), 0);
  EXPECT_NE(tag_of(0 - std::uint64_t{kGrain}), 0);
}

TEST(Layout, ATagDiffersFromThatOfTheLapBeforeInEveryRingSize) {
  for (std::uint64_t capacity = kMinRing; capacity <= kMaxRing; capacity *= 2)
    for (std::uint64_t position = 0; position < capacity; position += capacity / 64)
      for (std::uint64_t lap = 1; lap <= 4; ++lap)
        ASSERT_NE(tag_of(position), tag_of(position + lap * capacity))
            << capacity << ' ' << position;
}

TEST(Layout, TheEndOfAnyLengthNeitherOverflowsNorLiesInsideTheRecord) {
  for (const std::uint32_t size :
       {0U, 1U, 47U, 48U, 49U, 4095U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFEU, 0xFFFFFFFFU})
    for (const std::uint8_t flags : {std::uint8_t{0}, kExtended})
      for (const std::uint64_t position :
           {std::uint64_t{0}, std::uint64_t{5} * kGrain, 0 - std::uint64_t{kGrain}}) {
        const PublishWord close{.size = size, .flags = flags};
        EXPECT_GE(close.end(position) - position, std::uint64_t{size} + close.header_size());
        EXPECT_LT(close.end(position) - position, close.length() + kGrain);
        EXPECT_EQ(close.end(position) % kGrain, 0U);
        const PublishWord apart{.size = size, .flags = static_cast<std::uint8_t>(flags | kApart)};
        EXPECT_GE(apart.end(position) - position, apart.length());
        EXPECT_LT(apart.end(position) - position, apart.length() + kPair);
        EXPECT_EQ(apart.end(position) % kPair, 0U);
      }
}

TEST(Layout, AMessageOf48BytesIsOneCacheLine) {
  EXPECT_EQ(PublishWord{.size = 48}.end(0), kLine);
  EXPECT_EQ(PublishWord{.size = 49}.end(0), kLine + kGrain);
}

TEST(Layout, OnlyPowersOfTwoWithinTheBoundsAreRingSizes) {
  EXPECT_TRUE(is_ring_size(kMinRing) && is_ring_size(kDefaultRing) && is_ring_size(kMaxRing));
  EXPECT_FALSE(is_ring_size(0) || is_ring_size(2048) || is_ring_size(4097) ||
               is_ring_size(kMaxRing * 2) || is_ring_size(UINT64_MAX));
}

} // namespace
} // namespace mohhos::ipc
