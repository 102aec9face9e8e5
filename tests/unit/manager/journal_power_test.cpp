// The journal's files after a power cut at any moment, on a disk that keeps no more than it must.
//
// This program has its own fdatasync() and fsync(): they write down what a disk promises from then
// on. Whatever else is in the directory may be there after a cut or may not: each sector of 512
// bytes, each new name, each removed one, and every length between the old and the new one.
// (tools/soak power does it with a real kernel, its file system and a whole mohhosd.)
#include "manager/journal_store.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::manager {
namespace {

namespace fs = std::filesystem;
using Bytes = std::string;
using Files = std::map<std::string, Bytes>;

Bytes read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
Files read_directory(const fs::path& directory) {
  Files files;
  for (const auto& each : fs::directory_iterator(directory))
    files[each.path().filename()] = read_file(each.path());
  return files;
}
void write_directory(const fs::path& directory, const Files& files) {
  fs::remove_all(directory);
  fs::create_directory(directory);
  for (const auto& [name, bytes] : files)
    std::ofstream(directory / name, std::ios::binary) << bytes;
}

// What the disk has promised of one directory.
struct Promises {
  fs::path directory;
  Files contents; // of each file as of its last fdatasync(); none: nothing
  Files names;    // that are there, as of the last fsync() of the directory

  void begin(const fs::path& where) {
    directory = where;
    contents = names = read_directory(where);
  }
  void hear(int fd) {
    std::error_code none;
    const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), none);
    if (path == directory)
      names = read_directory(directory);
    else if (path.parent_path() == directory)
      contents[path.filename()] = read_file(path);
  }
};
Promises* promises = nullptr;

} // namespace
} // namespace mohhos::manager

extern "C" int fdatasync(int fd) {
  if (mohhos::manager::promises != nullptr) mohhos::manager::promises->hear(fd);
  return 0;
}
extern "C" int fsync(int fd) {
  return fdatasync(fd);
}

namespace mohhos::manager {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kSenders = 3;

// --- a disk after a cut ---

class PowerCut {
public:
  PowerCut(const Promises& promised, std::mt19937_64& random)
      : promises_(promised), now_(read_directory(promised.directory)), random_(random) {}

  Files any() {
    Files files;
    for (const auto& [name, bytes] : now_) {
      if (!promises_.names.contains(name) && coin()) continue; // a new name
      const Bytes& kept = promised(name);
      const std::size_t between = bytes.size() > kept.size() ? bytes.size() - kept.size() : 0;
      const std::size_t length = kept.size() + (between == 0 ? 0 : random_() % (between + 1));
      files[name] = mixed(kept, bytes, length);
    }
    for (const auto& [name, bytes] : promises_.names) // those that were removed
      if (!now_.contains(name) && coin()) files[name] = promised(name);
    return files;
  }

  // All there, and one that was removed comes back.
  void each_removed(const std::function<void(const Files&)>& look) {
    for (const auto& [name, bytes] : promises_.names) {
      if (now_.contains(name)) continue;
      Files files = now_;
      files[name] = promised(name);
      look(files);
    }
  }

  // All there, and the newest file cut at each length that the disk has not promised.
  void each_length(const std::function<void(const Files&)>& look) {
    if (now_.empty()) return;
    Files files = now_;
    Bytes& newest = files.rbegin()->second;
    const std::size_t kept = promised(files.rbegin()->first).size();
    for (std::size_t length = newest.size(); length-- > kept;) {
      newest.resize(length);
      look(files);
    }
  }

private:
  bool coin() { return random_() % 2 == 0; }
  const Bytes& promised(const std::string& name) const {
    static const Bytes nothing;
    const auto found = promises_.contents.find(name);
    return found == promises_.contents.end() ? nothing : found->second;
  }
  Bytes mixed(const Bytes& before, const Bytes& after, std::size_t length) {
    Bytes bytes(length, '\0');
    for (std::size_t at = 0; at < length; at += kSector) {
      const Bytes& from = coin() ? before : after;
      if (at < from.size()) from.copy(bytes.data() + at, std::min(kSector, length - at), at);
    }
    return bytes;
  }

  const Promises& promises_;
  Files now_;
  std::mt19937_64& random_;
};

// --- what was done, and must have come of it ---

struct Stream {
  std::set<std::uint64_t> synced; // and not acknowledged
  std::set<std::uint64_t> sent;   // since the last commit
  std::uint64_t next = 0;
};
using Streams = std::array<Stream, kSenders>;

// Of 12 to about 900 bytes.
std::string text_of(std::uint64_t number) {
  std::string text = std::to_string(number);
  text.resize(12 + number * 2654435761U % 900, static_cast<char>('a' + number % 26));
  return text;
}

LogInfo info_of(std::size_t sender, std::uint64_t life) {
  return {.life = life,
          .channel = sender,
          .ring_bytes = 4096,
          .sender = "sender" + std::to_string(sender),
          .receiver = "to"};
}

// What comes back. Moves it into new logs, as for a receiver that is loaded.
struct Found {
  std::array<std::vector<std::uint64_t>, kSenders> numbers{}; // as they come
  std::array<JournalStore::LogId, kSenders> logs{};
  bool whole = true;
};
Found restore(JournalStore& store, std::uint64_t life) {
  Found found;
  for (const Leftovers& each : store.leftovers("to", [](const LogInfo&) { return false; })) {
    const auto sender = static_cast<std::size_t>(each.sender.back() - '0');
    std::vector<std::uint64_t>& numbers = found.numbers[sender];
    const auto place = [&](const JournalMessage& message) -> Result<Place> {
      const std::string text(reinterpret_cast<const char*>(message.payload.data()),
                             message.payload.size());
      const std::uint64_t number = std::stoull(text);
      found.whole =
          found.whole && text == text_of(number) && (numbers.empty() || numbers.back() < number);
      numbers.push_back(number);
      return Place{number * 64, number * 64 + 64};
    };
    const auto adopted = store.adopt(each, info_of(sender, life), place);
    if (adopted)
      found.logs[sender] = *adopted;
    else
      found.whole = false;
  }
  return found;
}

class JournalPower : public testing::Test {
protected:
  JournalPower() { fs::create_directory(top / "journal"); }
  ~JournalPower() override { promises = nullptr; }

  // A new mohhosd on such a disk. `streams`: as they were when the power failed.
  void judge(const Files& files, const Streams& streams) {
    Promises* const before = std::exchange(promises, nullptr);
    write_directory(top / "cut", files);
    auto store = JournalStore::open(top / "cut", limits);
    ASSERT_TRUE(store) << store.error().text;
    const Found found = restore(*store, 1'000'000);
    EXPECT_TRUE(found.whole);
    for (std::size_t i = 0; i < kSenders; ++i) {
      const std::vector<std::uint64_t>& numbers = found.numbers[i];
      EXPECT_TRUE(std::ranges::includes(numbers, streams[i].synced));
      EXPECT_TRUE(numbers.empty() || numbers.back() < streams[i].next);
    }
    ++disks;
    promises = before;
  }

  void look_at_disks(const Promises& promised, const Streams& streams, std::mt19937_64& random,
                     int count) {
    PowerCut cut(promised, random);
    for (int i = 0; i < count && !HasFailure(); ++i) judge(cut.any(), streams);
  }

  static void send(JournalStore& store, JournalStore::LogId log, Stream& stream) {
    const std::uint64_t number = stream.next++;
    const std::string text = text_of(number);
    ASSERT_TRUE(store.append(log, {.place = {number * 64, number * 64 + 64},
                                   .payload = std::as_bytes(std::span(text))}));
    stream.sent.insert(number);
  }

  JournalLimits limits{.segment = 8192};
  test::TemporaryDirectory scratch{test::fast_place()};
  const fs::path& top = scratch.path();
  std::uint64_t disks = 0;
};

// Lives of mohhosd, each on a disk that the one before may have left.
TEST_F(JournalPower, WhatWasSyncedIsThereWhateverElseTheDiskLost) {
  std::mt19937_64 random(1);
  Streams streams;
  Promises disk;
  const fs::path journal = top / "journal";
  for (std::uint64_t life = 1; life <= 8 && !HasFailure(); ++life) {
    promises = &disk;
    disk.begin(journal);
    auto opened = JournalStore::open(journal, limits);
    ASSERT_TRUE(opened) << opened.error().text;
    JournalStore store = *std::move(opened);
    // While it is being restored nothing is acknowledged.
    Found found = restore(store, life);
    look_at_disks(disk, streams, random, 10);
    for (std::size_t i = 0; i < kSenders; ++i) {
      streams[i].synced = {found.numbers[i].begin(), found.numbers[i].end()};
      streams[i].sent.clear();
      if (streams[i].synced.empty()) found.logs[i] = store.begin(info_of(i, life));
    }
    for (int step = 0; step < 40 && !HasFailure(); ++step) {
      const std::size_t i = random() % kSenders;
      Stream& stream = streams[i];
      for (std::uint64_t n = random() % 8; n-- > 0;) send(store, found.logs[i], stream);
      if (random() % 2 == 0) {
        const Promises before = disk;
        ASSERT_TRUE(store.commit());
        look_at_disks(before, streams, random, 4); // in the middle of it
        for (Stream& each : streams) each.synced.merge(each.sent);
        look_at_disks(disk, streams, random, 2);
      }
      // One receiver is slow, so that its messages are copied forward.
      if (!stream.synced.empty() && (i != 0 || random() % 8 == 0)) {
        const auto behind = std::next(stream.synced.begin(),
                                      static_cast<std::ptrdiff_t>(random() % stream.synced.size()));
        store.acknowledge(found.logs[i], *behind * 64);
        stream.synced.erase(stream.synced.begin(), behind);
      }
      if (random() % 3 == 0) store.tidy();
      PowerCut(disk, random).each_removed([&](const Files& files) {
        if (!HasFailure()) judge(files, streams);
      });
      look_at_disks(disk, streams, random, 4);
    }
    const Files left = PowerCut(disk, random).any();
    judge(left, streams);
    promises = nullptr;
    write_directory(journal, left);
  }
  EXPECT_GT(disks, 2000U);
}

// An old file that comes back alone, without the one that says that it is over, would bring its
// messages a second time.
TEST_F(JournalPower, FilesThatAreRemovedComeBackTogetherOrNotAtAll) {
  Streams streams;
  {
    auto store = JournalStore::open(top / "journal", limits);
    ASSERT_TRUE(store) << store.error().text;
    send(*store, store->begin(info_of(0, 1)), streams[0]);
    ASSERT_TRUE(store->commit());
    streams[0].synced.merge(streams[0].sent);
  }
  Promises disk;
  promises = &disk;
  disk.begin(top / "journal");
  auto store = JournalStore::open(top / "journal", limits);
  ASSERT_TRUE(store) << store.error().text;
  (void)restore(*store, 2);
  // Another sender's, which are over soon, so that what is left is worth moving together.
  const auto log = store->begin(info_of(1, 2));
  for (int i = 0; i < 200; ++i) {
    send(*store, log, streams[1]);
    ASSERT_TRUE(store->commit());
  }
  store->acknowledge(log, streams[1].next * 64);
  const std::size_t before = read_directory(top / "journal").size();
  std::mt19937_64 random(3);
  for (int i = 0; i < 4; ++i) {
    store->tidy();
    PowerCut(disk, random).each_removed([&](const Files& files) { judge(files, streams); });
  }
  EXPECT_LT(read_directory(top / "journal").size(), before);
}

TEST_F(JournalPower, EveryLengthThatTheDiskHasNotPromisedIsBorne) {
  std::mt19937_64 random(2);
  Promises disk;
  promises = &disk;
  disk.begin(top / "journal");
  auto opened = JournalStore::open(top / "journal", limits);
  ASSERT_TRUE(opened) << opened.error().text;
  JournalStore store = *std::move(opened);
  const auto log = store.begin(info_of(0, 1));
  Streams streams;
  for (int group = 0; group < 3 && !HasFailure(); ++group) {
    for (int i = 0; i < 2; ++i) send(store, log, streams[0]);
    // Written, and not yet flushed: as it is seen in the middle of the commit.
    const Promises before = disk;
    ASSERT_TRUE(store.commit());
    PowerCut cut(before, random);
    cut.each_length([&](const Files& files) {
      if (!HasFailure()) judge(files, streams);
    });
    streams[0].synced.merge(streams[0].sent);
  }
  EXPECT_GT(disks, 1000U);
}

} // namespace
} // namespace mohhos::manager
