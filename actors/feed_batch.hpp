// What a tenant tells the network threads of a batch that was committed.
#pragma once

#include <string>
#include <vector>

#include "actors/interfaces.hpp"
#include "sync/store.hpp"

namespace mooring::actors {

// The slots of `writes` that stand after `from`, each with what it names, as the batch wrote it; names of users and devices
// are looked up in `names`. Null when there is nothing to tell.
feed_batch_ptr make_feed_batch(const std::string& tenant, const sync::write_list& writes, sync::position from,
                               sync::store& names, std::vector<sync::device> devices);

} // namespace mooring::actors
