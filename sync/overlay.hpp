// overlay: a store that shows pending writes over another store.
//
// The tenant actor decides the next command before the last one is on disk: it adds each decision's writes
// here under the number of its batch and forgets them once the batch is applied to the store below. Rows are
// found by a hash of their identity; a row that several pending batches wrote is seen as the newest wrote it,
// and forgetting an older batch leaves the newer one's write in sight.
//
// Memory: the lists that are pending (shared with whoever else holds them, not copied) and about 40 bytes for
// each row in them. Not thread-safe; belongs to one actor. The store below must outlive it, and must show a
// batch's writes from before `forget_upto` of its number.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sync/row_key.hpp"
#include "sync/store.hpp"

namespace mooring::sync {

class overlay final : public store {
 public:
  explicit overlay(store& below)
      : below_(below) {}

  // REQUIRES: batch numbers grow.
  void add(std::uint64_t batch, std::shared_ptr<const write_list> writes);
  void add(std::uint64_t batch, const write_list& writes); // copies
  void forget_upto(std::uint64_t batch);
  // These batches were refused and will never be in the store below: rows look as if they had not been. Their
  // numbers may be used again. Costs about 50 ns for each row that stays pending.
  void forget_from(std::uint64_t batch);
  void clear(); // all of them

  // Calls f(number, writes) for the pending batches of these numbers, ascending.
  template<class F> void for_each(std::uint64_t from, std::uint64_t upto, F f) const {
    for (const auto& one : batches_)
      if (one.number >= from && one.number <= upto) f(one.number, *one.writes);
  }

  std::size_t pending_batches() const { return batches_.size(); }
  std::size_t pending_rows() const { return used_; }

  tenant_counters counters() override;
  std::optional<entity> find_entity(domain in, user_number owner, std::string_view id) override;
  std::optional<conflict> find_conflict(position first_at) override;
  std::optional<device> find_device(std::string_view id) override;
  std::optional<device> find_device(device_number number) override;
  std::optional<user> find_user(std::string_view id) override;
  std::optional<user> find_user(user_number number) override;
  std::optional<policy> find_policy(domain in) override;
  std::optional<idempotency_record> find_idempotency(user_number user, device_number device,
                                                     std::string_view key) override;
  std::optional<operation_record> find_operation(user_number user, device_number device,
                                                 std::string_view operation_id) override;
  std::optional<feed_row> find_feed_row(position at) override;

  // True when a pending batch writes or removes the row that this write is about. REQUIRES: no feed row.
  bool is_pending(const write& one) const { return find(key_of(one)) != nullptr; }

  // For readers, of what is pending only, without a copy. Nothing: no pending batch says anything of the row; null: it was
  // removed. Valid until the overlay changes.
  std::optional<const entity*> pending_entity(domain in, user_number owner, std::string_view id) const;
  std::optional<const notification*> pending_notification(position at) const;
  std::optional<position> pending_swept() const; // the newest put_swept_position
  // The feed's rows with a key above `after`, ascending, those of the store below among them, until the callback returns
  // false. The overlay must not change meanwhile.
  void scan_feed(position after, const std::function<bool(const feed_row&)>& each);

 private:
  struct entry {
    std::uint64_t hash = 0;
    const write* newest = nullptr; // nothing: free
    std::uint64_t batch = 0;
    bool by_number = false; // a device or user under its number
  };
  struct pending {
    std::uint64_t number = 0;
    std::shared_ptr<const write_list> writes;
    std::uint32_t rows = 0, feed_rows = 0; // how many of hashes_ and feed_keys_ are its
  };

  static row_key key_of_entry(const entry& at);
  std::size_t slot_of(const row_key& key, std::uint64_t hash) const; // the entry's place, or the free one
  const write* find(const row_key& key) const;
  void note(const row_key& key, const write& w, std::uint64_t batch, bool by_number);
  void show(pending& batch); // its writes are the newest
  void drop(std::uint64_t hash, std::uint64_t batch);
  void grow();

  // Nothing: not pending; null: deleted.
  template<class T> std::optional<const T*> pending_row(const row_key& key) const;
  // The same, copied; `hit` tells whether it is pending at all (then nothing means deleted).
  template<class T> std::optional<T> look(const row_key& key, bool& hit) const;

  store& below_;
  std::vector<entry> table_; // open addressing with linear probing, a power of two, at most half full
  std::size_t used_ = 0;
  std::map<position, std::pair<const write*, std::uint64_t>>
      feed_; // pending feed rows and deletes by key, with batch
  std::deque<pending> batches_;
  // What the batches wrote, in their order: a batch is forgotten without a look at its rows, which have left the caches.
  std::deque<std::uint64_t> hashes_;
  std::deque<position> feed_keys_;
  std::deque<std::pair<std::uint64_t, position>> swept_; // batch, and how far it swept
};

} // namespace mooring::sync
