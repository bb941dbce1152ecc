#include "storage/environment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include <lmdb.h>

#include "storage/files.hpp"

namespace mooring::storage {

namespace {

constexpr std::size_t key_bytes_max = 511;
constexpr std::uint64_t room_cache_ms = 100;
constexpr std::uint64_t map_step_bytes = 1ull << 20;
// With less above the reserve, room is not only counted but taken. Ordinary commits are spared the call.
constexpr std::int64_t nearly_full_bytes = 256ll << 20;
// Blocks that the file always has behind its end, so that a shard can start, elect itself and end its log on a disk that
// others have filled since.
constexpr std::uint64_t spare_bytes = 1 << 20;
constexpr std::uint64_t keep_step_min = 1 << 20, keep_step_max = 64 << 20; // an eighth of the file

std::int64_t coarse_now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

error lmdb_error(const char* what, int code) {
  const bool full = code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT;
  return error{full ? error_code::storage_full : error_code::internal,
               std::string(what) + ": " + mdb_strerror(code)};
}

MDB_val to_val(std::string_view bytes) {
  return MDB_val{bytes.size(), const_cast<char*>(bytes.data())};
}
std::string_view to_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

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

// LMDB stops the process when a page is not what the tree says. While a row is read or written that is damage
// of the file, to be told like any other: the assertion is thrown over LMDB's frames, which hold nothing
// there (every platform that Debian builds LMDB for has unwind tables). Anywhere else it stays what it was.
struct damaged_page {};
thread_local bool assertion_is_damage = false;

void on_assertion(MDB_env*, const char*) {
  if (assertion_is_damage) throw damaged_page{};
}

template<class Call> int guarded(Call&& call) {
  const bool before = std::exchange(assertion_is_damage, true);
  int code = MDB_CORRUPTED;
  try {
    code = call();
  } catch (const damaged_page&) {
  }
  assertion_is_damage = before;
  return code;
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

// Forward from the first key >= `from`. Returns LMDB's code when the walk ended by damage, else 0.
int walk_forward(MDB_cursor* cursor, std::string_view from,
                 const std::function<bool(std::string_view, std::string_view)>& each) {
  MDB_val key = to_val(from), value{};
  const auto step = [&](MDB_cursor_op to) {
    return guarded([&] { return mdb_cursor_get(cursor, &key, &value, to); });
  };
  int code = step(from.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (code == 0 && each(to_view(key), to_view(value))) code = step(MDB_NEXT);
  return code == MDB_NOTFOUND ? 0 : code;
}

int walk_backward(MDB_cursor* cursor, std::string_view before,
                  const std::function<bool(std::string_view, std::string_view)>& each) {
  if (before.empty()) return 0; // nothing sorts before the empty key
  MDB_val key = to_val(before), value{};
  const auto step = [&](MDB_cursor_op to) {
    return guarded([&] { return mdb_cursor_get(cursor, &key, &value, to); });
  };
  int code = step(MDB_SET_RANGE);
  if (code == 0)
    code = step(MDB_PREV);
  else if (code == MDB_NOTFOUND)
    code = step(MDB_LAST);
  while (code == 0 && each(to_view(key), to_view(value))) code = step(MDB_PREV);
  return code == MDB_NOTFOUND ? 0 : code;
}

} // namespace

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

  std::atomic<bool> writing{false};

  std::atomic<std::int64_t> room_checked_ms{-1};
  std::atomic<std::int64_t> room_bytes{0};    // above the reserve, less what was granted since the check
  std::atomic<std::int64_t> reserve_bytes{0}; // as of that check
  std::uint64_t kept_upto = 0; // of the data file: blocks behind its end that are taken already
  bool can_keep = true;

  ~impl() {
    if (env) close_file();
    if (registered) open_folders::instance().remove(folder_device, folder_inode);
  }

  std::filesystem::path data_path() const { return options.folder / "data.mdb"; }

  void close_file() {
    for (auto* txn : view_idle) mdb_txn_abort(txn);
    for (auto* txn : view_spare) mdb_txn_abort(txn);
    view_idle.clear();
    view_spare.clear();
    mdb_env_close(std::exchange(env, nullptr));
  }

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
  void leave() {
    std::lock_guard lock(gate_mutex);
    if (--snapshots == 0) gate_changed.notify_all();
  }
  std::int64_t measure_room();
  std::uint64_t used_bytes() const; // of the data file, free pages among them
  std::uint64_t map_bytes() const;
  std::uint64_t free_page_bytes() const;
  bool is_kept(std::uint64_t upto) const { return kept_upto >= upto || !can_keep; }
  std::uint64_t kept_bytes() const {
    const auto used = used_bytes();
    return kept_upto > used ? kept_upto - used : 0;
  }
  bool keep(std::uint64_t bytes, std::uint64_t step);
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

  ~impl() {
    std::unique_lock lock(owner->gate_mutex);
    owner->readers.erase(this);
    if (cursor) mdb_cursor_close(cursor);
    if (near) mdb_cursor_close(near);
    if (current) end_snapshot();
    if (own) mdb_txn_abort(own);
  }

  // The newest state, or the held one.
  result<void> begin_snapshot() {
    std::unique_lock lock(owner->gate_mutex);
    auto entered = owner->enter(lock, [&] { return !owner->view_held || !owner->view_idle.empty(); });
    if (!entered) return entered;
    // Under the lock, so that hold_view() has either seen this one begin or lends it its own.
    if (owner->view_held) {
      txn = borrowed = owner->view_idle.back();
      borrowed_of = owner->view_number;
      owner->view_idle.pop_back();
    } else {
      const int code = own ? mdb_txn_renew(own) : mdb_txn_begin(owner->env, nullptr, MDB_RDONLY, &own);
      if (code != 0) {
        if (--owner->snapshots == 0) owner->gate_changed.notify_all();
        auto failure = lmdb_error("beginning a read transaction", code);
        if (code == MDB_READERS_FULL) failure.code = error_code::unavailable;
        return failure;
      }
      txn = own;
    }
    current = true;
    since_ms.store(coarse_now_ms(), std::memory_order_relaxed);
    return {};
  }
  // REQUIRES: current, and the gate's mutex is held.
  void end_snapshot() {
    if (borrowed && owner->view_held && borrowed_of == owner->view_number) {
      owner->view_idle.push_back(borrowed);
      owner->gate_changed.notify_all();
    } else if (borrowed) {
      mdb_txn_reset(borrowed);
      owner->view_spare.push_back(borrowed);
    } else {
      mdb_txn_reset(own);
    }
    txn = borrowed = nullptr;
    current = false;
    since_ms.store(0, std::memory_order_relaxed);
    if (--owner->snapshots == 0) owner->gate_changed.notify_all();
  }

  // A kept cursor, made usable for the present snapshot. Null: no memory.
  MDB_cursor* ready(MDB_cursor*& kept, bool& stale) const {
    if (kept && stale && mdb_cursor_renew(txn, kept) != 0) {
      mdb_cursor_close(kept);
      kept = nullptr;
    }
    stale = false;
    if (!kept && mdb_cursor_open(txn, owner->table, &kept) != 0) kept = nullptr;
    return kept;
  }
  // A cursor for one walk. The kept one unless an outer walk is using it.
  MDB_cursor* take_cursor() const {
    if (!cursor_busy) {
      cursor_busy = ready(cursor, cursor_stale) != nullptr;
      return cursor;
    }
    MDB_cursor* extra = nullptr;
    return mdb_cursor_open(txn, owner->table, &extra) == 0 ? extra : nullptr;
  }
  void give_back(MDB_cursor* used) const {
    if (used == cursor)
      cursor_busy = false;
    else
      mdb_cursor_close(used);
  }
};

struct write_transaction::impl {
  std::shared_ptr<environment::impl> owner;
  MDB_txn* txn = nullptr;
  mutable MDB_cursor* cursor = nullptr; // puts of neighbouring keys find their page without a descent
  mutable int damage = 0;

  void end() {
    txn = nullptr;
    cursor = nullptr; // LMDB frees a write transaction's cursors with it
    owner->writing.store(false);
  }
  ~impl() {
    if (!txn) return;
    mdb_txn_abort(txn);
    end();
  }
};

// ── read_transaction ──

read_transaction::read_transaction() = default;
read_transaction::read_transaction(read_transaction&&) noexcept = default;
read_transaction& read_transaction::operator=(read_transaction&&) noexcept = default;
read_transaction::~read_transaction() = default;

std::optional<std::string_view> read_transaction::get(std::string_view key) const {
  MOORING_CHECK(current(), "a current snapshot");
  MDB_val wanted = to_val(key), value{};
  const int code = guarded([&] { return mdb_get(impl_->txn, impl_->owner->table, &wanted, &value); });
  if (code == 0) return to_view(value);
  if (code != MDB_NOTFOUND) impl_->damage = code;
  return std::nullopt;
}

std::optional<std::string_view> read_transaction::get_near(std::string_view key) const {
  MOORING_CHECK(current(), "a current snapshot");
  MDB_cursor* const cursor = impl_->ready(impl_->near, impl_->near_stale);
  if (!cursor) return get(key);
  MDB_val wanted = to_val(key), value{};
  const int code = guarded([&] { return mdb_cursor_get(cursor, &wanted, &value, MDB_SET); });
  if (code == 0) return to_view(value);
  if (code != MDB_NOTFOUND) impl_->damage = code;
  return std::nullopt;
}

void read_transaction::scan(std::string_view from,
                            const std::function<bool(std::string_view, std::string_view)>& each) const {
  MOORING_CHECK(current(), "a current snapshot");
  MDB_cursor* cursor = impl_->take_cursor();
  MOORING_CHECK(cursor, "memory for a cursor");
  if (const int code = walk_forward(cursor, from, each)) impl_->damage = code;
  impl_->give_back(cursor);
}

void read_transaction::scan_backwards(
    std::string_view before, const std::function<bool(std::string_view, std::string_view)>& each) const {
  MOORING_CHECK(current(), "a current snapshot");
  MDB_cursor* cursor = impl_->take_cursor();
  MOORING_CHECK(cursor, "memory for a cursor");
  if (const int code = walk_backward(cursor, before, each)) impl_->damage = code;
  impl_->give_back(cursor);
}

void read_transaction::park() {
  if (!current()) return;
  MOORING_CHECK(!impl_->cursor_busy, "no walk of this snapshot is running");
  impl_->cursor_stale = impl_->near_stale = true;
  impl_->damage = 0;
  std::lock_guard lock(impl_->owner->gate_mutex);
  impl_->end_snapshot();
}

result<void> read_transaction::renew() {
  if (!impl_) return error{error_code::unavailable, "a read transaction without an environment"};
  park();
  return impl_->begin_snapshot();
}

bool read_transaction::current() const {
  return impl_ && impl_->current;
}

std::optional<error> read_transaction::failure() const {
  if (!impl_ || impl_->damage == 0) return std::nullopt;
  return lmdb_error("reading the data file", impl_->damage);
}

// ── write_transaction ──

write_transaction::write_transaction(write_transaction&&) noexcept = default;
write_transaction::~write_transaction() = default;
write_transaction::write_transaction() = default;

std::optional<std::string_view> write_transaction::get(std::string_view key) const {
  MOORING_CHECK(impl_ && impl_->txn, "an open write transaction");
  MDB_val wanted = to_val(key), value{};
  const int code = guarded([&] { return mdb_get(impl_->txn, impl_->owner->table, &wanted, &value); });
  if (code == 0) return to_view(value);
  if (code != MDB_NOTFOUND) impl_->damage = code;
  return std::nullopt;
}

void write_transaction::scan(std::string_view from,
                             const std::function<bool(std::string_view, std::string_view)>& each) const {
  MOORING_CHECK(impl_ && impl_->txn, "an open write transaction");
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(impl_->txn, impl_->owner->table, &cursor);
  if (code == 0) {
    code = walk_forward(cursor, from, each);
    mdb_cursor_close(cursor);
  }
  if (code != 0) impl_->damage = code;
}

result<void> write_transaction::put(std::string_view key, std::string_view value) {
  MOORING_CHECK(impl_ && impl_->txn, "an open write transaction");
  MOORING_CHECK(!key.empty() && key.size() <= key_bytes_max, "a key of 1 to 511 bytes");
  if (impl_->damage != 0) return lmdb_error("writing after damage", impl_->damage);
  if (!impl_->cursor) {
    if (const int code = mdb_cursor_open(impl_->txn, impl_->owner->table, &impl_->cursor); code != 0)
      return lmdb_error("opening a cursor", code);
  }
  MDB_val name = to_val(key), content = to_val(value);
  const int code = guarded([&] { return mdb_cursor_put(impl_->cursor, &name, &content, 0); });
  if (code == MDB_CORRUPTED) impl_->damage = code;
  if (code != 0) return lmdb_error("writing a row", code);
  return {};
}

result<bool> write_transaction::remove(std::string_view key) {
  MOORING_CHECK(impl_ && impl_->txn, "an open write transaction");
  if (impl_->damage != 0) return lmdb_error("writing after damage", impl_->damage);
  if (impl_->cursor) {
    // No cursor of ours may watch a deletion: rebalancing under foreign cursors is where LMDB had its bugs.
    mdb_cursor_close(impl_->cursor);
    impl_->cursor = nullptr;
  }
  MDB_val name = to_val(key);
  const int code = guarded([&] { return mdb_del(impl_->txn, impl_->owner->table, &name, nullptr); });
  if (code == MDB_CORRUPTED) impl_->damage = code;
  if (code == MDB_NOTFOUND) return false;
  if (code != 0) return lmdb_error("removing a row", code);
  return true;
}

result<void> write_transaction::commit() {
  MOORING_CHECK(impl_ && impl_->txn, "an open write transaction");
  if (impl_->damage != 0) return lmdb_error("committing after damage", impl_->damage);
  MDB_txn* const txn = impl_->txn;
  const int code = mdb_txn_commit(txn); // frees the transaction in every case
  impl_->end();
  if (code != 0) {
    auto failure = lmdb_error("committing", code);
    if (code != MDB_MAP_FULL)
      failure.code = error_code::internal; // a full disk: what is written is not known
    return failure;
  }
  return {};
}

std::optional<error> write_transaction::failure() const {
  if (!impl_ || impl_->damage == 0) return std::nullopt;
  return lmdb_error("reading the data file", impl_->damage);
}

// ── environment ──

environment::environment() = default;

namespace {

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
  mdb_env_set_assert(core->env, on_assertion);
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
    return lmdb_error(("opening " + core->options.folder.string()).c_str(), code);
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

  // On a full disk: what an earlier life left.
  if (!core->options.read_only)
    for (auto bytes = spare_bytes; bytes >= 4096 && !core->keep(bytes, 4096); bytes /= 2) {
    }

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

result<read_transaction> environment::begin_read() {
  read_transaction made;
  made.impl_ = std::make_unique<read_transaction::impl>();
  made.impl_->owner = impl_;
  if (auto begun = made.impl_->begin_snapshot(); !begun) return begun.failure();
  std::lock_guard lock(impl_->gate_mutex);
  impl_->readers.insert(made.impl_.get());
  return made;
}

result<void> environment::hold_view() {
  MOORING_CHECK(!impl_->writing.load(), "no write transaction while the view is chosen");
  std::lock_guard lock(impl_->gate_mutex);
  MOORING_CHECK(!impl_->view_held, "one view at a time");
  if (impl_->broken) return *impl_->broken;
  int code = 0;
  while (code == 0 && impl_->view_idle.size() < std::max(1u, impl_->options.view_readers)) {
    MDB_txn* txn = nullptr;
    if (impl_->view_spare.empty()) {
      code = mdb_txn_begin(impl_->env, nullptr, MDB_RDONLY, &txn);
    } else {
      txn = impl_->view_spare.back();
      if (code = mdb_txn_renew(txn); code == 0) impl_->view_spare.pop_back();
    }
    if (code == 0) impl_->view_idle.push_back(txn);
  }
  if (impl_->view_idle.empty())
    return error{error_code::unavailable, lmdb_error("holding a view", code).message};
  impl_->view_held = true;
  ++impl_->view_number;
  return {};
}

void environment::release_view() {
  MOORING_CHECK(!impl_->writing.load(), "no write transaction while the view is released");
  std::lock_guard lock(impl_->gate_mutex);
  if (!impl_->view_held) return;
  impl_->view_held = false;
  for (auto* txn : impl_->view_idle) {
    mdb_txn_reset(txn);
    impl_->view_spare.push_back(txn);
  }
  impl_->view_idle.clear();
  impl_->gate_changed.notify_all();
}

result<write_transaction> environment::begin_write() {
  // A second write transaction of one thread would wait for itself for ever.
  MOORING_CHECK(!impl_->writing.exchange(true), "one write transaction at a time");
  write_transaction made;
  made.impl_ = std::make_unique<write_transaction::impl>();
  made.impl_->owner = impl_;
  std::optional<error> failed;
  {
    std::lock_guard lock(impl_->gate_mutex);
    failed = impl_->broken;
  }
  if (!failed) {
    if (const int code = mdb_txn_begin(impl_->env, nullptr, 0, &made.impl_->txn); code != 0)
      failed = lmdb_error("beginning a write transaction", code);
  }
  if (failed) {
    made.impl_->txn = nullptr;
    impl_->writing.store(false);
    return *failed;
  }
  return made;
}

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

namespace {

// The table of free pages (handle 0) maps a transaction to a list: its length, then page numbers.
std::uint64_t count_free_pages(MDB_txn* txn) {
  std::uint64_t all = 0;
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(txn, 0, &cursor) != 0) return 0;
  MDB_val key{}, value{};
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    if (value.mv_size < sizeof(std::size_t)) continue;
    std::size_t pages = 0;
    std::memcpy(&pages, value.mv_data, sizeof pages);
    all += pages;
  }
  mdb_cursor_close(cursor);
  return all;
}

} // namespace

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

namespace {

// A second, lockless look at the same file with a map of its own, so that a long copy does not hold up
// growth. Safe because a pinned snapshot of the first environment, older or equal, keeps LMDB from reusing
// any page of it.
int copy_through_own_map(const char* folder, std::uint64_t map_bytes, int target) {
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code != 0) return code;
  code = mdb_env_set_mapsize(env, map_bytes);
  if (code == 0) code = mdb_env_open(env, folder, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
  if (code == 0) code = mdb_env_copyfd2(env, target, MDB_CP_COMPACT);
  mdb_env_close(env);
  return code;
}

} // namespace

result<void> environment::copy_to(const std::filesystem::path& target) {
  const int fd = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return os_error("creating " + target.string(), errno);
  auto done = copy_into(fd, target.string());
  if (done.ok() && ::fsync(fd) != 0) done = os_error("flushing " + target.string(), errno);
  if (::close(fd) != 0 && done.ok()) done = os_error("closing " + target.string(), errno);
  if (done.ok()) done = flush_folder(parent_of(target));
  if (!done.ok()) ::unlink(target.c_str());
  return done;
}

result<void> environment::copy_into(int descriptor, const std::string& name) {
  if (auto entered = impl_->enter(); !entered) return entered;
  MDB_txn* pin = nullptr;
  MDB_envinfo info{};
  int code = mdb_txn_begin(impl_->env, nullptr, MDB_RDONLY, &pin);
  if (code == 0) code = mdb_env_info(impl_->env, &info);
  std::multiset<std::int64_t>::iterator mark;
  {
    // The pin reads no page, so the map may be replaced under it.
    std::lock_guard lock(impl_->gate_mutex);
    mark = impl_->pins.insert(coarse_now_ms());
    if (--impl_->snapshots == 0) impl_->gate_changed.notify_all();
  }
  // The file may outgrow the map while the copy starts; LMDB then says MAP_RESIZED, before it has written
  // anything, and a larger one is tried.
  for (std::uint64_t bytes = info.me_mapsize * 2; code == 0; bytes *= 2) {
    code = copy_through_own_map(impl_->options.folder.c_str(), bytes, descriptor);
    if (code != MDB_MAP_RESIZED || bytes > impl_->options.map_bytes_max * 4) break;
    code = 0;
  }
  {
    std::lock_guard lock(impl_->gate_mutex);
    if (pin) mdb_txn_abort(pin);
    impl_->pins.erase(mark);
    impl_->gate_changed.notify_all();
  }
  if (code != 0) return lmdb_error(("copying to " + name).c_str(), code);
  return {};
}

environment_stats environment::stats() {
  environment_stats all;
  if (auto entered = impl_->enter(); entered) {
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
