#include "security/manifest.hpp"

#include <algorithm>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>

#include "mohhos/v1/manifest.pb.h"

#include "base/check.hpp"
#include "security/manifest_checks.hpp"

namespace mohhos::security {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kDeepestMessage = 8; // the schema's own depth is 3

struct Checked {
  v1::PluginManifest manifest;
  model::Metadata metadata;
};

Result<Checked> read_toml(std::string_view text, std::string_view file) {
  Checked checked;
  TRY(const Source source, parse_toml(text, file, kLargestManifest, checked.manifest));
  TRY(checked.metadata, check_manifest(checked.manifest, source));
  return checked;
}

// Maps in the order of their keys: signatures and reproducible builds want the same bytes each
// time.
std::string serialize(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  CHECK(message.SerializeToCodedStream(&coded));
  coded.Trim();
  return bytes;
}

// What a newer version wrote and this one would silently not obey: the number of the first such
// field, or 0.
int unknown_field(const Message& message) {
  const auto& reflection = *message.GetReflection();
  if (const auto& unknown = reflection.GetUnknownFields(message); !unknown.empty())
    return unknown.field(0).number();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const Message& inner = field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                                  : reflection.GetMessage(message, field);
      if (const int number = unknown_field(inner); number != 0) return number;
    }
  }
  return 0;
}

Result<Checked> read_bytes(std::span<const std::byte> bytes) {
  constexpr std::string_view kPlace = "the manifest in the plugin file";
  if (bytes.size() > kLargestManifest.count)
    return fail(Code::TooLarge, "{} has {} bytes, and the limit is {}", kPlace, bytes.size(),
                kLargestManifest.count);
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kDeepestMessage);
  Checked checked;
  if (bytes.empty() || !checked.manifest.ParseFromCodedStream(&stream) ||
      !stream.ConsumedEntireMessage())
    return fail(Code::Malformed,
                "{} ({} bytes) is no manifest: build the plugin with mohhos_add_plugin, or add "
                "one with plugctl manifest",
                kPlace, bytes.size());
  if (const int number = unknown_field(checked.manifest); number != 0)
    return fail(Code::Incompatible,
                "{} has a field (number {}) that this version does not know: a newer "
                "plugctl made it",
                kPlace, number);
  TRY(checked.metadata, check_manifest(checked.manifest, Source{.file = std::string(kPlace)}));
  return checked;
}

} // namespace

Result<model::Metadata> parse_manifest_toml(std::string_view text, std::string_view file) {
  TRY(Checked checked, read_toml(text, file));
  return std::move(checked.metadata);
}

Result<std::string> compile_manifest(std::string_view text, std::string_view file) {
  TRY(const Checked checked, read_toml(text, file));
  std::string bytes = serialize(checked.manifest);
  if (bytes.size() > kLargestManifest.count)
    return fail(Code::TooLarge, "{}: the manifest has {} bytes, and the limit is {}", file,
                bytes.size(), kLargestManifest.count);
  return bytes;
}

Result<model::Metadata> parse_manifest(std::span<const std::byte> bytes) {
  TRY(Checked checked, read_bytes(bytes));
  return std::move(checked.metadata);
}

Result<std::string> manifest_json(std::span<const std::byte> bytes) {
  TRY(const Checked checked, read_bytes(bytes));
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed =
      google::protobuf::util::MessageToJsonString(checked.manifest, &json, options);
  if (!printed.ok())
    return fail(Code::Failed, "printing the manifest: {}", printed.message().as_string());
  return json;
}

} // namespace mohhos::security
