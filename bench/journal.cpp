// What it costs to have messages on disk: the journal's own log, and SQLite (WAL, synchronous=FULL)
// for comparison where it is installed. 64 bytes of payload, N messages with one commit for each
// group.
//
//   bench_journal [DIRECTORY]     (a directory on the disk that is meant; default: the current one)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "manager/journal_store.hpp"
#ifdef BENCH_SQLITE
#include <sqlite3.h>
#endif

namespace {

using namespace mohhos::manager;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kGroups[] = {1, 16, 256};
const std::string kPayload(64, 'x');

// Fills one group and has it on disk.
using Commit = std::function<void(std::size_t group)>;

void measure(const char* name, const fs::path& directory, const Commit& commit) {
  for (const std::size_t group : kGroups) {
    const std::size_t rounds = group == 256 ? 100 : 300;
    for (int i = 0; i < 10; ++i) commit(group);
    std::vector<double> took;
    for (std::size_t i = 0; i < rounds; ++i) {
      const auto begun = Clock::now();
      commit(group);
      took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
    }
    std::ranges::sort(took);
    std::printf("%-8s %5zu %12.1f %12.1f %14.2f\n", name, group, took[took.size() / 2],
                took[took.size() * 99 / 100], took[took.size() / 2] / static_cast<double>(group));
  }
  std::uintmax_t bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator(directory)) bytes += file.file_size();
  std::printf("%-8s on disk: %ju bytes\n", name, bytes);
}

void measure_log(const fs::path& directory) {
  auto store = JournalStore::open(directory, {});
  if (!store) return void(std::printf("%s\n", store.error().text.c_str()));
  const auto log = store->begin({.life = 1,
                                 .channel = 1,
                                 .ring_bytes = 4096,
                                 .sender_type = 6,
                                 .sender = "from",
                                 .receiver = "to"});
  std::uint64_t position = 0;
  const auto payload = std::as_bytes(std::span(kPayload));
  measure("log", directory, [&](std::size_t group) {
    for (std::size_t i = 0; i < group; ++i, position += 128)
      if (!store->append(log, {.place = {position, position + 128}, .payload = payload}))
        std::abort();
    if (!store->commit()) std::abort();
  });
  std::printf("%-8s a message: %llu bytes\n", "log",
              static_cast<unsigned long long>(message_entry_size(kPayload.size())));
}

// The least that the disk can do.
void measure_bare(const fs::path& directory) {
  fs::create_directories(directory);
  const int fd = ::open((directory / "bare").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  off_t at = 0;
  measure("bare", directory, [&](std::size_t group) {
    const std::string bytes(group * 128, 'x');
    if (::pwrite(fd, bytes.data(), bytes.size(), at) < 0 || ::fdatasync(fd) != 0) std::abort();
    at += static_cast<off_t>(bytes.size());
  });
  ::close(fd);
}

#ifdef BENCH_SQLITE
void measure_sqlite(const fs::path& directory) {
  fs::create_directories(directory);
  sqlite3* db = nullptr;
  sqlite3_stmt* insert = nullptr;
  const auto run = [&](const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) std::abort();
  };
  if (sqlite3_open((directory / "db").c_str(), &db) != SQLITE_OK) std::abort();
  run("PRAGMA journal_mode=WAL");
  run("PRAGMA synchronous=FULL");
  run("CREATE TABLE message (log INTEGER, position INTEGER, type INTEGER, payload BLOB, "
      "PRIMARY KEY (log, position)) WITHOUT ROWID");
  if (sqlite3_prepare_v2(db, "INSERT INTO message VALUES (1, ?, 7, ?)", -1, &insert, nullptr) !=
      SQLITE_OK)
    std::abort();
  sqlite3_int64 position = 0;
  measure("sqlite", directory, [&](std::size_t group) {
    run("BEGIN");
    for (std::size_t i = 0; i < group; ++i, position += 128) {
      sqlite3_bind_int64(insert, 1, position);
      sqlite3_bind_blob(insert, 2, kPayload.data(), static_cast<int>(kPayload.size()),
                        SQLITE_STATIC);
      if (sqlite3_step(insert) != SQLITE_DONE) std::abort();
      sqlite3_reset(insert);
    }
    run("COMMIT");
  });
  sqlite3_finalize(insert);
  sqlite3_close(db);
}
#endif

} // namespace

int main(int argc, char** argv) {
  std::string pattern = (fs::path(argc > 1 ? argv[1] : ".") / "bench-journal-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return 1;
  const fs::path top = pattern;
  std::printf("%-8s %5s %12s %12s %14s\n", "", "group", "median us", "p99 us", "us / message");
  measure_bare(top / "bare");
  measure_log(top / "log");
#ifdef BENCH_SQLITE
  measure_sqlite(top / "sqlite");
#else
  std::printf("sqlite   is not installed (libsqlite3-dev)\n");
#endif
  fs::remove_all(top);
}
