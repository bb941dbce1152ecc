// snapshot_lease: the read transaction of one home in one shard, shared by the tenants that live there.
//
// It is renewed at the first look-up of a run and parked when the run ends (home::on_rest): an idle node holds no old
// snapshot, so LMDB can use its pages again and the map can grow, and a busy one renews once per run, not per look-up.
// Own thread only.
#pragma once

#include <cstdint>
#include <memory>

#include "actors/shard_access.hpp"
#include "base/result.hpp"
#include "storage/environment.hpp"

namespace mooring::actors {

class snapshot_lease {
 public:
  explicit snapshot_lease(const shard_access& shard)
      : shard_(shard) {}

  // The same object for the lease's whole life; to be read only after make_current() in the same run.
  const storage::read_transaction& transaction() const { return transaction_; }

  // unavailable while the shard is stopped.
  result<void> make_current() {
    drop_if_old();
    if (environment_ == nullptr) {
      generation_ = shard_.generation();
      environment_ = shard_.environment();
      if (environment_ == nullptr)
        return error{error_code::unavailable, "the shard is being loaded", {}, 500};
      auto begun = environment_->begin_read();
      if (!begun) return drop(begun.failure());
      transaction_ = std::move(*begun);
      fresh_ = true;
    } else if (!fresh_) {
      if (auto renewed = transaction_.renew(); !renewed) return drop(renewed.failure());
      fresh_ = true;
    }
    return {};
  }

  // Gives up the snapshot: at the end of a run, or when something newer was applied.
  void park() {
    if (fresh_) transaction_.park();
    fresh_ = false;
    drop_if_old();
  }

 private:
  void drop_if_old() {
    if (environment_ != nullptr && generation_ != shard_.generation()) drop({});
  }
  error drop(error why) {
    transaction_ = {};
    environment_ = nullptr;
    fresh_ = false;
    return why;
  }

  const shard_access& shard_;
  std::shared_ptr<storage::environment> environment_; // declared before the transaction, which must go first
  storage::read_transaction transaction_;
  std::uint64_t generation_ = 0;
  bool fresh_ = false; // the transaction holds a snapshot of this run
};

} // namespace mooring::actors
