#include "api/events.hpp"

#include <memory>
#include <utility>

#include "graphql/binding.hpp"
#include "sync/changes.hpp"

namespace mooring::api {

namespace {

data_update_event update_of(std::string cursor, const sync::feed_slot& slot, sync::entity_answer&& entity,
                            instant now) {
  return {std::move(cursor), slot.what, slot.urgency, std::move(entity), now};
}

conflict_alert_event alert_of(std::string cursor, const sync::feed_slot& slot, sync::conflict&& about,
                              instant now) {
  const bool open = about.status == sync::conflict_status::open;
  return {std::move(cursor), std::move(about), open, slot.urgency, now};
}

std::vector<sync::domain> domains_of(sync::domain_set set) {
  std::vector<sync::domain> out;
  for (int i = 0; i < sync::domain_count; ++i)
    if (const auto one = static_cast<sync::domain>(i); sync::holds(set, one)) out.push_back(one);
  return out;
}

} // namespace

sync_event to_event(std::string_view tenant, sync::feed_event of, sync::position begun, instant now) {
  auto cursor = sync::encode_cursor(tenant, {of.slot.at, begun});
  struct visitor {
    std::string cursor;
    const sync::feed_slot& slot;
    instant now;
    sync_event operator()(sync::entity_answer& what) {
      return update_of(std::move(cursor), slot, std::move(what), now);
    }
    sync_event operator()(sync::conflict& what) {
      return alert_of(std::move(cursor), slot, std::move(what), now);
    }
    sync_event operator()(sync::notification& what) {
      if (what.kind == sync::notification_kind::trigger)
        return sync_trigger_event{std::move(cursor), domains_of(what.domains), std::move(what.text),
                                  what.urgency, now};
      return system_notification_event{std::move(cursor), std::move(what.text), std::move(what.data),
                                       what.urgency, now};
    }
  };
  return std::visit(visitor{std::move(cursor), of.slot, now}, of.what);
}

sync_event resync_required(std::string_view tenant, sync::position head, instant now) {
  return resync_required_event{
      sync::encode_cursor(tenant, head),
      "what was removed after this position is not kept any more: read all with changes", now};
}

sync_event caught_up(std::string_view tenant, sync::position upto, instant now) {
  return caught_up_event{sync::encode_cursor(tenant, upto), now};
}

void bind_events(graphql::bindings& to) {
  to.object<data_update_event>("DataUpdateEvent")
      .field<&data_update_event::cursor>("cursor")
      .field("domain", [](const data_update_event& x) { return x.entity.in; })
      .field<&data_update_event::what>("operation")
      .field<&data_update_event::urgency>("priority")
      .field<&data_update_event::entity>("entity")
      .field<&data_update_event::server_timestamp>("serverTimestamp");
  to.object<sync_trigger_event>("SyncTriggerEvent")
      .field<&sync_trigger_event::cursor>("cursor")
      .field<&sync_trigger_event::domains>("domains")
      .field<&sync_trigger_event::reason>("reason")
      .field<&sync_trigger_event::urgency>("priority")
      .field<&sync_trigger_event::server_timestamp>("serverTimestamp");
  to.object<conflict_alert_event>("ConflictAlertEvent")
      .field<&conflict_alert_event::cursor>("cursor")
      .field<&conflict_alert_event::about>("conflict")
      .field<&conflict_alert_event::action_required>("actionRequired")
      .field<&conflict_alert_event::urgency>("priority")
      .field<&conflict_alert_event::server_timestamp>("serverTimestamp");
  to.object<system_notification_event>("SystemNotificationEvent")
      .field<&system_notification_event::cursor>("cursor")
      .field<&system_notification_event::message>("message")
      .field<&system_notification_event::data>("data")
      .field<&system_notification_event::urgency>("priority")
      .field<&system_notification_event::server_timestamp>("serverTimestamp");
  to.object<resync_required_event>("ResyncRequiredEvent")
      .field<&resync_required_event::cursor>("cursor")
      .field<&resync_required_event::reason>("reason")
      .field<&resync_required_event::server_timestamp>("serverTimestamp");
  to.object<caught_up_event>("CaughtUpEvent")
      .field<&caught_up_event::cursor>("cursor")
      .field<&caught_up_event::server_timestamp>("serverTimestamp");
  to.abstract<sync_event>("SyncEvent",
                          {"DataUpdateEvent", "SyncTriggerEvent", "ConflictAlertEvent",
                           "SystemNotificationEvent", "ResyncRequiredEvent", "CaughtUpEvent"},
                          [](const sync_event& x) {
                            return std::visit(
                                [&](const auto& one) {
                                  return graphql::concrete::of(static_cast<std::uint32_t>(x.index()), &one);
                                },
                                x);
                          });
}

} // namespace mooring::api
