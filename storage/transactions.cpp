// Snapshots, views that are held, writing.
#include <algorithm>
#include <utility>

#include "storage/environment_impl.hpp"

namespace mooring::storage {

namespace {

constexpr std::size_t key_bytes_max = 511;

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

// ── reading ──

read_transaction::impl::~impl() {
  std::unique_lock lock(owner->gate_mutex);
  owner->readers.erase(this);
  if (cursor) mdb_cursor_close(cursor);
  if (near) mdb_cursor_close(near);
  if (current) end_snapshot();
  if (own) mdb_txn_abort(own);
}

result<void> read_transaction::impl::begin_snapshot() {
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

void read_transaction::impl::end_snapshot() {
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

MDB_cursor* read_transaction::impl::ready(MDB_cursor*& kept, bool& stale) const {
  if (kept && stale && mdb_cursor_renew(txn, kept) != 0) {
    mdb_cursor_close(kept);
    kept = nullptr;
  }
  stale = false;
  if (!kept && mdb_cursor_open(txn, owner->table, &kept) != 0) kept = nullptr;
  return kept;
}

MDB_cursor* read_transaction::impl::take_cursor() const {
  if (!cursor_busy) {
    cursor_busy = ready(cursor, cursor_stale) != nullptr;
    return cursor;
  }
  MDB_cursor* extra = nullptr;
  return mdb_cursor_open(txn, owner->table, &extra) == 0 ? extra : nullptr;
}

void read_transaction::impl::give_back(MDB_cursor* used) const {
  if (used == cursor)
    cursor_busy = false;
  else
    mdb_cursor_close(used);
}

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

// ── writing ──

write_transaction::impl::~impl() {
  if (!txn) return;
  mdb_txn_abort(txn);
  end();
}

void write_transaction::impl::end() {
  txn = nullptr;
  cursor = nullptr; // LMDB frees a write transaction's cursors with it
  owner->writing.store(false);
}

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

} // namespace mooring::storage
