// raft_io: libraft's window to disk and network, on our replica_store and message codec. It carries those of
// the rules of docs/decisions/0005-libraft.md that live below raft; the shard carries the others.
//
//   R1  append is durable when it returns; its completion is queued, and delivered by drain().
//   R3  a success reply claims no more than the message it answers has proved.
//   R4  the term never goes back, and a term has one vote: breaking either stops the process.
//   R5  after a storage error nothing is completed and nothing leaves: the shard loads again.
//   R8  a refused pre-vote tells the candidate our term.
//
// Messages wait in an outbox until the shard has drained, so that none leaves a step that failed half way.
//
// Threads: the shard's own. Lifetime: outlives the `struct raft` it serves, until raft_close's callback.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "cluster/libraft.hpp"
#include "cluster/message_codec.hpp"
#include "cluster/replica_store.hpp"

namespace mooring::cluster {

// What raft_io asks the shard for. Called inside libraft, or inside drain() where said.
class raft_io_host {
 public:
  virtual ~raft_io_host() = default;
  // The plan that shall ride with the append of `bytes` being made, or nullptr.
  virtual const apply_plan* plan_for_append(std::uint64_t bytes) = 0;
  virtual void plan_became_durable() = 0;
  // In drain(): brings tables and applied index up to what raft has applied, for a snapshot of them.
  virtual result<void> apply_all() = 0;
  // The tables were replaced. The pending entries are void.
  virtual void snapshot_installed() = 0;
};

struct raft_io_options {
  const clock* time = nullptr;
  std::uint64_t random_seed = 0;
  std::size_t message_bytes_max = 4u << 20; // of one append_entries, unless its first entry alone is larger
  std::size_t message_entries_max = 1024;
  std::size_t snapshot_bytes_max = 64u << 20;
  // Off only in the tests that show why they are needed.
  bool clamp_success_replies = true;       // R3
  bool refused_pre_vote_tells_term = true; // R8
};

class raft_io_adapter {
 public:
  // `found` is what raft will load; it is released after that.
  raft_io_adapter(replica_store& store, replica_contents found, raft_io_host& host, raft_io_options options);
  raft_io_adapter(const raft_io_adapter&) = delete;

  raft_io* io() { return &io_; }
  void tick() { tick_(&io_); }

  // Hands a checked message to raft. Replies to it are clamped until finish_message().
  void receive(const message& from_peer);
  void finish_message() { handling_.reset(); }

  // R1: delivers queued completions, also those that delivering queues, until none is left or the storage
  // failed.
  void drain();
  // What raft wanted to send, for the peers.
  std::vector<std::pair<node_id, std::string>> take_outbox() { return std::exchange(outbox_, {}); }

  // R5: the first storage error. The shard reports those of its own transactions.
  const std::optional<error>& failure() const { return failure_; }
  void fail(const error& why);
  // While true, an append that storage refused as full makes raft_apply fail cleanly instead of stopping the
  // shard.
  void may_refuse_append(bool yes) { may_refuse_append_ = yes; }

 private:
  struct completion {
    enum class kind { append, send, snapshot_put, snapshot_get } what;
    void* request;
    void* callback;
    void* freed_after_cancel = nullptr; // libraft forgets the buffer list of a cancelled snapshot
  };
  // The message that raft is working on: what a success reply to it may claim.
  struct handling {
    bool stale; // of an older term: raft refuses it, whatever its reply looks like
    log_index proved;
  };

  static raft_io_adapter& of(raft_io* io) { return *static_cast<raft_io_adapter*>(io->impl); }
  int load(raft_term*, raft_id*, raft_snapshot**, raft_index*, raft_entry**, size_t*);
  int set_hard_state(const hard_state&);
  int append(raft_io_append*, const raft_entry*, unsigned, raft_io_append_cb);
  int put_snapshot(unsigned trailing, raft_io_snapshot_put*, const raft_snapshot*, raft_io_snapshot_put_cb);
  void get_snapshot(raft_io_snapshot_get*, raft_io_snapshot_get_cb);
  message_body convert(const raft_message&);
  void send(const raft_message&);
  void complete(const completion&);
  void cancel_all();
  void make_configuration(raft_configuration* out) const;

  replica_store& store_;
  std::optional<replica_contents> found_;
  raft_io_host& host_;
  raft_io_options options_;
  raft_io io_{};
  raft_io_tick_cb tick_ = nullptr;
  raft_io_recv_cb recv_ = nullptr;
  std::deque<completion> queue_;
  std::vector<std::pair<node_id, std::string>> outbox_;
  std::optional<handling> handling_;
  std::optional<error> failure_;
  bool may_refuse_append_ = false;
  std::mt19937_64 random_;
  std::vector<new_entry> entries_; // reused by append
};

} // namespace mooring::cluster
