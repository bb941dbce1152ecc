#include "tests/cluster/simulated_cluster.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "cluster/lmdb_storage.hpp"
#include "tests/cluster/test_rows.hpp"

namespace mooring::cluster::testing {
namespace {

// Keys are unique within a set of tables, so a sum of hashes does not depend on the order.
std::uint64_t hash_of_row(std::string_view key, std::string_view value) {
  return hash64(value, hash64(key));
}

} // namespace

void cluster_totals::operator+=(const cluster_totals& other) {
  acknowledged += other.acknowledged;
  commits += other.commits;
  elections += other.elections;
  crashes += other.crashes;
  stops += other.stops;
  snapshots_installed += other.snapshots_installed;
  applies += other.applies;
  applies_with_append += other.applies_with_append;
  views_checked += other.views_checked;
  messages += other.messages;
  trouble_in_parts += other.trouble_in_parts;
  restores += other.restores;
}

struct simulated_cluster::node final : transport, shard_observer {
  simulated_cluster* cluster = nullptr;
  node_id id = 0;
  std::shared_ptr<memory_disk> disk = std::make_shared<memory_disk>();
  stable_storage* storage = nullptr; // of the running shard
  std::unique_ptr<cluster::shard> shard;
  log_index committed_upto = 0;
  int starts = 0;
  bool opening = false;

  void send(node_id to, std::string bytes) override {
    cluster->network_.push_back({id, to, std::move(bytes)});
  }
  void elected(log_term term) override {
    ++cluster->totals_.elections;
    const auto [found, first] = cluster->leaders_.emplace(term, id);
    if (!first && found->second != id)
      cluster->violate(fmt::format("term {} has two leaders, {} and {}", term, found->second, id));
  }
  void committed(log_index index, std::string_view body) override { cluster->committed(*this, index, body); }
  void applied(log_index index) override { cluster->check_tables(*this, index); }
  void contradicted(node_id by) override {
    cluster->violate(fmt::format("node {} contradicts what node {} has committed", by, id));
  }
  void snapshot_installed(log_index index) override {
    ++cluster->totals_.snapshots_installed;
    committed_upto = index;
  }
  void commit(const commit_measure& measure) override {
    ++cluster->totals_.commits;
    if (measure.rows_applied == 0) return;
    ++cluster->totals_.applies;
    if (measure.entries > 0) ++cluster->totals_.applies_with_append;
  }
  void stopped(const error&) override {
    ++cluster->totals_.stops;
    storage = nullptr;
  }

  result<std::unique_ptr<stable_storage>> open_storage() {
    std::unique_ptr<stable_storage> opened;
    if (cluster->settings_.lmdb_folder.empty()) {
      opened = std::make_unique<memory_storage>(disk);
    } else {
      const auto folder = fmt::format("{}/{}", cluster->settings_.lmdb_folder, id);
      std::filesystem::create_directories(folder);
      storage::environment_options options;
      options.folder = folder;
      options.map_bytes_initial = 1 << 20;
      options.disk_reserve_bytes = 1 << 20;
      options.disk_reserve_share = 0;
      auto environment = storage::environment::open(options);
      if (!environment) return environment.failure();
      opened = make_lmdb_storage(std::move(*environment));
    }
    storage = opened.get();
    if (const auto row = opened->get(applied_key); row && *row)
      if (const auto state = decode_applied(**row)) committed_upto = state->index;
    return opened;
  }
};

simulated_cluster::simulated_cluster(settings given)
    : settings_(std::move(given)) {
  for (std::size_t i = 0; i < settings_.nodes; ++i) {
    nodes_.push_back(std::make_unique<node>());
    nodes_.back()->cluster = this;
    nodes_.back()->id = i + 1;
  }
}

simulated_cluster::~simulated_cluster() = default;

shard_options simulated_cluster::options_for(node_id id) {
  auto& at = *nodes_[id - 1];
  shard_options options;
  options.self = id;
  options.members = {7, 1, {}};
  for (const auto& each : nodes_)
    options.members.voters.push_back({each->id, fmt::format("node-{}", each->id)});
  options.bootstrap = at.starts++ == 0;
  options.open_storage = [&at] { return at.open_storage(); };
  options.read_rows = read_test_rows;
  options.time = &time_;
  options.peers = &at;
  options.observer = &at;
  options.random_seed = settings_.seed * 31 + id * 7 + static_cast<std::uint64_t>(at.starts);
  options.rules = settings_.rules;
  // Small, so that a short run meets every bound.
  options.election_timeout_ms = 300;
  options.heartbeat_ms = 50;
  options.install_snapshot_timeout_ms = 1000;
  options.log_keep_entries = 10;
  options.snapshot_threshold = 8;
  options.message_bytes_max = 200;
  options.apply.entries_max = 6;
  options.apply.age_max_ms = 300;
  options.apply.idle_ms = 120;
  options.apply.part_bytes_min = 40;
  options.apply.idle_part_bytes = 60;
  options.apply.idle_part_ms = 70;
  options.reload_backoff_ms = options.reload_backoff_max_ms = 50;
  if (settings_.adjust) settings_.adjust(options);
  return options;
}

void simulated_cluster::start(node_id id) {
  auto& at = *nodes_[id - 1];
  MOORING_CHECK(!at.shard, "the node is down");
  auto opened = cluster::shard::open(options_for(id));
  if (!opened) {
    at.storage = nullptr;
    // A disk that fails or is full while the node starts: it stays down, as a supervisor would find it.
    if (!at.disk->full && !at.disk->full_unnoticed &&
        opened.failure().message != "the disk of the test failed")
      violate(fmt::format("node {} does not start: {}", id, opened.failure().message));
    if (at.disk->rows.empty() && settings_.lmdb_folder.empty()) --at.starts;
    return;
  }
  at.shard = std::move(*opened);
}

void simulated_cluster::crash(node_id id) {
  ++totals_.crashes;
  auto& at = *nodes_[id - 1];
  at.storage = nullptr;
  at.shard.reset(); // closes without writing or sending
}

bool simulated_cluster::up(node_id id) const {
  return nodes_[id - 1]->shard != nullptr;
}
cluster::shard& simulated_cluster::shard(node_id id) {
  return *nodes_[id - 1]->shard;
}
memory_disk& simulated_cluster::disk(node_id id) {
  return *nodes_[id - 1]->disk;
}

void simulated_cluster::tick(node_id id) {
  if (!up(id)) return;
  shard(id).tick();
  check_view(*nodes_[id - 1]);
}

void simulated_cluster::deliver(const packet& what) {
  ++totals_.messages;
  if (!up(what.to)) return;
  shard(what.to).receive(what.bytes);
  check_view(*nodes_[what.to - 1]);
}

void simulated_cluster::propose(node_id id, std::string body) {
  shard(id).propose(body, [this, body](result<log_index> outcome) {
    if (!outcome) return;
    ++totals_.acknowledged;
    acknowledged_[body] = *outcome;
    const auto* stands = committed_body(*outcome);
    if (!stands || *stands != body)
      violate(fmt::format("acknowledged at {}, but another entry stands there", *outcome));
  });
  check_view(*nodes_[id - 1]);
}

void simulated_cluster::apply_now(node_id id) {
  if (up(id)) shard(id).apply_now([](result<void>) {});
}

void simulated_cluster::violate(std::string what) {
  if (!violation_) violation_ = std::move(what);
}

const std::string* simulated_cluster::committed_body(log_index index) const {
  const auto found = truth_.find(index);
  return found == truth_.end() ? nullptr : &found->second.body;
}

std::optional<node_id> simulated_cluster::leader() const {
  for (const auto& each : nodes_)
    if (each->shard && each->shard->can_propose()) return each->id;
  return {};
}

void simulated_cluster::committed(node& at, log_index index, std::string_view body) {
  if (index <= at.committed_upto) return violate(fmt::format("node {} commits index {} again", at.id, index));
  // Commands that others committed in between, where this one saw a barrier or nothing.
  for (auto skipped = truth_.upper_bound(at.committed_upto);
       skipped != truth_.end() && skipped->first < index; ++skipped)
    violate(fmt::format("node {} passes over the committed index {}", at.id, skipped->first));
  at.committed_upto = index;

  if (const auto known = truth_.find(index); known != truth_.end()) {
    if (known->second.body != body)
      violate(
          fmt::format("index {} differs: node {} commits another entry than was committed", index, at.id));
    return;
  }
  if (!truth_.empty() && index < truth_.rbegin()->first)
    violate(fmt::format("node {} commits index {} where others passed by", at.id, index));
  if (const auto [found, first] = where_.emplace(body, index); !first)
    violate(fmt::format("one proposal stands at {} and at {}", found->second, index));
  std::vector<row> rows;
  read_test_rows(body, rows);
  auto hash = hash_after(index);
  for (const auto& each : rows) {
    std::string key(each.key);
    if (const auto old = truth_tables_.find(key); old != truth_tables_.end()) {
      hash -= hash_of_row(old->first, old->second);
      truth_tables_.erase(old);
    }
    if (!each.removed) {
      hash += hash_of_row(each.key, each.value);
      truth_tables_.emplace(std::move(key), each.value);
    }
  }
  truth_.emplace(index, truth_entry{std::string(body), hash});
}

std::uint64_t simulated_cluster::hash_after(log_index index) const {
  const auto next = truth_.upper_bound(index);
  return next == truth_.begin() ? 0 : std::prev(next)->second.tables_hash;
}

std::uint64_t simulated_cluster::hash_of_disk(node& at) {
  std::uint64_t hash = 0;
  const char first = static_cast<char>(table_tag_first);
  const auto read =
      at.storage->scan(std::string_view(&first, 1), [&](std::string_view key, std::string_view value) {
        hash += hash_of_row(key, value);
        return true;
      });
  MOORING_CHECK(read.ok(), "the tables can be read");
  return hash;
}

void simulated_cluster::check_tables(node& at, log_index applied) {
  if (at.storage && hash_of_disk(at) != hash_after(applied))
    violate(fmt::format("node {}: the tables at {} are not what the committed entries make", at.id, applied));
}

std::optional<applied_state> simulated_cluster::stored_state(const node& at) const {
  const auto row = at.disk->rows.find(applied_key);
  if (row == at.disk->rows.end()) return {};
  const auto state = decode_applied(row->second);
  return state ? std::optional(*state) : std::nullopt;
}

bool simulated_cluster::in_parts(node_id id) const {
  const auto state = stored_state(*nodes_[id - 1]);
  return state && state->ahead != 0;
}

// While an apply is under way in parts, others read what the tables were before it.
void simulated_cluster::check_view(node& at) {
  if (!at.storage || !at.disk->view) {
    if (!at.storage || !settings_.lmdb_folder.empty() || !at.shard->is_leader()) return;
    const auto state = stored_state(at);
    if (!state || state->ahead != 0)
      return violate(fmt::format(
          "node {} leads with tables that are half done, and no view of them as they were", at.id));
    return check_tables(at, state->index);
  }
  ++totals_.views_checked;
  std::uint64_t hash = 0;
  for (auto row = at.disk->view->lower_bound(std::string(1, static_cast<char>(table_tag_first)));
       row != at.disk->view->end(); ++row)
    hash += hash_of_row(row->first, row->second);
  const auto applied = at.shard->applied_index();
  if (hash != hash_after(applied))
    violate(fmt::format("node {}: readers see something else than the tables at {}", at.id, applied));
}

void simulated_cluster::keep_copy() {
  MOORING_CHECK(nodes_.size() == 1, "a voter of several must not come back from a copy");
  copy_ = nodes_[0]->disk->rows;
  acknowledged_in_copy_ = acknowledged_.size();
}

void simulated_cluster::restore_copy() {
  if (copy_.empty()) return;
  ++totals_.restores;
  auto& at = *nodes_[0];
  if (at.shard) crash(1);
  *at.disk = {};
  at.disk->rows = copy_;
  log_index last = stored_state(at)->index;
  for (const auto& [key, value] : copy_) last = std::max(last, index_of_log_key(key));
  std::size_t kept = 0;
  std::erase_if(acknowledged_, [&](const auto& one) { return one.second > last || (++kept, false); });
  if (kept < acknowledged_in_copy_)
    violate(
        fmt::format("the copy lacks {} of what was acknowledged before it", acknowledged_in_copy_ - kept));
  std::erase_if(where_, [&](const auto& one) { return one.second > last; });
  truth_.erase(truth_.upper_bound(last), truth_.end());
  truth_tables_.clear();
  std::vector<row> rows;
  for (const auto& [index, entry] : truth_) {
    rows.clear();
    read_test_rows(entry.body, rows);
    for (const auto& each : rows)
      if (each.removed)
        truth_tables_.erase(std::string(each.key));
      else
        truth_tables_[std::string(each.key)] = each.value;
  }
  start(1);
}

std::string simulated_cluster::describe() const {
  std::string out;
  for (const auto& each : nodes_) {
    if (!each->shard) {
      out += fmt::format("\n  node {}: down", each->id);
      continue;
    }
    const auto& at = *each->shard;
    out += fmt::format(
        "\n  node {}: {} in term {}, leader {}, log to {}, committed {}, applied {}, {} pending{}", each->id,
        to_string(at.state()), at.term(), at.leader().value_or(0), at.last_index(), at.committed_index(),
        at.applied_index(), at.stats().pending_entries, at.stats().apply_blocked ? ", disk full" : "");
  }
  return out;
}

bool simulated_cluster::converge(int rounds) {
  for (int round = 0; round < rounds && !violation_; ++round) {
    advance_ms(60);
    for (const auto& each : nodes_) {
      if (!each->shard) start(each->id);
      tick(each->id);
    }
    while (!network_.empty() && !violation_) {
      const auto next = std::move(network_.front());
      network_.pop_front();
      deliver(next);
    }
    const auto at = leader();
    if (!at) continue;
    if (round % 20 == 10)
      propose(*at, one_row("heal", std::to_string(round))); // old tails give way to a new entry
    bool same = true;
    for (const auto& each : nodes_)
      same = same && each->shard && each->shard->state() != shard_state::stopped &&
             each->shard->committed_index() == shard(*at).last_index() &&
             each->shard->last_index() == shard(*at).last_index();
    if (!same) continue;
    for (const auto& each : nodes_) {
      apply_now(each->id);
      check_tables(*each, each->shard->committed_index());
    }
    if (!acknowledged_.empty() && !truth_.empty())
      for (const auto& [body, index] : acknowledged_)
        if (index > shard(*at).committed_index())
          violate(fmt::format("acknowledged index {} is gone", index));
    return !violation_;
  }
  return false;
}

} // namespace mooring::cluster::testing
