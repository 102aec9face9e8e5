#include "security/toml_message.hpp"

#include <limits>
#include <sstream>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include "security/nearest.hpp"
#include "security/toml.hpp"
#include "security/toml_depth.hpp"

namespace mohhos::security {
namespace {

constexpr std::size_t kShown = 60;

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// For errors. (toml++'s own formatter would do, but for infinities it converts them to integers.)
std::string shown(const toml::node& node) {
  if (const auto text = node.value_exact<std::string_view>())
    return text->size() > kShown ? fmt::format("\"{}...\"", text->substr(0, kShown))
                                 : fmt::format("\"{}\"", *text);
  if (const auto number = node.value_exact<std::int64_t>()) return fmt::format("{}", *number);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto truth = node.value_exact<bool>()) return *truth ? "true" : "false";
  if (node.is_table()) return "{...}";
  if (node.is_array()) return "[...]";
  return "(a date or time)";
}

// Holds a table against a descriptor and notes the line of each value.
class Walk {
public:
  explicit Walk(Source& source) : source_(source) {}

  Result<> table(const toml::table& table, const Descriptor& descriptor, const std::string& path) {
    for (const auto& [key, node] : table) {
      const FieldDescriptor* field = descriptor.FindFieldByName(std::string(key.str()));
      const std::string inner =
          path.empty() ? std::string(key.str()) : fmt::format("{}.{}", path, key.str());
      if (field == nullptr) return unknown(key, descriptor, inner);
      source_.lines[inner] = key.source().begin.line;
      if (field->is_map())
        TRY(map(node, *field, inner));
      else if (field->is_repeated())
        TRY(list(node, *field, inner));
      else
        TRY(value(node, *field, inner));
    }
    return {};
  }

private:
  Result<> map(const toml::node& node, const FieldDescriptor& field, const std::string& path) {
    const toml::table* entries = node.as_table();
    if (entries == nullptr) return wrong(node, path, "a table");
    const FieldDescriptor* inner = field.message_type()->map_value();
    for (const auto& [key, entry] : *entries) {
      const std::string place = fmt::format("{}.{}", path, key.str());
      source_.lines[place] = key.source().begin.line;
      TRY(value(entry, *inner, place));
    }
    return {};
  }

  Result<> list(const toml::node& node, const FieldDescriptor& field, const std::string& path) {
    const toml::array* elements = node.as_array();
    if (elements == nullptr) return wrong(node, path, "a list, [\"…\"]");
    std::size_t index = 0;
    for (const toml::node& element : *elements) {
      const std::string place = fmt::format("{}[{}]", path, index++);
      source_.lines[place] = element.source().begin.line;
      TRY(value(element, field, place));
    }
    return {};
  }

  Result<> value(const toml::node& node, const FieldDescriptor& field, const std::string& path) {
    switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (!node.is_table()) return wrong(node, path, "a table");
      return table(*node.as_table(), *field.message_type(), path);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!node.is_boolean()) return wrong(node, path, "true or false");
      return {};
    case FieldDescriptor::CPPTYPE_STRING:
      if (!node.is_string()) return wrong(node, path, "a text in quotes");
      return {};
    case FieldDescriptor::CPPTYPE_UINT32:
      return whole_number(node, path, std::numeric_limits<std::uint32_t>::max());
    case FieldDescriptor::CPPTYPE_UINT64:
      return whole_number(node, path, std::numeric_limits<std::int64_t>::max());
    default: return wrong(node, path, "something that this version cannot read");
    }
  }

  Result<> whole_number(const toml::node& node, const std::string& path, std::int64_t most) {
    const auto number = node.value_exact<std::int64_t>();
    if (number && *number >= 0 && *number <= most) return {};
    return wrong(node, path, fmt::format("a whole number from 0 to {}", most));
  }

  std::unexpected<Error> wrong(const toml::node& node, const std::string& path,
                               std::string_view allowed) {
    return fail(Code::Invalid, "{}{} = {}: it must be {}", source_.at(path), path, shown(node),
                allowed);
  }

  std::unexpected<Error> unknown(const toml::key& key, const Descriptor& descriptor,
                                 const std::string& path) {
    std::vector<std::string> known;
    for (int i = 0; i < descriptor.field_count(); ++i) known.push_back(descriptor.field(i)->name());
    return fail(Code::Invalid, "{}:{}: unknown key '{}'; {}", source_.file, key.source().begin.line,
                path, suggestion(key.str(), known));
  }

  Source& source_;
};

std::string as_json(const toml::table& table) {
  std::ostringstream text;
  text << toml::json_formatter{table};
  return std::move(text).str();
}

} // namespace

std::string Source::at(std::string_view path) const {
  const auto line = lines.find(path);
  return line == lines.end() ? file + ": " : fmt::format("{}:{}: ", file, line->second);
}

Result<Source> parse_toml(std::string_view text, std::string_view file, Bytes limit,
                          google::protobuf::Message& message) {
  Source source{.file = std::string(file)};
  if (text.size() > limit.count)
    return fail(Code::TooLarge, "{} has {} bytes, and the limit is {}", file, text.size(),
                limit.count);
  if (const auto line = too_deep_line(text))
    return fail(Code::Invalid, "{}:{}: a key of more than {} parts", file, *line, kDeepestKey);
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed)
    return fail(Code::Invalid, "{}:{}: {}", file, parsed.error().source().begin.line,
                parsed.error().description());
  TRY(Walk(source).table(parsed.table(), *message.GetDescriptor(), ""));
  const auto filled =
      google::protobuf::util::JsonStringToMessage(as_json(parsed.table()), &message);
  if (!filled.ok()) return fail(Code::Invalid, "{}: {}", file, filled.message().as_string());
  return source;
}

} // namespace mohhos::security
