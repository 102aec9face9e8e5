// Sends one file to the tokenizer, line by line, in slices between messages.
//
// It may read exactly the file that the operator named (grants.d/reader.toml, key "input"), and
// nothing else. When the tokenizer is slower, try_send() says so and the slice ends: nothing is
// lost, and the reader stays answerable. Requests: "progress" gives JSON.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <mohhos/sdk.hpp>

#include "../wordpipe/wordpipe.hpp"

namespace {

constexpr std::size_t kBuffer = 256 * 1024;
constexpr int kLinesPerSlice = 256;
// Small, so that a line waits microseconds behind its predecessors and not milliseconds.
constexpr std::uint64_t kRing = 16 * 1024;

class Reader : public mohhos::Plugin {
public:
  ~Reader() override { close_input(); }

  void on_init() override {
    path_ = config("input").value_or("");
    if (path_.empty())
      throw std::runtime_error(
          "no file to read: set 'input' (plugctl grant reader --set input=FILE)");
  }

  void on_start() override {
    close_input();
    file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0) throw std::runtime_error("cannot open " + path_ + ": " + std::strerror(errno));
    tokenizer_ = open("tokenizer", kRing);
    buffer_.resize(kBuffer);
    begin_ = end_ = 0;
    lines_ = bytes_ = 0;
    at_end_of_file_ = finished_ = false;
    tokenizer_.send(wordpipe::kBegin, {.type = mohhos::MessageType::EventNotify});
    info("reading " + path_);
    wake();
  }

  void on_stop() override { close_input(); }

  bool on_work() override {
    if (finished_ || file_ < 0) return false;
    for (int i = 0; i < kLinesPerSlice; ++i) {
      std::string_view line;
      if (!next_line(line)) return finish();
      if (!line.empty() && !sent(line))
        return true; // the tokenizer is busy: the same line again later
      consume(line);
    }
    return true;
  }

  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) return;
    if (message.copy() != "progress")
      return refuse(message, MOHHOS_E_INVALID, "reader answers 'progress'");
    reply(message, "{\"lines\":" + std::to_string(lines_) + ",\"bytes\":" + std::to_string(bytes_) +
                       ",\"done\":" + (finished_ ? "true" : "false") + "}");
  }

private:
  void close_input() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
  }

  [[nodiscard]] std::string_view unread() const { return {buffer_.data() + begin_, end_ - begin_}; }

  // The next line without its '\n', not yet consumed; false at the end of the file.
  bool next_line(std::string_view& line) {
    for (;;) {
      const std::string_view rest = unread().substr(0, wordpipe::kLongestLine + 1);
      newline_ = 0;
      if (const auto end = rest.find('\n'); end != std::string_view::npos) {
        line = rest.substr(0, end);
        newline_ = 1;
        return true;
      }
      if (rest.size() > wordpipe::kLongestLine) {
        line = rest.substr(0, good_cut(rest.substr(0, wordpipe::kLongestLine)));
        return true;
      }
      if (at_end_of_file_) {
        line = rest;
        return !rest.empty();
      }
      fill();
    }
  }

  void consume(std::string_view line) {
    begin_ += line.size() + newline_;
    bytes_ += line.size() + newline_;
    lines_ += newline_;
  }

  // Where a line that is too long may be cut: at its last blank, else before its last UTF-8
  // character.
  static std::size_t good_cut(std::string_view text) {
    if (const auto blank = text.find_last_of(" \t"); blank != std::string_view::npos && blank > 0)
      return blank;
    std::size_t cut = text.size() - 1;
    while (cut > text.size() - 4 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80) --cut;
    return cut;
  }

  void fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const ssize_t got = ::read(file_, buffer_.data() + end_, buffer_.size() - end_);
    if (got < 0) throw std::runtime_error("cannot read " + path_ + ": " + std::strerror(errno));
    if (got == 0) at_end_of_file_ = true;
    end_ += static_cast<std::size_t>(got);
  }

  // False when the ring has no room within a millisecond.
  bool sent(std::string_view bytes, mohhos::MessageType type = mohhos::MessageType::Usual) {
    const auto result = tokenizer_.try_send(bytes, {.type = type,
                                                    .timeout = std::chrono::milliseconds(1),
                                                    .more = type == mohhos::MessageType::Usual});
    if (result == MOHHOS_E_REFUSED || result == MOHHOS_E_TIMED_OUT) return false;
    if (result < 0)
      throw mohhos::Failure(result,
                            std::string("sending to tokenizer: ") + mohhos::describe(result));
    return true;
  }

  bool finish() {
    if (!sent(wordpipe::kEnd, mohhos::MessageType::EventNotify)) return true;
    finished_ = true;
    close_input();
    info("sent " + std::to_string(lines_) + " lines, " + std::to_string(bytes_) + " bytes");
    return false;
  }

  std::string path_;
  int file_ = -1;
  mohhos::Channel tokenizer_;
  std::vector<char> buffer_; // [begin_, end_) is read and not yet sent
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t newline_ = 0; // 1: the line in hand ended in '\n'
  std::uint64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
  bool at_end_of_file_ = false;
  bool finished_ = false;
};

} // namespace

MOHHOS_PLUGIN(Reader)
