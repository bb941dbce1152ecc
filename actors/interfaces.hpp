// All actors of a node and what each may be told: the map of the system.
//
//   node ─┬─ network (one per network thread) ◄──► gateway_adapter ◄──► net
//         └─ directory (one per shard) ─┬─ shard_writer (own thread: LMDB and raft)
//                                       └─ tenant ── device
//   readers (pooled) answer queries from snapshots.
#pragma once

#include "actors/messages.hpp"

namespace mooring::actors {

// One phone, tablet or desk: takes its commands one at a time.
using device_actor = caf::typed_actor<
    // A command to be handed on when the ones before it are decided.
    caf::reacts_to<device_command>,
    // The tenant has answered the command that was running.
    caf::reacts_to<command_decided>,
    // Idle? Then end.
    caf::reacts_to<stop_if_idle>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// One tenant: decides versions, owns entities, conflicts, policies and the feed. Supervises its devices.
using tenant_actor = caf::typed_actor<
    // A command from outside: through its device actor when it names a device, else at once.
    caf::reacts_to<tenant_command>,
    // A device's command whose turn has come.
    caf::reacts_to<decide_command>,
    // A query: goes to a reader when everything acknowledged is in the tables.
    caf::reacts_to<tenant_query>,
    caf::reacts_to<batches_committed>, caf::reacts_to<batches_applied>, caf::reacts_to<batches_lost>,
    caf::reacts_to<tenant_settled>,
    // Look for devices, and for oneself, that may stop; remove what expired.
    caf::reacts_to<housekeeping_tick>, caf::reacts_to<stop_granted>, caf::reacts_to<sweep_rows>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// Owns a shard: the only kind that blocks. Gathers batches into raft entries, commits them, applies them.
using shard_writer_actor = caf::typed_actor<
    caf::reacts_to<commit_batch>, caf::reacts_to<flush_group>,
    // Bring the tables up to date with the log; whoever waits hears batches_applied.
    caf::reacts_to<apply_now>,
    caf::reacts_to<settle_tenant>,
    caf::reacts_to<housekeeping_tick>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// Knows the tenants of one shard, starts them on demand, supervises them and the writer.
using directory_actor = caf::typed_actor<
    caf::reacts_to<route_command>, caf::reacts_to<route_query>,
    caf::reacts_to<housekeeping_tick>, caf::reacts_to<tenant_found>,
    // A tenant is idle and asks to end.
    caf::reacts_to<may_stop>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// One per network thread: where answers come back.
using network_actor = caf::typed_actor<
    caf::reacts_to<command_done>, caf::reacts_to<query_done>,
    // Requests that nobody answered in time.
    caf::reacts_to<housekeeping_tick>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// Answers queries from a snapshot, on the pool.
using reader_actor = caf::typed_actor<
    caf::reacts_to<run_query>,
    caf::replies_to<inspect_request>::with<inspect_answer>>;

// A command on its way. Each stage fills in its part; nobody reads it while another works on it.
struct command_request {
  std::uint64_t id = 0;              // of the network actor's table
  sync::caller who;
  std::string device_id;             // empty: the command is nobody's device's
  api::command what;
  std::int64_t arrived_us = 0;       // monotonic
  network_actor reply_to;
  device_actor device;               // set when it went through one; the network actor keeps it for the next command
  tenant_actor tenant;               // likewise
  result<api::command_answer> answer = error{error_code::internal, "no answer"};
};

struct query_request {
  std::uint64_t id = 0;
  sync::caller who;
  sync::query what;
  network_actor reply_to;
  tenant_actor tenant;
  result<sync::query_answer> answer = error{error_code::internal, "no answer"};
};

} // namespace mooring::actors
