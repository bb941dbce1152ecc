#include "api/bindings.hpp"

#include "sync/changes.hpp"

namespace mooring::api {

using graphql::field_context;

namespace {

std::string_view tenant_of(const field_context& at) {
  return static_cast<const output_context*>(at.context)->tenant;
}

std::optional<std::string_view> name_of(sync::conflict_side side) {
  switch (side) {
  case sync::conflict_side::client: return "client";
  case sync::conflict_side::server: return "server";
  case sync::conflict_side::merged: return "merged";
  case sync::conflict_side::none: break;
  }
  return std::nullopt;
}

std::optional<section_view> view_of(const batch_view& batch,
                                    const std::optional<sync::section_answer>& part) {
  if (!part) return std::nullopt;
  return section_view{batch.whole, &*part};
}

void bind_enums(graphql::bindings& to) {
  using namespace sync;
  to.enumeration<domain>("SyncDomainEnum", {{domain::voice, "VOICE"},
                                            {domain::behavioral, "BEHAVIORAL"},
                                            {domain::session, "SESSION"},
                                            {domain::metrics, "METRICS"},
                                            {domain::journal, "JOURNAL"},
                                            {domain::attendance, "ATTENDANCE"},
                                            {domain::task, "TASK"},
                                            {domain::ticket, "TICKET"},
                                            {domain::work_order, "WORK_ORDER"}});
  to.enumeration<operation>("SyncOperationEnum", {{operation::create, "CREATE"},
                                                  {operation::update, "UPDATE"},
                                                  {operation::remove, "DELETE"},
                                                  {operation::sync, "SYNC"}});
  to.enumeration<strategy>("ResolutionStrategyEnum", {{strategy::client_wins, "CLIENT_WINS"},
                                                      {strategy::server_wins, "SERVER_WINS"},
                                                      {strategy::most_recent_wins, "MOST_RECENT_WINS"},
                                                      {strategy::device_priority, "DEVICE_PRIORITY"},
                                                      {strategy::merge, "MERGE"},
                                                      {strategy::preserve_escalation, "PRESERVE_ESCALATION"},
                                                      {strategy::manual, "MANUAL"}});
  to.enumeration<conflict_status>("ConflictStatusEnum",
                                  {{conflict_status::open, "OPEN"}, {conflict_status::resolved, "RESOLVED"}});
  to.enumeration<device_type>("DeviceTypeEnum", {{device_type::desktop, "DESKTOP"},
                                                 {device_type::laptop, "LAPTOP"},
                                                 {device_type::tablet, "TABLET"},
                                                 {device_type::phone, "PHONE"},
                                                 {device_type::other, "OTHER"}});
  to.enumeration<priority>(
      "PriorityEnum",
      {{priority::normal, "NORMAL"}, {priority::high, "HIGH"}, {priority::critical, "CRITICAL"}});
}

void bind_uploads(graphql::bindings& to) {
  using namespace sync;
  to.object<item_error>("SyncErrorType")
      .field("code", [](const item_error& x) { return to_string(x.code); })
      .field<&item_error::message>("message")
      .field<&item_error::field>("field")
      .field<&item_error::item_id>("itemId")
      .field<&item_error::details>("details");
  to.object<item_result>("SyncItemResultType")
      .field<&item_result::item_id>("itemId")
      .field<&item_result::operation_id>("operationId")
      .field<&item_result::success>("success")
      .field<&item_result::version>("version")
      .field<&item_result::duplicate>("duplicate")
      .field<&item_result::conflict_detected>("conflictDetected")
      .field<&item_result::conflict_id>("conflictId")
      .field<&item_result::failure>("error");
  to.object<sync_metrics>("SyncMetricsType")
      .field<&sync_metrics::total_items>("totalItems")
      .field<&sync_metrics::synced_items>("syncedItems")
      .field<&sync_metrics::failed_items>("failedItems")
      .field<&sync_metrics::conflicts_detected>("conflictsDetected")
      .field<&sync_metrics::duration_ms>("durationMs")
      .field<&sync_metrics::bandwidth_bytes>("bandwidthBytes")
      .field<&sync_metrics::cache_hit_rate>("cacheHitRate");
  to.object<section_view>("SyncResponseType")
      .field("success", [](const section_view& x) { return x.part->success(); })
      .field("syncedItems", [](const section_view& x) { return x.part->synced_items; })
      .field("failedItems", [](const section_view& x) { return x.part->failed_items; })
      .field("items", [](const section_view& x) -> const std::vector<item_result>& { return x.part->items; })
      .field("conflicts",
             [](const section_view& x) -> const std::vector<conflict>& { return x.part->conflicts; })
      .field("errors", [](const section_view& x) -> const std::vector<item_error>& { return x.part->errors; })
      .field("metrics",
             [](const section_view& x) -> std::optional<sync_metrics> {
               auto metrics = x.part->metrics;
               metrics.duration_ms = x.whole->overall.duration_ms; // one request, one commit
               return metrics;
             })
      .field("serverTimestamp", [](const section_view& x) { return x.whole->server_timestamp; })
      .field("idempotencyKey",
             [](const section_view& x) -> const std::string& { return x.whole->idempotency_key; })
      .field("replayed", [](const section_view& x) { return x.whole->replayed; });
  to.object<batch_view>("SyncBatchResponseType")
      .field("success", [](const batch_view& x) { return x.whole->success(); })
      .field("voiceSyncResult", [](const batch_view& x) { return view_of(x, x.whole->voice); })
      .field("behavioralSyncResult", [](const batch_view& x) { return view_of(x, x.whole->behavioral); })
      .field("sessionSyncResult", [](const batch_view& x) { return view_of(x, x.whole->session); })
      .field("metricsSyncResult", [](const batch_view& x) { return view_of(x, x.whole->metrics); })
      .field("operationsSyncResult", [](const batch_view& x) { return view_of(x, x.whole->operations); })
      .field("overallMetrics", [](const batch_view& x) -> const sync_metrics* { return &x.whole->overall; })
      .field("warnings",
             [](const batch_view& x) -> const std::vector<std::string>& { return x.whole->warnings; })
      .field("serverTimestamp", [](const batch_view& x) { return x.whole->server_timestamp; })
      .field("idempotencyKey",
             [](const batch_view& x) -> const std::string& { return x.whole->idempotency_key; })
      .field("replayed", [](const batch_view& x) { return x.whole->replayed; });
}

void bind_conflicts(graphql::bindings& to) {
  using namespace sync;
  to.object<conflict>("ConflictType")
      .field<&conflict::id>("conflictId")
      .field<&conflict::in>("domain")
      .field<&conflict::entity_id>("mobileId")
      .field<&conflict::server_version>("serverVersion")
      .field<&conflict::client_version>("clientVersion")
      .field<&conflict::fields>("fields")
      .field("resolutionStrategy",
             [](const conflict& x) -> std::optional<strategy> {
               if (x.status == conflict_status::open) return std::nullopt;
               return x.by;
             })
      .field("resolutionRequired", [](const conflict& x) { return x.status == conflict_status::open; })
      .field<&conflict::status>("status")
      .field("winningVersion", [](const conflict& x) { return name_of(x.winner); })
      .field<&conflict::server_data>("serverData")
      .field<&conflict::client_data>("clientData")
      .field<&conflict::device_id>("deviceId")
      .field<&conflict::created_at>("createdAt")
      .field<&conflict::resolved_at>("resolvedAt")
      .field("resolvedBy",
             [](const conflict& x) -> std::optional<std::string_view> {
               if (x.resolved_by.empty()) return std::nullopt;
               return x.resolved_by;
             })
      .field("notes", [](const conflict& x) -> std::optional<std::string_view> {
        if (x.notes.empty()) return std::nullopt;
        return x.notes;
      });
  to.object<conflict_page>("ConflictPageType")
      .field<&conflict_page::conflicts>("conflicts")
      .field("cursor",
             [](const conflict_page& x, const field_context& at) -> std::optional<std::string> {
               if (!x.last) return std::nullopt;
               return encode_cursor(tenant_of(at), *x.last);
             })
      .field<&conflict_page::has_more>("hasMore");
  to.object<resolution_answer>("ConflictResolutionResponseType")
      .field<&resolution_answer::success>("success")
      .field<&resolution_answer::conflict_id>("conflictId")
      .field<&resolution_answer::result>("resolutionResult")
      .field("winningVersion", [](const resolution_answer& x) { return name_of(x.winner); })
      .field<&resolution_answer::version>("version")
      .field<&resolution_answer::merge_details>("mergeDetails")
      .field<&resolution_answer::message>("message")
      .field<&resolution_answer::failure>("error");
  to.object<policy>("ConflictPolicyType")
      .field<&policy::in>("domain")
      .field<&policy::resolution>("resolutionPolicy")
      .field<&policy::auto_resolve>("autoResolve")
      .field<&policy::notify_on_conflict>("notifyOnConflict");
}

std::vector<domain_view> domains_of(const sync::analytics_hour& hour) {
  std::vector<domain_view> out;
  for (std::size_t i = 0; i < hour.domains.size(); ++i)
    if (hour.domains[i] != sync::domain_counts{})
      out.push_back({static_cast<sync::domain>(i), hour.domains[i]});
  return out;
}

void bind_load(graphql::bindings& to) {
  using namespace sync;
  to.object<sync_health>("SyncHealthType")
      .field("status", [](const sync_health& x) -> const std::string& { return x.of.status; })
      .field("successRate", [](const sync_health& x) { return x.of.success_rate; })
      .field<&sync_health::average_ms>("avgLatencyMs")
      .field<&sync_health::p95_ms>("p95LatencyMs")
      .field("conflictRate", [](const sync_health& x) { return x.of.conflict_rate; })
      .field("lastSyncAt", [](const sync_health& x) { return x.of.last_sync_at; })
      .field<&sync_health::active_devices>("activeDevices");
  to.object<queue_status>("QueueStatusType")
      .field<&queue_status::device_id>("deviceId")
      .field<&queue_status::pending>("pending")
      .field<&queue_status::high_priority>("highPriority")
      .field<&queue_status::estimated_seconds>("estimatedSeconds")
      .field<&queue_status::healthy>("healthy");
  to.object<sync_advice>("SyncAdviceType")
      .field<&sync_advice::sync_now>("syncNow")
      .field<&sync_advice::wait_seconds>("waitSeconds")
      .field<&sync_advice::load>("load")
      .field<&sync_advice::reason>("reason");
  to.object<analytics_hour>("SyncAnalyticsType")
      .field("hour", [](const analytics_hour& x) { return instant{x.hour * hour_ms}; })
      .field<&analytics_hour::requests>("requests")
      .field<&analytics_hour::succeeded>("successfulRequests")
      .field<&analytics_hour::replayed>("replayedRequests")
      .field<&analytics_hour::average_ms>("avgLatencyMs")
      .field<&analytics_hour::p95_ms>("p95LatencyMs")
      .field<&analytics_hour::conflicts_by_policy>("conflictsAutoResolved")
      .field<&analytics_hour::conflicts_opened>("conflictsOpened")
      .field("bytes", [](const analytics_hour& x) { return static_cast<double>(x.bytes); })
      .field("devices", [](const analytics_hour& x) { return x.devices.count(); })
      .field("domains", [](const analytics_hour& x) { return domains_of(x); });
  to.object<domain_view>("DomainAnalyticsType")
      .field<&domain_view::in>("domain")
      .field("items", [](const domain_view& x) { return x.counts.items; })
      .field("failedItems", [](const domain_view& x) { return x.counts.failed; })
      .field("duplicateItems", [](const domain_view& x) { return x.counts.duplicates; })
      .field("conflicts", [](const domain_view& x) { return x.counts.conflicts; });
}

void bind_reads(graphql::bindings& to) {
  using namespace sync;
  to.object<entity_answer>("EntityType")
      .field<&entity_answer::in>("domain")
      .field<&entity_answer::id>("entityId")
      .field<&entity_answer::version>("version")
      .field<&entity_answer::deleted>("deleted")
      .field<&entity_answer::data>("data")
      .field<&entity_answer::modified_at>("modifiedAt")
      .field<&entity_answer::updated_at>("updatedAt")
      .field("deviceId", [](const entity_answer& x) -> const std::string& { return *x.device_id; })
      .field("userId", [](const entity_answer& x) -> const std::string& { return *x.user_id; });
  to.object<change_page>("ChangeSetType")
      .field<&change_page::entities>("entities")
      .field("cursor", [](const change_page& x,
                          const field_context& at) { return encode_cursor(tenant_of(at), x.upto); })
      .field<&change_page::has_more>("hasMore");
  to.object<device_answer>("DeviceInfoType")
      .field("deviceId", [](const device_answer& x) -> const std::string& { return x.is.id; })
      .field<&device_answer::user_id>("userId")
      .field("deviceType", [](const device_answer& x) { return x.is.type; })
      .field("deviceName",
             [](const device_answer& x) -> const std::optional<std::string>& { return x.is.name; })
      .field("osType",
             [](const device_answer& x) -> const std::optional<std::string>& { return x.is.os_type; })
      .field("osVersion",
             [](const device_answer& x) -> const std::optional<std::string>& { return x.is.os_version; })
      .field("appVersion",
             [](const device_answer& x) -> const std::optional<std::string>& { return x.is.app_version; })
      .field("priority", [](const device_answer& x) { return x.is.priority(); })
      .field("active", [](const device_answer& x) { return x.is.active; })
      .field<&device_answer::online>("online")
      .field("registeredAt", [](const device_answer& x) { return x.is.registered_at; })
      .field("lastSyncAt", [](const device_answer& x) { return x.is.last_sync_at; })
      .field("syncCount", [](const device_answer& x) { return x.is.sync_count; })
      .field("failedSyncCount", [](const device_answer& x) { return x.is.failed_sync_count; })
      .field("conflictCount", [](const device_answer& x) { return x.is.conflict_count; })
      .field<&device_answer::health_score>("healthScore")
      .field<&device_answer::pending_changes>("pendingChanges")
      .field("cursor", [](const device_answer& x, const field_context& at) -> std::optional<std::string> {
        if (x.is.acknowledged.at == 0) return std::nullopt;
        return encode_cursor(tenant_of(at), x.is.acknowledged);
      });
  to.object<push_answer>("PushSubscriptionType")
      .field<&push_answer::device_id>("deviceId")
      .field("domain", [](const push_answer& x) { return x.setting.in; })
      .field("active", [](const push_answer& x) { return x.setting.active; })
      .field("batterySaverMode", [](const push_answer& x) { return x.setting.battery_saver; })
      .field("priorityFilter", [](const push_answer& x) { return x.setting.least; });
  to.object<device_sync_state>("DeviceSyncStateType")
      .field<&device_sync_state::device_id>("deviceId")
      .field<&device_sync_state::domains>("domains");
  to.object<domain_sync_state>("DomainSyncStateType")
      .field("domain", [](const domain_sync_state& x) { return x.is.in; })
      .field("lastVersion",
             [](const domain_sync_state& x) -> std::optional<std::int32_t> {
               if (x.is.last_version == 0) return std::nullopt;
               return x.is.last_version;
             })
      .field("lastSyncAt",
             [](const domain_sync_state& x) -> std::optional<instant> {
               if (x.is.last_sync_at == instant{}) return std::nullopt;
               return x.is.last_sync_at;
             })
      .field("entities", [](const domain_sync_state& x) { return x.is.stored; })
      .field<&domain_sync_state::pending>("pending");
  to.object<limits_view>("LimitsType")
      .field<&limits_view::batch_items_max>("maxBatchItems")
      .field<&limits_view::payload_bytes_max>("maxPayloadBytes")
      .field<&limits_view::depth_max>("maxQueryDepth")
      .field<&limits_view::complexity_max>("maxQueryComplexity")
      .field<&limits_view::idempotency_window_seconds>("idempotencyWindowSeconds");
  to.object<server_view>("ServerInfoType")
      .field<&server_view::version>("version")
      .field<&server_view::api_versions>("apiVersions")
      .field<&server_view::node_id>("nodeId")
      .field<&server_view::now>("serverTimestamp")
      .field<&server_view::limits>("limits");
}

} // namespace

void bind_output(graphql::bindings& to) {
  bind_enums(to);
  bind_uploads(to);
  bind_conflicts(to);
  bind_reads(to);
  bind_load(to);
}

} // namespace mooring::api
