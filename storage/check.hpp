// Offline verification of a shard's tables: every row's version, checksum and shape, and what must hold
// between the tables. For `mooring check`, and for tests after every kill.
//
// The log's rows (first bytes 0x01 to 0x0f) are cluster/'s business: `other_row` gets them in key order.
//
// Memory: a few bytes for each user and device of one tenant. It reads one snapshot for as long as it takes,
// so not on a node that is running: old pages could not be used again in the meantime.
//
// A file with pages of noise can end the process inside of LMDB, which believes what it maps. Whoever has to survive that
// calls this in a child process (app/check_command.cpp).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "storage/environment.hpp"
#include "storage/overlaid_snapshot.hpp"

namespace mooring::storage {

// One thing that is wrong, in words; rows are named by table and key in hex.
using finding_callback = std::function<void(const std::string& finding)>;

struct check_options {
  std::function<void(std::string_view key, std::string_view value, const finding_callback& report)>
      other_row = {};
  unsigned shard = 0,
           shards = 0; // which of how many this is; 0 of 0: not known, tenants are not asked for theirs
  // What the log will write over the tables at the next start: they are checked as they will be then, because an
  // apply in parts may have been interrupted. Sorted by key, each key once.
  std::span<const overlaid_row> unapplied = {};
  std::uint64_t findings_max = 1000; // then it stops: the file is beyond help
  // Called before the rows of a table are looked at, again and again, each time another table begins; the name lives for
  // ever. For whoever has to say where a reader was when a damaged file ended it.
  std::function<void(std::string_view table)> reading = {};
};

struct check_summary {
  std::uint64_t rows = 0; // all, with the log's
  std::uint64_t tenants = 0, users = 0, devices = 0, entities = 0, conflicts = 0, notifications = 0,
                slots = 0;
  std::uint64_t findings = 0;
  bool stopped = false; // at findings_max
};

// Fails only when the environment cannot be read at all; damage is a finding.
result<check_summary> check_shard(environment& shard, const finding_callback& report,
                                  const check_options& options = {});

} // namespace mooring::storage
