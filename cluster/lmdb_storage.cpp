#include "cluster/lmdb_storage.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/check.hpp"

namespace mooring::cluster {
namespace {

// Growing doubles at least; more rounds than this only happen when a transaction's size was badly guessed.
constexpr int growth_rounds_max = 8;
// While a reader overstays, growing is tried again and again. Giving up would load the shard anew, and that waits for the
// reader as well. Between the tries all others may read: nobody of them waits longer than environment_options::grow_wait_ms.
constexpr std::chrono::milliseconds growth_patience{10'000}, growth_pause{20};

class transaction_writer final : public stable_writer {
 public:
  explicit transaction_writer(storage::write_transaction& to)
      : to_(to) {}
  result<void> put(std::string_view key, std::string_view value) override { return to_.put(key, value); }
  result<void> remove(std::string_view key) override {
    auto removed = to_.remove(key);
    if (!removed) return removed.failure();
    return {};
  }

 private:
  storage::write_transaction& to_;
};

class lmdb_storage final : public stable_storage {
 public:
  explicit lmdb_storage(std::shared_ptr<storage::environment> where)
      : where_(std::move(where)) {}

  result<std::optional<std::string>> get(std::string_view key) override {
    auto reading = where_->begin_read();
    if (!reading) return reading.failure();
    const auto value = reading->get(key);
    if (const auto damage = reading->failure()) return *damage; // not the same as absent
    return value ? std::optional<std::string>(*value) : std::nullopt;
  }

  result<void> scan(std::string_view from, const visit& each) override {
    auto reading = where_->begin_read();
    if (!reading) return reading.failure();
    reading->scan(from, each);
    if (const auto damage = reading->failure()) return *damage; // the rest is not the end
    return {};
  }

  result<void> update(std::uint64_t bytes, const fill& changes) override {
    // LMDB would find out in the middle of the commit, and nobody would know the outcome.
    if (!where_->can_write(bytes)) return error{error_code::storage_full, "the disk has no room left at all"};
    // The map is only addresses, so it grows generously: what it may be filled with was decided by
    // has_room_for.
    auto more = std::max<std::uint64_t>(4 * bytes, 16ull << 20);
    for (int round = 0;; ++round) {
      auto done = attempt(changes);
      if (done || done.failure().code != error_code::storage_full) return done;
      if (round == growth_rounds_max) return done;
      if (auto grown = grow(more); !grown) return grown;
      more *= 2;
    }
  }

  bool has_room_for(std::uint64_t usual, std::uint64_t most) override {
    return where_->has_room_for(usual, most);
  }
  bool can_write(std::uint64_t bytes) override { return where_->can_write(bytes); }

  bool hold_view() override { return where_->hold_view().ok(); }
  void release_view() override { where_->release_view(); }

 private:
  result<void> attempt(const fill& changes) {
    auto writing = where_->begin_write();
    if (!writing) return writing.failure();
    transaction_writer writer(*writing);
    if (auto filled = changes(writer); !filled) return filled; // rolled back by its destructor
    return writing->commit();
  }

  result<void> grow(std::uint64_t bytes) {
    const auto end = std::chrono::steady_clock::now() + growth_patience;
    for (;;) {
      auto grown = where_->grow(bytes, storage::environment::growth::for_accepted);
      if (grown || grown.failure().code != error_code::unavailable || std::chrono::steady_clock::now() >= end)
        return grown;
      std::this_thread::sleep_for(growth_pause);
    }
  }

  std::shared_ptr<storage::environment> where_;
};

} // namespace

std::unique_ptr<stable_storage> make_lmdb_storage(std::shared_ptr<storage::environment> where) {
  MOORING_CHECK(where != nullptr, "an environment");
  return std::make_unique<lmdb_storage>(std::move(where));
}

std::function<result<std::unique_ptr<stable_storage>>()>
make_lmdb_opener(storage::environment_options options,
                 std::function<void(const std::shared_ptr<storage::environment>&)> opened) {
  auto last = std::make_shared<std::weak_ptr<storage::environment>>();
  return [options = std::move(options), opened = std::move(opened),
          last]() -> result<std::unique_ptr<stable_storage>> {
    if (opened) opened(nullptr); // let go of the old one
    if (!last->expired())
      return error{error_code::unavailable,
                   "somebody still reads from the shard's files as they were before"};
    auto environment = storage::environment::open(options);
    if (!environment) return environment.failure();
    std::shared_ptr<storage::environment> shared = std::move(*environment);
    *last = shared;
    if (opened) opened(shared);
    return make_lmdb_storage(std::move(shared));
  };
}

} // namespace mooring::cluster
