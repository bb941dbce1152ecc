// The driver of the fuzz targets where there is no libFuzzer: runs the seeds as they are, then mutations of
// them for a bounded time. Exit code 0: nothing found; 1: an input brought the target down (the input is
// kept); 2: wrong usage.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <sys/random.h>

#include "tests/fuzz/driver/corpus.hpp"
#include "tests/fuzz/driver/failure.hpp"
#include "tests/fuzz/driver/mutator.hpp"
#include "tests/fuzz/seeds.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace mooring::fuzz {
namespace {

std::vector<std::string> seeds;

void add_seed(const std::uint8_t* bytes, std::size_t length) {
  seeds.emplace_back(reinterpret_cast<const char*>(bytes), length);
}

// Each input gets a block of exactly its size, so that a sanitizer sees the first byte read beyond it.
void run(const std::string& input) {
  const auto copy = std::make_unique<std::uint8_t[]>(input.size());
  std::memcpy(copy.get(), input.data(), input.size());
  about_to_run(copy.get(), input.size());
  LLVMFuzzerTestOneInput(copy.get(), input.size());
  nothing_runs();
}

double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct arguments {
  double seconds = 5;
  std::uint64_t seed = 0;
  bool seed_given = false;
  std::uint64_t runs = 0; // 0: as many as fit
  std::size_t length_max = 65536;
  unsigned timeout = 20;
  std::string corpus, dictionary, artifacts = ".", write_seeds;
  std::vector<std::string> files;
};

bool parse(int argc, char** argv, arguments& a) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0) {
      a.files.push_back(name);
      continue;
    }
    if (i + 1 == argc) return false;
    const std::string value = argv[++i];
    const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 0); };
    if (name == "--seconds")
      a.seconds = std::strtod(value.c_str(), nullptr);
    else if (name == "--seed")
      a.seed = number(), a.seed_given = true;
    else if (name == "--runs")
      a.runs = number();
    else if (name == "--max-length")
      a.length_max = number();
    else if (name == "--timeout")
      a.timeout = static_cast<unsigned>(number());
    else if (name == "--corpus")
      a.corpus = value;
    else if (name == "--dictionary")
      a.dictionary = value;
    else if (name == "--artifacts")
      a.artifacts = value;
    else if (name == "--write-seeds")
      a.write_seeds = value;
    else
      return false;
  }
  return true;
}

int write_seeds(const arguments& a) {
  std::error_code failed;
  std::filesystem::create_directories(a.write_seeds, failed);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (!write_file(a.write_seeds + "/seed-" + std::to_string(i), seeds[i])) {
      std::fprintf(stderr, "fuzz: cannot write into %s\n", a.write_seeds.c_str());
      return 2;
    }
  }
  return 0;
}

int fuzz(const arguments& a, const std::string& target) {
  std::vector<std::string> tokens;
  std::string why;
  if (!a.dictionary.empty() && !read_dictionary(a.dictionary, tokens, why)) {
    std::fprintf(stderr, "fuzz: %s\n", why.c_str());
    return 2;
  }
  if (!a.corpus.empty())
    for (auto& seed : read_folder(a.corpus)) seeds.push_back(std::move(seed));
  if (seeds.empty()) {
    std::fprintf(stderr,
                 "fuzz: %s has no seeds: put some into tests/fuzz/corpus/%s, or offer mooring_fuzz_seeds()\n",
                 target.c_str(), target.c_str());
    return 2;
  }
  std::uint64_t seed = a.seed;
  if (!a.seed_given && getrandom(&seed, sizeof seed, 0) != sizeof seed) return 2;
  std::printf("fuzz_%s: %zu seeds, %zu tokens, --seed 0x%" PRIx64 "\n", target.c_str(), seeds.size(),
              tokens.size(), seed);
  std::fflush(stdout);

  run({});
  for (const auto& known : seeds) run(known);
  mutator inputs(seed, seeds, tokens, a.length_max);
  const auto begin = seconds_now();
  std::uint64_t done = 0;
  std::uint64_t bytes = 0;
  while (a.runs != 0 ? done < a.runs : seconds_now() - begin < a.seconds) {
    const auto& input = inputs.next();
    bytes += input.size();
    ++done;
    run(input);
  }
  const auto took = seconds_now() - begin;
  std::printf("fuzz_%s: %" PRIu64 " inputs in %.1f s, %.0f bytes each on average, nothing found\n",
              target.c_str(), done, took,
              done == 0 ? 0.0 : static_cast<double>(bytes) / static_cast<double>(done));
  return 0;
}

int main_of(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  arguments a;
  std::string target = std::filesystem::path(argv[0]).filename().string();
  if (target.rfind("fuzz_", 0) == 0) target.erase(0, 5);
  if (!parse(argc, argv, a)) {
    std::fprintf(
        stderr,
        "fuzz_%s [--seconds 5] [--seed S] [--runs N] [--corpus DIR] [--dictionary FILE] [--artifacts DIR]\n"
        "        [--max-length 65536] [--timeout 20]   mutates the seeds\n"
        "fuzz_%s FILE…                                  runs these inputs once\n"
        "fuzz_%s --write-seeds DIR                      writes the seeds that the target makes itself\n",
        target.c_str(), target.c_str(), target.c_str());
    return 2;
  }
  if (mooring_fuzz_seeds != nullptr) mooring_fuzz_seeds(add_seed);
  if (!a.write_seeds.empty()) return write_seeds(a);
  if (a.files.empty()) {
    watch_for_failures(a.artifacts, argv[0], target, a.timeout);
    return fuzz(a, target);
  }
  for (const auto& file : a.files) {
    std::string input;
    if (!read_file(file, input)) {
      std::fprintf(stderr, "fuzz: cannot read %s\n", file.c_str());
      return 2;
    }
    run(input);
    std::printf("%s: ran\n", file.c_str());
  }
  return 0;
}

} // namespace
} // namespace mooring::fuzz

int main(int argc, char** argv) {
  return mooring::fuzz::main_of(argc, argv);
}
