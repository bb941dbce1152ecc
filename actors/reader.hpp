// A reader: answers queries from a snapshot of the tables, on the pool, off the tenants' mailboxes.
//
// The tenant sends a query only when everything acknowledged before it is in the tables, so a new snapshot holds it.
// Long reads end early and say so (sync/queries.hpp, slots_per_page_max). Supervised by nobody in particular: it has no
// state; the node starts it anew.
#pragma once

#include <memory>
#include <string>

#include "actors/interfaces.hpp"
#include "actors/shard_access.hpp"
#include "actors/surroundings.hpp"

namespace mooring::actors {

reader_actor spawn_reader(caf::actor_system& system, const surroundings& around, const shard_access& shard,
                          std::string id);

} // namespace mooring::actors
