// The public keys whose plugins may be loaded at all: keys.d/*.pub. What a key's plugins may get is
// trust.hpp's.
//
// A file that cannot be relied on is not a key: it belongs to root or to the daemon's user and
// nobody else may write it, it parses, and no other file has the same id with another key (then
// both are out: nobody can say which one the operator meant). One bad file does not take the others
// down; problems() says what was left out and why, and so does the error for a key that is not
// found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "security/minisign.hpp"

namespace mohhos::security {

class Keyring {
public:
  // An absent directory is an empty keyring; one that others may write is Untrusted. [any]
  [[nodiscard]] static Result<Keyring> open(std::filesystem::path directory);

  // Reads the directory again if it or a file in it changed (one stat per key otherwise: call it
  // before every verification). True: it was read again. After an error the keyring is empty. [any]
  [[nodiscard]] Result<bool> refresh();

  // The key with this id. Untrusted: "unknown key …", with the directory and what was left out.
  // [pure]
  [[nodiscard]] Result<PublicKey> find(const KeyId& id) const;

  struct Entry {
    PublicKey key;
    std::filesystem::path file;
  };
  [[nodiscard]] std::span<const Entry> entries() const { return entries_; }
  // One sentence for each file that was left out. [pure]
  [[nodiscard]] std::span<const std::string> problems() const { return problems_; }

private:
  struct Stamp { // of the directory (name empty) or a file in it
    std::string name;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  Keyring() = default;
  [[nodiscard]] Result<std::vector<Stamp>> take_stamps() const;
  [[nodiscard]] bool unchanged() const;
  [[nodiscard]] Result<> read();
  void add(const std::string& name);
  void drop_ambiguous();

  std::filesystem::path directory_;
  std::vector<Stamp> stamps_;
  bool settled_ = false; // a change within the clock's grain could look like none; then read again
  std::vector<Entry> entries_;
  std::vector<std::string> problems_;
};

} // namespace mohhos::security
