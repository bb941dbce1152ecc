// pending_apply: committed entries whose writes are not yet in the tables, and the one merged write of them
// all.
//
// The views point into the entries' bodies, which libraft's log in memory owns: an entry stays there until
// the shard's applied index has passed it (docs/decisions/0003-deferred-apply.md), so nothing is copied.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/types.hpp"

namespace mooring::cluster {

class pending_apply {
 public:
  // The entry after all those added before. `rows` are its writes, in order.
  void add(const std::vector<row>& rows, std::int64_t now_us);
  void clear();

  bool empty() const { return entries_ == 0; }
  std::uint64_t entries() const { return entries_; }
  std::uint64_t rows() const { return rows_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  std::int64_t oldest_us() const { return oldest_us_; }
  std::int64_t newest_us() const { return newest_us_; }

  // One row for each key, the last one written, sorted by key: neighbours in LMDB's tree are written
  // together. Valid until the next add or clear.
  const std::vector<row>& merged();

 private:
  std::vector<row> rows_; // in log order; after merged() sorted and unique up to merged_
  std::size_t merged_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t bytes_ = 0;
  std::int64_t oldest_us_ = 0, newest_us_ = 0;
};

} // namespace mooring::cluster
