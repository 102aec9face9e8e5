#include "plugctl_output.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <unistd.h>

#include <fmt/format.h>

#include "monitor/logs.hpp"

namespace mohhos::plugctl {
namespace {

// Columns on a terminal, near enough: code points (plugins' texts are names and sentences).
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
  }));
}

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return align == Align::Right ? space + text : text + space;
}

struct StateColor {
  std::string_view state;
  std::string_view code;
};
constexpr std::array kStateColors = {
    StateColor{"RUNNING", "32"}, StateColor{"LOADED", "36"}, StateColor{"SUSPENDED", "33"},
    StateColor{"LOADING", "33"}, StateColor{"ERROR", "31"},  StateColor{"UNLOADING", "33"},
};

} // namespace

Json envelope() {
  return Json{{"schema", kJsonSchema}};
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_json_line(const Json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
  std::fflush(stdout);
}

Result<> flush_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return fail_errno("writing the output");
}

void Table::print(bool color) const {
  std::vector<std::vector<std::string>> cells;
  std::vector<std::size_t> widths;
  widths.reserve(columns_.size());
  for (const Column& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    auto& out = cells.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      out.push_back(monitor::escape_controls(row[i]));
      widths[i] = std::max(widths[i], width_of(out[i]));
    }
  }
  const auto line = [&](const auto& texts, bool title) {
    std::string text;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string cell = padded(texts[i], widths[i], columns_[i].align);
      const std::string painted = title ? cell : paint_state(cell, color);
      text += (i == 0 ? "" : "  ") + painted;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    if (title && color) text = fmt::format("\x1b[1m{}\x1b[0m", text);
    fmt::print("{}\n", text);
  };
  std::vector<std::string> titles;
  titles.reserve(columns_.size());
  for (const Column& column : columns_) titles.push_back(column.title);
  line(titles, true);
  for (const auto& row : cells) line(row, false);
}

bool want_color(bool no_color) {
  const char* asked = std::getenv("NO_COLOR");
  return !no_color && (asked == nullptr || *asked == '\0') && ::isatty(STDOUT_FILENO) == 1;
}

std::string paint_state(std::string_view text, bool color) {
  const auto state = text.substr(0, text.find_last_not_of(' ') + 1);
  for (const StateColor& row : kStateColors)
    if (color && row.state == state) return fmt::format("\x1b[{}m{}\x1b[0m", row.code, text);
  return std::string(text);
}

std::string escape_lines(std::string_view text, std::string_view indent) {
  std::string out;
  for (;;) {
    const std::size_t end = text.find('\n');
    out += monitor::escape_controls(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
    if (text.empty()) return out;
    out += indent;
  }
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_us(std::uint64_t us) {
  if (us < 1000) return fmt::format("{} µs", us);
  const auto value = static_cast<double>(us);
  if (us < 1'000'000) return fmt::format("{:.1f} ms", value / 1e3);
  if (us < 120'000'000) return fmt::format("{:.1f} s", value / 1e6);
  const std::uint64_t minutes = us / 60'000'000;
  if (minutes < 120) return fmt::format("{} min", minutes);
  if (minutes < 2880) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  return fmt::format("{} days", minutes / 1440);
}

std::string human_ns(std::uint64_t ns) {
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (ns < 1'000'000) return fmt::format("{:.1f} µs", static_cast<double>(ns) / 1e3);
  return human_us(ns / 1000);
}

std::string human_clock(std::uint64_t us) {
  const auto seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return "?";
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return text.data();
}

std::string join(const std::vector<std::string>& texts, std::string_view between) {
  return fmt::format("{}", fmt::join(texts, between));
}

} // namespace mohhos::plugctl
