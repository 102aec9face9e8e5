#include "api/wire.hpp"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

namespace mohhos::api {
namespace {

// Feeds `bytes` in pieces of at most `step`, and gives every frame that comes out.
Result<std::vector<Frame>> assemble(FrameAssembler& assembler, std::string_view bytes,
                                    std::size_t step) {
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    const auto space = assembler.space();
    const std::size_t size = std::min({space.size(), bytes.size(), step});
    std::memcpy(space.data(), bytes.data(), size);
    bytes.remove_prefix(size);
    TRY(auto frame, assembler.filled(size));
    if (frame) frames.push_back(std::move(*frame));
  }
  return frames;
}

TEST(Wire, EncodesTheTenBytesOfContainerdsProtocol) {
  const std::string frame = encode_frame(0x01020304, FrameType::Data, kFlagRemoteClosed, "abc");
  EXPECT_EQ(frame, std::string("\0\0\0\3\1\2\3\4\3\1abc", 13));
}

TEST(Wire, FramesComeOutAsTheyWentInHoweverTheBytesArrive) {
  const std::string large(200'000, 'x');
  const std::string bytes = encode_frame(1, FrameType::Request, 0, "first") +
                            encode_frame(3, FrameType::Request, kFlagRemoteClosed, "") +
                            encode_frame(5, FrameType::Response, 0, large);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
    FrameAssembler assembler;
    const auto frames = assemble(assembler, bytes, step);
    ASSERT_TRUE(frames);
    ASSERT_EQ(frames->size(), 3U);
    EXPECT_EQ((*frames)[0].payload, "first");
    EXPECT_EQ((*frames)[1].header.flags, kFlagRemoteClosed);
    EXPECT_EQ((*frames)[1].payload, "");
    EXPECT_EQ((*frames)[2].header.stream, 5U);
    EXPECT_EQ((*frames)[2].payload, large);
    EXPECT_TRUE(assembler.at_start());
  }
}

TEST(Wire, NeverAsksForBytesOfTheNextFrame) {
  FrameAssembler assembler;
  const std::string bytes = encode_frame(1, FrameType::Request, 0, "four");
  EXPECT_EQ(assembler.space().size(), kFrameHeaderSize);
  ASSERT_TRUE(assemble(assembler, std::string_view(bytes).substr(0, kFrameHeaderSize), 100));
  EXPECT_TRUE(assembler.in_the_middle());
  EXPECT_EQ(assembler.space().size(), 4U);
}

TEST(Wire, RefusesAnAnnouncedLengthAboveTheLimitAndNamesBothNumbers) {
  FrameAssembler assembler(1000);
  const auto refused = assemble(assembler, std::string("\xFF\xFF\xFF\xFF\0\0\0\7\1\0", 10), 100);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::TooLarge);
  EXPECT_NE(refused.error().text.find("4294967295"), std::string::npos);
  EXPECT_NE(refused.error().text.find("1000"), std::string::npos);
  EXPECT_EQ(assembler.header().stream, 7U);
}

TEST(Wire, MemoryGrowsWithTheBytesThatCameNotWithThoseThatWerePromised) {
  FrameAssembler assembler;
  const std::string header = encode_frame(1, FrameType::Request, 0, std::string(kMaxFrame, 'x'));
  ASSERT_TRUE(assemble(assembler, std::string_view(header).substr(0, kFrameHeaderSize), 100));
  EXPECT_LE(assembler.space().size(), 64U << 10);
}

} // namespace
} // namespace mohhos::api
