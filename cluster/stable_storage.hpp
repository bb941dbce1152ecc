// stable_storage: what a shard needs from its disk. Keys in order, and transactions that are durable or
// absent.
//
// Implemented by lmdb_storage.hpp for the product and by the simulator's storage in memory, so that the
// simulator runs everything above this line: record formats, log, raft_io, deferred apply, recovery.
//
// Threads: the shard's own only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mooring::cluster {

// The one write transaction, inside stable_storage::update.
class stable_writer {
 public:
  virtual ~stable_writer() = default;
  virtual result<void> put(std::string_view key, std::string_view value) = 0;
  virtual result<void> remove(std::string_view key) = 0; // fine when absent
};

class stable_storage {
 public:
  using visit = std::function<bool(std::string_view key, std::string_view value)>; // false: stop
  using fill = std::function<result<void>(stable_writer&)>;

  virtual ~stable_storage() = default;

  // What is committed.
  virtual result<std::optional<std::string>> get(std::string_view key) = 0;
  // Rows from the first key >= `from`, ascending.
  virtual result<void> scan(std::string_view from, const visit& each) = 0;

  // Runs `changes` in one transaction and makes it durable; `bytes` is about how much it writes. `changes`
  // may run more than once (the file had to grow first): it must do the same again.
  //
  // ok: durable. storage_full: nothing was written, and the storage works on. Anything else: the outcome is
  // unknown, and the storage must be closed and opened again (rule R5). The disk's reserve may be used: it is
  // has_room_for that guards it.
  virtual result<void> update(std::uint64_t bytes, const fill& changes) = 0;

  // To be asked before something is accepted. True: about `usual` bytes can be written and the disk's reserve
  // stays, and up to `most` can in any case, also when others fill the disk in the meantime.
  virtual bool has_room_for(std::uint64_t usual, std::uint64_t most) = 0;
  // True: `bytes` can be written, from the disk's reserve if need be.
  virtual bool can_write(std::uint64_t bytes) = 0;

  // From now until release_view(), or until the storage is closed, whoever else reads sees what is committed now.
  // False: that cannot be had at the moment. Not for this object's own get and scan, which are not to be called
  // meanwhile.
  virtual bool hold_view() = 0;
  virtual void release_view() = 0; // harmless when nothing is held
};

} // namespace mooring::cluster
