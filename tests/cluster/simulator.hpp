// Random runs of a simulated cluster. A run is made by its seed alone: the same seed fails the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/cluster/simulated_cluster.hpp"

namespace mooring::cluster::testing {

struct simulation {
  std::uint64_t seed = 1;
  std::size_t nodes = 0; // 0: the seed chooses 3 or 5. With one, disks are copied and restored as well
  int steps = 12000;
  rule_switches rules = {};
  std::string lmdb_folder = {};
};

struct simulation_outcome {
  std::optional<std::string> violation;
  cluster_totals totals;
};

simulation_outcome simulate(const simulation& run);

} // namespace mooring::cluster::testing
