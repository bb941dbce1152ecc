// The tenants of a shard, in the order of their hashes: for work that visits all of them.
#pragma once

#include <optional>
#include <string>

#include "storage/environment.hpp"
#include "storage/keys.hpp"

namespace mooring::storage {

struct tenant_row {
  tenant_hash hash = 0;
  std::string name;
};

// The first tenant whose hash is at least `from`. Skips rows that do not decode: the check names them.
std::optional<tenant_row> next_tenant(const read_transaction& snapshot, tenant_hash from);

} // namespace mooring::storage
