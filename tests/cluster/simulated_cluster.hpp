// A cluster in one process: real shards on disks and a network that the test commands, and the checks that
// hold at every step. The simulator drives it at random, the named cases by hand.
//
// Checked all along:
//   - a term has at most one leader;
//   - an index holds the same entry on every replica that commits it, also again after a restart;
//   - whatever a replica's tables hold is what the committed entries up to its applied index make of them;
//   - so does what others read, at any moment: a view while an apply is under way in parts, the tables of a leader else;
//   - an acknowledged proposal stands at its index, and every proposal stands at one index at most.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/shard.hpp"
#include "tests/cluster/memory_storage.hpp"

namespace mooring::cluster::testing {

struct packet {
  node_id from = 0;
  node_id to = 0;
  std::string bytes;
};

struct cluster_totals {
  std::uint64_t acknowledged = 0, commits = 0, elections = 0, crashes = 0, stops = 0, snapshots_installed = 0,
                applies = 0, applies_with_append = 0, views_checked = 0, messages = 0, trouble_in_parts = 0,
                restores = 0;
  void operator+=(const cluster_totals& other);
};

class simulated_cluster {
 public:
  struct settings {
    std::size_t nodes = 3;
    std::uint64_t seed = 1;
    rule_switches rules = {};
    std::string lmdb_folder = {}; // empty: disks in memory
    // Changes the defaults of the simulator for one node.
    std::function<void(shard_options&)> adjust = {};
  };
  explicit simulated_cluster(settings given);
  ~simulated_cluster();

  struct node;
  // ── what happens ──
  void start(node_id id); // opens the shard from its disk
  void crash(node_id id); // drops it: nothing more is written or sent
  bool up(node_id id) const;
  cluster::shard& shard(node_id id);
  memory_disk& disk(node_id id);
  void advance_ms(std::int64_t ms) { time_.advance_ms(ms); }
  void tick(node_id id);
  void deliver(const packet& what);
  // Proposes a body at `id`; the completion is checked and counted.
  void propose(node_id id, std::string body);
  void apply_now(node_id id);
  // What it has on disk is an apply that is not whole yet.
  bool in_parts(node_id id) const;
  void meets_trouble_in_parts() { ++totals_.trouble_in_parts; }
  // A single voter's disk as it is now, and the node as it starts from that copy: what was committed later is gone.
  void keep_copy();
  void restore_copy();
  std::deque<packet>& network() { return network_; }
  std::size_t size() const { return nodes_.size(); }
  // Empty network, ticks all around, messages in order: until all replicas agree, or `rounds` are over.
  bool converge(int rounds);

  // ── what is known ──
  const std::optional<std::string>& violation() const { return violation_; } // the first
  void violate(std::string what);
  std::size_t acknowledged() const { return acknowledged_.size(); }
  std::optional<node_id> leader() const; // one that may propose
  const std::string* committed_body(log_index index) const;
  const cluster_totals& totals() const { return totals_; }
  std::string describe() const; // one line for each node, for the reader of a failure

 private:
  friend struct node;
  struct truth_entry {
    std::string body;
    std::uint64_t tables_hash; // after it
  };
  shard_options options_for(node_id id);
  void committed(node& at, log_index index, std::string_view body);
  void check_tables(node& at, log_index applied);
  std::uint64_t hash_after(log_index index) const;
  std::uint64_t hash_of_disk(node& at);
  void check_view(node& at);
  std::optional<applied_state> stored_state(const node& at) const;

  settings settings_;
  manual_clock time_{instant{1'000'000}};
  std::deque<packet> network_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::map<log_index, truth_entry> truth_;
  std::map<std::string, std::string> truth_tables_;
  std::map<std::string, log_index, std::less<>> where_; // body → index
  std::map<std::string, std::string, std::less<>> copy_;
  std::size_t acknowledged_in_copy_ = 0;
  std::map<std::string, log_index> acknowledged_;
  std::map<log_term, node_id> leaders_;
  std::optional<std::string> violation_;
  cluster_totals totals_;
};

} // namespace mooring::cluster::testing
