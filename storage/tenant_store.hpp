// One tenant's rows as they stand in a snapshot: what the rules read from (sync::store, under the overlay of
// what is pending), and what queries page through.
//
// Views returned or passed to callbacks point into the snapshot and are valid until it is parked or renewed.
// The store itself keeps nothing of a snapshot but what never changes: renew the read transaction and go on with the same store.
//
// Damage: sync::store has no way to say that a row is damaged. A row that does not decode reads as absent AND
// sets failure(), which stays until clear_failure(): whoever decides or answers on what was read asks
// failure() before it commits or sends, and answers INTERNAL instead. The same holds when another tenant's
// name has the same hash.
//
// Threads: as its read transaction, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/text_map.hpp"
#include "storage/codec.hpp"
#include "storage/environment.hpp"
#include "storage/feed_source.hpp"
#include "storage/keys.hpp"
#include "sync/store.hpp"

namespace mooring::storage {

inline constexpr std::uint16_t every_domain = (1u << sync::domain_count) - 1; // bit n: domain n

struct conflict_filter {
  std::optional<sync::conflict_status> status = sync::conflict_status::open; // nothing: any
  std::uint16_t domains = every_domain;
  sync::user_number viewer = 0; // sees shared ones and its own
  sync::position after = 0;     // first positions above this
};

struct pending_filter {
  std::uint16_t domains = every_domain; // fewer: without notifications, which are of none
  sync::user_number viewer = 0;
  sync::device_number except = 0; // its own edits are not pending for it, nor what is told to other devices
};

class tenant_store final : public sync::store, public feed_source {
 public:
  // REQUIRES: `snapshot` outlives the store and is current whenever the store is asked.
  tenant_store(const read_transaction& snapshot, std::string tenant);

  const std::string& tenant() const { return tenant_; }
  tenant_hash hash() const { return hash_; }
  std::optional<error> failure() const override;
  void clear_failure() { failure_.reset(); }

  // ── sync::store ──
  sync::tenant_counters counters() override; // of an unknown tenant: its name and zeroes
  std::optional<sync::entity> find_entity(sync::domain in, sync::user_number owner,
                                          std::string_view id) override;
  std::optional<sync::conflict> find_conflict(sync::position first_at) override;
  std::optional<sync::device> find_device(std::string_view id) override;
  std::optional<sync::device> find_device(sync::device_number number) override;
  std::optional<sync::user> find_user(std::string_view id) override;
  std::optional<sync::user> find_user(sync::user_number number) override;
  std::optional<sync::policy> find_policy(sync::domain in) override;
  std::optional<sync::idempotency_record> find_idempotency(sync::user_number user, sync::device_number device,
                                                           std::string_view key) override;
  std::optional<sync::operation_record> find_operation(sync::user_number user, sync::device_number device,
                                                       std::string_view operation_id) override;
  std::optional<sync::feed_row> find_feed_row(sync::position at) override;

  // ── feed_source ──
  using feed_source::view_entity;
  sync::store& rows() override { return *this; }
  sync::position swept() override;
  void scan_feed(sync::position after, const std::function<bool(const feed_slot_view&)>& each) override;
  std::optional<entity_view> view_entity(sync::domain in, sync::user_number owner,
                                         std::string_view id) override;
  std::optional<sync::notification> find_notification(sync::position at) override;
  std::optional<std::string_view> device_id(sync::device_number number) override;
  std::optional<std::string_view> user_id(sync::user_number number) override;

  // ── queries ──
  // By first position, ascending, until the callback returns false.
  void scan_conflicts(const conflict_filter& filter, const std::function<bool(sync::conflict&&)>& each);
  std::vector<sync::device> devices_of(sync::user_number owner); // by number
  std::optional<sync::analytics_hour> find_analytics(std::int64_t hour);
  std::vector<sync::analytics_hour> analytics(std::int64_t from, std::int64_t upto,
                                              std::size_t most); // [from, upto)
  // Active devices, in the order of their owners; of one owner, or of all.
  std::int64_t count_devices(std::optional<sync::user_number> owner);
  std::vector<sync::policy> policies(); // those that were set, by domain
  // How many slots above `after` wait for a reader; counts to `most` at most.
  std::int64_t count_pending(sync::position after, const pending_filter& filter, std::int64_t most);

  // ── sweeping ──
  // Deletions for idempotency and operation rows that were committed before `before`, appended to `out`.
  // Looks at `rows_most` rows from where `resume` says (empty: from the start) and leaves in `resume` where
  // to go on; it is empty again after the last row.
  void collect_expired(instant before, std::size_t rows_most, std::string& resume, sync::write_list& out);
  // Deletions for hours of analytics before `hour`, at most `rows_most`, appended to `out`.
  void collect_old_analytics(std::int64_t hour, std::size_t rows_most, sync::write_list& out);

 private:
  bool known(); // the tenant's name is the one that the hash stands for
  void fail(const error& why) {
    if (!failure_) failure_ = why;
  }
  template<class T> std::optional<T> keep(result<T>&& read) {
    if (read) return std::move(*read);
    fail(read.failure());
    return std::nullopt;
  }
  // The row of a key, when there is one.
  std::optional<std::string_view> row(const row_key& key);
  // Rows whose keys start with `prefix`, from `from` on.
  void scan_rows(std::string_view prefix, std::string_view from,
                 const std::function<bool(std::string_view key, std::string_view value)>& each);

  const read_transaction& snapshot_;
  std::string tenant_;
  tenant_hash hash_;
  bool known_ = false;
  // Numbers of users who asked lately. A user's number is never changed, so it is good for every later snapshot.
  static constexpr std::size_t known_users_max = 4'096;
  text_map<std::string, sync::user_number> user_numbers_;
  std::optional<error> failure_;
  std::vector<feed_slot_view> slots_; // of the row that is being read
};

} // namespace mooring::storage
