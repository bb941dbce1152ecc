// Offline verification of a shard's log, for `mooring check`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cluster/types.hpp"
#include "storage/environment.hpp"

namespace mooring::cluster {

struct log_report {
  bool present = false; // false: no shard was ever started in this environment
  group members;
  node_id self = 0;
  log_term term = 0;
  log_index applied = 0;
  log_index first = 0; // of the stored log; last + 1 when it is empty
  log_index last = 0;
  std::uint64_t bytes = 0;           // of the entries' bodies
  std::vector<std::string> problems; // empty: all is well
  // What the entries behind `applied` will write to the tables, merged: sorted by key, each key once. The views
  // point into `bodies`.
  std::vector<row> unapplied;
  std::unique_ptr<const std::string> bodies;
};

// Verifies checksums, hash chain, order and indices of the log and of the rows beside it, and that every
// entry's body decodes and writes only to the tables. Fails only when the environment cannot be read.
result<void> check_log(storage::environment& where, row_reader read_rows, log_report& report);

} // namespace mooring::cluster
