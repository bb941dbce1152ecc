// What actors say to each other. Plain structs with full names; each sentence says who sends it to whom and why.
//
// Requests travel as shared pointers to one object that every stage fills in turn: exactly one actor works on it at a
// time, so there is no lock. They stay inside the process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor_control_block.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>

#include "api/backend.hpp"
#include "base/result.hpp"
#include "sync/commands.hpp"
#include "sync/queries.hpp"

namespace mooring::actors {

struct command_request;
struct query_request;
struct batch_group;
struct feed_batch;
using command_ptr = std::shared_ptr<command_request>;
using query_ptr = std::shared_ptr<query_request>;
using feed_batch_ptr = std::shared_ptr<const feed_batch>;
using group_ptr = std::shared_ptr<batch_group>;

// ── requests ──
struct command_decided {
  command_ptr request;
}; // tenant → device: the next one may come
struct command_done {
  command_ptr request;
}; // tenant, device or directory → network: the answer is in it
struct query_done {
  query_ptr request;
}; // reader or tenant → network
struct route_command {
  command_ptr request;
}; // network → directory: no handle known yet
struct route_query {
  query_ptr request;
};
struct tenant_command {
  command_ptr request;
}; // network or directory → tenant: start the device if there is one
struct tenant_query {
  query_ptr request;
}; // network or directory → tenant
struct device_command {
  command_ptr request;
}; // network or tenant → device
struct decide_command {
  command_ptr request;
}; // device → tenant: its turn has come
struct run_query {
  query_ptr request;
}; // tenant → reader: everything acknowledged is in the tables
struct request_routed {
  std::uint64_t id = 0;
  caf::strong_actor_ptr tenant, device;
}; // directory or tenant → network, which did not know the way: this one has it now (no device: the tenant)

// ── commits ──
struct commit_group {
  group_ptr group;
}; // outbox → shard writer: what the tenants of one home decided in one turn
struct batches_committed {
  std::uint64_t upto = 0;
}; // writer → tenant: durable
struct batches_applied {
  std::uint64_t upto = 0;
}; // writer → tenant: to be read in the tables
// writer → tenant: what was sent and not committed is not stored and will not be: the disk is full. Later batches of this
// tenant actor may rest on these, so they are dropped unseen until `refusal_heard`; the tenant goes on from before them.
struct batches_refused {
  error why;
};
struct refusal_heard {
}; // tenant → writer, behind all that was sent before: what follows rests on what is stored
// writer → tenant: what was sent and not committed is in doubt: the shard was loaded anew, and nobody knows. Later batches
// of this tenant actor are dropped: the tenant ends, and its successor begins with what is stored.
struct batches_lost {
  error why;
};
struct apply_now {}; // tenant → writer: readers wait
// writer → tenant that asked for apply_now or settle_tenant: not now, the disk has no room left at all. The writer tries
// again by itself, and who still waits is told again.
struct apply_blocked {
  error why;
};
struct settle_tenant {}; // tenant → writer, after a restart: tell me when all that was sent before is applied
struct tenant_settled {}; // writer → tenant

// ── pushes ──
struct feed_moved {
  feed_batch_ptr batch;
};                    // tenant → the network actors that watch its feed, in the order of the commits
struct leave_feed {}; // network → tenant: nobody here listens any more
struct wake_hub {};   // network → itself: what was held back is due

// ── housekeeping ──
struct housekeeping_tick {}; // directory → tenants → devices, on a timer; writer → itself
struct tenant_found {
  std::string tenant;
};                       // writer → directory: this tenant's old rows are due for sweeping
struct sweep_rows {};    // directory → tenant: remove what has expired
struct sweep_further {}; // tenant → itself: the next stretch of rows
struct flush_group {};   // writer → itself, behind all batches that wait
struct may_stop {};      // tenant → directory: I am idle
struct stop_granted {};  // directory → tenant: end, or say goes_on; nothing new comes through me until then
struct goes_on {};       // tenant → directory, device → tenant, instead of ending: work came meanwhile
struct stop_if_idle {};  // tenant → device: likewise
struct inspect_request {}; // anybody → anybody: what are you doing?
struct inspect_answer {
  std::string document;
}; // a mooring::document: kind, id, uptime_ms, counters, state

} // namespace mooring::actors

CAF_BEGIN_TYPE_ID_BLOCK(mooring, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(mooring, (mooring::actors::command_decided))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::command_done))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::query_done))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::route_command))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::route_query))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::tenant_command))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::tenant_query))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::device_command))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::decide_command))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::run_query))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::request_routed))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::commit_group))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::batches_committed))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::batches_applied))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::batches_refused))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::refusal_heard))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::batches_lost))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::apply_now))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::apply_blocked))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::settle_tenant))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::tenant_settled))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::feed_moved))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::leave_feed))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::wake_hub))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::housekeeping_tick))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::tenant_found))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::sweep_rows))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::sweep_further))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::flush_group))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::may_stop))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::stop_granted))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::goes_on))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::stop_if_idle))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::inspect_request))
CAF_ADD_TYPE_ID(mooring, (mooring::actors::inspect_answer))
CAF_END_TYPE_ID_BLOCK(mooring)

// They carry pointers and callbacks; between nodes, the cluster has messages of its own.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::command_decided)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::command_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::query_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::route_command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::route_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::tenant_command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::tenant_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::device_command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::decide_command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::run_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::request_routed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::commit_group)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::batches_committed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::batches_applied)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::batches_refused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::refusal_heard)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::batches_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::apply_now)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::apply_blocked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::settle_tenant)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::tenant_settled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::feed_moved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::leave_feed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::wake_hub)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::housekeeping_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::tenant_found)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::sweep_rows)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::sweep_further)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::flush_group)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::may_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::stop_granted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::goes_on)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::stop_if_idle)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::inspect_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(mooring::actors::inspect_answer)
