// manifest and inspect: what a plugin says of itself, and what its file is.
#include <memory>
#include <unistd.h>

#include "monitor/logs.hpp"
#include "plugctl.hpp"
#include "plugctl_output.hpp"
#include "security/elf.hpp"
#include "security/embed.hpp"
#include "security/image.hpp"
#include "security/manifest.hpp"
#include "security/package.hpp"
#include "sys/file.hpp"
#include "sys/memfd.hpp"

namespace mohhos::plugctl {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

Result<int> check(const Context& context, const std::string& file) {
  TRY(const auto text, sys::read_file(file, security::kLargestManifest));
  TRY(const auto metadata, security::parse_manifest_toml(text, file));
  if (context.json()) {
    Json json = envelope();
    json["name"] = metadata.name;
    json["version"] = model::to_string(metadata.version);
    json["type"] = model::type_name(metadata.type);
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{}: {} {}, type {}: good\n", file, metadata.name,
               model::to_string(metadata.version), model::type_name(metadata.type));
  }
  return 0;
}

// To stdout when the output is "-". An output that ends in .S is assembler source.
Result<int> compile(const std::string& file, const std::string& output) {
  TRY(const auto text, sys::read_file(file, security::kLargestManifest));
  TRY(auto compiled, security::compile_manifest(text, file));
  if (output.ends_with(".S")) compiled = security::manifest_assembler(compiled);
  if (output == "-") {
    TRY(sys::write_all(STDOUT_FILENO, compiled));
  } else {
    TRY(sys::replace_file(output, compiled, 0644));
  }
  return 0;
}

Result<int> embed(const Context& context, const std::string& object, const std::string& file) {
  TRY(const auto text, sys::read_file(file, security::kLargestManifest));
  TRY(security::embed_manifest(object, text, file));
  if (!context.quiet && !context.json())
    fmt::print("{} carries {} now; sign it (again): plugctl sign {} -k KEY\n", object, file,
               object);
  return 0;
}

Result<Json> manifest_of(std::span<const std::byte> object) {
  TRY(const auto section, security::find_section(object, security::kManifestSection));
  TRY(const auto text, security::manifest_json(section));
  return Json::parse(text, nullptr, false);
}

Result<int> show(const std::string& file) {
  TRY(const auto object, sys::read_file(file, security::kLargestImage));
  TRY(auto manifest, manifest_of(bytes_of(object)));
  Json json = envelope();
  json["manifest"] = std::move(manifest);
  print_json(json);
  return 0;
}

std::string_view verdict_name(security::Verdict verdict) {
  switch (verdict) {
  case security::Verdict::Pass: return "pass";
  case security::Verdict::Warning: return "warning";
  case security::Verdict::Refused: return "refused";
  case security::Verdict::Skipped: return "skipped";
  }
  return "skipped";
}

// What `plugctl load` would say to the signature, with the keys of --root.
Result<std::string> signer_of(const Context& context, const std::string& file) {
  TRY(const auto signature, security::read_signature_beside(file));
  TRY(const auto keyring, security::Keyring::open(context.paths().keys()));
  TRY(const auto fd, sys::open_regular(file));
  TRY(auto image, sys::seal_file(fd.get(), "plugctl", security::kLargestImage));
  TRY(const auto verified, security::verify_image(std::move(image), signature, keyring));
  return security::to_string(verified.signer().id);
}

struct Inspection {
  Result<std::string> signer;
  Result<Json> manifest;
  security::ElfReport report;
  std::string sha256;
};

Json inspection_json(const Inspection& found) {
  Json json = envelope();
  json["sha256"] = found.sha256;
  json["signer"] = found.signer ? *found.signer : "";
  json["signature_error"] = found.signer ? "" : found.signer.error().text;
  json["manifest"] = found.manifest ? *found.manifest : Json();
  json["manifest_error"] = found.manifest ? "" : found.manifest.error().text;
  json["build_id"] = found.report.build_id;
  json["needed"] = found.report.needed;
  Json& rules = json["rules"] = Json::array();
  for (const auto& finding : found.report.findings)
    rules.push_back({{"id", finding.rule},
                     {"title", finding.title},
                     {"verdict", verdict_name(finding.verdict)},
                     {"text", finding.text}});
  return json;
}

void print_inspection(const Inspection& found, bool color) {
  fmt::print("sha256:    {}\n", found.sha256);
  fmt::print("signature: {}\n",
             found.signer ? "good, by " + *found.signer : found.signer.error().text);
  if (!found.report.build_id.empty()) fmt::print("build id:  {}\n", found.report.build_id);
  fmt::print("needs:     {}\n", monitor::escape_controls(join(found.report.needed)));
  if (found.manifest)
    fmt::print("manifest:  {}\n",
               found.manifest->dump(2, ' ', false, Json::error_handler_t::replace));
  else
    fmt::print("manifest:  {}\n", monitor::escape_controls(found.manifest.error().text));
  fmt::print("\n");
  Table table({{"RULE"}, {"VERDICT"}, {"WHAT"}});
  for (const auto& finding : found.report.findings)
    table.add({std::string(finding.rule), std::string(verdict_name(finding.verdict)),
               finding.text.empty() ? std::string(finding.title)
                                    : fmt::format("{}: {}", finding.title, finding.text)});
  table.print(color);
}

// The exit code is that of the first thing that would stop a load: signature, ELF rules, manifest.
Result<int> inspect(const Context& context, const std::string& file) {
  TRY(const auto object, sys::read_file(file, security::kLargestImage));
  const Inspection found{
      .signer = signer_of(context, file),
      .manifest = manifest_of(bytes_of(object)),
      .report = security::analyse_elf(bytes_of(object), security::ElfPolicy::standard()),
      .sha256 = security::sha256_hex(bytes_of(object))};
  if (context.json())
    print_json(inspection_json(found));
  else
    print_inspection(found, want_color(context.no_color));
  if (!found.signer) return exit_code(found.signer.error().code);
  if (const auto may = found.report.may_load(); !may) return exit_code(may.error().code);
  return found.manifest ? 0 : exit_code(found.manifest.error().code);
}

void add_manifest(CLI::App& app, Context& context) {
  struct Options {
    std::string file;
    std::string object;
    std::string output = "-";
  };
  const auto options = std::make_shared<Options>();
  CLI::App& manifest =
      add_command(app, "manifest", "The manifest, plugin.toml, and its compiled form");
  manifest.require_subcommand(1);

  CLI::App& check_command = add_command(manifest, "check", "Say what is wrong with a plugin.toml");
  check_command.add_option("FILE", options->file, "plugin.toml")->required();
  check_command.callback([&context, options] {
    context.what = "manifest check";
    context.run = [&context, options] { return check(context, options->file); };
  });

  CLI::App& compile_command =
      add_command(manifest, "compile", "The bytes of section .mohhos.manifest");
  compile_command.add_option("FILE", options->file, "plugin.toml")->required();
  compile_command.add_option("-o,--out,--output", options->output,
                             "Where to; '-' is stdout, NAME.S is assembler source");
  compile_command.callback([&context, options] {
    context.what = "manifest compile";
    context.run = [options] { return compile(options->file, options->output); };
  });

  CLI::App& embed_command = add_command(manifest, "embed", "Put a manifest into a shared object");
  embed_command.add_option("OBJECT", options->object, "The .so, changed in place")->required();
  embed_command.add_option("FILE", options->file, "plugin.toml")->required();
  embed_command.callback([&context, options] {
    context.what = fmt::format("manifest embed {}", options->object);
    context.run = [&context, options] { return embed(context, options->object, options->file); };
  });

  CLI::App& show_command =
      add_command(manifest, "show", "The manifest that a .so carries, as JSON");
  show_command.add_option("OBJECT", options->object, "The .so")->required();
  show_command.callback([&context, options] {
    context.what = fmt::format("manifest show {}", options->object);
    context.run = [options] { return show(options->object); };
  });
}

} // namespace

void add_manifest_commands(CLI::App& app, Context& context) {
  add_manifest(app, context);
  const auto file = std::make_shared<std::string>();
  CLI::App& command =
      add_command(app, "inspect", "Signature, manifest and ELF rules of a plugin file");
  command.add_option("FILE", *file, "The .so")->required();
  command.callback([&context, file] {
    context.what = fmt::format("inspect {}", *file);
    context.run = [&context, file] { return inspect(context, *file); };
  });
}

} // namespace mohhos::plugctl
