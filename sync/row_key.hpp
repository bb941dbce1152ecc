// row_key: the identity of a stored row, for finding a pending write again.
//
// Two writes have equal keys when the later one replaces the earlier one in the store; a delete has the key
// of the row that it removes. A key only views the strings of what it was made from.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/hash.hpp"
#include "sync/store.hpp"

namespace mooring::sync {

enum class row_table : std::uint8_t {
  counters,
  entity,
  conflict,
  device,
  numbered_device,
  user,
  numbered_user,
  policy,
  idempotency,
  operation,
  feed_row,
  notification,
  analytics,
  swept
};

struct row_key {
  row_table table = row_table::counters;
  std::uint64_t number = 0;
  std::string_view text = {};
  bool operator==(const row_key&) const = default;

  std::uint64_t hash() const {
    return hash64(text, process_seed() + number * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(table));
  }
};

inline row_key entity_key(domain in, user_number owner, std::string_view id) {
  return {row_table::entity, (std::uint64_t{owner} << 8) | static_cast<std::uint64_t>(in), id};
}
inline row_key conflict_key(position first_at) {
  return {row_table::conflict, first_at};
}
inline row_key device_key(std::string_view id) {
  return {row_table::device, 0, id};
}
inline row_key device_number_key(device_number number) {
  return {row_table::numbered_device, number};
}
inline row_key user_key(std::string_view id) {
  return {row_table::user, 0, id};
}
inline row_key user_number_key(user_number number) {
  return {row_table::numbered_user, number};
}
inline row_key policy_key(domain in) {
  return {row_table::policy, static_cast<std::uint64_t>(in)};
}
inline row_key idempotency_key(user_number user, device_number device, std::string_view key) {
  return {row_table::idempotency, (std::uint64_t{user} << 32) | device, key};
}
inline row_key operation_key(user_number user, device_number device, std::string_view operation_id) {
  return {row_table::operation, (std::uint64_t{user} << 32) | device, operation_id};
}
inline row_key feed_row_key(position key) {
  return {row_table::feed_row, key};
}
inline row_key analytics_key(std::int64_t hour) {
  return {row_table::analytics, static_cast<std::uint64_t>(hour)};
}
inline row_key notification_key(position at) {
  return {row_table::notification, at};
}

// Devices and users are also found by number; this is their key by id.
row_key key_of(const write& w);

} // namespace mooring::sync
