// replica_store: everything one replica of a shard has on disk, seen as Raft sees it: term and vote, log,
// tables with their applied index. Turns each change into one durable transaction of stable_storage.
//
// Invariants, on disk after every transaction:
//   - log entries stand at log_first … last without a gap, log_first <= applied + 1, applied <= last;
//   - each entry's row carries the hash of its predecessor's row; that of the first is in the applied row;
//   - the tables hold the effects of the entries 1 … applied, and nothing else unless `applied.ahead` says so.
// So entries that were applied may go from the log, and entries that were not never do.
//
// Deferred apply (docs/decisions/0003-deferred-apply.md): an apply_plan may ride in the transaction of an
// append. It may be made in parts (0034-apply-in-parts.md): the applied index moves with the last one.
//
// Failures: storage_full: nothing was written. Anything else: the outcome is unknown; close and load again
// (R5). Threads: the shard's own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "cluster/log_record.hpp"
#include "cluster/stable_storage.hpp"
#include "cluster/types.hpp"

namespace mooring::cluster {

// What is found on disk.
struct replica_contents {
  struct entry {
    log_term term;
    entry_type type;
    std::size_t body_at; // in `bodies`
    std::size_t body_bytes;
  };
  hard_state hard;
  applied_state applied;
  identity who;
  std::vector<entry> entries; // of index applied.log_first and on
  std::vector<std::uint64_t> chains;
  std::string bodies;

  std::string_view body_of(const entry& e) const {
    return std::string_view(bodies).substr(e.body_at, e.body_bytes);
  }
};

// Reads and verifies checksums, chain, order and indices. False: no replica was ever started here. Every
// problem is appended to `problems` when given, and reading goes on behind it as far as it can; otherwise the
// first is the failure.
result<bool> read_replica(stable_storage& from, replica_contents& out,
                          std::vector<std::string>* problems = nullptr);

// Writes to the tables that bring them from the applied index to `index`.
struct apply_plan {
  std::span<const row> rows; // sorted by key, each key once
  bool last_part = true;     // false: more rows follow before the tables are at `index`
  log_index index = 0;
  log_term term = 0;
  std::uint64_t bytes = 0; // of keys and values
};

struct new_entry {
  log_term term = 0;
  entry_type type = entry_type::command;
  std::string_view body;
};

struct commit_measure {
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;      // appended to the log
  std::uint64_t rows_applied = 0; // written to the tables
  std::uint64_t applies = 0;      // 1: it moved the applied index
  std::int64_t micros = 0;        // of the whole transaction, flush included
};

struct replica_store_options {
  // How much of the applied log is kept for followers that are behind; both bounds hold. Nothing with one
  // voter.
  std::uint64_t keep_entries = 0;
  std::uint64_t keep_bytes = 16ull << 20;
  std::function<void(const commit_measure&)> on_commit = {};
  const clock* time = nullptr; // required
};

class replica_store {
 public:
  replica_store(stable_storage& storage, replica_store_options options);

  // Starts a new replica: term 1, and index 1 is the group's configuration, applied.
  // REQUIRES: nothing is stored yet.
  result<void> bootstrap(const identity& who);
  // See read_replica. The contents are what raft gets to start with.
  result<bool> load(replica_contents& out);

  result<void> set_hard_state(const hard_state& state);
  // Entries from `from` on are void; they go in the transaction of the next append.
  void truncate(log_index from);
  // Appends after the last entry. With a plan: the same transaction brings the tables to plan->index.
  result<void> append(std::span<const new_entry> entries, const apply_plan* plan);
  result<void> apply(const apply_plan& plan);
  // Replaces tables and log by a snapshot at `index`. `chain` anchors the log that follows.
  result<void> install(std::span<const row> rows, log_index index, log_term term, std::uint64_t chain);

  const hard_state& hard() const { return hard_; }
  const applied_state& applied() const { return applied_; }
  const identity& who() const { return who_; }
  log_index last_index() const { return applied_.log_first - 1 + tail_.size(); }
  log_term last_term() const { return term_of(last_index()); }
  std::uint64_t log_bytes() const { return log_bytes_; } // bodies of the stored log
  // 0 when the index is in neither the log nor the applied row.
  log_term term_of(log_index index) const;
  stable_storage& storage() { return storage_; }

 private:
  struct slot {
    log_term term;
    std::uint64_t chain;
    std::uint64_t bytes;
  };
  std::uint64_t chain_before(log_index index) const;
  applied_state after(const apply_plan& plan) const;
  result<void> write_plan(stable_writer& out, const apply_plan& plan, const applied_state& becomes) const;
  void took_effect(const applied_state& becomes);
  result<void> commit(commit_measure measure, const stable_storage::fill& changes);

  stable_storage& storage_;
  replica_store_options options_;
  hard_state hard_;
  applied_state applied_;
  identity who_;
  std::deque<slot> tail_; // of the entries from applied_.log_first on
  std::uint64_t log_bytes_ = 0;
  std::optional<log_index> truncate_from_;
  std::string row_buffer_;
};

} // namespace mooring::cluster
