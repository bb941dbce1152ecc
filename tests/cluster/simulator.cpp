#include "tests/cluster/simulator.hpp"

#include <random>

#include <fmt/format.h>

#include "tests/cluster/test_rows.hpp"

namespace mooring::cluster::testing {
namespace {

class driver {
 public:
  explicit driver(const simulation& run)
      : run_(run)
      , random_(run.seed)
      , cluster_(make_settings()) {}

  simulation_outcome go() {
    for (node_id id = 1; id <= cluster_.size(); ++id) cluster_.start(id);
    for (int step = 0; step < run_.steps && !cluster_.violation(); ++step) turn();
    heal();
    if (!cluster_.converge(600))
      cluster_.violate("the healed cluster does not converge:" + cluster_.describe());
    return {cluster_.violation(), cluster_.totals()};
  }

 private:
  simulated_cluster::settings make_settings() {
    auto nodes = run_.nodes;
    if (nodes == 0) nodes = chance(4) ? 5 : 3;
    return {nodes, run_.seed, run_.rules, run_.lmdb_folder, {}};
  }

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(std::uint64_t one_in) { return below(one_in) == 0; }
  node_id any() { return 1 + below(cluster_.size()); }

  void turn() {
    if (chance(30)) trouble_in_parts();
    if (run_.nodes == 1 && run_.lmdb_folder.empty() && chance(200)) copies();
    const auto dice = below(1000);
    if (dice < 60)
      time_passes();
    else if (dice < 820)
      message_arrives();
    else if (dice < 945)
      clients_write();
    else if (dice < 950)
      network_changes();
    else if (dice < 953)
      node_dies();
    else if (dice < 976)
      node_returns();
    else if (dice < 978)
      disk_misbehaves();
    else if (dice < 985)
      cluster_.apply_now(any());
    else
      disk_recovers();
    if (cluster_.network().size() > 400)
      cluster_.network().erase(cluster_.network().begin(), cluster_.network().begin() + 200);
  }

  void time_passes() {
    cluster_.advance_ms(static_cast<std::int64_t>(10 + below(90)));
    for (node_id id = 1; id <= cluster_.size(); ++id)
      if (!chance(4)) cluster_.tick(id);
  }

  // Mostly in order; sometimes late, lost, or twice.
  void message_arrives() {
    auto& network = cluster_.network();
    if (network.empty()) return;
    const auto at = network.begin() + static_cast<std::ptrdiff_t>(chance(3) ? below(network.size()) : 0);
    if (cut_.count({at->from, at->to}) || chance(25)) {
      network.erase(at);
    } else if (chance(50)) {
      cluster_.deliver(packet(*at));
    } else {
      const auto what = std::move(*at);
      network.erase(at);
      cluster_.deliver(what);
    }
  }

  std::string random_key(std::uint64_t keys) { return table_key(std::to_string(below(keys))); }

  void clients_write() {
    for (node_id id = 1; id <= cluster_.size(); ++id) {
      if (!cluster_.up(id) || !cluster_.shard(id).can_propose() || chance(2)) continue;
      const auto operation = std::to_string(++operations_);
      std::string body;
      put_row(body, table_key("last"), operation); // and makes each body unique
      const auto rows = below(4);
      for (std::uint64_t i = 0; i < rows; ++i)
        if (chance(4))
          remove_row(body, random_key(12));
        else
          put_row(body, random_key(12), operation + std::string(below(40), 'x'));
      cluster_.propose(id, std::move(body));
    }
  }

  void network_changes() {
    cut_.clear();
    if (chance(3)) return;
    const auto victim = any();
    for (node_id other = 1; other <= cluster_.size(); ++other) {
      if (other == victim) continue;
      if (!chance(4)) cut_.insert({victim, other});
      if (!chance(4)) cut_.insert({other, victim});
    }
  }

  void node_dies() {
    const auto victim = any();
    if (cluster_.up(victim)) cluster_.crash(victim);
  }

  void node_returns() {
    const auto id = any();
    if (!cluster_.up(id)) cluster_.start(id);
  }

  void disk_misbehaves() { disk_misbehaves(any()); }
  void disk_misbehaves(node_id id) {
    if (!run_.lmdb_folder.empty()) return;
    auto& disk = cluster_.disk(id);
    switch (below(4)) {
    case 0:
      disk.fails_after = below(4);
      disk.failed_commit_lands = chance(2);
      break;
    case 1: disk.full = true; break;
    case 2: disk.gives_views = false; break;
    default: disk.full_unnoticed = true;
    }
  }

  void disk_recovers() {
    auto& disk = cluster_.disk(any());
    disk.full = disk.full_unnoticed = false;
    disk.gives_views = true;
  }

  // Between two parts of an apply.
  void trouble_in_parts() {
    const auto id = any();
    if (!cluster_.up(id) || !cluster_.in_parts(id)) return;
    cluster_.meets_trouble_in_parts();
    switch (below(4)) {
    case 0: return cluster_.crash(id);
    case 1: return cluster_.apply_now(id);
    default: disk_misbehaves(id);
    }
  }

  void copies() {
    if (chance(3))
      cluster_.restore_copy();
    else
      cluster_.keep_copy();
  }

  void heal() {
    cut_.clear();
    for (node_id id = 1; id <= cluster_.size(); ++id) {
      auto& disk = cluster_.disk(id);
      disk.full = disk.full_unnoticed = false;
      disk.gives_views = true;
      disk.fails_after.reset();
    }
  }

  const simulation run_;
  std::mt19937_64 random_;
  simulated_cluster cluster_;
  std::set<std::pair<node_id, node_id>> cut_; // from, to
  std::uint64_t operations_ = 0;
};

} // namespace

simulation_outcome simulate(const simulation& run) {
  return driver(run).go();
}

} // namespace mooring::cluster::testing
