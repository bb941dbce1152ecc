// What the parts of a shard share. Inside of cluster/shard.hpp; nobody else includes it.
//   shard.cpp          a life: opening, steps, proposals, messages, ticks, stopping
//   shard_apply.cpp    committed entries, and how they come into the tables
//   shard_options.cpp  options that make no sense
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "cluster/libraft.hpp"
#include "cluster/pending_apply.hpp"
#include "cluster/raft_io.hpp"
#include "cluster/shard.hpp"

namespace mooring::cluster {

// What a row costs in the file beside its key and value: its share of a page.
inline constexpr std::uint64_t row_bytes_usual = 64;

inline error unavailable(std::string why) {
  return {error_code::unavailable, std::move(why)};
}
inline error storage_full() {
  return {error_code::storage_full, "the disk is full", {}, 1'000};
}

inline bool is_full(const result<void>& outcome) {
  return !outcome && outcome.failure().code == error_code::storage_full;
}

// One life between open (or reload) and stop is a `session`: storage, store, adapter, raft. The impl outlives
// them.
struct shard::impl final : raft_io_host {
  struct session {
    std::unique_ptr<stable_storage> storage;
    std::optional<replica_store> store;
    std::unique_ptr<raft_io_adapter> io;
    raft_fsm fsm{};
    struct raft raft {};
    bool raft_is_open = false;
  };

  explicit impl(shard_options given)
      : options(std::move(given)) {
    if (!options.time) options.time = &system_clock();
    if (!options.observer) options.observer = &nobody;
    const auto& who = options.members.find(options.self)->address;
    address = who;
  }
  ~impl() override { close(); }

  // ── life ──

  result<void> start();
  void close();
  void stop(error why);

  // ── steps ──

  // Every call into raft ends here: R1 drain, R2 barrier, R5 stop; then messages, notices and completions go
  // out.
  void finish_step();
  void settle_raft();
  void notice_role();
  void receive(std::string_view bytes);
  void propose(std::string body, propose_completion done, purpose what_for);
  void tick();

  // ── deferred apply ──

  bool nothing_waits() const { return pending.empty() && !parts.under_way(); }
  bool may_apply() const { return !blocked && applied_by_raft() >= live->store->applied().ahead; }
  bool apply_due() const;
  void begin_parts();
  const apply_plan& next_part(std::uint64_t bytes);
  result<void> apply_part(std::uint64_t bytes);
  void part_became_durable();
  result<void> apply_pending();
  bool has_room(std::size_t bytes, std::size_t rows, purpose what_for);
  result<void> room_for_entry(std::size_t bytes, std::size_t rows, purpose what_for);

  // raft_io_host
  const apply_plan* plan_for_append(std::uint64_t bytes) override;
  void plan_became_durable() override {
    ++stats.applies_with_append;
    part_became_durable();
  }
  result<void> apply_all() override {
    if (auto done = apply_pending(); !done || live->store->applied().index == applied_by_raft()) return done;
    begin_parts(); // barriers behind the last command count as applied: the snapshot covers them
    return apply_pending();
  }
  void snapshot_installed() override {
    pending.clear();
    parts.clear();
    half_done = false;
    if (std::exchange(view_held, false)) live->storage->release_view();
    blocked = false;
    ++stats.snapshots_installed;
    installed = live->store->applied().index;
  }

  // ── the state machine of raft ──

  int committed(const raft_buffer& buffer);
  int snapshot(raft_buffer** bufs, unsigned* count);

  bool running() const { return live != nullptr; }
  int role() const { return running() ? static_cast<int>(live->raft.state) : RAFT_UNAVAILABLE; }
  log_index applied_by_raft() const { return live->raft.last_applied; }
  std::int64_t now_us() const { return options.time->monotonic_us(); }

  shard_options options;
  std::string address;
  shard_observer nobody;
  std::unique_ptr<session> live; // null: stopped
  std::optional<error> why_stopped;
  std::int64_t reload_at_us = 0;
  std::int64_t reload_wait_ms = 0; // before the next try, while they fail
  std::int64_t ticked_us = 0;

  // Leadership.
  bool elected = false; // R2: seen leading in `elected_term`
  log_term elected_term = 0;
  bool barrier_passed = false;
  bool leading = false; // barrier passed, and everything before it is in the tables
  raft_barrier_request barrier{};

  // The proposal in flight (R6).
  raft_apply_request request{};
  propose_completion proposal;
  std::optional<result<log_index>> outcome; // set by raft's callback, delivered at the end of the step
  std::vector<row> proposal_rows;
  const void* proposal_body = nullptr; // raft's buffer whose rows are in proposal_rows
  log_index acknowledged = 0;

  pending_apply pending;
  std::uint64_t bytes_since_snapshot = 0; // of bodies, in raft's log in memory
  apply_in_parts parts;
  bool view_held = false;
  // an apply in parts of an earlier life: the tables are consistent when the next one is done
  bool half_done = false;
  std::int64_t part_at_us = 0; // when the last part was written
  bool blocked = false;        // the disk was full
  std::int64_t retry_at_us = 0;
  bool in_raft = false; // inside a call into raft: nothing may call it again
  std::optional<log_index> installed;
  std::vector<row> scratch;

  mutable shard_stats stats;
};

} // namespace mooring::cluster
