// cluster_simulator: many random runs of a simulated cluster, over our real raft_io and shard code.
//
//   cluster_simulator [--runs N] [--from SEED] [--seed SEED] [--nodes 1|3|5] [--steps N] [--threads N]
//                     [--storage memory|lmdb] [--without clamp|barrier|pre-vote-term]
//
// Prints the seed of each run that breaks an invariant, and how to run it again. Exit code 1 when one did.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "tests/cluster/simulator.hpp"

using namespace mooring;
using namespace mooring::cluster::testing;

namespace {

struct arguments {
  std::uint64_t runs = 20'000;
  std::uint64_t from = 1;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  bool lmdb = false;
  simulation each;
};

[[noreturn]] void usage(const char* why) {
  std::fprintf(stderr, "cluster_simulator: %s\n", why);
  std::exit(2);
}

arguments parse(int count, char** values) {
  arguments parsed;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (i + 1 == count) usage("an option lacks its value");
    const std::string value = values[++i];
    const auto number = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--runs")
      parsed.runs = number;
    else if (name == "--from")
      parsed.from = number;
    else if (name == "--seed")
      parsed.from = number, parsed.runs = 1;
    else if (name == "--nodes")
      parsed.each.nodes = number;
    else if (name == "--steps")
      parsed.each.steps = static_cast<int>(number);
    else if (name == "--threads")
      parsed.threads = static_cast<unsigned>(std::max(1ull, number));
    else if (name == "--storage" && (value == "lmdb" || value == "memory"))
      parsed.lmdb = value == "lmdb";
    else if (name == "--without" && value == "clamp")
      parsed.each.rules.clamp_success_replies = false;
    else if (name == "--without" && value == "barrier")
      parsed.each.rules.barrier_on_election = false;
    else if (name == "--without" && value == "pre-vote-term")
      parsed.each.rules.refused_pre_vote_tells_term = false;
    else
      usage(("unknown option " + name).c_str());
  }
  return parsed;
}

// LMDB in shared memory, where there is some: what is tested is the code, not the disk.
std::filesystem::path lmdb_root() {
  const std::filesystem::path base =
      std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  return base / ("mooring-simulator-" + std::to_string(::getpid()));
}

} // namespace

int main(int count, char** values) {
  const auto args = parse(count, values);
  log::set_level(log::level::off); // stops and reloads are the point here
  std::atomic<std::uint64_t> next{args.from};
  std::atomic<std::uint64_t> violations{0};
  std::mutex guard;
  cluster_totals totals;
  const auto root = lmdb_root();
  const auto began = std::chrono::steady_clock::now();

  const auto work = [&] {
    for (auto seed = next++; seed < args.from + args.runs && violations < 10; seed = next++) {
      auto run = args.each;
      run.seed = seed;
      if (args.lmdb) run.lmdb_folder = (root / std::to_string(seed)).string();
      const auto outcome = simulate(run);
      if (args.lmdb) std::filesystem::remove_all(run.lmdb_folder);
      const std::lock_guard lock(guard);
      totals += outcome.totals;
      if (!outcome.violation) continue;
      ++violations;
      std::string again = values[0];
      for (int i = 1; i + 1 < count; i += 2)
        if (std::strcmp(values[i], "--runs") != 0 && std::strcmp(values[i], "--from") != 0)
          again += std::string(" ") + values[i] + " " + values[i + 1];
      std::printf("seed %llu: %s\n  again: %s --seed %llu\n", static_cast<unsigned long long>(seed),
                  outcome.violation->c_str(), again.c_str(), static_cast<unsigned long long>(seed));
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < args.threads; ++i) workers.emplace_back(work);
  for (auto& each : workers) each.join();
  if (args.lmdb) std::filesystem::remove_all(root);

  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu runs from seed %llu in %.1f s, %llu violations\n", number(args.runs), number(args.from),
              seconds, number(violations));
  std::printf("  %llu proposals acknowledged, %llu elections, %llu crashes, %llu stops by storage errors\n",
              number(totals.acknowledged), number(totals.elections), number(totals.crashes),
              number(totals.stops));
  std::printf("  %llu commits, %llu applies (%llu with an append), %llu snapshots installed, %llu "
              "messages\n",
              number(totals.commits), number(totals.applies), number(totals.applies_with_append),
              number(totals.snapshots_installed), number(totals.messages));
  std::printf(
      "  %llu times trouble between the parts of an apply, %llu looks at what readers see, %llu restores\n",
      number(totals.trouble_in_parts), number(totals.views_checked), number(totals.restores));
  return violations == 0 ? 0 : 1;
}
