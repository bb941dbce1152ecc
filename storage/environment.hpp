// One LMDB environment: a shard's file on disk. The only place that calls LMDB.
//
// Threads: writing belongs to the one thread that owns the shard. Read transactions may be used by any
// thread, one thread at a time each (MDB_NOTLS). Keys are 1 to 511 bytes.
//
// Room: whoever accepts something to be written asks has_room_for first, which leaves the disk's reserve
// alone. What was accepted may use the reserve, and has_room_for takes blocks of the file system for it at once,
// behind the end of the file, so it can be written although others fill the disk. They outlive the process: the
// next one writes into them what a start has to write.
//
// Growth: the map starts small and grows (`grow`). Growing needs a moment without current snapshots, because
// LMDB unmaps the file: `grow` closes a gate, waits until every read transaction is parked or gone, resizes,
// opens the gate. While it is closed, begin_read() and renew() of other threads wait. Both waits end: after
// grow_wait_ms `grow` gives up with `unavailable` and opens the gate again, so a reader that overstays delays
// growth and never deadlocks it. From this:
// - park a read transaction as soon as its views are no longer needed; whoever needs longer than a few ms reads
//   in pages, with a fresh snapshot for each;
// - a thread that holds a current snapshot does not ask for a second one (it would sit out a whole grow_wait_ms);
//   stats() it may ask for;
// - copy_to does not hold growth up: it pins its snapshot and reads through a map of its own.
//
// Changes in parts: between hold_view() and release_view() every snapshot that begins shows the state as of
// hold_view(), so the writer may commit a large change part by part, with small commits in between that
// somebody waits for, and nobody reads it half done. Copies (copy_to, copy_into) take what is committed.
//
// Readers older than reader_age_max_ms are counted in stats().readers_overdue.
//
// Durability: a commit that returned ok is on disk (fdatasync of data, O_DSYNC of the meta page). A commit
// that failed for another reason than a full map has unknown outcome; the owner closes the environment and
// opens it again. One process opens a folder at most once (a second open is refused); never fork with an open
// environment.
//
// Damage: a page that LMDB cannot follow makes get() and scan() end as if nothing was there AND sets
// failure() of the transaction; whoever decides something on what it read asks failure() before it acts.
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
  std::filesystem::path folder; // must exist
  std::uint64_t map_bytes_initial = 64ull << 20;
  std::uint64_t map_bytes_max = 1ull << 40;
  std::uint64_t disk_reserve_bytes = 512ull << 20; // never let the file system's free space fall below
  double disk_reserve_share = 0.05; // … nor below this share of it; the larger of both counts
  unsigned readers_max = 512;
  std::int64_t reader_age_max_ms = 10'000; // an older read transaction is reported as overdue
  std::int64_t grow_wait_ms = 100;         // how long grow() waits for readers to leave, and others for it
  unsigned view_readers = 16; // at a time while a view is held; a further one waits until one is parked
  bool read_only = false;     // for tools that look at a stopped node's files
};

class environment;

// A consistent snapshot. Movable. `renew` makes a parked transaction current again without allocating.
class read_transaction {
 public:
  read_transaction();
  read_transaction(read_transaction&&) noexcept;
  read_transaction& operator=(read_transaction&&) noexcept;
  ~read_transaction();

  // Views are valid until park(), renew() or destruction.
  std::optional<std::string_view> get(std::string_view key) const;
  // The same, fast when the key is near the one that was asked for last.
  std::optional<std::string_view> get_near(std::string_view key) const;
  // First row with key >= `from`, and its successors: return false from the callback to stop.
  void scan(std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& each) const;
  void scan_backwards(std::string_view before, // rows with key < `before`, descending
                      const std::function<bool(std::string_view key, std::string_view value)>& each) const;

  void park();          // gives up the snapshot, keeps the slot; harmless when parked
  result<void> renew(); // a new snapshot; `unavailable` when the environment is closing or was closed
  bool current() const;
  std::optional<error> failure() const; // damage met by this snapshot

 private:
  friend class environment;
  struct impl;
  std::unique_ptr<impl> impl_;
};

// The one write transaction. Ends with commit() or is rolled back.
// REQUIRES: used by the thread that began it; ended before the environment is.
class write_transaction {
 public:
  write_transaction(write_transaction&&) noexcept;
  write_transaction& operator=(write_transaction&&) = delete;
  ~write_transaction();
  std::optional<std::string_view> get(std::string_view key) const; // sees its own writes
  void scan(std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& each) const;
  // Failures: storage_full when the map must grow first (the transaction is then useless: roll back, grow,
  // redo).
  result<void> put(std::string_view key, std::string_view value);
  result<bool> remove(std::string_view key); // false: it was not there
  // Durable when ok. storage_full (the map was full) committed nothing; any other failure has unknown
  // outcome.
  result<void> commit();
  std::optional<error> failure() const; // damage met; put, remove and commit then fail with it

 private:
  friend class environment;
  write_transaction();
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
  // not_found: no such folder; unavailable: open in this process already, perhaps by readers that will soon let go;
  // internal: LMDB's message.
  static result<std::unique_ptr<environment>> open(environment_options options);
  // Waits for current snapshots to end (at most reader_age_max_ms, then the last of them closes the file).
  // Parked and leftover read transactions stay safe to destroy; renew() fails.
  ~environment();

  // unavailable: closing, or every reader slot is taken.
  result<read_transaction> begin_read();
  // REQUIRES: no other write transaction is open.
  result<write_transaction> begin_write();
  // True when `usual` bytes more can be written without touching the disk's reserve, and `most` with its
  // help, below map_bytes_max. Cheap (cached for 100 ms). REQUIRES: the writer's thread.
  bool has_room_for(std::uint64_t usual, std::uint64_t most = 0);
  // True when about `bytes` can be written, whatever it takes: on the disk, its reserve included, or in free
  // pages. False: the commit would fail with an unknown outcome. REQUIRES: the writer's thread.
  bool can_write(std::uint64_t bytes);
  // Bytes at the end of the map that no page uses yet. Growing before they are needed saves redoing a
  // transaction.
  std::uint64_t map_room();
  // Makes the map larger by at least `bytes` (generously, so that it is rare). storage_full when the reserve
  // or map_bytes_max forbids it, which they do not for what was accepted before; unavailable when readers did
  // not leave in time. REQUIRES: the writer's thread, no open write transaction, no current snapshot in this
  // thread.
  enum class growth { ordinary, for_accepted };
  result<void> grow(std::uint64_t bytes, growth kind = growth::ordinary);
  // See "Changes in parts". REQUIRES of both: the writer's thread, no open write transaction. hold_view fails
  // with unavailable when no reader slot is left: then nothing is held.
  result<void> hold_view();
  void release_view(); // harmless when nothing is held
  // A compacted, consistent copy into `target` (a new file, mode 0600, flushed) while others read and write.
  result<void> copy_to(const std::filesystem::path& target);
  // The same into an open descriptor, from the first byte to the last, so a pipe will do; ends early when
  // nobody reads it any more. `name` is for messages.
  result<void> copy_into(int descriptor, const std::string& name);
  environment_stats stats(); // while the map grows: of the file's content, what was known before
  // Frees reader slots of threads and processes that died.
  void check_readers();
  const std::filesystem::path& folder() const;

 private:
  friend class read_transaction;
  friend class write_transaction;
  environment();
  struct impl;
  std::shared_ptr<impl> impl_; // transactions hold a share
};

} // namespace mooring::storage
