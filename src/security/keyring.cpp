#include "security/keyring.hpp"

#include <algorithm>
#include <chrono>

#include <sys/stat.h>

#include "security/trusted_file.hpp"

namespace mohhos::security {
namespace {

constexpr std::size_t kMostKeys = 1024;
// Timestamps move in steps of the kernel's tick: what changed less than this ago may change again
// unseen.
constexpr std::chrono::milliseconds kClockGrain{100};

std::int64_t wall_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

} // namespace

Result<Keyring> Keyring::open(std::filesystem::path directory) {
  Keyring keyring;
  keyring.directory_ = std::move(directory);
  TRY(keyring.read());
  return keyring;
}

Result<bool> Keyring::refresh() {
  if (settled_ && unchanged()) return false;
  TRY(read());
  return true;
}

// The directory, then every key file in it, by name. Names can only change with the directory.
Result<std::vector<Keyring::Stamp>> Keyring::take_stamps() const {
  std::vector<Stamp> stamps;
  auto directory = sys::status_of(directory_);
  if (!directory && directory.error().code == Code::NotFound) return stamps;
  if (!directory) return std::unexpected(std::move(directory).error());
  if (!S_ISDIR(directory->mode))
    return fail(Code::Untrusted, "{} is not a directory", directory_.native());
  TRY(check_owner(directory_, *directory));
  stamps.push_back(
      {"", directory->inode, directory->size, directory->modified_ns, directory->changed_ns});
  TRY(const auto names, sys::list_directory(directory_));
  for (const std::string& name : names) {
    if (!name.ends_with(".pub")) continue;
    if (stamps.size() > kMostKeys)
      return fail(Code::TooLarge, "{} has more than {} keys", directory_.native(), kMostKeys);
    const auto file = sys::status_of(directory_ / name);
    if (file)
      stamps.push_back({name, file->inode, file->size, file->modified_ns, file->changed_ns});
    else
      stamps.push_back({.name = name});
  }
  return stamps;
}

bool Keyring::unchanged() const {
  if (stamps_.empty()) return !sys::status_of(directory_);
  return std::ranges::all_of(stamps_, [this](const Stamp& stamp) {
    const auto now = sys::status_of(stamp.name.empty() ? directory_ : directory_ / stamp.name);
    return now &&
           Stamp{stamp.name, now->inode, now->size, now->modified_ns, now->changed_ns} == stamp;
  });
}

Result<> Keyring::read() {
  entries_.clear();
  problems_.clear();
  stamps_.clear();
  settled_ = false;
  const std::int64_t before = wall_clock_ns();
  TRY(stamps_, take_stamps());
  const std::int64_t newest = before - std::chrono::nanoseconds(kClockGrain).count();
  settled_ = std::ranges::all_of(
      stamps_, [newest](const Stamp& stamp) { return stamp.changed_ns < newest; });
  for (const Stamp& stamp : stamps_)
    if (!stamp.name.empty()) add(stamp.name);
  drop_ambiguous();
  return {};
}

void Keyring::add(const std::string& name) {
  const std::filesystem::path file = directory_ / name;
  const auto text = read_trusted_file(file, kLargestKeyFile);
  if (!text) {
    problems_.push_back(text.error().text);
    return;
  }
  const auto key = parse_public_key(*text);
  if (!key) {
    problems_.push_back(fmt::format("{}: {}", file.native(), key.error().text));
    return;
  }
  entries_.push_back({*key, file});
}

// The same key in two files is one key; two keys of one id are none.
void Keyring::drop_ambiguous() {
  std::vector<KeyId> ambiguous;
  std::vector<Entry> kept;
  for (Entry& entry : entries_) {
    const auto twin =
        std::ranges::find(kept, entry.key.id, [](const Entry& other) { return other.key.id; });
    if (twin == kept.end()) {
      kept.push_back(std::move(entry));
    } else if (twin->key != entry.key) {
      ambiguous.push_back(entry.key.id);
      problems_.push_back(fmt::format(
          "{} and {} are different keys with the same id {}: neither is used, remove one",
          twin->file.native(), entry.file.native(), to_string(entry.key.id)));
    }
  }
  std::erase_if(kept, [&](const Entry& entry) {
    return std::ranges::find(ambiguous, entry.key.id) != ambiguous.end();
  });
  entries_ = std::move(kept);
}

Result<PublicKey> Keyring::find(const KeyId& id) const {
  const auto entry =
      std::ranges::find(entries_, id, [](const Entry& candidate) { return candidate.key.id; });
  if (entry != entries_.end()) return entry->key;
  std::string left_out;
  for (const std::string& problem : problems_) left_out += fmt::format("; left out: {}", problem);
  return fail(Code::Untrusted,
              "it is signed by the unknown key {}: {} has {} key{}, not this one (plugctl key "
              "trust FILE.pub "
              "adds one){}",
              to_string(id), directory_.native(), entries_.size(), entries_.size() == 1 ? "" : "s",
              left_out);
}

} // namespace mohhos::security
