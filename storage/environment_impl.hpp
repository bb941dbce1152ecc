// What the parts of an environment share. Inside of storage/environment.hpp; nobody else includes it.
//   environment.cpp       opening, closing, figures
//   transactions.cpp      snapshots, views that are held, writing
//   environment_room.cpp  the disk's room and the map's growth
//   environment_copy.cpp  hot copies
#pragma once

#include <sys/types.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "storage/environment.hpp"
#include "storage/lmdb_calls.hpp"

namespace mooring::storage {

inline std::int64_t coarse_now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

inline std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

// What transactions share with their environment. It outlives the environment while a reader overstays.
struct environment::impl : std::enable_shared_from_this<environment::impl> {
  environment_options options;
  MDB_env* env = nullptr;
  MDB_dbi table = 0;
  dev_t folder_device = 0;
  ino_t folder_inode = 0;
  bool registered = false;

  std::mutex gate_mutex;
  std::condition_variable gate_changed;
  bool gate_closed = false;
  bool closing = false;
  std::optional<error> broken; // the map was lost while growing; nothing may touch the environment again
  unsigned snapshots = 0;      // current read transactions: nobody may resize while there are any
  std::set<read_transaction::impl*> readers; // all that own a slot, for stats and closing
  std::multiset<std::int64_t> pins;          // start times of running copies; they hold pages, not the map

  // LMDB begins a read transaction at the newest state only. So a held view is a number of them that were begun
  // when it was; readers borrow them one at a time each. An idle one reads no page: the map may be replaced
  // under it.
  bool view_held = false;
  std::uint64_t view_number = 0;    // of the view that is, or was last, held
  std::vector<MDB_txn*> view_idle;  // of the held view
  std::vector<MDB_txn*> view_spare; // reset, for the next one

  environment_stats measured; // the last time that stats() could look; the gate's mutex guards it

  std::atomic<bool> writing{false};

  std::atomic<std::int64_t> room_checked_ms{-1};
  std::atomic<std::int64_t> room_bytes{0};    // above the reserve, less what was granted since the check
  std::atomic<std::int64_t> reserve_bytes{0}; // as of that check
  std::uint64_t kept_upto = 0; // of the data file: blocks behind its end that are taken already
  bool can_keep = true;

  ~impl();

  std::filesystem::path data_path() const { return options.folder / "data.mdb"; }

  void close_file();

  // `grow` bounds its own wait, and so do those who borrow from a held view: this ends without a timeout.
  template<class Also> result<void> enter(std::unique_lock<std::mutex>& lock, Also&& may_enter) {
    gate_changed.wait(lock, [&] { return closing || (!gate_closed && may_enter()); });
    if (closing) return error{error_code::unavailable, "the environment is closing"};
    if (broken) return *broken;
    ++snapshots;
    return {};
  }
  result<void> enter() {
    std::unique_lock lock(gate_mutex);
    return enter(lock, [] { return true; });
  }
  // False: not now. For whoever must not wait.
  bool try_enter() {
    std::lock_guard lock(gate_mutex);
    if (closing || gate_closed || broken) return false;
    ++snapshots;
    return true;
  }
  void leave() {
    std::lock_guard lock(gate_mutex);
    if (--snapshots == 0) gate_changed.notify_all();
  }

  // environment_room.cpp
  std::int64_t measure_room();
  std::uint64_t used_bytes() const; // of the data file, free pages among them
  std::uint64_t map_bytes() const;
  std::uint64_t free_page_bytes() const;
  bool is_kept(std::uint64_t upto) const { return kept_upto >= upto || !can_keep; }
  std::uint64_t kept_bytes() const;
  bool keep(std::uint64_t bytes, std::uint64_t step);
  void keep_spare();
};

struct read_transaction::impl {
  std::shared_ptr<environment::impl> owner;
  MDB_txn* own = nullptr;      // made at the first snapshot that is not borrowed
  MDB_txn* borrowed = nullptr; // from a held view
  std::uint64_t borrowed_of = 0;
  MDB_txn* txn = nullptr;               // the one of the two that is current
  mutable MDB_cursor* cursor = nullptr; // kept over park and renew
  mutable bool cursor_stale = false;
  mutable bool cursor_busy = false;
  mutable MDB_cursor* near = nullptr; // of get_near, likewise
  mutable bool near_stale = false;
  mutable int damage = 0;
  bool current = false;
  std::atomic<std::int64_t> since_ms{0}; // read by stats(); 0: parked

  ~impl();

  // The newest state, or the held one.
  result<void> begin_snapshot();
  // REQUIRES: current, and the gate's mutex is held.
  void end_snapshot();

  // A kept cursor, made usable for the present snapshot. Null: no memory.
  MDB_cursor* ready(MDB_cursor*& kept, bool& stale) const;
  // A cursor for one walk. The kept one unless an outer walk is using it.
  MDB_cursor* take_cursor() const;
  void give_back(MDB_cursor* used) const;
};

struct write_transaction::impl {
  std::shared_ptr<environment::impl> owner;
  MDB_txn* txn = nullptr;
  mutable MDB_cursor* cursor = nullptr; // puts of neighbouring keys find their page without a descent
  mutable int damage = 0;

  void end();
  ~impl();
};

} // namespace mooring::storage
