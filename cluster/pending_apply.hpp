// pending_apply: committed entries whose writes are not yet in the tables, and the one merged write of them
// all; and the part of it that is to be written next.
//
// The views point into the entries' bodies, which libraft's log in memory owns: an entry stays there until
// the shard's applied index has passed it (docs/decisions/0003-deferred-apply.md), so nothing is copied.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/replica_store.hpp"
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
  // together. Nothing waits any more.
  std::vector<row> take_merged();

 private:
  std::vector<row> rows_; // in log order
  std::uint64_t entries_ = 0;
  std::uint64_t bytes_ = 0;
  std::int64_t oldest_us_ = 0, newest_us_ = 0;
};

// Merged rows on their way into the tables, part by part.
class apply_in_parts {
 public:
  void begin(pending_apply& what, log_index index, log_term term);
  void clear();

  bool under_way() const { return index_ != 0; }
  std::uint64_t entries() const { return entries_; }
  std::uint64_t rows_left() const { return rows_.size() - written_; }
  std::uint64_t bytes_left() const { return bytes_left_; }

  // About so many bytes of what is left. Valid until written() or clear(). REQUIRES: under_way.
  const apply_plan& next(std::uint64_t bytes);
  // What next() gave last is durable. True: that was all, and nothing is under way any more.
  bool written();

 private:
  std::vector<row> rows_;
  std::size_t written_ = 0;
  std::uint64_t bytes_left_ = 0;
  std::uint64_t entries_ = 0;
  log_index index_ = 0;
  log_term term_ = 0;
  apply_plan part_;
};

} // namespace mooring::cluster
