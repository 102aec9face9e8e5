// key, sign, verify: work on files alone; no daemon is asked.
#include <array>
#include <ctime>
#include <memory>
#include <termios.h>
#include <unistd.h>

#include "monitor/logs.hpp"
#include "plugctl.hpp"
#include "plugctl_output.hpp"
#include "security/image.hpp"
#include "security/keyring.hpp"
#include "security/minisign.hpp"
#include "security/trust.hpp"
#include "sys/file.hpp"
#include "sys/mapping.hpp"
#include "sys/memfd.hpp"

namespace mohhos::plugctl {
namespace {

// Asks on the terminal, without echo; nothing when there is no terminal.
std::optional<std::string> ask_password() {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) return std::nullopt;
  fmt::print(stderr, "password of the key: ");
  termios before{};
  ::tcgetattr(STDIN_FILENO, &before);
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::array<char, 1024> line{};
  const char* got = std::fgets(line.data(), line.size(), stdin);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  fmt::print(stderr, "\n");
  if (got == nullptr) return std::nullopt;
  std::string password = line.data();
  while (password.ends_with('\n')) password.pop_back();
  return password;
}

Result<int> generate(const Context& context, const std::string& base) {
  const auto key = security::generate_key();
  const std::string id = security::to_string(key.public_key().id);
  const std::string secret = base + ".key";
  const std::string open = base + ".pub";
  TRY(security::write_key_pair(key, secret, open));
  if (context.json()) {
    Json json = envelope();
    json["id"] = id;
    json["secret_key"] = secret;
    json["public_key"] = open;
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("key {}\n  secret: {} (keep it; it has no password)\n  public: {}\n", id, secret,
               open);
    fmt::print("next: {}\n",
               context.copyable(fmt::format(
                   "plugctl sign PLUGIN.so -k {}, and plugctl key trust {}", secret, open)));
  }
  return 0;
}

Result<int> trust(const Context& context, const std::string& file) {
  TRY(const auto key, security::read_public_key(file));
  const auto keys = context.paths().keys();
  TRY(sys::make_directories(keys, 0755));
  const auto target = keys / (std::filesystem::path(file).stem().native() + ".pub");
  std::error_code ignored;
  if (std::filesystem::exists(target, ignored)) {
    const auto present = security::read_public_key(target);
    if (!present || !(*present == key))
      return fail(Code::Exists,
                  "{} is there already and holds another key; give the file another name",
                  target.native());
  }
  TRY(sys::replace_file(target, security::format_public_key(key), 0644));
  // The daemon's own eyes: a key that it would leave out is not trusted.
  TRY(const auto keyring, security::Keyring::open(keys));
  if (const auto found = keyring.find(key.id); !found) return std::unexpected(found.error());
  const std::string id = security::to_string(key.id);
  if (context.json()) {
    Json json = envelope();
    json["id"] = id;
    json["file"] = target.native();
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("plugins signed by {} are trusted now ({})\n", id, target.native());
  }
  return 0;
}

Result<int> list_keys(const Context& context) {
  const auto paths = context.paths();
  TRY(const auto keyring, security::Keyring::open(paths.keys()));
  TRY(const auto trusted, security::read_trust(paths.trust()));
  Json json = envelope();
  Json& keys = json["keys"] = Json::array();
  Table table({{"KEY"}, {"TRUST"}, {"FILE"}});
  for (const auto& entry : keyring.entries()) {
    const auto of = trusted.of(entry.key);
    const std::string level(of ? security::trust_name(of->level) : "none");
    const std::string id = security::to_string(entry.key.id);
    keys.push_back({{"id", id}, {"trust_level", level}, {"file", entry.file.native()}});
    table.add({id, level, entry.file.native()});
  }
  Json& problems = json["problems"] = Json::array();
  for (const auto& problem : keyring.problems()) problems.push_back(problem);
  if (context.json()) {
    print_json(json);
    return 0;
  }
  table.print(want_color(context.no_color));
  for (const auto& problem : keyring.problems())
    fmt::print(stderr, "plugctl: left out: {}\n", problem);
  return 0;
}

// A file's bytes as nobody can change them under our eyes.
Result<sys::Fd> sealed_copy(const std::string& file) {
  TRY(const auto fd, sys::open_regular(file));
  auto image = sys::seal_file(fd.get(), "plugctl", security::kLargestImage);
  if (!image) return std::unexpected(std::move(image).error().within(file));
  return image;
}

struct SignOptions {
  std::string file;
  std::string key;
  std::string comment;
};

Result<int> sign(const Context& context, const SignOptions& options) {
  TRY(const auto key, security::read_secret_key(options.key, ask_password));
  TRY(const auto image, sealed_copy(options.file));
  TRY(const auto mapping, sys::map_sealed(image.get()));
  std::string comment = options.comment;
  if (comment.empty())
    comment = fmt::format("timestamp:{}\tfile:{}\thashed", std::time(nullptr),
                          std::filesystem::path(options.file).filename().native());
  if (comment.size() > 1000 || comment.find_first_of("\r\n") != std::string::npos)
    return fail(Code::Invalid, "the trusted comment must be one line of at most 1000 bytes");
  const std::string target = options.file + ".minisig";
  TRY(sys::replace_file(target, security::sign(key, mapping.bytes(), comment), 0644));
  const std::string id = security::to_string(key.public_key().id);
  if (context.json()) {
    Json json = envelope();
    json["signature"] = target;
    json["key"] = id;
    json["trusted_comment"] = comment;
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{} is signed by {}\n", options.file, id);
  }
  return 0;
}

struct Verified {
  security::KeyId key;
  std::string comment;
};

Result<Verified> verify_by_key(const std::string& file, const std::string& public_key) {
  TRY(const auto key, security::read_public_key(public_key));
  TRY(const auto text, security::read_signature_beside(file));
  TRY(const auto signature, security::parse_signature(text));
  TRY(const auto image, sealed_copy(file));
  TRY(const auto mapping, sys::map_sealed(image.get()));
  TRY(security::verify_signature(signature, key, security::blake2b(mapping.bytes())));
  return Verified{key.id, signature.trusted_comment};
}

Result<Verified> verify_by_keyring(const std::string& file, const std::filesystem::path& keys) {
  TRY(const auto keyring, security::Keyring::open(keys));
  TRY(const auto text, security::read_signature_beside(file));
  TRY(auto copy, sealed_copy(file));
  TRY(const auto image, security::verify_image(std::move(copy), text, keyring));
  return Verified{image.signer().id, image.trusted_comment()};
}

Result<int> verify(const Context& context, const std::string& file, const std::string& public_key) {
  TRY(const Verified verified, public_key.empty() ? verify_by_keyring(file, context.paths().keys())
                                                  : verify_by_key(file, public_key));
  const std::string id = security::to_string(verified.key);
  if (context.json()) {
    Json json = envelope();
    json["file"] = file;
    json["signer"] = id;
    json["trusted_comment"] = verified.comment;
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{}: good signature of {}, trusted comment: {}\n", file, id,
               monitor::escape_controls(verified.comment));
  }
  return 0;
}

void add_key_commands(CLI::App& app, Context& context) {
  CLI::App& key = add_command(app, "key", "Signing keys");
  key.require_subcommand(1);

  const auto base = std::make_shared<std::string>("mohhos");
  CLI::App& generate_command =
      add_command(key, "generate", "Make a key pair: NAME.key and NAME.pub");
  generate_command.add_option("-o,--out,--output", *base, "DIR/NAME of the two files")
      ->capture_default_str();
  generate_command.callback([&context, base] {
    context.what = "key generate";
    context.run = [&context, base] { return generate(context, *base); };
  });

  const auto file = std::make_shared<std::string>();
  CLI::App& trust_command = add_command(key, "trust", "Let plugins signed by this key be loaded");
  trust_command.add_option("FILE", *file, "The .pub file")->required();
  trust_command.callback([&context, file] {
    context.what = fmt::format("key trust {}", *file);
    context.run = [&context, file] { return trust(context, *file); };
  });

  CLI::App& list_command = add_command(key, "list", "The keys that are trusted");
  list_command.callback([&context] {
    context.what = "key list";
    context.run = [&context] { return list_keys(context); };
  });
}

} // namespace

void add_trust_commands(CLI::App& app, Context& context) {
  add_key_commands(app, context);

  const auto options = std::make_shared<SignOptions>();
  CLI::App& sign_command = add_command(app, "sign", "Sign a file: FILE.minisig");
  sign_command.add_option("FILE", options->file, "What to sign")->required();
  sign_command.add_option("-k,--key", options->key, "The secret key file")->required();
  sign_command.add_option("-t,--comment", options->comment, "The trusted comment, signed too");
  sign_command.callback([&context, options] {
    context.what = fmt::format("sign {}", options->file);
    context.run = [&context, options] { return sign(context, *options); };
  });

  struct VerifyOptions {
    std::string file;
    std::string key;
  };
  const auto check = std::make_shared<VerifyOptions>();
  CLI::App& verify_command = add_command(app, "verify", "Check a file against its FILE.minisig");
  verify_command.add_option("FILE", check->file, "What was signed")->required();
  verify_command.add_option("-p,--public-key", check->key, "By this key; else by the trusted ones");
  verify_command.callback([&context, check] {
    context.what = fmt::format("verify {}", check->file);
    context.run = [&context, check] { return verify(context, check->file, check->key); };
  });
}

} // namespace mohhos::plugctl
