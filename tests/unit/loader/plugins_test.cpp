// The example plugins against a fake host: the definition of a word, the bounds, the answers. Each
// is opened as the host opens it.
#include <dlfcn.h>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "fake_host.hpp"

namespace {

using mohhos::test::FakeHost;

class Loaded {
public:
  explicit Loaded(const char* path) {
    void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    plugin_ = static_cast<const mohhos_plugin_t*>(::dlsym(library, "mohhos_plugin"));
  }
  ~Loaded() {
    if (self_ != nullptr) plugin_->destroy(self_);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  std::int32_t start() {
    self_ = plugin_->create(host.table());
    if (self_ == nullptr) return MOHHOS_E_FAILED;
    if (const auto result = plugin_->on_init(self_); result < 0) return result;
    return plugin_->on_start(self_);
  }
  std::int32_t tell(std::string_view text, std::uint32_t type = MOHHOS_MSG_CUSTOM) {
    const auto message = FakeHost::message(text, type);
    return plugin_->on_message(self_, &message);
  }
  std::string ask(std::string_view text) {
    const auto request = FakeHost::message(text, MOHHOS_MSG_DATA_REQUEST, 1);
    if (plugin_->on_message(self_, &request) < 0 || host.answers.empty()) return "no answer";
    const auto answer = host.answers.back();
    host.answers.clear();
    return (answer.status < 0 ? "refused: " : "") + answer.bytes;
  }
  std::int32_t work() { return plugin_->on_work(self_); }

  FakeHost host;

private:
  const mohhos_plugin_t* plugin_ = nullptr;
  void* self_ = nullptr;
};

std::vector<std::string> words_of(Loaded& tokenizer, std::string_view line) {
  tokenizer.host.sent.clear();
  EXPECT_EQ(tokenizer.tell(line), MOHHOS_OK);
  std::vector<std::string> words;
  words.reserve(tokenizer.host.sent.size());
  for (const auto& sent : tokenizer.host.sent) words.push_back(sent.bytes);
  return words;
}

using Words = std::vector<std::string>;

TEST(Tokenizer, CutsAtWordBoundariesAndFolds) {
  Loaded tokenizer(TOKENIZER);
  ASSERT_EQ(tokenizer.start(), MOHHOS_OK);
  EXPECT_EQ(words_of(tokenizer, "The GNU General's  v3, 2007."),
            (Words{"the", "gnu", "general's", "v3", "2007"}));
  EXPECT_EQ(words_of(tokenizer, "Straße ÉCOLE ﬁn"), (Words{"strasse", "école", "fin"}));
  EXPECT_EQ(words_of(tokenizer, "-- ... !?"), Words{});
}

TEST(Tokenizer, BytesThatAreNoUtf8SeparateWordsAndNothingElse) {
  Loaded tokenizer(TOKENIZER);
  ASSERT_EQ(tokenizer.start(), MOHHOS_OK);
  EXPECT_EQ(words_of(tokenizer, "ab\xFF\xFE"
                                "cd"),
            (Words{"ab", "cd"}));
}

TEST(Tokenizer, GrowsItsBufferForCharactersThatUnfold) {
  Loaded tokenizer(TOKENIZER);
  ASSERT_EQ(tokenizer.start(), MOHHOS_OK);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "\uFDFA"; // one character that becomes four words
  EXPECT_EQ(words_of(tokenizer, many).front(), "صلى");
}

TEST(Tokenizer, PassesMarkersOn) {
  Loaded tokenizer(TOKENIZER);
  ASSERT_EQ(tokenizer.start(), MOHHOS_OK);
  EXPECT_EQ(tokenizer.tell("begin", MOHHOS_MSG_EVENT_NOTIFY), MOHHOS_OK);
  EXPECT_EQ(tokenizer.tell("end", MOHHOS_MSG_EVENT_NOTIFY), MOHHOS_OK);
  ASSERT_EQ(tokenizer.host.sent.size(), 2U);
  EXPECT_EQ(tokenizer.host.sent[0].bytes, "begin");
  EXPECT_EQ(tokenizer.host.sent[1].type, std::uint32_t{MOHHOS_MSG_EVENT_NOTIFY});
  EXPECT_TRUE(tokenizer.host.sent[1].bytes.starts_with("end"));
}

TEST(Wordstat, AnswersTopNWithTiesInOrderOfTheWord) {
  Loaded wordstat(WORDSTAT);
  ASSERT_EQ(wordstat.start(), MOHHOS_OK);
  for (const char* word : {"b", "a", "c", "c"}) ASSERT_EQ(wordstat.tell(word), MOHHOS_OK);
  EXPECT_EQ(wordstat.ask("top 2"), "2 c\n1 a\n");
  EXPECT_EQ(wordstat.ask("top 99"), "2 c\n1 a\n1 b\n");
  EXPECT_EQ(wordstat.ask("count c"), "2\n");
  EXPECT_TRUE(wordstat.ask("top 1001").starts_with("refused: "));
  EXPECT_TRUE(wordstat.ask("top -1").starts_with("refused: "));
  EXPECT_TRUE(wordstat.ask("dance").starts_with("refused: "));
}

TEST(Wordstat, AnswersWaitOnlyWhenTheInputHasEnded) {
  Loaded wordstat(WORDSTAT);
  ASSERT_EQ(wordstat.start(), MOHHOS_OK);
  EXPECT_EQ(wordstat.ask("wait"), "no answer");
  ASSERT_EQ(wordstat.tell("word"), MOHHOS_OK);
  ASSERT_EQ(wordstat.tell("end", MOHHOS_MSG_EVENT_NOTIFY), MOHHOS_OK);
  ASSERT_EQ(wordstat.host.answers.size(), 1U);
  EXPECT_TRUE(wordstat.host.answers[0].bytes.starts_with("{\"done\":true,\"words\":1,"));
}

TEST(Wordstat, ATableThatIsFullCountsTheRestTogether) {
  Loaded wordstat(WORDSTAT);
  wordstat.host.config["table_mb"] = "0";
  ASSERT_EQ(wordstat.start(), MOHHOS_OK);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(wordstat.tell("word"), MOHHOS_OK);
  EXPECT_NE(wordstat.ask("stats").find("\"words\":10,\"distinct\":0,\"overflow\":10"),
            std::string::npos);
}

class ReaderOnAFile : public testing::Test {
protected:
  ReaderOnAFile() {
    std::string name = std::filesystem::temp_directory_path() / "mohhos-reader-XXXXXX";
    const int fd = ::mkstemp(name.data());
    ::close(fd);
    path_ = name;
  }
  ~ReaderOnAFile() override { std::filesystem::remove(path_); }

  // Everything that reader sends for this content, markers included.
  std::vector<std::string> read(const std::string& content, std::size_t room_per_slice = SIZE_MAX) {
    std::ofstream(path_, std::ios::binary) << content;
    Loaded reader(READER);
    reader.host.config["input"] = path_.native();
    EXPECT_EQ(reader.start(), MOHHOS_OK);
    for (int i = 0; i < 100'000; ++i) {
      reader.host.room = room_per_slice;
      const auto result = reader.work();
      EXPECT_GE(result, 0) << reader.host.failure;
      if (result <= 0) break;
    }
    std::vector<std::string> lines;
    lines.reserve(reader.host.sent.size());
    for (const auto& sent : reader.host.sent) lines.push_back(sent.bytes);
    return lines;
  }
  std::filesystem::path path_;
};

TEST_F(ReaderOnAFile, SendsEachLineOnceBetweenTheMarkers) {
  EXPECT_EQ(read("one\ntwo\n\nthree"), (Words{"begin", "one", "two", "three", "end"}));
  EXPECT_EQ(read(""), (Words{"begin", "end"}));
}

TEST_F(ReaderOnAFile, LosesNothingWhenTheRingIsFullAgainAndAgain) {
  std::string content;
  Words expected{"begin"};
  for (int i = 0; i < 5000; ++i) {
    content += "line " + std::to_string(i) + "\n";
    expected.push_back("line " + std::to_string(i));
  }
  expected.emplace_back("end");
  EXPECT_EQ(read(content, 7), expected);
}

TEST_F(ReaderOnAFile, CutsALineThatIsTooLongAtABlankAndKeepsEveryByte) {
  std::string content;
  while (content.size() < 100'000) content += "word ";
  const auto sent = read(content);
  std::string joined;
  for (std::size_t i = 1; i + 1 < sent.size(); ++i) {
    EXPECT_LE(sent[i].size(), 8U * 1024U);
    joined += sent[i];
  }
  EXPECT_EQ(joined, content);
}

TEST_F(ReaderOnAFile, CutsALineWithoutBlanksBetweenCharacters) {
  std::string content;
  while (content.size() < 50'000) content += "\u20AC";
  const auto sent = read(content);
  for (std::size_t i = 1; i + 1 < sent.size(); ++i) EXPECT_EQ(sent[i].size() % 3, 0U);
}

TEST(Reader, SaysWhichFileItCannotOpen) {
  Loaded reader(READER);
  reader.host.config["input"] = "/no/such/file";
  EXPECT_LT(reader.start(), 0);
  EXPECT_NE(reader.host.failure.find("/no/such/file"), std::string::npos);
}

TEST(Reader, SaysHowToNameAFile) {
  Loaded reader(READER);
  EXPECT_LT(reader.start(), 0);
  EXPECT_NE(reader.host.failure.find("plugctl grant reader"), std::string::npos);
}

} // namespace
