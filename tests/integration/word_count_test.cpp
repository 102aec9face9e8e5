// The main job on real input: reader → tokenizer → wordstat, counted independently, and snoop
// refused beside it.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

namespace fs = std::filesystem;

class WordCount : public WithDaemon {
protected:
  Outcome start(const std::string& name) {
    return daemon.load_and_start(daemon.sign(fs::path(WORD_PLUGINS) / (name + ".so")), name);
  }

  void count(const fs::path& file) {
    daemon.grant("reader",
                 "can_access_filesystem = true\n[config]\ninput = \"" + file.string() + "\"\n");
    for (const char* name : {"wordstat", "tokenizer", "reader"}) {
      const Outcome outcome = start(name);
      ASSERT_EQ(outcome.code, 0) << outcome.err << daemon.log();
    }
    const Outcome stats =
        daemon.plugctl({"call", "wordstat", "wait", "--timeout", "30s"}, std::chrono::seconds(40));
    ASSERT_EQ(stats.code, 0) << stats.err;
    const fs::path top = daemon.root() / "top";
    write_text(top, call("wordstat", "top 1000"));
    const Outcome check =
        run({"sh", "-c",
             "/usr/bin/python3 " MOHHOS_SOURCE_DIR "/tools/count_words.py '" + file.string() +
                 "' " + json(stats.out, "words") + " < " + top.string()});
    EXPECT_EQ(check.code, 0) << check.out << check.err;
  }
};

TEST_F(WordCount, OfTheGplIsWhatAnIndependentCountSays) {
  const fs::path gpl = "/usr/share/common-licenses/GPL-3";
  if (!fs::exists(gpl)) GTEST_SKIP() << gpl << " is not here";
  count(gpl);
}

TEST_F(WordCount, OfManyScriptsIsWhatAnIndependentCountSays) {
  if (run({"/usr/bin/python3", "-c", "import icu"}).code != 0)
    GTEST_SKIP() << "python3-icu is not installed";
  const fs::path file = daemon.root() / "scripts.txt";
  std::string text = "Straße STRASSE straße ﬁne Ｆｕｌｌ １２３ naïve nai\xCC\x88ve\n"
                     "日本語のテキストです。 ภาษาไทย Ελληνικά ΣΊΣΥΦΟΣ עברית العربية\n\n"
                     "can't 3.14 1,000 e.g. __init__ a_b \xFF\xFE broken \xE2\x82 bytes\n"
                     "no newline at the end: 🎉 e\xCC\x81t\xC3\xA9";
  std::string repeated;
  for (int i = 0; i < 500; ++i) repeated += text + "\n";
  write_text(file, repeated + text);
  fs::permissions(file, fs::perms(0644));
  count(file);
}

TEST_F(WordCount, OfAnEmptyFileIsZero) {
  const fs::path file = daemon.root() / "empty.txt";
  write_text(file, "");
  daemon.grant("reader",
               "can_access_filesystem = true\n[config]\ninput = \"" + file.string() + "\"\n");
  for (const char* name : {"wordstat", "tokenizer", "reader"})
    ASSERT_EQ(start(name).code, 0) << daemon.log();
  const Outcome stats = daemon.plugctl({"call", "wordstat", "wait", "--timeout", "10s"});
  EXPECT_EQ(json(stats.out, "words"), "0") << stats.err;
}

TEST_F(WordCount, AReaderWithoutAFileIsNotLoaded) {
  const Outcome outcome = daemon.load(daemon.sign(fs::path(WORD_PLUGINS) / "reader.so"));
  EXPECT_NE(outcome.code, 0);
  expect_serving();
}

TEST_F(WordCount, SnoopIsRefusedAndTheRefusalIsExplained) {
  ASSERT_EQ(start("snoop").code, 0) << daemon.log();
  EXPECT_TRUE(Daemon::eventually([&] {
    const std::string why = daemon.plugctl({"why", "snoop"}).out;
    return why.find("/etc/shadow") != std::string::npos &&
           why.find("socket") != std::string::npos &&
           why.find("process_vm_readv") != std::string::npos;
  })) << daemon.plugctl({"why", "snoop"}).out;
  EXPECT_EQ(daemon.state("snoop"), "RUNNING");
  // Where info sends whoever reads it can be copied, also by who named the daemon.
  const auto info_has = [&](const Outcome& info, const std::string& hint) {
    EXPECT_NE(info.out.find("(" + hint + ")\n"), std::string::npos) << info.out;
  };
  const std::string root = daemon.root();
  info_has(daemon.plugctl({"info", "snoop"}), "plugctl why snoop");
  info_has(daemon.plugctl({"--root", root, "info", "snoop"}),
           "plugctl --root " + root + " why snoop");
  info_has(daemon.plugctl({"--socket", daemon.socket(), "info", "snoop"}),
           "plugctl --root " + root + " why snoop");
}

} // namespace
} // namespace mohhos::test
