// What a caller may read, and what it gets: plain values. The reading is done over a store's snapshot by storage/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sync/advice.hpp"
#include "sync/analytics_hour.hpp"
#include "sync/commands.hpp"
#include "sync/health.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

struct get_entity {
  domain in;
  std::string id;
};
struct get_changes {
  domain_set domains = all_domains;
  std::optional<cursor> since; // nothing: from the beginning
  std::int32_t first = 100;    // 1 to page_max
};
struct get_conflict {
  std::string id;
};
struct list_conflicts {
  std::optional<conflict_status> status = conflict_status::open; // nothing: any
  domain_set domains = all_domains;
  std::int32_t first = 50;
  std::optional<position> after; // of the conflict's first_at
};
struct list_devices {};
struct get_device {
  std::string id;
};
struct list_policies {};
// A page of what is to be pushed to a device: what its user may see, but its own edits and what is meant for other
// devices. Push settings do not filter it: whoever sends asks passes_push (sync/push.hpp) with the page's `push`.
// Failures: NOT_FOUND (no such device), FORBIDDEN (another user's, or the token is for another one), DEVICE_DEACTIVATED.
// The snapshot must hold everything that the device was sent: a position ahead of it is one of another life, whose places
// will be given away again (a restored backup), and the device must read everything anew.
struct get_feed {
  std::string device_id;
  std::optional<cursor> after; // nothing: from where the device acknowledged
  std::int32_t first = 256;    // events, at most
};
// These two: NOT_FOUND, FORBIDDEN for another user's device. Administrators and operators may ask for every device of the
// tenant, and everybody for one that was deactivated.
struct list_push_subscriptions {
  std::string device_id;
};
struct get_device_sync_state {
  std::string device_id;
};
// Active devices of the tenant, of one user, or one device; who is not known counts 0. FORBIDDEN for all but
// administrators.
struct count_devices {
  std::optional<std::string> user_id, device_id;
};

// The caller's own devices, with the durations of the tenant's uploads in this hour and the last.
struct get_sync_health {};
// Fails as list_push_subscriptions does.
struct get_queue_status {
  std::string device_id;
};
struct get_sync_advice {};
// Whole hours from the one of `from` to the one before `to`, at most analytics_hours_max of them. FORBIDDEN for all but
// administrators and operators.
struct get_analytics {
  instant from, to;
};

using query = std::variant<get_entity, get_changes, get_conflict, list_conflicts, list_devices, get_device,
                           list_policies, get_feed, list_push_subscriptions, get_device_sync_state,
                           count_devices, get_sync_health, get_queue_status, get_sync_advice, get_analytics>;

inline constexpr std::int32_t page_max = 1000; // of `first`; more is BAD_USER_INPUT
// Slots that one page looks at, seen or not: then the page ends early with has_more, so that a user of a large tenant
// never holds a reader for long.
inline constexpr std::size_t slots_per_page_max = 100'000;
// Bytes of entity data in one page: beyond, it ends early too, so that many large pages asked for at once stay bounded.
inline constexpr std::size_t page_bytes_max = 1 << 20;

// EntityType: an entity with its names resolved.
struct entity_answer {
  domain in = domain::voice;
  std::string id;
  std::int32_t version = 1;
  bool deleted = false;
  document data;
  instant modified_at, updated_at;
  std::shared_ptr<const std::string> device_id, user_id; // shared by all entities of a page
};

struct change_page {
  std::vector<entity_answer> entities;
  cursor upto; // everything up to here was read
  bool has_more = false;
};

struct conflict_page {
  std::vector<conflict> conflicts;
  std::optional<position> last; // first_at of the last one
  bool has_more = false;
};

struct device_answer {
  device is;
  std::string user_id;
  bool online = false;
  // schema: 60 % success rate, 20 % recency of the last sync, 20 % freedom from conflicts
  double health_score = 100;
  std::int64_t pending_changes = 0;
};

// One thing to push: the slot, and what stands there by now. An entity is as it is in the snapshot that was read; it stands
// at its newest position only, so slot and entity agree.
struct feed_event {
  feed_slot slot;
  std::variant<entity_answer, conflict, notification> what;
};

struct feed_page {
  user_number viewer = 0; // the device's owner
  device_number device = 0;
  std::vector<push_setting> push;
  std::vector<feed_event> events; // ascending positions
  cursor from;                    // where it began: `after`, or what was acknowledged
  position upto = 0; // everything up to here was looked at, also what was left out; the next page's `after`
  bool has_more = false;
  // `from` was swept, or is ahead of the feed: no events, and `upto` is the present head
  bool must_resync = false;
};

struct push_subscriptions {
  std::string device_id;
  std::vector<push_setting> settings;
};

// DeviceSyncStateType
struct domain_sync_state {
  domain_state is;
  std::int64_t pending = 0; // changes of the domain that the device has not acknowledged
};
struct device_sync_state {
  std::string device_id;
  // ascending; those that the device uploaded to or has changes waiting in
  std::vector<domain_sync_state> domains;
};

struct sync_health { // SyncHealthType
  user_health of;
  std::optional<double> average_ms, p95_ms;
  std::vector<device_answer> active_devices;
};

struct queue_status { // QueueStatusType
  std::string device_id;
  std::int64_t pending = 0;       // what waits for the device; its push settings do not filter it
  std::int64_t high_priority = 0; // of them, HIGH and CRITICAL
  double estimated_seconds = 0;   // to send it all, once the device is connected
  bool healthy = true;
};
// A careful figure for a phone's connection; a node sends ten times as much.
inline constexpr double changes_per_second = 10'000;
// healthy: no more than so many wait, and nothing HIGH or CRITICAL has waited longer than that.
inline constexpr std::int64_t healthy_pending_max = 10'000;
inline constexpr std::int64_t healthy_wait_ms_max = 5 * 60 * 1000;

using query_answer =
    std::variant<std::optional<entity_answer>, change_page, std::optional<conflict>, conflict_page,
                 std::vector<device_answer>, std::optional<device_answer>, std::vector<policy>, feed_page,
                 push_subscriptions, device_sync_state, std::int64_t, sync_health, queue_status, sync_advice,
                 std::vector<analytics_hour>>;

} // namespace mooring::sync
