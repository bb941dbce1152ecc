// The tables of a shard as one byte string: what install_snapshot carries. docs/raft_log.md, "Snapshot".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/stable_storage.hpp"
#include "cluster/types.hpp"

namespace mooring::cluster {

// Every committed row of the tables. payload_too_large when longer than `bytes_max`.
result<std::string> encode_snapshot(stable_storage& from, std::size_t bytes_max);

// Appends the rows, which point into `bytes`. False when the checksum, the order of keys or a length is
// wrong.
bool decode_snapshot(std::string_view bytes, std::vector<row>& rows);

} // namespace mooring::cluster
