// What the tests of security share: bytes from text and hexadecimal, sealed memory, running
// minisign.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include <sys/wait.h>

#include <gtest/gtest.h>

#include "../../harness/temporary_directory.hpp"
#include "sys/memfd.hpp"

namespace mohhos::security {

using test::TemporaryDirectory;

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline sys::Fd sealed(std::string_view text) {
  return sys::make_sealed("test", as_bytes(text)).value();
}

template <std::size_t N>
std::array<std::uint8_t, N> from_hex(std::string_view hex) {
  std::array<std::uint8_t, N> bytes{};
  EXPECT_EQ(hex.size(), 2 * N);
  for (std::size_t i = 0; i < N; ++i)
    bytes[i] =
        static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(2 * i, 2)), nullptr, 16));
  return bytes;
}

inline void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  std::filesystem::permissions(path, std::filesystem::perms{0644});
}

inline std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The exit status of a shell command, its output thrown away.
inline int run(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1 </dev/null").c_str()); // own paths
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline bool has_minisign() {
  return run("minisign -v") == 0;
}

#define EXPECT_REFUSED(expression, expected_code, words)                                           \
  do {                                                                                             \
    const auto outcome_ = (expression);                                                            \
    ASSERT_FALSE(outcome_) << "it was accepted";                                                   \
    EXPECT_EQ(outcome_.error().code, expected_code) << outcome_.error().text;                      \
    EXPECT_NE(outcome_.error().text.find(words), std::string::npos) << outcome_.error().text;      \
  } while (false)

} // namespace mohhos::security
