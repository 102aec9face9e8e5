// Runs a fuzz harness without a fuzzer: every file of the given files and directories, every
// truncation of the small ones, and a fixed number of mutations of each (one flipped bit, one
// overwritten byte, one removed span), from a fixed seed, so that a failure in ctest repeats.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kTruncateBelow = 4096;
constexpr int kMutations = 400;

// A copy without slack, so that a sanitizer sees the first byte behind the end.
void run(const Bytes& input) {
  const Bytes exact(input);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Bytes mutate(Bytes input, std::mt19937_64& random) {
  if (input.empty()) return {static_cast<std::uint8_t>(random())};
  const std::size_t at = random() % input.size();
  switch (random() % 3) {
  case 0: input[at] = static_cast<std::uint8_t>(input[at] ^ (1U << random() % 8)); break;
  case 1: input[at] = static_cast<std::uint8_t>(random()); break;
  default:
    const std::size_t end = at + random() % (input.size() - at) + 1;
    input.erase(input.begin() + static_cast<std::ptrdiff_t>(at),
                input.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return input;
}

void run_all_of(const std::filesystem::path& path) {
  const Bytes seed = read(path);
  run(seed);
  if (seed.size() < kTruncateBelow) {
    for (std::size_t size = 0; size < seed.size(); ++size) {
      run(Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size)));
    }
  }
  std::mt19937_64 random(seed.size());
  Bytes current = seed;
  for (int i = 0; i < kMutations; ++i) {
    if (i % 4 == 0) current = seed; // up to four mutations on top of each other
    current = mutate(std::move(current), random);
    run(current);
  }
}

} // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path = argv[i];
    if (!std::filesystem::is_directory(path)) {
      run_all_of(path);
      ++files;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      run_all_of(entry.path());
      ++files;
    }
  }
  std::printf("%d files replayed\n", files);
  return files > 0 ? 0 : 1; // a harness without seeds tests nothing
}
