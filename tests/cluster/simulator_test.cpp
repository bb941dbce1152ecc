// A handful of the simulator's runs inside the unit tests; cluster_simulator makes the many.

#include <unistd.h>

#include <filesystem>

#include <doctest/doctest.h>

#include "base/log.hpp"
#include "tests/cluster/simulator.hpp"

using namespace mooring;
using namespace mooring::cluster::testing;

TEST_CASE("random runs of three and five nodes keep every invariant") {
  log::set_level(log::level::off);
  cluster_totals totals;
  for (std::uint64_t seed = 500'000; seed < 500'100; ++seed) {
    simulation run;
    run.seed = seed;
    const auto outcome = simulate(run);
    CHECK_MESSAGE(!outcome.violation, "seed " << seed << ": " << outcome.violation.value_or(""));
    totals += outcome.totals;
  }
  // The runs must meet what they are there to test.
  CHECK(totals.acknowledged > 5'000);
  CHECK(totals.crashes > 500);
  CHECK(totals.stops > 500);
  CHECK(totals.snapshots_installed > 50);
  CHECK(totals.applies_with_append > 50);
  CHECK(totals.views_checked > 1'000);
  CHECK(totals.trouble_in_parts > 1'000);
  log::set_level(log::level::info);
}

TEST_CASE("random runs of a single voter, restored from copies of its disk, keep every invariant") {
  log::set_level(log::level::off);
  cluster_totals totals;
  for (std::uint64_t seed = 700'000; seed < 700'100; ++seed) {
    simulation run;
    run.seed = seed;
    run.nodes = 1;
    const auto outcome = simulate(run);
    CHECK_MESSAGE(!outcome.violation, "seed " << seed << ": " << outcome.violation.value_or(""));
    totals += outcome.totals;
  }
  CHECK(totals.acknowledged > 20'000);
  CHECK(totals.stops > 500);
  CHECK(totals.views_checked > 1'000);
  CHECK(totals.trouble_in_parts > 1'000);
  CHECK(totals.restores > 500);
  log::set_level(log::level::info);
}

TEST_CASE("random runs over real LMDB keep every invariant") {
  log::set_level(log::level::off);
  const auto base = std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                        : std::filesystem::temp_directory_path();
  const auto folder = base / ("mooring-test-simulator-" + std::to_string(::getpid()));
  for (std::uint64_t seed = 600'000; seed < 600'005; ++seed) {
    simulation run;
    run.seed = seed;
    run.lmdb_folder = folder.string();
    const auto outcome = simulate(run);
    CHECK_MESSAGE(!outcome.violation, "seed " << seed << ": " << outcome.violation.value_or(""));
    std::filesystem::remove_all(folder);
  }
  log::set_level(log::level::info);
}

TEST_CASE("the simulator notices when the cap on replies is off") {
  log::set_level(log::level::off);
  int noticed = 0;
  for (std::uint64_t seed = 1; seed <= 1000 && noticed == 0; ++seed) {
    simulation run;
    run.seed = seed;
    run.rules.clamp_success_replies = false;
    if (simulate(run).violation) ++noticed;
  }
  CHECK(noticed > 0);
  log::set_level(log::level::info);
}
