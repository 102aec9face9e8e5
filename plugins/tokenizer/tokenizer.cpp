// Lines in, words out: the two Unicode algorithms that decide what a word is are ICU's.
//
// The definition, for whoever wants to check the counts: take a line (UTF-8; a wrong byte sequence
// becomes U+FFFD), map it with NFKC_Casefold, cut it at the default word boundaries of UAX #29
// (ICU's root locale), and keep every segment that has a letter, a digit, kana or an ideograph
// (ICU: rule status other than UBRK_WORD_NONE).
//
// A request with a line as its text is answered with its words, one per line.
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unicode/ubrk.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <mohhos/sdk.hpp>

#include "../wordpipe/wordpipe.hpp"

namespace {

constexpr std::uint64_t kRing = 64 * 1024; // about a thousand words ahead of wordstat

void demand(UErrorCode status, const char* what) {
  if (U_FAILURE(status)) throw std::runtime_error(std::string(what) + ": " + u_errorName(status));
}

// Cuts lines into folded words. Keeps its buffers from line to line.
class Words {
public:
  Words() {
    UErrorCode status = U_ZERO_ERROR;
    folding_ = unorm2_getNFKCCasefoldInstance(&status);
    demand(status, "NFKC_Casefold");
    breaker_.reset(ubrk_open(UBRK_WORD, "", nullptr, 0, &status));
    demand(status, "word boundaries");
  }

  // Calls word(std::string_view) for each; the view lives until word returns.
  template <class Word>
  void cut(std::string_view line, Word&& word) {
    fold(line);
    UErrorCode status = U_ZERO_ERROR;
    ubrk_setText(breaker_.get(), folded_.data(), folded_size_, &status);
    demand(status, "ubrk_setText");
    std::int32_t begin = ubrk_first(breaker_.get());
    for (std::int32_t end; (end = ubrk_next(breaker_.get())) != UBRK_DONE; begin = end)
      if (ubrk_getRuleStatus(breaker_.get()) >= UBRK_WORD_NONE_LIMIT) word(to_utf8(begin, end));
  }

private:
  struct Close {
    void operator()(UBreakIterator* breaker) const { ubrk_close(breaker); }
  };

  // line → folded_[0, folded_size_).
  void fold(std::string_view line) {
    const auto size = static_cast<std::int32_t>(line.size());
    wide_.resize(line.size() + 1); // UTF-16 never has more units than UTF-8 has bytes
    UErrorCode status = U_ZERO_ERROR;
    std::int32_t units = 0;
    u_strFromUTF8WithSub(wide_.data(), static_cast<std::int32_t>(wide_.size()), &units, line.data(),
                         size, 0xFFFD, nullptr, &status);
    demand(status, "UTF-8");
    if (folded_.size() < wide_.size()) folded_.resize(wide_.size());
    for (;;) {
      status = U_ZERO_ERROR;
      folded_size_ = unorm2_normalize(folding_, wide_.data(), units, folded_.data(),
                                      static_cast<std::int32_t>(folded_.size()), &status);
      if (status != U_BUFFER_OVERFLOW_ERROR) break;
      folded_.resize(static_cast<std::size_t>(folded_size_)); // U+FDFA becomes 18 characters
    }
    demand(status, "NFKC_Casefold");
  }

  std::string_view to_utf8(std::int32_t begin, std::int32_t end) {
    word_.resize(static_cast<std::size_t>(end - begin) * 3);
    UErrorCode status = U_ZERO_ERROR;
    std::int32_t bytes = 0;
    u_strToUTF8(word_.data(), static_cast<std::int32_t>(word_.size()), &bytes,
                folded_.data() + begin, end - begin, &status);
    demand(status, "UTF-16");
    return {word_.data(), static_cast<std::size_t>(bytes)};
  }

  const UNormalizer2* folding_ = nullptr; // ICU's own, never freed
  std::unique_ptr<UBreakIterator, Close> breaker_;
  std::vector<UChar> wide_;
  std::vector<UChar> folded_;
  std::vector<char> word_;
  std::int32_t folded_size_ = 0;
};

class Tokenizer : public mohhos::Plugin {
public:
  void on_init() override { words_ = std::make_unique<Words>(); }
  void on_start() override { wordstat_ = open("wordstat", kRing); }

  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return answer(message);
    if (message.type() == mohhos::MessageType::EventNotify) return pass_on(message.copy());
    latencies_.record(now_ns() - message.sent_at_ns());
    // The conversion to UTF-16 reads each byte of the ring once, and everything after it uses that
    // copy.
    words_->cut(message.text(), [this](std::string_view word) {
      wordstat_.send(word, {.timeout = mohhos::kForever, .more = true});
    });
  }

private:
  void answer(const mohhos::Message& message) {
    std::string words;
    words_->cut(message.text(), [&](std::string_view word) { words.append(word).append("\n"); });
    reply(message, words);
  }

  void pass_on(std::string marker) {
    if (marker == wordpipe::kBegin) latencies_ = {};
    if (marker == wordpipe::kEnd) latencies_.append_to(marker);
    wordstat_.send(marker, {.type = mohhos::MessageType::EventNotify, .timeout = mohhos::kForever});
  }

  std::unique_ptr<Words> words_;
  mohhos::Channel wordstat_;
  wordpipe::Latencies latencies_; // of lines, from the reader
};

} // namespace

MOHHOS_PLUGIN(Tokenizer)
