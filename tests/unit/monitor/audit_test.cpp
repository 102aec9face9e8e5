#include "monitor/audit.hpp"

#include <filesystem>
#include <fstream>

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"
#include "sys/file.hpp"

namespace mohhos::monitor {
namespace {

using testing::HasSubstr;

class Audit : public testing::Test {
protected:
  AuditLog open() {
    auto log = AuditLog::open(file);
    EXPECT_TRUE(log) << log.error().text;
    return std::move(*log);
  }
  std::string text() const { return *sys::read_file(file, mib(1)); }
  void write(std::string_view bytes) const {
    std::ofstream(file, std::ios::trunc | std::ios::binary) << bytes;
  }

  test::TemporaryDirectory directory;
  std::filesystem::path file = directory.path() / "audit.jsonl";
};

TEST_F(Audit, WritesOneJsonObjectPerRecordAndVerifies) {
  AuditLog log = open();
  log.append("load", {{"plugin", std::string_view("ocr")},
                      {"id", std::uint64_t{7}},
                      {"pid", std::int64_t{-1}},
                      {"ok", true}});
  log.append("start", {});
  EXPECT_THAT(text(),
              HasSubstr(R"("event":"load","plugin":"ocr","id":7,"pid":-1,"ok":true,"prev":"0000)"));
  const auto verdict = verify_audit(file);
  ASSERT_TRUE(verdict) << verdict.error().text;
  EXPECT_EQ(verdict->records, 2U);
}

TEST_F(Audit, GoesOnWithTheChainAfterAReopen) {
  open().append("one", {});
  AuditLog log = open();
  EXPECT_EQ(log.sequence(), 1U);
  log.append("two", {});
  const auto verdict = verify_audit(file);
  ASSERT_TRUE(verdict) << verdict.error().text;
  EXPECT_EQ(verdict->records, 2U);
}

TEST_F(Audit, NoticesEveryChangedByte) {
  AuditLog log = open();
  for (int i = 0; i < 3; ++i) log.append("event", {{"number", std::int64_t{i}}});
  const std::string good = text();
  const std::size_t last_line = good.rfind('\n', good.size() - 2) + 1;
  for (std::size_t i = 0; i < last_line; i += 7) {
    std::string bad = good;
    bad[i] = bad[i] == 'x' ? 'y' : 'x';
    write(bad);
    EXPECT_FALSE(verify_audit(file)) << "byte " << i;
  }
}

TEST_F(Audit, NoticesARemovedARepeatedAndASwappedLine) {
  AuditLog log = open();
  for (int i = 0; i < 3; ++i) log.append("event", {{"number", std::int64_t{i}}});
  const std::string good = text();
  const auto first = good.find('\n') + 1;
  const auto second = good.find('\n', first) + 1;
  write(good.substr(0, first) + good.substr(second));
  EXPECT_FALSE(verify_audit(file));
  write(good.substr(0, first) + good);
  EXPECT_FALSE(verify_audit(file));
  write(good.substr(first, second - first) + good.substr(0, first) + good.substr(second));
  EXPECT_FALSE(verify_audit(file));
}

TEST_F(Audit, SaysWhereALineWasTornAndGoesOn) {
  open().append("one", {});
  const std::string whole = text();
  write(whole + "{\"seq\":2,\"ti");
  AuditLog log = open();
  log.append("two", {});
  EXPECT_THAT(text(), HasSubstr("\"event\":\"torn\""));
  const auto verdict = verify_audit(file);
  ASSERT_TRUE(verdict) << verdict.error().text;
  EXPECT_EQ(verdict->records, 3U);
}

TEST_F(Audit, CountsWhatADiskThatIsFullDidNotTake) {
  AuditLog log = open();
  log.append("before", {});
  rlimit unlimited{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit full = unlimited;
  full.rlim_cur = std::filesystem::file_size(file) + 20; // half a record
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  log.append("lost", {});
  log.append("lost", {});
  EXPECT_TRUE(log.full());
  EXPECT_FALSE(log.try_recover());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  std::signal(SIGXFSZ, previous);
  EXPECT_TRUE(log.try_recover());
  EXPECT_FALSE(log.full());
  log.append("after", {});
  EXPECT_THAT(text(), HasSubstr("\"event\":\"gap\",\"missing\":2"));
  const auto verdict = verify_audit(file);
  ASSERT_TRUE(verdict) << verdict.error().text;
  EXPECT_EQ(verdict->records, 3U);
}

TEST_F(Audit, DoesNotFollowALinkAndDoesNotUseADirectory) {
  std::filesystem::create_symlink("/dev/null", file);
  EXPECT_FALSE(AuditLog::open(file));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_FALSE(AuditLog::open(file));
}

TEST(JsonString, IsAlwaysValid) {
  EXPECT_EQ(json_string("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json_string("line\nend"), R"("line\u000aend")");
  EXPECT_EQ(json_string("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
  EXPECT_EQ(json_string("\xff"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(json_string("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

} // namespace
} // namespace mohhos::monitor
