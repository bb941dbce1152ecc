// The store that the rules read from and the writes that they return. The outside implements the first (storage/)
// and makes the second durable as one atomic batch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "sync/analytics_hour.hpp"
#include "sync/boxed.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

// One tenant's present state, with everything decided before, committed or not. Not thread-safe.
class store {
 public:
  virtual ~store() = default;
  virtual tenant_counters counters() = 0;
  virtual std::optional<entity> find_entity(domain in, user_number owner, std::string_view id) = 0;
  virtual std::optional<conflict> find_conflict(position first_at) = 0;
  virtual std::optional<device> find_device(std::string_view id) = 0;
  virtual std::optional<device> find_device(device_number number) = 0;
  virtual std::optional<user> find_user(std::string_view id) = 0;
  virtual std::optional<user> find_user(user_number number) = 0;
  // Only what was set; the default is the rules' business.
  virtual std::optional<policy> find_policy(domain in) = 0;
  virtual std::optional<idempotency_record> find_idempotency(user_number user, device_number device,
                                                             std::string_view key) = 0;
  virtual std::optional<operation_record> find_operation(user_number user, device_number device,
                                                         std::string_view operation_id) = 0;
  // The row that holds position `at`, if any slot is there: the first row whose key is >= at.
  virtual std::optional<feed_row> find_feed_row(position at) = 0;
};

struct delete_entity {
  domain in;
  user_number owner;
  std::string id;
};
struct delete_feed_row {
  position key;
};
struct delete_conflict {
  position first_at;
};
struct delete_notification {
  position at;
};
struct delete_analytics {
  std::int64_t hour;
};
struct delete_idempotency {
  user_number user;
  device_number device;
  std::string key;
};
struct delete_operation {
  user_number user;
  device_number device;
  std::string operation_id;
};
// Everything up to here that expires was removed from the feed: older cursors must resync.
struct put_swept_position {
  position upto;
};

// A put of a struct replaces the row of its identity. The large ones are boxed: an upload is a dozen small writes, and the
// overlay keeps thousands of them.
using write = std::variant<tenant_counters, entity, boxed<conflict>, boxed<device>, user, policy,
                           idempotency_record, operation_record, feed_row, delete_entity, delete_feed_row,
                           delete_conflict, delete_idempotency, delete_operation, put_swept_position,
                           boxed<notification>, delete_notification, boxed<analytics_hour>, delete_analytics>;

// The row that `w` puts, or null when it is another kind.
template<class Row> const Row* row_in(const write& w) {
  if constexpr (std::is_same_v<Row, conflict> || std::is_same_v<Row, device> ||
                std::is_same_v<Row, notification> || std::is_same_v<Row, analytics_hour>) {
    const auto* const held = std::get_if<boxed<Row>>(&w);
    return held != nullptr ? &**held : nullptr;
  } else {
    return std::get_if<Row>(&w);
  }
}

// In order; a later write of the same identity wins.
using write_list = std::vector<write>;

} // namespace mooring::sync
