#include "monitor/logs.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace mohhos::monitor {
namespace {

constexpr std::array<std::string_view, 6> kStreamNames = {"stdout",  "stderr", "error",
                                                          "warning", "info",   "debug"};

// Length of the UTF-8 sequence at the front of `text` if it is whole, shortest form, no surrogate
// and not beyond U+10FFFF; 0 otherwise.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2, 0x80, 0xBF) && follows(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

// C1 controls, and the marks that turn the direction of writing (a bidi mark can make a line read
// as another).
bool is_deceptive(std::string_view sequence) {
  if (sequence.size() == 2)
    return static_cast<unsigned char>(sequence[0]) == 0xC2 &&
           static_cast<unsigned char>(sequence[1]) < 0xA0;
  if (sequence.size() != 3 || static_cast<unsigned char>(sequence[0]) != 0xE2) return false;
  const auto second = static_cast<unsigned char>(sequence[1]);
  const auto third = static_cast<unsigned char>(sequence[2]);
  return (second == 0x80 && (third == 0x8E || third == 0x8F || (third >= 0xA8 && third <= 0xAE))) ||
         (second == 0x81 && third >= 0xA6 && third <= 0xA9);
}

void escape_bytes(std::string& out, std::string_view bytes) {
  for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
}

void escape_ascii(std::string& out, char c) {
  switch (c) {
  case '\n': out += "\\n"; return;
  case '\r': out += "\\r"; return;
  case '\t': out += "\\t"; return;
  default: break;
  }
  if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
    escape_bytes(out, {&c, 1});
  else
    out += c;
}

} // namespace

std::string_view stream_name(Stream stream) noexcept {
  const auto index = static_cast<std::size_t>(stream);
  return index < kStreamNames.size() ? kStreamNames[index] : "?";
}

void LineSplitter::feed(std::string_view bytes, const std::function<void(std::string_view)>& line) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    const auto room = kLongestLine - rest_.size();
    const auto piece = std::min({newline, bytes.size(), room});
    rest_ += bytes.substr(0, piece);
    bytes.remove_prefix(piece);
    const bool ended = !bytes.empty() && bytes.front() == '\n';
    if (ended) bytes.remove_prefix(1);
    if (!ended && rest_.size() < kLongestLine) return;
    line(rest_);
    rest_.clear();
  }
}

void LineSplitter::finish(const std::function<void(std::string_view)>& line) {
  if (!rest_.empty()) line(rest_);
  rest_.clear();
}

bool LogStore::add(LogLine line, Monotonic now) {
  ++total_;
  dropped_ += line.dropped;
  if (!budget_.take(now)) {
    ++dropped_;
    return false;
  }
  line.dropped = dropped_;
  total_dropped_ += dropped_;
  dropped_ = 0;
  bytes_ += line.text.size();
  lines_.push_back(std::move(line));
  while (lines_.size() > kKeptLines || bytes_ > kKeptBytes) {
    bytes_ -= lines_.front().text.size();
    lines_.pop_front();
  }
  return true;
}

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
    if (length == 1)
      escape_ascii(out, sequence[0]);
    else if (length == 0 || is_deceptive(sequence))
      escape_bytes(out, sequence);
    else
      out += sequence;
    text.remove_prefix(sequence.size());
  }
  return out;
}

} // namespace mohhos::monitor
