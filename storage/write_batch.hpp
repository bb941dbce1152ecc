// The effects of one command as rows: what a raft entry holds and what every node stores.
//
//   batch = msgpack array of rows; row = [key as bin, value as bin, or nil for a deletion]
//   entry = batches, one after the other
//
// A batch is complete in itself: put replaces, deletion of what is absent is nothing, so applying an entry
// twice, or applying several entries in one go, ends in the same tables. docs/data_file.md, "Write batches".
// Pure but for `apply`; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "storage/environment.hpp"
#include "storage/keys.hpp"
#include "sync/store.hpp"

namespace mooring::storage {

// The last numbers given away before a command was decided (from store.counters()). Devices with a higher
// number are new and get their index rows; the others had them from their first write, and they never change,
// so that an upload does not write them again. {} writes them always, which is correct and slower. Too high a
// number is wrong.
struct numbering {
  sync::device_number last_device = 0;
};

// Encodes the writes of one command as a batch at the end of `entry`. bad_user_input when an id is longer than a key
// can hold: then `entry` is as before.
result<void> append_batch(std::string& entry, tenant_hash tenant, const sync::write_list& writes,
                          numbering before);

// One command's batch, or several that were joined: the bytes of an entry, or of a part of one. Movable,
// copyable.
class write_batch {
 public:
  // Failures: bad_user_input when an id is longer than a key can hold.
  static result<write_batch> encode(std::string_view tenant, const sync::write_list& writes,
                                    numbering before = {});
  static result<write_batch> encode(tenant_hash tenant, const sync::write_list& writes,
                                    numbering before = {});

  // Joins another to the end, without encoding anything anew.
  void append(const write_batch& later) { bytes_.append(later.bytes_); }
  // Encodes further writes to the end. On failure the batch is as before.
  result<void> append(tenant_hash tenant, const sync::write_list& writes, numbering before = {});

  bool empty() const { return bytes_.empty(); }
  std::string_view bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }
  void clear() { bytes_.clear(); } // keeps the memory

 private:
  std::string bytes_;
};

struct batch_row {
  std::string_view key;
  std::optional<std::string_view> value; // nothing: the row is deleted
};

// Walks the rows of an entry. Nothing is copied; the views point into the entry.
class entry_reader {
 public:
  explicit entry_reader(std::string_view entry)
      : rest_(entry) {}
  // The next row, or nothing at the end or where the bytes are no entry (then failed()).
  std::optional<batch_row> next();
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  std::uint32_t rows_left_ = 0; // of the present batch
  bool failed_ = false;
};

// What of an entry that came from a peer or the disk must hold: it parses to its end, keys are keys of a
// tenant's table, and values carry a version and a right checksum. `internal` otherwise.
result<void> validate_entry(std::string_view entry);

// Applies entries to the tables. Keeps its memory between calls; one per shard.
class batch_applier {
 public:
  struct counts {
    std::size_t rows = 0;    // in the entries
    std::size_t written = 0; // after later rows of a key replaced earlier ones
    std::size_t removed = 0;
  };
  // In the order given; a later row of a key wins. Rows go to LMDB sorted by key, so that pages are touched
  // once. Failures: internal when an entry does not parse or names a row outside the tenants' tables (nothing
  // is written), storage_full as of write_transaction::put; the caller rolls back.
  result<counts> apply(write_transaction& transaction, std::span<const std::string_view> entries);

 private:
  struct pending {
    std::string_view key;
    std::optional<std::string_view> value;
  };
  std::vector<pending> rows_;
};

} // namespace mooring::storage
