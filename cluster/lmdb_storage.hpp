// stable_storage on storage::environment: the shard's one LMDB file.
#pragma once

#include <functional>
#include <memory>

#include "cluster/stable_storage.hpp"
#include "storage/environment.hpp"

namespace mooring::cluster {

// Writes to `where`, growing its map by itself up to the disk's reserve.
std::unique_ptr<stable_storage> make_lmdb_storage(std::shared_ptr<storage::environment> where);

// For shard_options::open_storage: opens the environment, and hands it to `opened` each time, so that readers
// find the new one after a reload. LMDB allows one handle on a file in a process: a reload fails with
// `unavailable` while somebody still holds the environment of before.
std::function<result<std::unique_ptr<stable_storage>>()>
make_lmdb_opener(storage::environment_options options,
                 std::function<void(const std::shared_ptr<storage::environment>&)> opened = {});

} // namespace mooring::cluster
