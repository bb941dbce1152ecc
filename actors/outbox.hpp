// outbox: what the tenants of one home have decided for one shard since its network thread last rested.
//
// It leaves as one message, so the writer's thread is woken once for a turn of many requests and finds its group made. A
// turn has as many requests as were ready, but at most half of those in flight (network_thread), so that the next half is
// decided while the first is written.
//
// Own thread only: tenants call it from their handlers, home::on_rest flushes it. Whoever sends the writer something that
// must stand behind the batches flushes first.
#pragma once

#include <string>
#include <unordered_map>

#include "actors/interfaces.hpp"
#include "storage/write_batch.hpp"

namespace mooring::actors {

class outbox {
 public:
  struct sender {
    const shard_writer_actor& writer;
    const tenant_actor& tenant;
    storage::tenant_hash hash;
  };
  // Encodes one command's writes as the sender's batch number `sequence`. Batches of one tenant leave in the order of the
  // calls. Failures, with nothing added: those of storage::append_batch.
  result<void> add(const sender& from, std::uint64_t sequence, const sync::write_list& writes,
                   storage::numbering before, bool is_upkeep);
  void flush();

 private:
  // A group that is this large is worth a flush and leaves at once. The writer makes one raft entry of all that wait.
  static constexpr std::size_t bytes_max = 128u << 10;

  shard_writer_actor writer_;
  group_ptr group_;                                      // null: nothing waits
  std::unordered_map<caf::actor_id, std::size_t> place_; // of a tenant in group_->last
  std::size_t usual_bytes_ = 0;                          // what to reserve for the next group
};

} // namespace mooring::actors
