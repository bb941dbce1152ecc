// What a tenant's store holds: the nouns of domain.md as plain structs. Codecs live in storage/, rules beside this.
//
// Numbers: a user and a device get a short number inside their tenant when first seen; it never changes and is never
// given away again. Stored rows refer to them by number; names are resolved at the edge (directory).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/document.hpp"
#include "base/hash.hpp"
#include "base/time.hpp"

namespace mooring::sync {

using user_number = std::uint32_t;   // from 1; 0 is "nobody"
using device_number = std::uint32_t; // from 1; 0 is "no device"
using position = std::uint64_t;      // in the tenant's feed; from 1

// How far a reader of the feed has come. One that started at the beginning never had what was removed before: until it has
// come to where the head was then, a sweep up to there took nothing from it.
struct cursor {
  position at = 0;    // everything up to here was read; 0: nothing
  position begun = 0; // the head when it started at the beginning; 0 once `at` has come there

  constexpr cursor() = default;
  constexpr cursor(position at_,
                   position begun_ = 0) // NOLINT(google-explicit-constructor): a place alone is a cursor
      : at(at_)
      , begun(begun_ > at_ ? begun_ : 0) {}
  bool operator==(const cursor&) const = default;
};

// The stored value of each enumerator below is part of the data file: never renumber.
enum class domain : std::uint8_t {
  voice = 0,
  behavioral = 1,
  session = 2,
  metrics = 3, // record domains
  journal = 4,
  attendance = 5,
  task = 6,
  ticket = 7,
  work_order = 8, // entity domains
};
inline constexpr int domain_count = 9;
constexpr bool is_record(domain d) {
  return d <= domain::metrics;
}

// A set of domains as bits; all_domains when the client named none.
using domain_set = std::uint16_t;
inline constexpr domain_set all_domains = (1u << domain_count) - 1;
constexpr bool holds(domain_set set, domain d) {
  return (set >> static_cast<unsigned>(d)) & 1u;
}

enum class operation : std::uint8_t {
  create = 0,
  update = 1,
  remove = 2, // DELETE in the API
  sync = 3,
};

enum class strategy : std::uint8_t {
  client_wins = 0,
  server_wins = 1,
  most_recent_wins = 2,
  device_priority = 3,
  merge = 4,
  preserve_escalation = 5,
  manual = 6,
};

enum class device_type : std::uint8_t { desktop = 0, laptop = 1, tablet = 2, phone = 3, other = 4 };
// DESKTOP 100, LAPTOP 80, TABLET 60, OTHER 50, PHONE 40 (schema, DeviceInput).
std::int32_t default_priority(device_type type);

enum class priority : std::uint8_t { normal = 0, high = 1, critical = 2 };

// Names as clients see them: "WORK_ORDER", "CLIENT_WINS", "DELETE"… The parse functions return nothing for others.
std::string_view to_string(domain value);
std::string_view to_string(operation value);
std::string_view to_string(strategy value);
std::string_view to_string(device_type value);
std::string_view to_string(priority value);
std::optional<domain> parse_domain(std::string_view name);

// Who changed one top-level field of an entity last, and when.
struct field_stamp {
  std::string name;
  std::int32_t version = 0; // the entity version that brought the change (also when it removed the field)
  instant modified_at;      // of that edit, clamped against clock skew
  device_number device = 0;
  // Older values of the field, newest first, at most `field_history_max`: {the version from which it was the value,
  // its hash_document; 0 when the field was absent}. Tells whether a whole-object upload changed a field that the
  // server changed too.
  std::vector<std::pair<std::int32_t, std::uint64_t>> history;
  bool operator==(const field_stamp&) const = default;
};
inline constexpr std::size_t field_history_max = 8;

// One record or versioned entity. Identity: (domain, owner, id).
struct entity {
  domain in = domain::voice;
  user_number owner = 0;    // private domains: the user; shared domains: 0
  std::string id;           // METRICS: metric_id(...)
  std::int32_t version = 1; // records stay at 1 (a completed SESSION grows)
  bool deleted = false;     // tombstone: data is absent
  document data;            // an object, or absent
  instant modified_at;      // of the last accepted edit, as the client said it
  instant updated_at;       // when the server decided this version
  device_number device = 0; // who wrote this version
  user_number user = 0;
  std::int32_t run_start = 1; // every version from this one on was written by `device` (rule 3)
  position at = 0;            // its place in the feed
  // The edit that made version 1: who, and its modifiedAt clamped against clock skew. Stands for every field that has
  // no stamp below. Entity domains only; records leave both 0.
  device_number first_device = 0;
  instant first_modified_at;
  // entity domains only, ascending by name; a field absent here changed with version 1
  std::vector<field_stamp> fields;
  bool operator==(const entity&) const = default;
};

enum class conflict_status : std::uint8_t { open = 0, resolved = 1 };
enum class conflict_side : std::uint8_t { none = 0, client = 1, server = 2, merged = 3 };

struct conflict {
  std::string id; // "c" + the decimal position at which it was first recorded
  domain in = domain::task;
  user_number owner = 0; // as of the entity
  std::string entity_id;
  std::int32_t server_version = 0;
  std::int32_t client_version = 0; // the upload's baseVersion, 0 when it had none
  // the fields that both sides changed, sorted; empty when a deletion is one side
  std::vector<std::string> fields;
  strategy by = strategy::manual;
  conflict_status status = conflict_status::open;
  conflict_side winner = conflict_side::none;
  document server_data; // the stored entity at that time; absent: it was deleted
  document client_data; // the uploaded edit's data; absent: it was a DELETE
  operation client_operation = operation::update;
  instant client_modified_at;
  priority client_priority = priority::normal;
  std::string device_id; // who uploaded
  device_number device = 0;
  user_number user = 0;
  std::string server_device_id; // who wrote the stored version
  instant created_at;
  std::optional<instant> resolved_at;
  std::string resolved_by; // user id, or "policy"
  std::string notes;
  std::int32_t resolved_version = 0; // the entity's version after the resolution
  position first_at = 0;             // key; the number in `id`
  position at = 0;                   // its present place in the feed
  bool operator==(const conflict&) const = default;
};

// What one device wants pushed of a domain, or of every domain that has no setting of its own (sync/push.hpp).
struct push_setting {
  std::optional<domain> in; // nothing: every domain
  bool active = true;
  bool battery_saver = false;
  priority least = priority::normal;
  bool operator==(const push_setting&) const = default;
};

// What a device last uploaded of one domain.
struct domain_state {
  domain in = domain::voice;
  // that its last accepted edit ended at; 0: none yet, and always in record domains
  std::int32_t last_version = 0;
  instant last_sync_at;    // of its last accepted edit or record, duplicates too
  std::int64_t stored = 0; // edits and records of it that were stored, duplicates not counted
  bool operator==(const domain_state&) const = default;
};

struct device {
  std::string id;
  device_number number = 0;
  user_number owner = 0;
  device_type type = device_type::other;
  std::optional<std::string> name, os_type, os_version, app_version;
  std::optional<std::int32_t> priority_override;
  bool active = true;
  instant registered_at;
  std::optional<instant> last_sync_at;
  std::int64_t sync_count = 0;        // uploads whose items all succeeded
  std::int64_t failed_sync_count = 0; // uploads with at least one failed item
  std::int64_t conflict_count = 0;
  cursor acknowledged;
  std::vector<push_setting> push; // at most one for each domain and one for "every"; ascending, "every" first
  std::vector<domain_state> domains; // ascending; a domain that it never uploaded to is absent
  std::int32_t priority() const { return priority_override.value_or(default_priority(type)); }
  bool operator==(const device&) const = default;
};

struct user {
  std::string id;
  user_number number = 0;
  bool operator==(const user&) const = default;
};

struct policy {
  domain in = domain::task;
  strategy resolution = strategy::most_recent_wins;
  bool auto_resolve = true;
  bool notify_on_conflict = true;
  bool operator==(const policy&) const = default;
};
// The defaults of domain.md, rule 6. REQUIRES: !is_record(d)
policy default_policy(domain d);

// A request's key with its answer; identity (user, device, key).
struct idempotency_record {
  user_number user = 0;
  device_number device = 0;
  std::string key;
  digest128 request;    // of what was asked for, not of its text
  instant committed_at; // when decided; expires after settings.idempotency_window_ms
  std::string answer;   // the answer as sync/answer_codec.hpp packs it
  bool operator==(const idempotency_record&) const = default;
};

// The outcome of one edit that carried an operationId; identity (user, device, operation_id).
struct operation_record {
  user_number user = 0;
  device_number device = 0;
  std::string operation_id;
  digest128 edit; // of the edit's content
  instant committed_at;
  std::string outcome; // the packed item_result
  bool operator==(const operation_record&) const = default;
};

// The stored value of each enumerator is part of the data file.
enum class notification_kind : std::uint8_t { trigger = 0, message = 1 };

// What the node tells devices beside edits and conflicts: a call to sync, or a message. Written once, never changed; it
// stands in the feed at its key and is swept with its slot.
struct notification {
  std::string id; // "n" + its position in decimal
  notification_kind kind = notification_kind::message;
  user_number owner = 0;         // 0: every user of the tenant
  device_number only_device = 0; // 0: every device of the owner, or of the tenant
  domain_set domains = 0;        // of a trigger
  std::string text;              // the reason of a trigger, the message
  document data;                 // of a message; may be absent
  priority urgency = priority::normal;
  instant created_at;
  position at = 0; // key
  bool operator==(const notification&) const = default;
};

enum class slot_kind : std::uint8_t { entity = 0, conflict = 1, notification = 2 };

// One place in the feed. A slot names what changed; the reader loads the thing itself at its newest state.
struct feed_slot {
  position at = 0;
  slot_kind kind = slot_kind::entity;
  domain in = domain::voice;
  user_number owner = 0;    // 0: every user of the tenant may see it
  std::string id;           // the entity's, conflict's or notification's id
  device_number device = 0; // who made it, so that it is not pushed back
  operation what = operation::sync;
  priority urgency = priority::normal;
  bool expires = false; // tombstone, closed conflict or notification: swept after settings.retention_ms
  instant decided_at;
  bool operator==(const feed_slot&) const = default;
};

// Slots that one command made, stored as one row so that a batch is fewer writes. Key: the position of its LAST slot as
// written first; the key never changes. Slots leave a row when their entity moves on; an empty row goes. A command with
// more slots than feed_row_slots_max makes several rows, because every later edit of one of its entities writes a row
// again (docs/performance.md).
inline constexpr std::size_t feed_row_slots_max = 8;
struct feed_row {
  position key = 0;
  std::vector<feed_slot> slots; // ascending positions
  bool operator==(const feed_row&) const = default;
};

// The counters of a tenant. One row, owned by the tenant actor.
struct tenant_counters {
  std::string tenant; // full name; the key holds only its hash
  user_number last_user = 0;
  device_number last_device = 0;
  position last_position = 0;
  bool operator==(const tenant_counters&) const = default;
};

} // namespace mooring::sync
