// Rows of a tenant's tables ↔ the structs of sync/. docs/data_file.md has every byte.
//
//   value = format version, 1 byte | msgpack array | CRC-32C over key, version and array, 4 bytes
//   little-endian
//
// encode_* append a value to a packer (they make room themselves). What the key says is not said again in the
// value; decode_* take it from the key. Decoding never trusts: a wrong checksum, a newer version, a shape
// that does not fit or a document that is none is an `internal` failure that names the row; nothing is read
// outside the bytes given. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "storage/keys.hpp"
#include "storage/packing.hpp"
#include "sync/analytics_hour.hpp"
#include "sync/model.hpp"

namespace mooring::storage {

// The format of a table's rows: written by this program; it reads all before as well.
constexpr std::uint8_t record_version(table in) {
  return in == table::device ? 3 : 1;
}
inline constexpr std::size_t record_overhead_bytes = 5; // version and checksum

// ── writing ── (`key` is the row's key)
void encode_counters(packer& out, std::string_view key, const sync::tenant_counters&);
void encode_swept(packer& out, std::string_view key, sync::position upto);
void encode_policy(packer& out, std::string_view key, const sync::policy&);
void encode_user(packer& out, std::string_view key, const sync::user&);
void encode_user_by_name(packer& out, std::string_view key, sync::user_number);
void encode_device(packer& out, std::string_view key, const sync::device&);
void encode_device_by_name(packer& out, std::string_view key, sync::device_number);
void encode_device_by_owner(packer& out, std::string_view key);
void encode_open_conflict(packer& out, std::string_view key, sync::domain in, sync::user_number owner);
// REQUIRES: the id is "c" and first_at in decimal.
void encode_conflict(packer& out, std::string_view key, const sync::conflict&);
// REQUIRES: the id is "n" and the position in decimal.
void encode_notification(packer& out, std::string_view key, const sync::notification&);
void encode_analytics(packer& out, std::string_view key, const sync::analytics_hour&);
void encode_feed_row(packer& out, std::string_view key, const sync::feed_row&);
void encode_idempotency(packer& out, std::string_view key, const sync::idempotency_record&);
void encode_operation(packer& out, std::string_view key, const sync::operation_record&);
void encode_entity(packer& out, std::string_view key, const sync::entity&);

// ── reading ──
result<sync::tenant_counters> decode_counters(std::string_view key, std::string_view value);
result<sync::position> decode_swept(std::string_view key, std::string_view value);
result<sync::policy> decode_policy(std::string_view key, std::string_view value);
result<sync::user> decode_user(std::string_view key, std::string_view value);
result<sync::user_number> decode_user_by_name(std::string_view key, std::string_view value);
result<sync::device> decode_device(std::string_view key, std::string_view value);
// Only the id, a view into `value`.
result<std::string_view> decode_device_id(std::string_view key, std::string_view value);
result<std::string_view> decode_user_id(std::string_view key, std::string_view value);
result<sync::device_number> decode_device_by_name(std::string_view key, std::string_view value);
result<void> decode_device_by_owner(std::string_view key, std::string_view value);
struct open_conflict_row {
  sync::domain in = sync::domain::voice;
  sync::user_number owner = 0;
};
result<open_conflict_row> decode_open_conflict(std::string_view key, std::string_view value);
result<sync::conflict> decode_conflict(std::string_view key, std::string_view value);
result<sync::notification> decode_notification(std::string_view key, std::string_view value);
result<sync::analytics_hour> decode_analytics(std::string_view key, std::string_view value);
result<sync::idempotency_record> decode_idempotency(std::string_view key, std::string_view value);
result<sync::operation_record> decode_operation(std::string_view key, std::string_view value);
// When an idempotency or operation row was committed.
result<instant> decode_committed_at(std::string_view key, std::string_view value);
result<sync::entity> decode_entity(std::string_view key, std::string_view value);

// An entity as readers of the feed need it, without a copy: the views point into `key` and `value`.
struct entity_view {
  sync::domain in = sync::domain::voice;
  sync::user_number owner = 0;
  std::string_view id;
  std::int32_t version = 1;
  bool deleted = false;
  std::string_view data; // a document's bytes; empty: absent
  instant modified_at;
  instant updated_at;
  sync::device_number device = 0;
  sync::user_number user = 0;
  sync::position at = 0;
};
result<entity_view> decode_entity_view(std::string_view key, std::string_view value);
entity_view view_of(const sync::entity&);

// feed_slot without a copy.
struct feed_slot_view {
  sync::position at = 0;
  sync::slot_kind kind = sync::slot_kind::entity;
  sync::domain in = sync::domain::voice;
  sync::user_number owner = 0;
  std::string_view id;
  sync::device_number device = 0;
  sync::operation what = sync::operation::sync;
  sync::priority urgency = sync::priority::normal;
  bool expires = false;
  instant decided_at;
};
sync::feed_slot to_slot(const feed_slot_view&);
feed_slot_view view_of(const sync::feed_slot&);
// Replaces `slots` by those of the row.
result<void> decode_feed_slots(std::string_view key, std::string_view value,
                               std::vector<feed_slot_view>& slots);
result<sync::feed_row> decode_feed_row(std::string_view key, std::string_view value);

// Version, checksum, shape and documents (with their UTF-8 and depth) of any row of a tenant's tables.
result<key_parts> check_row(std::string_view key, std::string_view value);

} // namespace mooring::storage
