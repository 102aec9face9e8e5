// What plugctl prints: aligned tables with human units, or one JSON object with "schema": 1.
//
// Everything that came from a plugin is escaped before it meets a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace mohhos::plugctl {

using Json = nlohmann::ordered_json; // keys stay in the order of docs/cli.md

inline constexpr int kJsonSchema = 1;

// {"schema": 1}, to be filled. [pure]
[[nodiscard]] Json envelope();
// One object, indented, to stdout; bytes that are no UTF-8 become U+FFFD. [any]
void print_json(const Json& json);
// The same in one line, flushed: for streams. [any]
void print_json_line(const Json& json);
// Of what was printed so far. Failed: not all of it got out (a full disk, a closed descriptor).
// [any]
[[nodiscard]] Result<> flush_output();

enum class Align : unsigned char { Left, Right };

class Table {
public:
  struct Column {
    std::string title;
    Align align = Align::Left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // One cell for each column. Cells are escaped here; colour comes through paint(). [pure]
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // To stdout. `color`: titles bold, states in their colours. [any]
  void print(bool color) const;

private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Whether stdout is a terminal and nobody said NO_COLOR. [any]
[[nodiscard]] bool want_color(bool no_color);
// A state's name in its colour. [pure]
[[nodiscard]] std::string paint_state(std::string_view state, bool color);

// Control characters escaped, lines kept; `indent` goes before every line but the first, so that a
// stranger's second line cannot pass for one of ours. [pure]
[[nodiscard]] std::string escape_lines(std::string_view text, std::string_view indent = "");

[[nodiscard]] std::string human_bytes(std::uint64_t bytes);         // "3.2 MiB" [pure]
[[nodiscard]] std::string human_us(std::uint64_t microseconds);     // "3.2 ms" [pure]
[[nodiscard]] std::string human_ns(std::uint64_t nanoseconds);      // "768 ns", "3.2 µs" [pure]
[[nodiscard]] std::string human_clock(std::uint64_t us_since_1970); // "2024-05-01 12:03:11" [any]
[[nodiscard]] std::string join(const std::vector<std::string>& texts,
                               std::string_view between = ", ");

} // namespace mohhos::plugctl
