// The disk's room and the map's growth.
#include <fcntl.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>

#include "storage/environment_impl.hpp"

namespace mooring::storage {

namespace {

constexpr std::uint64_t room_cache_ms = 100;
constexpr std::uint64_t map_step_bytes = 1ull << 20;
// With less above the reserve, room is not only counted but taken. Ordinary commits are spared the call.
constexpr std::int64_t nearly_full_bytes = 256ll << 20;
// Blocks that the file always has behind its end, so that a shard can start, elect itself and end its log on a disk that
// others have filled since.
constexpr std::uint64_t spare_bytes = 1 << 20;
constexpr std::uint64_t keep_step_min = 1 << 20, keep_step_max = 64 << 20; // an eighth of the file

} // namespace

// Free bytes of the file system above the reserve, with what is kept for us; negative when the reserve is
// touched.
std::int64_t environment::impl::measure_room() {
  struct statvfs disk {};
  if (::statvfs(options.folder.c_str(), &disk) != 0) return 0;
  const auto available = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
  const auto total = static_cast<double>(disk.f_blocks) * static_cast<double>(disk.f_frsize);
  const auto reserve =
      std::max(static_cast<double>(options.disk_reserve_bytes), total * options.disk_reserve_share);
  reserve_bytes.store(static_cast<std::int64_t>(reserve), std::memory_order_relaxed);
  return static_cast<std::int64_t>(available + static_cast<double>(kept_bytes()) - reserve);
}

std::uint64_t environment::impl::used_bytes() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0) return 0;
  return (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
}

std::uint64_t environment::impl::map_bytes() const {
  MDB_envinfo info{};
  return mdb_env_info(env, &info) == 0 ? info.me_mapsize : 0;
}

// REQUIRES: the writer's thread, which is the only one to replace the map.
std::uint64_t environment::impl::free_page_bytes() const {
  MDB_txn* txn = nullptr;
  if (mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) != 0) return 0;
  MDB_stat stat{};
  const std::uint64_t page_bytes = mdb_env_stat(env, &stat) == 0 ? stat.ms_psize : 0;
  const auto pages = count_free_pages(txn);
  mdb_txn_abort(txn);
  return pages * page_bytes;
}

std::uint64_t environment::impl::kept_bytes() const {
  const auto used = used_bytes();
  return kept_upto > used ? kept_upto - used : 0;
}

// Takes blocks for `bytes` behind the pages in use. The file's size stays what LMDB made it.
bool environment::impl::keep(std::uint64_t bytes, std::uint64_t step) {
  const auto used = used_bytes();
  const auto wanted = used + round_up(bytes, step);
  if (is_kept(used + bytes)) return true;
  int fd = -1;
  if (mdb_env_get_fd(env, &fd) != 0) return false;
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(used), static_cast<off_t>(wanted - used)) ==
      0) {
    kept_upto = wanted;
    return true;
  }
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) return false;
  can_keep = false; // not on this file system: then what was counted must do
  return true;
}

// Those blocks; on a full disk what an earlier life left of them.
void environment::impl::keep_spare() {
  for (auto bytes = spare_bytes; bytes >= 4096 && !keep(bytes, 4096); bytes /= 2) {
  }
}

bool environment::has_room_for(std::uint64_t usual, std::uint64_t most) {
  const auto as_signed = [](std::uint64_t bytes) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, INT64_MAX / 4));
  };
  const auto fits = [&](std::int64_t room) {
    return room >= as_signed(usual) &&
           room + impl_->reserve_bytes.load(std::memory_order_relaxed) >= as_signed(most);
  };
  const auto bytes = std::max(usual, most);
  const auto end = impl_->used_bytes();
  const auto most_end = impl_->options.map_bytes_max; // the map may be larger by what was accepted
  if (bytes > most_end || end > most_end - bytes) {   // only pages that became free may be used
    const auto left = most_end > end ? most_end - end : 0;
    if (left + impl_->free_page_bytes() < bytes) return false;
  }
  const auto now = coarse_now_ms();
  const auto checked = impl_->room_checked_ms.load(std::memory_order_relaxed);
  if (checked >= 0 && now - checked < static_cast<std::int64_t>(room_cache_ms)) {
    // What was granted since the last look counts as used; only a "no" is worth another look at once.
    const auto room = impl_->room_bytes.load(std::memory_order_relaxed);
    if (room >= nearly_full_bytes && fits(room) && impl_->is_kept(end + usual)) {
      impl_->room_bytes.store(room - as_signed(usual), std::memory_order_relaxed);
      return true;
    }
  }
  const auto room = impl_->measure_room();
  impl_->room_bytes.store(room - as_signed(usual), std::memory_order_relaxed);
  impl_->room_checked_ms.store(now, std::memory_order_relaxed);
  if (!fits(room)) return false;
  if (room < nearly_full_bytes)
    return impl_->keep(usual + spare_bytes, map_step_bytes) || impl_->keep(usual, 4096);
  // Many at a time: a flush that must also allocate writes the tables of the file system, some ms instead of 0.1.
  impl_->keep(usual + spare_bytes,
              round_up(std::clamp(end / 8, keep_step_min, keep_step_max), map_step_bytes));
  return true;
}

bool environment::can_write(std::uint64_t bytes) {
  if (impl_->kept_bytes() >= bytes) return true;
  const auto wanted = static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, INT64_MAX / 4));
  const auto now = coarse_now_ms();
  if (now - impl_->room_checked_ms.load(std::memory_order_relaxed) <
          static_cast<std::int64_t>(room_cache_ms) &&
      impl_->room_bytes.load(std::memory_order_relaxed) >= nearly_full_bytes + wanted)
    return true;
  const auto room = impl_->measure_room();
  impl_->room_bytes.store(room, std::memory_order_relaxed);
  impl_->room_checked_ms.store(now, std::memory_order_relaxed);
  return room + impl_->reserve_bytes.load(std::memory_order_relaxed) >= wanted ||
         impl_->free_page_bytes() >= bytes;
}

std::uint64_t environment::map_room() {
  const auto used = impl_->used_bytes(), mapped = impl_->map_bytes();
  return mapped > used ? mapped - used : 0;
}

result<void> environment::grow(std::uint64_t bytes, growth kind) {
  MOORING_CHECK(!impl_->writing.load(), "no write transaction while the map grows");
  if (kind == growth::ordinary && !has_room_for(bytes))
    return error{error_code::storage_full, "the disk's reserve is reached"};
  MDB_envinfo info{};
  if (const int code = mdb_env_info(impl_->env, &info); code != 0)
    return lmdb_error("reading the map's size", code);
  const auto present = static_cast<std::uint64_t>(info.me_mapsize);
  const auto most = impl_->options.map_bytes_max / 4096 * 4096;
  if (kind == growth::ordinary && (present >= most || bytes > most - present))
    return error{error_code::storage_full, "the data file has reached its configured maximum"};
  const auto target =
      std::max(std::min(most, round_up(std::max(present * 2, present + bytes), map_step_bytes)),
               round_up(present + bytes, 4096));

  std::unique_lock lock(impl_->gate_mutex);
  if (impl_->broken) return *impl_->broken;
  impl_->gate_closed = true;
  const bool empty = impl_->gate_changed.wait_for(
      lock, std::chrono::milliseconds(impl_->options.grow_wait_ms), [&] { return impl_->snapshots == 0; });
  result<void> done;
  if (!empty) {
    done = error{error_code::unavailable, "the map cannot grow while " + std::to_string(impl_->snapshots) +
                                              " read transactions stay open"};
  } else if (const int code = mdb_env_set_mapsize(impl_->env, target); code != 0) {
    // LMDB has unmapped the file by now.
    impl_->broken = lmdb_error("growing the map", code);
    impl_->broken->code = error_code::internal;
    done = *impl_->broken;
  }
  impl_->gate_closed = false;
  impl_->gate_changed.notify_all();
  return done;
}

} // namespace mooring::storage
