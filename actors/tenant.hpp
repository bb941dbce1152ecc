// The tenant actor: the only one that decides versions of its tenant's entities.
//
// It hosts the pure rules of sync/: (store, command, now) → (writes, answer). The writes go to the shard writer as one
// batch; the answer waits until the batch is durable. It does not wait for the disk: writes that are not yet in the
// tables stay visible in an overlay, so the next command is decided at once.
//
//   settling ──tenant_settled──► serving ──idle──► asking ──stop_granted, still idle──► ended
//      (after a restart only: what the one before it sent must be in the tables first)
//
// Network threads that know it send to it until they hear that it ended. So it looks again when it is let go: its
// successor does not settle, and must not start beside batches that are under way.
//
// Queries are for readers, on other threads, once what is committed is in the tables. What they most often ask for, an
// entity or the newest changes, it answers itself from the overlay while something waits for the tables: they would have to
// be brought up to date for each query, and uploads would wait for that. Such an answer may show what is not durable yet,
// so it leaves when that is.
//
// Batches that the full disk refuses are known not to be stored: whoever waits for them gets STORAGE_FULL, the overlay
// forgets them, and the tenant goes on from the state before. When batches are lost (a commit's outcome is unknown) it
// answers all that waits with UNAVAILABLE and ends; clients retry with the same key and get the outcome.
//
// Runs on its home. Supervised by the directory; supervises its devices: one that fails is started again by its next
// command, too many failures in a period fail the tenant.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "actors/device.hpp"
#include "actors/interfaces.hpp"
#include "actors/outbox.hpp"
#include "actors/pinned.hpp"
#include "actors/snapshot_lease.hpp"
#include "actors/surroundings.hpp"
#include "base/text_map.hpp"
#include "storage/directory.hpp"
#include "storage/tenant_store.hpp"
#include "sync/analytics.hpp"
#include "sync/overlay.hpp"

namespace mooring::actors {

// Where a tenant lives and whom it works with.
struct tenant_setting {
  home* where = nullptr;
  snapshot_lease* snapshot = nullptr; // of (home, shard)
  outbox* batches = nullptr;          // likewise
  directory_actor directory;
  shard_writer_actor writer;
  std::vector<reader_actor> readers;
};

class tenant_state {
 public:
  static constexpr auto actor_name = "tenant";

  tenant_state(tenant_actor::pointer self, const surroundings& around, std::string tenant,
               tenant_setting setting, std::uint32_t restarts, bool settle_first);
  ~tenant_state();
  tenant_actor::behavior_type behavior();

 private:
  struct waiting_answer {
    std::uint64_t sequence;
    bool wrote; // false: only rests on what that batch, or an earlier one, writes
    command_ptr request;
  };
  struct held_answer {
    std::uint64_t sequence; // sent when this batch is committed
    std::size_t bytes;
    query_ptr request;
  };
  struct device_entry {
    device_actor actor;
    std::int64_t used_us = 0;
    restart_window restarts;
    std::int64_t not_before_us = 0; // back-off after a failure; the first is started again at once
    bool asked_to_stop = false;     // and has not said yet whether it does
    std::vector<command_ptr> held;  // … what came in the meantime
  };

  // commands
  void take(command_ptr request);
  void decide(command_ptr request);
  result<sync::write_list> apply_rules(command_request& request, sync::store& over);
  // Encodes the writes into the outbox as the next batch, number sent_ from then on.
  result<void> send(const sync::write_list& writes, storage::numbering before, bool is_upkeep);
  void answer(command_ptr request);
  void refuse(command_ptr request, error why);
  void count_conflicts(const sync::upload_answer& answer);
  void count_upload(const command_request& request, const sync::upload_answer& answer);
  void write_analytics();
  device_entry& device_of(const std::string& id);
  void device_goes_on(const device_actor& device);

  // commits
  void committed(std::uint64_t upto);
  void applied(std::uint64_t upto);
  void refused(const error& why);
  void lost(const error& why);
  void apply_is_blocked(const error& why);

  // queries
  void take(query_ptr request);
  void read(query_ptr request);
  bool read_near_head(query_ptr& request);
  void run_due_queries();
  void answer(query_ptr request);
  query_ptr take_answered(); // the oldest of reads_answered_

  // pushes
  result<void> watch(const network_actor& who);
  void announce(std::uint64_t upto);
  sync::position last_position_of(std::uint64_t from, std::uint64_t upto) const;
  void refuse(query_ptr request, error why);

  bool is_idle() const;
  void housekeeping();
  void let_go();
  void begin_sweep();
  void sweep();
  bool sweep_stretch();
  void sweep_committed();
  void sweep_refused();
  void forget_damage();
  void end(caf::error reason);
  void device_down(const caf::down_msg& message);
  result<sync::store*> present_store();
  inspect_answer inspect() const;

  tenant_actor::pointer self_;
  const surroundings& around_;
  std::string tenant_;
  tenant_setting setting_;
  census::stay stay_;
  std::int64_t started_us_;

  bool settling_;
  bool apply_asked_ = false;
  bool asking_to_stop_ = false;
  std::vector<command_ptr> before_settled_;
  std::vector<query_ptr> queries_before_settled_;

  storage::tenant_store tables_;
  sync::overlay overlay_;
  sync::analytics analytics_;
  bool analytics_resumed_ = false;     // what is stored of the hour was added
  std::uint64_t sent_ = 0;             // sequence of the last batch sent and not refused
  std::uint64_t committed_ = 0;        // … that is durable
  std::uint64_t applied_ = 0;          // … that is in the tables
  std::deque<waiting_answer> waiting_; // ascending sequences
  std::deque<std::pair<std::uint64_t, query_ptr>> reads_waiting_; // until `first` is applied
  std::deque<held_answer> reads_answered_;                        // ascending sequences
  std::size_t answered_bytes_ = 0;                                // in these
  storage::directory names_;

  // Network threads that are told what is committed; what they were told; and device rows that they want to know of.
  std::vector<network_actor> watchers_;
  std::uint64_t announced_ = 0;     // sequence
  sync::position announced_at_ = 0; // position
  std::deque<std::pair<std::uint64_t, std::string>> changed_devices_;

  text_map<std::string, device_entry> devices_;
  std::int64_t used_us_ = 0;
  std::uint64_t decided_ = 0;
  std::uint64_t refusals_ = 0;
  std::size_t next_reader_ = 0;

  // When a slow disk holds so much of them up, here or in all tenants, further queries wait unread.
  static constexpr std::size_t answered_bytes_max = 1u << 20;
  static constexpr std::int64_t answered_bytes_max_of_node = 64u << 20;

  // Where a stretch of the sweep begins.
  struct sweep_place {
    std::string resume;      // of collect_expired
    sync::position feed = 0; // … and then of the feed
  };
  static constexpr std::size_t sweep_rows_min = 16, sweep_rows_max = 2'000;
  bool sweeping_ = false;
  sweep_place sweep_at_, sweep_before_;     // the next stretch, and the one that is under way
  std::size_t sweep_rows_ = sweep_rows_max; // looked at in one go; fewer where the storage is nearly full
  std::uint64_t sweep_sent_ = 0;            // the batch of the stretch that is under way
  std::size_t sweep_removes_ = 0;           // … how many rows it removes
};

} // namespace mooring::actors
