// What subscribers are pushed: the types of the schema's union SyncEvent as plain structs. Pure.
//
// An event is made once for all who are pushed the same slot; it holds its own strings.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "sync/queries.hpp"

namespace mooring::graphql {
class bindings;
}

namespace mooring::api {

struct data_update_event { // DataUpdateEvent
  std::string cursor;
  sync::operation what = sync::operation::sync;
  sync::priority urgency = sync::priority::normal;
  sync::entity_answer entity;
  instant server_timestamp;
};

struct sync_trigger_event { // SyncTriggerEvent
  std::string cursor;
  std::vector<sync::domain> domains;
  std::string reason;
  sync::priority urgency = sync::priority::high;
  instant server_timestamp;
};

struct conflict_alert_event { // ConflictAlertEvent
  std::string cursor;
  sync::conflict about;
  bool action_required = false;
  sync::priority urgency = sync::priority::normal;
  instant server_timestamp;
};

struct system_notification_event { // SystemNotificationEvent
  std::string cursor;
  std::string message;
  document data;
  sync::priority urgency = sync::priority::normal;
  instant server_timestamp;
};

struct resync_required_event { // ResyncRequiredEvent
  std::string cursor;
  std::string reason;
  instant server_timestamp;
};

struct caught_up_event { // CaughtUpEvent
  std::string cursor;
  instant server_timestamp;
};

// SyncEvent; in the order of the union.
using sync_event = std::variant<data_update_event, sync_trigger_event, conflict_alert_event,
                                system_notification_event, resync_required_event, caught_up_event>;

// The event of one place in the feed, with the cursor behind it; `begun` as in sync::cursor.
sync_event to_event(std::string_view tenant, sync::feed_event of, sync::position begun, instant now);
sync_event resync_required(std::string_view tenant, sync::position head, instant now);
sync_event caught_up(std::string_view tenant, sync::position upto, instant now);

// SyncEvent and its types.
void bind_events(graphql::bindings& to);

} // namespace mooring::api
