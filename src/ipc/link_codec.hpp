// Link records in and out: the one place where bytes of the link become records.
//
// total: any bytes are either exactly one record of link.hpp (version, size of its type,
// enumerators that exist, texts that end inside their arrays, counts within bounds) or an error
// that names the field.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "base/error.hpp"
#include "base/fixed_text.hpp"
#include "ipc/link.hpp"
#include "sys/fd.hpp"

namespace mohhos::ipc {

// One record, checked. as<T>() copies it out; T must be the one that type() says.
struct LinkRecord {
  LinkHeader header;
  std::vector<std::byte> bytes;
  std::vector<sys::Fd> fds;

  [[nodiscard]] LinkType type() const { return header.type; }
  template <class T>
    requires kIsLinkRecord<T>
  [[nodiscard]] T as() const {
    CHECK(T{}.header.type == header.type && bytes.size() == sizeof(T));
    T record;
    std::memcpy(&record, bytes.data(), sizeof(T));
    return record;
  }
};

// Who may say a record: each end refuses what only it may say itself.
enum class LinkSide : std::uint8_t { Manager, Endpoint };

// Malformed names what is wrong. `from`: who sent these bytes. [pure]
[[nodiscard]] Result<LinkHeader> check_link_record(std::span<const std::byte> bytes, LinkSide from);

// The next record from a link, or nothing if none waits. Unreachable: the other end is gone.
// Malformed: not a record; close the link. [any]
[[nodiscard]] Result<std::optional<LinkRecord>> receive_link_record(int link, LinkSide from);

// send(2), because the plugin's filter has no sendmsg. Refused: the other side does not read;
// Unreachable: it is gone. The manager, which sends descriptors too, gives them here and sendmsg is
// used. [any]
[[nodiscard]] Result<> send_link_bytes(int link, std::span<const std::byte> bytes,
                                       std::span<const int> fds = {});
template <class T>
  requires kIsLinkRecord<T>
[[nodiscard]] Result<> send_link_record(int link, const T& record, std::span<const int> fds = {}) {
  return send_link_bytes(link, std::as_bytes(std::span(&record, 1)), fds);
}

} // namespace mohhos::ipc
