#include "ipc/copy.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace mohhos::ipc {
namespace {

TEST(CopyPayload, CopiesEveryByteAndNoneBesideFromAndToAnyAlignment) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, kPastTheCaches - 1, kPastTheCaches,
        kPastTheCaches + 1, kPastTheCaches + 127}) {
    for (const std::size_t shift : {0U, 1U, 16U, 63U}) {
      std::vector<std::byte> source(size + 64);
      for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::byte>(i * 7 + 1);
      std::vector<std::byte> target(size + 192, std::byte{0xEE});
      const std::size_t at = 64 + shift;
      copy_payload(std::span(target).subspan(at, size), std::span(source).subspan(shift, size));
      for (std::size_t i = 0; i < target.size(); ++i) {
        const bool inside = i >= at && i < at + size;
        ASSERT_EQ(target[i], inside ? source[shift + i - at] : std::byte{0xEE}) << size << " " << i;
      }
    }
  }
}

} // namespace
} // namespace mohhos::ipc
