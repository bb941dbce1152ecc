// shard_access: the way from actors that read to a shard's present environment. Thread-safe.
//
// The writer publishes the environment when the shard is open and takes it away when the shard stops: LMDB allows one
// handle on a file in a process, so everybody must let go of the old one before the shard can be loaded again. Holders
// compare the generation before each use and drop what is old (snapshot_lease does; readers hold it for one query).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "storage/environment.hpp"

namespace mooring::actors {

class shard_access {
 public:
  // Null while the shard is stopped.
  std::shared_ptr<storage::environment> environment() const {
    const std::lock_guard hold(mutex_);
    return environment_;
  }
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  void publish(std::shared_ptr<storage::environment> next) {
    const std::lock_guard hold(mutex_);
    environment_ = std::move(next);
    generation_.fetch_add(1, std::memory_order_release);
  }
  void withdraw() { publish(nullptr); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<storage::environment> environment_;
  std::atomic<std::uint64_t> generation_{1};
};

} // namespace mooring::actors
