// Hot copies.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "storage/environment_impl.hpp"
#include "storage/files.hpp"

namespace mooring::storage {

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
  if (code != 0) return lmdb_error("copying to " + name, code);
  return {};
}

} // namespace mooring::storage
