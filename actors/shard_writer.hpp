// The shard writer: the only kind of actor that blocks. It has its own thread, one LMDB environment and one raft replica.
//
// Group commit: tenants' batches come in groups (outbox.hpp). Those that arrive while a commit is running wait in the
// mailbox; the first that is taken up sends `flush_group` to the writer itself, which stands behind all that wait already,
// so everything that is there becomes one raft entry, one LMDB transaction, one flush.
//
// A full disk refuses a group: nothing of it is stored, its tenants are told (batches_refused), and what they sent on top
// of it is dropped. Everything else goes on.
//
// Batches of a tenant become durable in the order sent. The tables follow later (cluster/shard.hpp); whoever needs them
// asks apply_now and hears batches_applied.
//
// A storage error stops the shard: everything that is open is lost in the sense of `batches_lost`, and the shard is
// loaded again from disk, by itself, with back-off.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include "actors/interfaces.hpp"
#include "actors/shard_access.hpp"
#include "actors/surroundings.hpp"
#include "cluster/shard.hpp"

namespace mooring::actors {

struct writer_counters { // of one shard; relaxed
  std::atomic<std::uint64_t> commits{0}, commit_bytes{0}, entries{0}, rows_applied{0}, applies{0}, reloads{0};
  std::atomic<std::uint64_t> pending_bytes{0}, log_bytes{0}, storage_full{0};
  std::atomic<bool> leading{false};
  std::atomic<bool> lacks_room{false}; // not leading, and will not before there is room on the disk
  static constexpr std::array<std::int64_t, 12> bounds_us = {
      100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 250'000, 1'000'000};
  std::array<std::atomic<std::uint64_t>, bounds_us.size() + 1> commit_latency{};
  std::atomic<std::uint64_t> commit_latency_sum_us{0};
  static constexpr std::array<std::int64_t, 8> group_bounds = {1, 2, 5, 10, 25, 50, 100, 250};
  std::array<std::atomic<std::uint64_t>, group_bounds.size() + 1> group_sizes{};
  std::atomic<std::uint64_t> group_sum{0};
};

struct writer_setting {
  std::uint32_t number = 0; // of the shard
  storage::environment_options files;
  cluster::shard_options shard; // without observer and storage
  shard_access* access = nullptr;
  writer_counters* counters = nullptr;
  std::int64_t pause_us = 0; // before it opens the shard: back-off after a failure
};

class shard_writer_state final : cluster::shard_observer {
 public:
  static constexpr auto actor_name = "shard_writer";
  shard_writer_state(shard_writer_actor::pointer self, const surroundings& around, writer_setting setting,
                     directory_actor directory);
  ~shard_writer_state() override;
  shard_writer_actor::behavior_type behavior();

 private:
  using sent_batch = batch_group::sent;
  struct committed_group {
    cluster::log_index at;
    std::vector<sent_batch> last; // the last batch of each tenant
  };

  void add(batch_group& what);
  void flush();
  void group_committed(cluster::log_index at, std::vector<sent_batch> group);
  void group_failed(std::vector<sent_batch> group, const error& why);
  void tell_applied();
  void tell_last(const std::vector<sent_batch>& group, const std::function<void(const sent_batch&)>& tell);
  result<void> apply();
  void apply_for(const tenant_actor& asker);
  void settle(tenant_actor tenant);
  void tick();
  void schedule_tick();
  void note_state();
  void let_readers_in();
  void find_tenants_to_sweep();
  inspect_answer inspect() const;

  // cluster::shard_observer
  void applied(cluster::log_index) override;
  void commit(const cluster::commit_measure& measure) override;
  void stopped(const error& why) override;
  void reloaded() override;

  shard_writer_actor::pointer self_;
  const surroundings& around_;
  writer_setting setting_;
  census::stay stay_;
  std::int64_t started_us_;

  std::unique_ptr<cluster::shard> shard_;
  std::string group_;     // bodies of the batches, one after the other
  std::size_t count_ = 0; // of them
  bool group_is_upkeep_ = true;
  bool is_full_ = false; // the last group that was no upkeep was refused
  std::vector<sent_batch> in_group_;
  bool flush_sent_ = false;
  std::deque<committed_group> unapplied_;
  std::unordered_set<caf::actor_id> refused_; // tenant actors whose batches are dropped until they heard why
  std::unordered_set<caf::actor_id> lost_, lost_before_; // … are dropped for ever; of the last minutes
  std::int64_t lost_from_us_ = 0;                        // since when they are gathered in lost_
  std::int64_t warn_full_at_us_ = 0;                     // refusals are logged now and then
  std::vector<tenant_actor> settling_;
  cluster::log_index applied_to_tell_ = 0;
  bool was_stopped_ = false;
  error stopped_why_;
  // Open, but not for readers yet: they get it when the tables hold what the log holds.
  std::shared_ptr<storage::environment> held_back_;
  directory_actor directory_;
  std::uint64_t sweep_from_ = 0; // the tenant hash where the round of sweeps goes on
  bool sweeping_ = false;
  std::int64_t round_began_us_ = 0;
};

// On a thread of its own. `directory` hears of tenants whose old rows are due.
shard_writer_actor spawn_shard_writer(caf::actor_system& system, const surroundings& around,
                                      writer_setting setting, directory_actor directory);

} // namespace mooring::actors
