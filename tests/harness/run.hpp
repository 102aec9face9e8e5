// Runs a program to its end and keeps what it said.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "temporary_directory.hpp"

namespace mohhos::test {

struct Outcome {
  int code = -1; // exit status; 128 + signal; 124 when it was killed because the time was over
  std::string out;
  std::string err;
};

using Environment = std::map<std::string, std::string>; // over the caller's own

// Argument 0 is a path, or a name that PATH has. [any]
[[nodiscard]] Outcome run(const std::vector<std::string>& arguments, const Environment& more = {},
                          std::chrono::milliseconds timeout = std::chrono::seconds(20));

[[nodiscard]] std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, std::string_view text);

// Where the build put its programs and test plugins.
[[nodiscard]] std::filesystem::path program(const std::string& name);

// One value of a JSON text: "a.b", "list.0.name". Strings without quotes, everything else as JSON;
// "" when there is no such value.
[[nodiscard]] std::string json(const std::string& text, const std::string& path);

// The number that a text begins with; 0 when there is none.
[[nodiscard]] long number(const std::string& text);

} // namespace mohhos::test
