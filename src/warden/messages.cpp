#include "warden/messages.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/reader.hpp"
#include "model/plugin_name.hpp"

namespace mohhos::warden {
namespace {

struct Row {
  MessageType type;
  std::string_view name;
  std::size_t size;
  std::size_t descriptors;
};
constexpr std::array kRequests = {
    Row{MessageType::Ready, "Ready", sizeof(Signal), 0},
    Row{MessageType::Launch, "Launch", sizeof(Launch), 5},
    Row{MessageType::Kill, "Kill", sizeof(Target), 0},
    Row{MessageType::Freeze, "Freeze", sizeof(Target), 0},
    Row{MessageType::Thaw, "Thaw", sizeof(Target), 0},
    Row{MessageType::Release, "Release", sizeof(Target), 0},
    Row{MessageType::Keep, "Keep", sizeof(Keep), 1},
    Row{MessageType::Forget, "Forget", sizeof(Forget), 0},
    Row{MessageType::Goodbye, "Goodbye", sizeof(Signal), 0},
    Row{MessageType::Settle, "Settle", sizeof(Target), 0},
};

bool is_kind(KeepKind kind) {
  return kind >= KeepKind::Record && kind <= KeepKind::Memory;
}

// The contents that the warden itself relies on; the Spec is verify_spec's.
Result<> check(const Launch& launch) {
  if (launch.plugin_id == 0 || launch.generation == 0)
    return fail(Code::Malformed, "Launch without a plugin or a generation");
  if (!model::is_plugin_name({launch.name, ::strnlen(launch.name, kNameSize)}))
    return fail(Code::Malformed, "Launch with a name that is none");
  if (launch.signature_size > kSignatureSize)
    return fail(Code::Malformed, "Launch with a signature of {} bytes", launch.signature_size);
  return {};
}
Result<> check(const Target& target) {
  if (target.plugin_id == 0 || target.reserved != 0)
    return fail(Code::Malformed, "a request without a plugin");
  return {};
}
Result<> check(const Keep& keep) {
  if (!is_kind(keep.kind) || keep.reserved != 0)
    return fail(Code::Malformed, "Keep of the unknown kind {}",
                static_cast<std::uint32_t>(keep.kind));
  return {};
}
Result<> check(const Forget& forget) {
  if ((forget.kind != KeepKind{} && !is_kind(forget.kind)) || forget.reserved != 0)
    return fail(Code::Malformed, "Forget of the unknown kind {}",
                static_cast<std::uint32_t>(forget.kind));
  return {};
}
Result<> check(const Signal&) {
  return {};
}

template <class T>
Result<Request> read(std::span<const std::byte> bytes) {
  T message;
  std::memcpy(&message, bytes.data(), sizeof message);
  TRY(check(message));
  return Request(message);
}

} // namespace

Result<Request> parse_request(std::span<const std::byte> bytes, std::size_t descriptors) {
  const auto header = Reader(bytes).at<Header>(0);
  if (!header) return fail(Code::Malformed, "a message of {} bytes", bytes.size());
  const auto row = std::ranges::find(kRequests, header->type, &Row::type);
  if (row == kRequests.end())
    return fail(Code::Malformed, "a message of the unknown type {}",
                static_cast<unsigned>(header->type));
  if (header->version != kProtocolVersion || header->reserved != 0)
    return fail(Code::Malformed, "{} of protocol version {}, and this is version {}", row->name,
                header->version, kProtocolVersion);
  if (bytes.size() != row->size || header->size != row->size)
    return fail(Code::Malformed, "{} of {} bytes (it says {}), and it has {}", row->name,
                bytes.size(), header->size, row->size);
  if (descriptors != row->descriptors)
    return fail(Code::Malformed, "{} with {} descriptors, and it has {}", row->name, descriptors,
                row->descriptors);
  switch (header->type) {
  case MessageType::Launch: return read<Launch>(bytes);
  case MessageType::Keep: return read<Keep>(bytes);
  case MessageType::Forget: return read<Forget>(bytes);
  case MessageType::Ready:
  case MessageType::Goodbye: return read<Signal>(bytes);
  default: return read<Target>(bytes);
  }
}

} // namespace mohhos::warden
