#include "storage/environment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <set>
#include <utility>

#include "storage/environment_impl.hpp"
#include "storage/files.hpp"

namespace mooring::storage {

namespace {

// LMDB corrupts its lock table when one process opens an environment twice; folders are known by device and
// inode.
class open_folders {
 public:
  bool add(dev_t device, ino_t inode) {
    std::lock_guard lock(mutex_);
    return folders_.emplace(device, inode).second;
  }
  void remove(dev_t device, ino_t inode) {
    std::lock_guard lock(mutex_);
    folders_.erase({device, inode});
  }
  static open_folders& instance() {
    static open_folders all;
    return all;
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<dev_t, ino_t>> folders_;
};

// A file shorter than its newest meta page says is either harmless (the last pages were freed before they
// were ever written) or truncated. Filled up with zeros, a page that is missing is damage that LMDB or a
// checksum reports; unfilled, touching it would be SIGBUS.
result<void> fill_up(MDB_env* env, const std::filesystem::path& data) {
  MDB_envinfo info{};
  MDB_stat stat{};
  if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0) return {};
  const auto needed = (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
  struct stat file {};
  if (::stat(data.c_str(), &file) != 0) return os_error(data.string(), errno);
  if (static_cast<std::uint64_t>(file.st_size) >= needed) return {};
  const int fd = ::open(data.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return os_error(data.string() + " is shorter than it should be", errno);
  // Not truncate(2): another process may be the writer (a hot backup) and have made the file longer by now.
  const int code = ::fallocate(fd, 0, static_cast<off_t>(needed - 1), 1) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0)
    return os_error(data.string() + " is shorter than it should be and cannot be filled up", code);
  return {};
}

} // namespace

environment::impl::~impl() {
  if (env) close_file();
  if (registered) open_folders::instance().remove(folder_device, folder_inode);
}

void environment::impl::close_file() {
  for (auto* txn : view_idle) mdb_txn_abort(txn);
  for (auto* txn : view_spare) mdb_txn_abort(txn);
  view_idle.clear();
  view_spare.clear();
  mdb_env_close(std::exchange(env, nullptr));
}

environment::environment() = default;

result<std::unique_ptr<environment>> environment::open(environment_options options) {
  struct stat folder {};
  if (::stat(options.folder.c_str(), &folder) != 0) return os_error(options.folder.string(), errno);
  if (!S_ISDIR(folder.st_mode))
    return error{error_code::not_found, options.folder.string() + " is not a folder"};

  auto core = std::make_shared<impl>();
  core->options = std::move(options);
  core->folder_device = folder.st_dev;
  core->folder_inode = folder.st_ino;
  if (!open_folders::instance().add(folder.st_dev, folder.st_ino))
    return error{error_code::unavailable, core->options.folder.string() + " is open in this process already"};
  core->registered = true;

  if (const int code = mdb_env_create(&core->env); code != 0)
    return lmdb_error("creating an environment", code);
  mdb_env_set_assert(core->env, throw_damage);
  std::uint64_t map_bytes = core->options.map_bytes_initial;
  struct stat data {};
  if (::stat(core->data_path().c_str(), &data) == 0) {
    // Room to write beside what is there, so that a restart does not begin with growing.
    const auto size = static_cast<std::uint64_t>(data.st_size);
    map_bytes = std::max(map_bytes, size + size / 4);
    map_bytes = std::max(std::min(map_bytes, core->options.map_bytes_max), size);
  }
  map_bytes = round_up(map_bytes, 4096);
  if (const int code = mdb_env_set_mapsize(core->env, map_bytes); code != 0)
    return lmdb_error("setting the map", code);
  if (const int code = mdb_env_set_maxreaders(core->env, core->options.readers_max); code != 0)
    return lmdb_error("setting the number of readers", code);
  const unsigned flags = MDB_NOTLS | (core->options.read_only ? MDB_RDONLY : 0u);
  if (const int code = mdb_env_open(core->env, core->options.folder.c_str(), flags, 0600); code != 0)
    return lmdb_error("opening " + core->options.folder.string(), code);
  if (auto filled = fill_up(core->env, core->data_path()); !filled) return filled.failure();
  int dead = 0;
  if (const int code = mdb_reader_check(core->env, &dead); code != 0)
    return lmdb_error("checking readers", code);

  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(core->env, nullptr, MDB_RDONLY, &txn); code != 0)
    return lmdb_error("opening the table", code);
  const int opened = mdb_dbi_open(txn, nullptr, 0, &core->table);
  mdb_txn_abort(txn); // the unnamed table's handle outlives it
  if (opened != 0) return lmdb_error("opening the table", opened);

  if (!core->options.read_only) core->keep_spare();

  std::unique_ptr<environment> made(new environment());
  made->impl_ = std::move(core);
  return made;
}

environment::~environment() {
  if (!impl_) return;
  MOORING_CHECK(!impl_->writing.load(), "the write transaction ends before its environment");
  std::unique_lock lock(impl_->gate_mutex);
  impl_->closing = true;
  impl_->gate_changed.notify_all();
  const bool empty =
      impl_->gate_changed.wait_for(lock, std::chrono::milliseconds(impl_->options.reader_age_max_ms),
                                   [&] { return impl_->snapshots == 0 && impl_->pins.empty(); });
  if (!empty) return; // the last reader's share of impl closes the file
  // Parked transactions keep a slot in the lock file, which closing unmaps: take the slots back first.
  for (auto* reader : impl_->readers) {
    if (reader->cursor) mdb_cursor_close(std::exchange(reader->cursor, nullptr));
    if (reader->near) mdb_cursor_close(std::exchange(reader->near, nullptr));
    if (reader->own) mdb_txn_abort(std::exchange(reader->own, nullptr));
  }
  impl_->readers.clear();
  impl_->close_file();
  open_folders::instance().remove(impl_->folder_device, impl_->folder_inode);
  impl_->registered = false;
}

environment_stats environment::stats() {
  environment_stats all;
  {
    std::lock_guard lock(impl_->gate_mutex);
    all = impl_->measured;
  }
  if (impl_->try_enter()) { // the writer may wait for a snapshot of this very thread
    MDB_txn* txn = nullptr;
    if (mdb_txn_begin(impl_->env, nullptr, MDB_RDONLY, &txn) == 0) {
      MDB_envinfo info{};
      MDB_stat stat{};
      if (mdb_env_info(impl_->env, &info) == 0) all.map_bytes = info.me_mapsize;
      if (mdb_stat(txn, impl_->table, &stat) == 0) {
        all.page_bytes = stat.ms_psize;
        all.entries = stat.ms_entries;
      }
      all.free_pages = count_free_pages(txn);
      mdb_txn_abort(txn);
    }
    impl_->leave();
    std::lock_guard lock(impl_->gate_mutex);
    impl_->measured = all;
  }
  struct stat file {};
  if (::stat(impl_->data_path().c_str(), &file) == 0)
    all.file_bytes = static_cast<std::uint64_t>(file.st_size);
  struct statvfs disk {};
  if (::statvfs(impl_->options.folder.c_str(), &disk) == 0)
    all.disk_free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const auto overdue_before = coarse_now_ms() - impl_->options.reader_age_max_ms;
  std::lock_guard lock(impl_->gate_mutex);
  for (const auto* reader : impl_->readers) {
    const auto since = reader->since_ms.load(std::memory_order_relaxed);
    if (since == 0) continue;
    ++all.readers;
    if (since < overdue_before) ++all.readers_overdue;
  }
  for (const auto since : impl_->pins) {
    ++all.readers;
    if (since < overdue_before) ++all.readers_overdue;
  }
  return all;
}

void environment::check_readers() {
  int dead = 0;
  mdb_reader_check(impl_->env, &dead); // a failure leaves things as they were; the next call tries again
}

const std::filesystem::path& environment::folder() const {
  return impl_->options.folder;
}

} // namespace mooring::storage
