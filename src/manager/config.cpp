#include "manager/config.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <span>

#include "security/toml.hpp"
#include "security/toml_depth.hpp"
#include "sys/file.hpp"

namespace mohhos::manager {
namespace {

constexpr Bytes kLargestConfig = kib(256);
constexpr std::uint64_t kMost32 = UINT32_MAX;

// One key of the file: how its value gets into the Config. The setter says what is wrong, without
// file and line.
using Setter = Result<> (*)(const toml::node& value, Config& config);
struct Key {
  std::string_view section;
  std::string_view name;
  Setter set;
  std::string_view otherwise; // what holds when the key is absent
  std::string_view what;
};

Result<std::uint64_t> number(const toml::node& value, std::uint64_t least, std::uint64_t most) {
  const auto found = value.value_exact<std::int64_t>();
  if (!found) return fail(Code::Invalid, "it must be a number between {} and {}", least, most);
  if (*found < 0 || static_cast<std::uint64_t>(*found) < least ||
      static_cast<std::uint64_t>(*found) > most)
    return fail(Code::Invalid, "{} is not between {} and {}", *found, least, most);
  return static_cast<std::uint64_t>(*found);
}

Result<std::vector<std::uint32_t>> numbers(const toml::node& value) {
  const toml::array* array = value.as_array();
  if (array == nullptr)
    return fail(Code::Invalid, "it must be a list of numbers, like [1000, 1001]");
  std::vector<std::uint32_t> result;
  for (const toml::node& element : *array) {
    TRY(const std::uint64_t one, number(element, 0, kMost32 - 1));
    result.push_back(static_cast<std::uint32_t>(one));
  }
  return result;
}

template <auto Member, auto List>
Result<> set_list(const toml::node& value, Config& config) {
  TRY((config.*Member).*List, numbers(value));
  return {};
}

template <auto Member, std::uint64_t Least, std::uint64_t Most>
Result<> set_number(const toml::node& value, Config& config) {
  TRY(const std::uint64_t one, number(value, Least, Most));
  config.*Member = static_cast<std::remove_reference_t<decltype(config.*Member)>>(one);
  return {};
}

template <auto Member, std::uint64_t Most>
Result<> set_limit(const toml::node& value, Config& config) {
  TRY(const std::uint64_t one, number(value, 0, Most));
  auto& field = config.max_limits.*Member;
  field = static_cast<std::remove_reference_t<decltype(field)>>(one);
  return {};
}

Result<> set_level(const toml::node& value, Config& config) {
  const auto text = value.value_exact<std::string_view>();
  const auto level = text ? model::parse_level(*text) : std::nullopt;
  if (!level || *level == model::SandboxLevel::None)
    return fail(Code::Invalid, "it must be \"L1\", \"L2\" or \"L3\"");
  config.min_level = *level;
  return {};
}

Result<> set_libraries(const toml::node& value, Config& config) {
  constexpr std::string_view kWanted = "it must be a list of library names, like [\"libfoo.so.1\"]";
  const toml::array* array = value.as_array();
  if (array == nullptr) return fail(Code::Invalid, "{}", kWanted);
  std::vector<std::string> names;
  for (const toml::node& element : *array) {
    const auto name = element.value_exact<std::string_view>();
    if (!name || name->empty() || name->find('/') != std::string_view::npos)
      return fail(Code::Invalid, "{}", kWanted);
    names.emplace_back(*name);
  }
  config.allowed_libraries = std::move(names);
  return {};
}

Result<> set_plugin_mb(const toml::node& value, Config& config) {
  TRY(const std::uint64_t megabytes, number(value, 1, 256));
  config.max_plugin_bytes = mib(megabytes);
  return {};
}

Result<> set_letter_mb(const toml::node& value, Config& config) {
  TRY(const std::uint64_t megabytes, number(value, 1, 1024ULL * 1024));
  config.max_letter_bytes = mib(megabytes);
  return {};
}

template <auto Member, std::uint64_t Most>
Result<> set_mb(const toml::node& value, Config& config) {
  TRY(const std::uint64_t megabytes, number(value, 1, Most));
  config.*Member = mib(megabytes);
  return {};
}

Result<> set_journal(const toml::node& value, Config& config) {
  const auto truth = value.value_exact<bool>();
  if (!truth) return fail(Code::Invalid, "it must be true or false");
  config.journal = *truth;
  return {};
}

Result<> set_ring_kb(const toml::node& value, Config& config) {
  TRY(const std::uint64_t kilobytes, number(value, 4, 1024ULL * 1024));
  if ((kilobytes & (kilobytes - 1)) != 0)
    return fail(Code::Invalid, "{} is not a power of two", kilobytes);
  config.ring_bytes = kib(kilobytes);
  return {};
}

Result<> set_spin(const toml::node& value, Config& config) {
  TRY(const std::uint64_t microseconds, number(value, 0, 1'000'000));
  config.spin = std::chrono::microseconds(static_cast<std::int64_t>(microseconds));
  return {};
}

using L = model::ResourceLimits;
constexpr Key kKeys[] = {
    {"control", "observe_uids", set_list<&Config::observe, &RoleMembers::uids>, "none",
     "users that may look: list, info, why, logs, watch, status"},
    {"control", "observe_gids", set_list<&Config::observe, &RoleMembers::gids>, "none",
     "groups that may look"},
    {"control", "operate_uids", set_list<&Config::operate, &RoleMembers::uids>, "none",
     "users that may also start, stop, suspend, resume and open endpoints"},
    {"control", "operate_gids", set_list<&Config::operate, &RoleMembers::gids>, "none",
     "groups that may"},
    {"control", "admin_uids", set_list<&Config::admin, &RoleMembers::uids>, "none",
     "users that may also load and unload; root and the user of mohhosd always may"},
    {"control", "admin_gids", set_list<&Config::admin, &RoleMembers::gids>, "none",
     "groups that may"},
    {"control", "max_connections_per_uid", set_number<&Config::max_connections_per_uid, 1, 4096>,
     "64", "connections to the control socket"},
    {"control", "max_endpoints_per_uid", set_number<&Config::max_endpoints_per_uid, 1, 4096>, "16",
     "links for programs that are not plugins"},
    {"limits", "max_memory_mb", set_limit<&L::max_memory_mb, 1ULL << 24>, "16384",
     "no plugin gets more, whatever its manifest asks for"},
    {"limits", "max_cpu_percent", set_limit<&L::max_cpu_percent, 100'000>, "6400",
     "of one CPU: 200 is two"},
    {"limits", "max_file_descriptors", set_limit<&L::max_file_descriptors, 1ULL << 20>, "65536",
     "open files"},
    {"limits", "max_network_connections", set_limit<&L::max_network_connections, kMost32>, "65536",
     "for the network broker, which this version does not have"},
    {"limits", "max_execution_time_ms", set_limit<&L::max_execution_time_ms, 86'400'000>, "600000",
     "for on_init, on_start and on_stop each"},
    {"limits", "max_processes", set_limit<&L::max_processes, 1ULL << 20>, "4096",
     "processes and threads"},
    {"limits", "max_tmp_mb", set_limit<&L::max_tmp_mb, 1ULL << 20>, "4096",
     "size of the plugin's own /tmp"},
    {"limits", "max_tmp_files", set_limit<&L::max_tmp_files, kMost32>, "1000000", "files in it"},
    {"plugins", "max_count", set_number<&Config::max_plugins, 1, 100'000>, "1000",
     "plugins at a time"},
    {"plugins", "max_file_mb", set_plugin_mb, "64", "size of a plugin file"},
    {"sandbox", "min_level", set_level, "\"L1\"", "L1, L2 or L3: below it no plugin starts"},
    {"sandbox", "allowed_libraries", set_libraries, "none",
     "libraries that plugins may need besides the built-in list"},
    {"deadletters", "max_count", set_number<&Config::max_letters, 0, 1'000'000>, "1000",
     "messages that killed their receiver or were left unread, kept for `plugctl deadletter`; when "
     "there are so many, or three quarters of them are one receiver's, further ones are refused "
     "and "
     "reported"},
    {"deadletters", "max_mb", set_letter_mb, "64", "of disk for them"},
    {"data", "spin_us", set_spin, "50",
     "microseconds that a plugin looks at its rings before it sleeps"},
    {"data", "ring_kb", set_ring_kb, "2048",
     "ring of a channel that does not ask for another; a power of two. A flow that its receiver "
     "keeps up with uses the first 256 KiB of it, a dense one (650 MB a second and more) all "
     "([ring-format.md](ring-format.md), 'Laps'). A sender that has many has smaller ones, so that "
     "all together stay below 128 MiB (or two of this size)"},
    {"journal", "enabled", set_journal, "true",
     "durable messages are kept on disk, for plugins with `[channels] durable = true` and for "
     "programs; read when mohhosd starts"},
    {"journal", "max_channel_mb", set_mb<&Config::journal_channel_bytes, 1024>, "64",
     "of messages of one channel that are on disk and not acknowledged"},
    {"journal", "max_mb", set_mb<&Config::journal_bytes, 1ULL << 20>, "512",
     "of all of them, and half of it of one sender or of all programs together; the files take up "
     "to "
     "twice as much"},
};

std::string known_names(std::string_view section) {
  std::string names;
  std::string_view last;
  for (const Key& key : kKeys) {
    const std::string_view name = section.empty() ? key.section : key.name;
    if ((!section.empty() && key.section != section) || name == last) continue;
    names += names.empty() ? "" : ", ";
    names += name;
    last = name;
  }
  return names;
}

std::unexpected<Error> wrong(std::string_view file, const toml::source_position& at,
                             std::string_view what) {
  return fail(Code::Invalid, "{}:{}: {}", file, at.line, what);
}

Result<> parse_section(std::string_view file, const toml::key& section, const toml::node& node,
                       Config& config) {
  const toml::table* table = node.as_table();
  const auto known = std::ranges::find(kKeys, section.str(), &Key::section) != std::end(kKeys);
  if (!known)
    return wrong(file, section.source().begin,
                 fmt::format("unknown section [{}]; there are {}", section.str(), known_names("")));
  if (table == nullptr)
    return wrong(file, section.source().begin,
                 fmt::format("{} must be a section: [{}]", section.str(), section.str()));
  for (const auto& [name, value] : *table) {
    const auto key = std::ranges::find_if(kKeys, [&](const Key& one) {
      return one.section == section.str() && one.name == name.str();
    });
    if (key == std::end(kKeys))
      return wrong(file, name.source().begin,
                   fmt::format("unknown key {} in [{}]; there are {}", name.str(), section.str(),
                               known_names(section.str())));
    if (auto set = key->set(value, config); !set)
      return wrong(file, name.source().begin,
                   fmt::format("{}.{}: {}", section.str(), name.str(), set.error().text));
  }
  return {};
}

bool is_member(const RoleMembers& members, std::uint32_t uid,
               const std::vector<std::uint32_t>& gids) {
  return std::ranges::find(members.uids, uid) != members.uids.end() ||
         std::ranges::any_of(gids, [&](std::uint32_t gid) {
           return std::ranges::find(members.gids, gid) != members.gids.end();
         });
}

Result<> read_into(const std::filesystem::path& file, Config& config) {
  TRY(const std::string text, sys::read_file(file, kLargestConfig));
  return parse_config(text, file.native(), config);
}

} // namespace

std::string_view role_name(Role role) noexcept {
  switch (role) {
  case Role::Observe: return "observe";
  case Role::Operate: return "operate";
  case Role::Admin: return "admin";
  case Role::None: break;
  }
  return "none";
}

Role role_of(const Config& config, std::uint32_t uid, const std::vector<std::uint32_t>& gids,
             std::uint32_t owner) noexcept {
  if (uid == 0 || uid == owner || is_member(config.admin, uid, gids)) return Role::Admin;
  if (is_member(config.operate, uid, gids)) return Role::Operate;
  if (is_member(config.observe, uid, gids)) return Role::Observe;
  return Role::None;
}

Result<> parse_config(std::string_view text, std::string_view file, Config& config) {
  if (const auto line = security::too_deep_line(text))
    return fail(Code::Invalid, "{}:{}: a key of too many parts", file, *line);
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) return wrong(file, parsed.error().source().begin, parsed.error().description());
  for (const auto& [section, node] : parsed.table())
    TRY(parse_section(file, section, node, config));
  return {};
}

std::string describe_config() {
  std::string page =
      "# Configuration\n\n"
      "`/etc/mohhos/mohhosd.toml`, then `/etc/mohhos/conf.d/*.toml` in the order of their names; "
      "later\n"
      "ones win. Every key is optional; an unknown key or a wrong value is an error that names "
      "file, line\n"
      "and key. `mohhosd --check-config` says whether all is right; SIGHUP reads it again. This "
      "page is\n"
      "printed from the table in `src/manager/config.cpp` by `config_doc`; a test compares.\n";
  std::string_view section;
  for (const Key& key : kKeys) {
    if (key.section != section)
      page += fmt::format("\n## [{}]\n\n| key | default | what |\n|---|---|---|\n", key.section);
    section = key.section;
    page += fmt::format("| `{}` | {} | {} |\n", key.name, key.otherwise, key.what);
  }
  return page;
}

model::ResourceLimits lower_limits(model::ResourceLimits limits,
                                   const model::ResourceLimits& ceiling) {
  const auto lower = [](auto& value, const auto& most) { value = std::min(value, most); };
  lower(limits.max_memory_mb, ceiling.max_memory_mb);
  lower(limits.max_cpu_percent, ceiling.max_cpu_percent);
  lower(limits.max_file_descriptors, ceiling.max_file_descriptors);
  lower(limits.max_network_connections, ceiling.max_network_connections);
  lower(limits.max_execution_time_ms, ceiling.max_execution_time_ms);
  lower(limits.max_processes, ceiling.max_processes);
  lower(limits.max_tmp_mb, ceiling.max_tmp_mb);
  lower(limits.max_tmp_files, ceiling.max_tmp_files);
  return limits;
}

Result<Config> read_config(const model::Paths& paths) {
  Config config;
  std::error_code error;
  if (std::filesystem::exists(paths.config(), error)) TRY(read_into(paths.config(), config));
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator each(paths.etc / "conf.d", error), end;
       !error && each != end; each.increment(error))
    if (each->path().extension() == ".toml") files.push_back(each->path());
  std::ranges::sort(files);
  for (const auto& file : files) TRY(read_into(file, config));
  return config;
}

} // namespace mohhos::manager
