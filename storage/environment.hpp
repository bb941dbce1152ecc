// One LMDB environment: a shard's file on disk. The only place that calls LMDB.
//
// Threads: writing belongs to the one thread that owns the shard. Read transactions may be used by any thread, one
// thread at a time each (MDB_NOTLS). Keys are 1 to 511 bytes.
//
// Growth: the map starts small and grows by itself (`grow`) up to what the disk's reserve allows; then writes fail with
// storage_full until space returns. Growing needs a moment without open read transactions: `grow` closes the gate,
// waits for readers to leave (they are short, see reader_age_max_ms), resizes, opens the gate.
//
// Durability: a commit that returned ok is on disk (fdatasync of data, O_DSYNC of the meta page). A commit that failed
// has unknown outcome; the owner closes the environment and opens it again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace mooring::storage {

struct environment_options {
  std::filesystem::path folder;               // must exist
  std::uint64_t map_bytes_initial = 64ull << 20;
  std::uint64_t map_bytes_max = 1ull << 40;
  std::uint64_t disk_reserve_bytes = 512ull << 20; // never let the file system's free space fall below
  double disk_reserve_share = 0.05;                // … nor below this share of it; the larger of both counts
  unsigned readers_max = 512;
  std::int64_t reader_age_max_ms = 10'000;         // an older read transaction is reported as overdue
  bool read_only = false;                          // for tools that look at a stopped node's files
};

class environment;

// A consistent snapshot. Movable. `renew` makes a parked transaction current again without allocating.
class read_transaction {
 public:
  read_transaction() = default;
  read_transaction(read_transaction&&) noexcept;
  read_transaction& operator=(read_transaction&&) noexcept;
  ~read_transaction();

  // Views are valid until park(), renew() or destruction.
  std::optional<std::string_view> get(std::string_view key) const;
  // First row with key >= `from`, and its successors: return false from the callback to stop.
  void scan(std::string_view from, const std::function<bool(std::string_view key, std::string_view value)>& each) const;
  void scan_backwards(std::string_view before, // rows with key < `before`, descending
                      const std::function<bool(std::string_view key, std::string_view value)>& each) const;

  void park();         // gives up the snapshot, keeps the slot
  result<void> renew(); // a new snapshot; fails only when the environment is closing
  bool current() const;

 private:
  friend class environment;
  struct impl;
  std::unique_ptr<impl> impl_;
};

// The one write transaction. Ends with commit() or is rolled back.
class write_transaction {
 public:
  write_transaction(write_transaction&&) noexcept;
  ~write_transaction();
  std::optional<std::string_view> get(std::string_view key) const; // sees its own writes
  void scan(std::string_view from, const std::function<bool(std::string_view key, std::string_view value)>& each) const;
  // Failures: storage_full when the map must grow first (the transaction is then useless: roll back, grow, redo).
  result<void> put(std::string_view key, std::string_view value);
  result<bool> remove(std::string_view key); // false: it was not there
  result<void> commit(); // durable when ok

 private:
  friend class environment;
  struct impl;
  std::unique_ptr<impl> impl_;
};

struct environment_stats {
  std::uint64_t map_bytes = 0, file_bytes = 0, free_pages = 0, page_bytes = 4096, entries = 0;
  std::uint64_t readers = 0, readers_overdue = 0;
  std::uint64_t disk_free_bytes = 0;
};

class environment {
 public:
  // not_found: no such folder; internal: LMDB's message.
  static result<std::unique_ptr<environment>> open(environment_options options);
  ~environment();

  result<read_transaction> begin_read();
  result<write_transaction> begin_write();
  // True when about `bytes` more can be written without touching the disk's reserve. Cheap (cached for 100 ms).
  bool has_room_for(std::uint64_t bytes);
  // Makes the map larger by at least `bytes`; storage_full when the reserve or map_bytes_max forbids it.
  result<void> grow(std::uint64_t bytes);
  // A compacted, consistent copy into `target` (a new file) while others read and write.
  result<void> copy_to(const std::filesystem::path& target);
  environment_stats stats();
  // Frees reader slots of threads and processes that died.
  void check_readers();
  const std::filesystem::path& folder() const;

 private:
  environment();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace mooring::storage
