// A handful of the simulator's runs inside the unit tests; cluster_simulator makes the many.

#include <unistd.h>

#include <filesystem>

#include <doctest/doctest.h>

#include "base/log.hpp"
#include "tests/cluster/simulator.hpp"

using namespace mooring;
using namespace mooring::cluster::testing;

namespace {

struct quiet {
  quiet() { log::set_level(log::level::off); }
  ~quiet() { log::set_level(log::level::info); }
};

// `what` with the seeds [from, from + count); each run must keep every invariant.
cluster_totals run_seeds(std::uint64_t from, std::uint64_t count, simulation what) {
  const quiet logs;
  cluster_totals totals;
  for (what.seed = from; what.seed < from + count; ++what.seed) {
    const auto outcome = simulate(what);
    CHECK_MESSAGE(!outcome.violation, "seed " << what.seed << ": " << outcome.violation.value_or(""));
    totals += outcome.totals;
    if (!what.lmdb_folder.empty()) std::filesystem::remove_all(what.lmdb_folder);
  }
  return totals;
}

} // namespace

TEST_CASE("random runs of three and five nodes keep every invariant") {
  const auto totals = run_seeds(500'000, 100, {});
  // The runs must meet what they are there to test.
  CHECK(totals.acknowledged > 5'000);
  CHECK(totals.crashes > 500);
  CHECK(totals.stops > 500);
  CHECK(totals.snapshots_installed > 50);
  CHECK(totals.applies_with_append > 50);
  CHECK(totals.views_checked > 1'000);
  CHECK(totals.trouble_in_parts > 1'000);
}

TEST_CASE("random runs of a single voter, restored from copies of its disk, keep every invariant") {
  simulation alone;
  alone.nodes = 1;
  const auto totals = run_seeds(700'000, 100, alone);
  CHECK(totals.acknowledged > 20'000);
  CHECK(totals.stops > 500);
  CHECK(totals.views_checked > 1'000);
  CHECK(totals.trouble_in_parts > 1'000);
  CHECK(totals.restores > 500);
}

TEST_CASE("random runs over real LMDB keep every invariant") {
  const auto base = std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                        : std::filesystem::temp_directory_path();
  simulation real;
  real.lmdb_folder = (base / ("mooring-test-simulator-" + std::to_string(::getpid()))).string();
  run_seeds(600'000, 5, real);
}

TEST_CASE("the simulator notices when the cap on replies is off") {
  const quiet logs;
  int noticed = 0;
  for (std::uint64_t seed = 1; seed <= 1000 && noticed == 0; ++seed) {
    simulation run;
    run.seed = seed;
    run.rules.clamp_success_replies = false;
    if (simulate(run).violation) ++noticed;
  }
  CHECK(noticed > 0);
}
