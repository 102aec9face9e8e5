// mohhos-sandbox run [--read PATH]… [--write PATH]… [--memory MB] [--quiet] -- PROGRAM [ARGUMENT]…
#include <charconv>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sandbox/trial.hpp"

namespace {

using namespace mohhos;

constexpr std::string_view kUsage =
    "usage: mohhos-sandbox run [--read PATH]... [--write PATH]... [--memory MB] [--quiet] -- "
    "PROGRAM [ARGUMENT]...\n"
    "\n"
    "Runs a program in exactly the sandbox that plugins have, with exec where a plugin has dlopen: "
    "so execve is\n"
    "open, files may be mapped executable, and there is no second filter. It sees the system's "
    "libraries, its own\n"
    "file, /tmp of its own and what --read and --write grant; what is refused is named on standard "
    "error. Exit\n"
    "status: the program's, or 128 + its signal; 7 if the sandbox cannot be built.\n";

Result<sandbox::TrialOptions> parse(std::span<char*> arguments) {
  sandbox::TrialOptions options;
  std::size_t i = 0;
  for (; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (word == "--") {
      ++i;
      break;
    }
    if (!word.starts_with("--")) break;
    if (word == "--quiet") {
      options.quiet = true;
      continue;
    }
    if (++i == arguments.size()) return fail(Code::Invalid, "{} needs a value", word);
    const std::string value = arguments[i];
    if (word == "--read")
      options.read.push_back(value);
    else if (word == "--write")
      options.write.push_back(value);
    else if (word == "--memory") {
      const auto parsed =
          std::from_chars(value.data(), value.data() + value.size(), options.memory_mb);
      if (parsed.ec != std::errc() || *parsed.ptr != 0 || options.memory_mb == 0 ||
          options.memory_mb > 1U << 20)
        return fail(Code::Invalid, "--memory {}: a number of megabytes", value);
    } else {
      return fail(Code::Invalid, "no option {}", word);
    }
  }
  options.arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  if (options.arguments.empty()) return fail(Code::Invalid, "no program to run");
  return options;
}

int complain(const Error& error) {
  fmt::print(stderr, "mohhos-sandbox: {}\n", error.text);
  return exit_code(error.code);
}

} // namespace

int main(int argc, char** argv) {
  if (argc >= 2 && std::strcmp(argv[0], sandbox::kInsideName) == 0)
    return complain(sandbox::enter_and_exec(argv));
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (argc >= 2 && (std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "-h")) {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (argc < 3 || std::string_view(argv[1]) != "run") {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  const auto options = parse(arguments.subspan(2));
  if (!options) return complain(options.error());
  const auto status = sandbox::run_trial(*options);
  return status ? *status : complain(status.error());
}
