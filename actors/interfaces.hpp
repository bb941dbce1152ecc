// All actors of a node and what each may be told: the map of the system.
//
//   node ─┬─ network (one per network thread) ◄──► gateway_adapter ◄──► net
//         └─ directory (one per shard) ─┬─ shard_writer (own thread: LMDB and raft)
//                                       └─ tenant ── device
//   readers (pooled) answer queries from snapshots.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "actors/messages.hpp"

namespace mooring::actors {

// One phone, tablet or desk: takes its commands one at a time.
using device_actor = caf::typed_actor<
    // A command to be handed on when the ones before it are decided.
    caf::reacts_to<device_command>,
    // The tenant has answered the command that was running.
    caf::reacts_to<command_decided>,
    // Idle? Then end, else say goes_on.
    caf::reacts_to<stop_if_idle>, caf::replies_to<inspect_request>::with<inspect_answer>>;

// One tenant: decides versions, owns entities, conflicts, policies and the feed. Supervises its devices.
using tenant_actor = caf::typed_actor<
    // A command from outside: through its device actor when it names a device, else at once.
    caf::reacts_to<tenant_command>,
    // A device's command whose turn has come.
    caf::reacts_to<decide_command>,
    // A query: goes to a reader when everything acknowledged is in the tables.
    caf::reacts_to<tenant_query>,
    // A network thread whose last subscription of this tenant ended.
    caf::reacts_to<leave_feed>, caf::reacts_to<batches_committed>, caf::reacts_to<batches_applied>,
    caf::reacts_to<batches_refused>, caf::reacts_to<batches_lost>, caf::reacts_to<apply_blocked>,
    caf::reacts_to<tenant_settled>,
    // Look for devices, and for oneself, that may stop; remove what expired.
    caf::reacts_to<housekeeping_tick>, caf::reacts_to<stop_granted>, caf::reacts_to<sweep_rows>,
    caf::reacts_to<sweep_further>,
    // A device that was asked to stop has work.
    caf::reacts_to<goes_on>, caf::replies_to<inspect_request>::with<inspect_answer>>;

// Owns a shard: the only kind that blocks. Gathers batches into raft entries, commits them, applies them.
using shard_writer_actor = caf::typed_actor<
    caf::reacts_to<commit_group>, caf::reacts_to<flush_group>, caf::reacts_to<refusal_heard>,
    // Bring the tables up to date with the log; whoever waits hears batches_applied or apply_blocked.
    caf::reacts_to<apply_now>, caf::reacts_to<settle_tenant>, caf::reacts_to<housekeeping_tick>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// Knows the tenants of one shard, starts them on demand, supervises them and the writer.
using directory_actor =
    caf::typed_actor<caf::reacts_to<route_command>, caf::reacts_to<route_query>,
                     caf::reacts_to<housekeeping_tick>, caf::reacts_to<tenant_found>,
                     // A tenant is idle and asks to end; or was let go, and got work before it heard of it.
                     caf::reacts_to<may_stop>, caf::reacts_to<goes_on>,
                     caf::replies_to<inspect_request>::with<inspect_answer>>;

// One per network thread: where answers come back.
using network_actor =
    caf::typed_actor<caf::reacts_to<command_done>, caf::reacts_to<query_done>,
                     // Who has a request that went through others; from now on it is watched.
                     caf::reacts_to<request_routed>,
                     // For the subscriptions of this thread.
                     caf::reacts_to<feed_moved>, caf::reacts_to<wake_hub>,
                     // Requests that nobody answered in time.
                     caf::reacts_to<housekeeping_tick>,
                     caf::replies_to<inspect_request>::with<inspect_answer>>;

// Answers queries from a snapshot, on the pool.
using reader_actor =
    caf::typed_actor<caf::reacts_to<run_query>, caf::replies_to<inspect_request>::with<inspect_answer>>;

// A command on its way. Each stage fills in its part; nobody reads it while another works on it.
struct command_request {
  std::uint64_t id = 0;         // of the network actor's table
  std::uint64_t request_id = 0; // what the client and the log call it
  sync::caller who;
  std::string device_id; // empty: the command is nobody's device's
  api::command what;
  std::int64_t arrived_us = 0; // monotonic
  network_actor reply_to;
  device_actor device; // set when it went through one; the network actor keeps it for the next command
  tenant_actor tenant; // likewise
  result<api::command_answer> answer = error{error_code::internal, "no answer"};
  bool was_refused = false; // with the group that it was in

  // The same request, to be sent anew while somebody may still be at this one.
  std::shared_ptr<command_request> again() const {
    return std::make_shared<command_request>(
        command_request{id, request_id, who, device_id, what, arrived_us, reply_to, {}, {}});
  }
};

// One committed batch as subscriptions see it, with names resolved. Shared by all network threads that watch.
struct feed_batch {
  std::string tenant;
  sync::position from = 0, upto = 0;    // the feed's head before and after
  std::vector<sync::feed_event> events; // ascending positions
  std::vector<sync::device> devices;    // whose settings changed, or that were deactivated
  std::size_t bytes = 0;                // about what it holds
};

// Batches on their way to the shard's log.
struct batch_group {
  struct sent {
    tenant_actor tenant;
    std::uint64_t sequence = 0; // of this tenant actor's last batch in the group; they count from 1
  };
  struct part {
    std::size_t tenant; // its place in last
    std::size_t end;    // offset in batches
  };
  std::string batches;     // bodies of storage::write_batch, one after the other
  std::vector<part> parts; // one for each batch
  std::vector<sent> last;  // one for each tenant
  // Of all of it: what must go on when the storage is full (cluster::shard::purpose).
  bool is_upkeep = true;

  // Takes out what these tenants sent.
  template<class Predicate> void remove_if(Predicate is_out);
};

template<class Predicate> void batch_group::remove_if(Predicate is_out) {
  if (std::none_of(last.begin(), last.end(), [&](const sent& one) { return is_out(one.tenant); })) return;
  batch_group kept;
  std::vector<std::size_t> place(last.size(), last.size());
  for (std::size_t i = 0; i < last.size(); ++i)
    if (!is_out(last[i].tenant)) {
      place[i] = kept.last.size();
      kept.last.push_back(last[i]);
    }
  std::size_t begin = 0;
  for (const auto& one : parts) {
    if (place[one.tenant] < last.size()) {
      kept.batches.append(batches, begin, one.end - begin);
      kept.parts.push_back({place[one.tenant], kept.batches.size()});
    }
    begin = one.end;
  }
  *this = std::move(kept);
}

struct query_request {
  std::uint64_t id = 0;
  std::uint64_t request_id = 0;
  sync::caller who;
  sync::query what;
  bool watch = false; // from now on, tell reply_to what is committed (feed_moved)
  network_actor reply_to;
  tenant_actor tenant;
  result<sync::query_answer> answer = error{error_code::internal, "no answer"};

  std::shared_ptr<query_request> again() const { // likewise
    return std::make_shared<query_request>(query_request{id, request_id, who, what, watch, reply_to, {}});
  }
};

} // namespace mooring::actors
