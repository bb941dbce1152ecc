// shard: one replica of one raft group, with its log and its tables. A plain object; an actor with a thread
// of its own hosts it, because almost every call may wait for the disk.
//
// Writing. propose() takes one entry: the caller's write batches, grouped. Its completion says ok when the
// entry is durable on a majority. The entry's writes reach the tables a little later, many entries in one
// transaction (docs/decisions/0003-deferred-apply.md): readers of the tables that must see an entry wait for
// applied_index() >= its index, or ask apply_now().
//
// Leading. Propose only while can_propose(): this replica leads, everything committed before it leads is in
// the tables (rule R2), and no other proposal is in flight (R6). observer::leading and stepped_down tell of
// the changes.
//
//          open()/reload()               elected                 barrier applied
//   stopped ────────────► following ─────────────► elected ─────────────────► leading
//      ▲                      ▲────────────── term passed, or no majority ────────┘
//      └────────── any storage error, from everywhere: R5. tick() reloads ────────
//
// Errors of propose:
//   unavailable        not leading, or a proposal is in flight: nothing was written. Or the shard stopped or
//                      lost its lead before it knew: retry with the same idempotency key.
//   storage_full       nothing was written; heals when space returns. Reading goes on.
//   payload_too_large  the entry is larger than entry_bytes_max.
//   internal           the body does not decode, or writes keys outside the tables.
//
// Callbacks (completions, observer, transport) run inside the call that caused them, after the shard has
// finished its step. Completions may call the shard again; observer and transport must not.
//
// Threads: one, always the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "cluster/replica_store.hpp"
#include "cluster/stable_storage.hpp"
#include "cluster/types.hpp"

namespace mooring::cluster {

// How messages reach the other replicas. They may be lost, doubled, late and out of order.
class transport {
 public:
  virtual ~transport() = default;
  virtual void send(node_id to, std::string bytes) = 0;
};

// What happens inside a shard, for the host, the metrics and the simulator.
class shard_observer {
 public:
  virtual ~shard_observer() = default;
  virtual void elected(log_term) {}                               // leads, but may not propose yet
  virtual void leading(log_term) {}                               // may propose from now on
  virtual void stepped_down() {}                                  // of either of the above
  virtual void committed(log_index, std::string_view /*body*/) {} // in order; again after a reload
  virtual void applied(log_index) {}                              // the tables hold it, durably
  virtual void snapshot_installed(log_index) {}
  // A peer that leads in our term contradicts what is committed here: data was lost or damaged somewhere.
  virtual void contradicted(node_id /*by*/) {}
  virtual void commit(const commit_measure&) {} // one durable transaction
  virtual void stopped(const error&) {}         // R5
  virtual void reloaded() {}
};

struct apply_settings {
  // Committed entries are applied as soon as one of these is reached. They ride with the next append when one
  // comes.
  std::uint64_t bytes_max = 4ull << 20;
  std::uint64_t rows_max = 64'000;
  std::uint64_t entries_max = 192;
  std::int64_t age_max_ms = 200; // since the oldest was committed
  std::int64_t idle_ms = 20;     // since the newest was committed
  std::int64_t retry_ms = 100;   // after the disk was full
  // What is applied goes into the tables in parts, so that no append waits long for its turn
  // (docs/decisions/0034-apply-in-parts.md): with an append an eighth more than its size, but not less than this;
  std::uint64_t part_bytes_min = 16u << 10;
  std::uint64_t idle_part_bytes = 1u << 20; // and this much in a transaction of its own,
  std::int64_t idle_part_ms = 5;            // when there was no append for so long.
};

// Rules that only the simulator switches off, to show that it would notice.
struct rule_switches {
  bool clamp_success_replies = true;       // R3
  bool barrier_on_election = true;         // R2
  bool refused_pre_vote_tells_term = true; // R8
};

struct shard_options {
  node_id self = 1;
  group members{0, 1, {{1, "local"}}};
  // True: an empty folder becomes a new replica. False: it is an error, because a voter that lost its disk
  // must not come back under its old id (it could vote twice).
  bool bootstrap = true;
  // Opens the storage; called by open() and by each reload. make_lmdb_opener() is the product's.
  std::function<result<std::unique_ptr<stable_storage>>()> open_storage = {};
  row_reader read_rows = nullptr;

  const clock* time = nullptr;        // null: the machine's
  transport* peers = nullptr;         // may be null with one voter
  shard_observer* observer = nullptr; // may be null
  std::uint64_t random_seed = 1;      // of election timeouts; different on each replica

  unsigned election_timeout_ms = 1000;
  unsigned heartbeat_ms = 100;
  unsigned install_snapshot_timeout_ms = 5000;
  std::size_t entry_bytes_max = 64u << 20;  // of one proposal. Group up to 1 MiB; one large batch may be more
  std::size_t message_bytes_max = 4u << 20; // of one append_entries, unless a single entry is larger
  std::size_t snapshot_bytes_max = 64u << 20; // of a snapshot by value
  std::uint64_t log_keep_entries = 256;       // applied entries kept for followers; none with one voter
  std::uint64_t log_keep_bytes = 16u << 20;
  // Raft forgets applied entries from memory after so many, or after log_keep_bytes of bodies.
  unsigned snapshot_threshold = 64;
  apply_settings apply = {};
  std::int64_t reload_backoff_ms = 500;      // after a storage error, before tick() reloads
  std::int64_t reload_backoff_max_ms = 8000; // … it doubles until then while reloading fails
  rule_switches rules = {};

  // bad_user_input, naming the option.
  result<void> validate() const;
};

enum class shard_state : std::uint8_t { stopped, following, candidate, elected, leading };
std::string_view to_string(shard_state state);

struct shard_stats {
  std::uint64_t commits = 0; // durable transactions
  std::uint64_t commit_bytes = 0;
  std::int64_t commit_micros = 0; // sum
  std::uint64_t entries = 0;      // appended to the log
  std::uint64_t rows_applied = 0; // written to the tables, after merging
  std::uint64_t apply_parts = 0;  // transactions that wrote some of them
  std::uint64_t applies = 0;      // transactions that moved the applied index
  std::uint64_t applies_with_append = 0;
  std::uint64_t proposals = 0, proposals_refused = 0;
  std::uint64_t messages = 0, messages_refused = 0;
  std::uint64_t elections_won = 0;
  std::uint64_t snapshots_installed = 0;
  std::uint64_t reloads = 0;
  std::uint64_t pending_entries = 0, pending_rows = 0, pending_bytes = 0; // now
  std::uint64_t log_bytes = 0;                                            // now
  bool apply_blocked = false;                                             // now: the disk is full
};

class shard {
 public:
  // Upkeep is what removes rows or overwrites small ones, and must go on when the storage is full: it may use the disk's
  // reserve, and let the file grow beyond its configured maximum.
  enum class purpose : std::uint8_t { ordinary, upkeep };
  using propose_completion = std::function<void(result<log_index>)>;
  using completion = std::function<void(result<void>)>;

  // Failures: what open_storage says; internal when the stored replica is damaged, or is another one than
  // configured; not_found when it is empty and must not be; storage_full when there is no room to make a new one.
  // A stored one that cannot write because the disk is full opens stopped, and tick() tries again.
  static result<std::unique_ptr<shard>> open(shard_options options);
  // Closes without writing: what is committed is durable already.
  ~shard();
  shard(const shard&) = delete;

  void propose(std::string body, propose_completion done, purpose what_for = purpose::ordinary);
  bool can_propose() const;
  // Bytes from a peer. Anything may come: what is not valid is dropped and counted (R7).
  void receive(std::string_view bytes);
  // Drives timers: elections, heartbeats, deferred apply, reload. Call it at next_tick_us() or up to 10 ms
  // later.
  void tick();
  std::int64_t next_tick_us() const; // monotonic
  // Brings everything committed into the tables. Fails with storage_full (retry later) or unavailable
  // (stopped).
  void apply_now(completion done);

  // After a stop, without waiting for tick()'s back-off. Fails as open() does; the shard then stays stopped.
  result<void> reload();

  shard_state state() const;
  bool is_leader() const { return state() == shard_state::leading; }
  log_term term() const;
  std::optional<node_id> leader() const; // as far as this replica knows
  log_index applied_index() const;       // the tables hold the effects of all entries up to here, durably
  log_index
  committed_index() const; // known to be committed; those behind applied_index() are in memory and log
  log_index last_acknowledged_index() const;   // of the last proposal that completed with ok
  log_index last_index() const;                // of the log
  const std::optional<error>& failure() const; // why it is stopped
  shard_stats stats() const;
  const shard_options& options() const;

  struct impl;

 private:
  explicit shard(std::unique_ptr<impl> impl);
  std::unique_ptr<impl> impl_;
};

} // namespace mooring::cluster
