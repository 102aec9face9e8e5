#include "sandbox/boot.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/check.hpp"
#include "base/reader.hpp"
#include "sys/mapping.hpp"
#include "sys/memfd.hpp"

namespace mohhos::sandbox {
namespace {

// The block: this header, then landlock_count rules, confine_count and tighten_count instructions.
// Nothing after.
struct Header {
  std::uint32_t magic = kBootMagic;
  std::uint32_t version = kBootVersion;
  std::uint64_t plugin_id = 0;
  std::uint64_t execution_time_ms = 0;
  std::uint32_t generation = 0;
  std::uint32_t plugin_type = 0;
  std::uint32_t create_processes = 0;
  std::uint32_t landlock_count = 0;
  std::uint32_t confine_count = 0;
  std::uint32_t tighten_count = 0;
  std::uint32_t capabilities = 0;
  std::uint32_t custom_capabilities = 0;
  char name[kBootNameSize] = {};
};
static_assert(std::has_unique_object_representations_v<Header>);

// Appends items to a block whose whole size is known from the start.
class Writer {
public:
  explicit Writer(std::size_t size) : bytes_(size) {}
  template <class T>
  void put(std::span<const T> items) {
    CHECK(items.size_bytes() <= bytes_.size() - used_);
    if (!items.empty()) std::memcpy(bytes_.data() + used_, items.data(), items.size_bytes());
    used_ += items.size_bytes();
  }
  [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }

private:
  std::vector<std::byte> bytes_;
  std::size_t used_ = 0;
};

// Copies `count` items of T from the front of what is left; the count was bounded before.
template <class T>
bool take(std::span<const std::byte>& rest, std::size_t count, std::vector<T>& items) {
  if (rest.size() / sizeof(T) < count) return false;
  items.resize(count);
  if (count != 0) std::memcpy(items.data(), rest.data(), count * sizeof(T));
  rest = rest.subspan(count * sizeof(T));
  return true;
}

Result<> check_header(const Header& header) {
  if (header.magic != kBootMagic)
    return fail(Code::Malformed, "boot block: magic {:#x}", header.magic);
  if (header.version != kBootVersion)
    return fail(Code::Incompatible, "boot block: version {}, this host has {}", header.version,
                kBootVersion);
  if (header.create_processes > 1)
    return fail(Code::Malformed, "boot block: create_processes is {}", header.create_processes);
  if (header.capabilities > model::kAllCapabilities.bits)
    return fail(Code::Malformed, "boot block: capabilities {:#x}", header.capabilities);
  if (header.landlock_count > kMaxLandlockRules)
    return fail(Code::Malformed, "boot block: {} Landlock rules", header.landlock_count);
  if (header.confine_count == 0 || header.confine_count > kMaxFilterLength)
    return fail(Code::Malformed, "boot block: a first filter of {} instructions",
                header.confine_count);
  if (header.tighten_count > kMaxFilterLength)
    return fail(Code::Malformed, "boot block: a second filter of {} instructions",
                header.tighten_count);
  if (std::memchr(header.name, 0, sizeof header.name) == nullptr)
    return fail(Code::Malformed, "boot block: the name does not end");
  return {};
}

Result<> check_rule(const LandlockRule& rule) {
  if (rule.access < PathAccess::Read || rule.access > PathAccess::Device)
    return fail(Code::Malformed, "boot block: Landlock access {}",
                static_cast<std::uint32_t>(rule.access));
  if (rule.optional > 1)
    return fail(Code::Malformed, "boot block: Landlock optional {}", rule.optional);
  if (rule.path[0] != '/' || std::memchr(rule.path, 0, sizeof rule.path) == nullptr)
    return fail(Code::Malformed, "boot block: a Landlock path is not absolute or does not end");
  return {};
}

} // namespace

std::vector<std::byte> serialize_boot(const Boot& boot) {
  CHECK(boot.name.size() < kBootNameSize);
  CHECK(boot.landlock.size() <= kMaxLandlockRules);
  CHECK(!boot.confine.empty() && boot.confine.size() <= kMaxFilterLength);
  CHECK(boot.tighten.size() <= kMaxFilterLength);
  Header header;
  header.plugin_id = boot.plugin.value;
  header.execution_time_ms = boot.execution_time_ms;
  header.generation = boot.generation.value;
  header.plugin_type = boot.plugin_type;
  header.create_processes = boot.create_processes;
  header.capabilities = boot.capabilities.bits;
  header.custom_capabilities = boot.capabilities.custom;
  header.landlock_count = static_cast<std::uint32_t>(boot.landlock.size());
  header.confine_count = static_cast<std::uint32_t>(boot.confine.size());
  header.tighten_count = static_cast<std::uint32_t>(boot.tighten.size());
  std::ranges::copy(boot.name, header.name);
  Writer writer(sizeof header + boot.landlock.size() * sizeof(LandlockRule) +
                (boot.confine.size() + boot.tighten.size()) * sizeof(sock_filter));
  writer.put(std::span<const Header>(&header, 1));
  writer.put(std::span<const LandlockRule>(boot.landlock));
  writer.put(std::span<const sock_filter>(boot.confine));
  writer.put(std::span<const sock_filter>(boot.tighten));
  return std::move(writer).take();
}

Result<sys::Fd> make_boot(const Boot& boot) {
  return sys::make_sealed("mohhos-boot", serialize_boot(boot));
}

Result<Boot> parse_boot(std::span<const std::byte> bytes) {
  const auto header = Reader(bytes).at<Header>(0);
  if (!header) return fail(Code::Malformed, "boot block: {} bytes are no header", bytes.size());
  TRY(check_header(*header));
  Boot boot;
  boot.plugin = PluginId{header->plugin_id};
  boot.generation = Generation{header->generation};
  boot.name = header->name;
  boot.plugin_type = header->plugin_type;
  boot.create_processes = header->create_processes;
  boot.capabilities = {static_cast<std::uint8_t>(header->capabilities),
                       header->custom_capabilities};
  boot.execution_time_ms = header->execution_time_ms;
  auto rest = bytes.subspan(sizeof(Header));
  if (!take(rest, header->landlock_count, boot.landlock) ||
      !take(rest, header->confine_count, boot.confine) ||
      !take(rest, header->tighten_count, boot.tighten))
    return fail(Code::Malformed, "boot block: it ends inside its arrays");
  if (!rest.empty()) return fail(Code::Malformed, "boot block: {} bytes too many", rest.size());
  for (const LandlockRule& rule : boot.landlock) TRY(check_rule(rule));
  return boot;
}

Result<Boot> read_boot(int fd) {
  TRY(const sys::Mapping mapping, sys::map_sealed(fd));
  return parse_boot(mapping.bytes());
}

} // namespace mohhos::sandbox
