#include "api/arguments.hpp"

#include <array>

#include <fmt/format.h>

#include "graphql/schema.hpp"
#include "sync/changes.hpp"

namespace mooring::api {

using graphql::value;
using graphql::value_kind;

namespace {

// The ordinals, in the order of api/schema.graphql.
namespace voice {
enum { verification_id, timestamp, verified, confidence_score, quality_score, processing_time_ms, metadata };
}
namespace behavioral {
enum { session_id, events, duration_ms, user_interactions, screen_changes, metadata };
}
namespace session {
enum { session_id, start_time, end_time, duration_ms, activities, metadata };
}
namespace metrics {
enum { metric_type, value, unit, timestamp, tags };
}
namespace edit {
enum { operation_id, domain, operation, entity_id, base_version, data, modified_at, priority };
}
namespace batch {
enum {
  idempotency_key,
  device_id,
  client_timestamp,
  voice_data,
  behavioral_data,
  session_data,
  metrics_data,
  operations,
  metadata
};
}
namespace resolution {
enum { conflict_id, strategy, chosen_version, merge_data, notes };
}
namespace device {
enum { device_id, type, name, os_type, os_version, app_version, priority };
}
namespace policy {
enum { domain, resolution, auto_resolve, notify };
}
namespace push {
enum { device_id, domain, active, battery_saver, least };
}
namespace trigger {
enum { domains, user_id, reason };
}
namespace message {
enum { text, data, priority, user_id, device_id };
}

struct layout {
  std::string_view type;  // an input type, or "Query" / "Mutation"
  std::string_view field; // of the root; empty for input types
  std::vector<std::string_view> names;
};

const std::vector<layout>& layouts() {
  static const std::vector<layout> all = {
      {"VoiceDataInput",
       "",
       {"verificationId", "timestamp", "verified", "confidenceScore", "qualityScore", "processingTimeMs",
        "metadata"}},
      {"BehavioralDataInput",
       "",
       {"sessionId", "events", "durationMs", "userInteractions", "screenChanges", "metadata"}},
      {"SessionDataInput", "", {"sessionId", "startTime", "endTime", "durationMs", "activities", "metadata"}},
      {"MetricsDataInput", "", {"metricType", "value", "unit", "timestamp", "tags"}},
      {"SyncOperationInput",
       "",
       {"operationId", "domain", "operation", "entityId", "baseVersion", "data", "modifiedAt", "priority"}},
      {"SyncBatchInput",
       "",
       {"idempotencyKey", "deviceId", "clientTimestamp", "voiceData", "behavioralData", "sessionData",
        "metricsData", "operations", "metadata"}},
      {"ConflictResolutionInput",
       "",
       {"conflictId", "resolutionStrategy", "chosenVersion", "mergeData", "notes"}},
      {"DeviceInput",
       "",
       {"deviceId", "deviceType", "deviceName", "osType", "osVersion", "appVersion", "priority"}},
      {"ConflictPolicyInput", "", {"domain", "resolutionPolicy", "autoResolve", "notifyOnConflict"}},
      {"PushSubscriptionInput", "", {"deviceId", "domain", "active", "batterySaverMode", "priorityFilter"}},
      {"Mutation", "syncVoiceData", {"data", "idempotencyKey", "deviceId"}},
      {"Mutation", "syncOperations", {"operations", "idempotencyKey", "deviceId"}},
      {"Mutation", "syncBatch", {"batch"}},
      {"Mutation", "resolveConflict", {"resolution"}},
      {"Mutation", "registerDevice", {"device"}},
      {"Mutation", "deactivateDevice", {"deviceId"}},
      {"Mutation", "acknowledge", {"deviceId", "cursor"}},
      {"Mutation", "setConflictPolicy", {"policy"}},
      {"Mutation", "setPushSubscription", {"subscription"}},
      {"Mutation", "triggerSync", {"domains", "userId", "reason"}},
      {"Mutation", "broadcast", {"message", "data", "priority", "userId", "deviceId"}},
      {"Query", "entity", {"domain", "entityId"}},
      {"Query", "changes", {"domains", "since", "first"}},
      {"Query", "conflict", {"conflictId"}},
      {"Query", "conflicts", {"status", "domains", "first", "after"}},
      {"Query", "device", {"deviceId"}},
      {"Query", "pushSubscriptions", {"deviceId"}},
      {"Query", "queueStatus", {"deviceId"}},
      {"Query", "syncAnalytics", {"from", "to"}},
      {"Query", "deviceSyncState", {"deviceId"}},
      {"Subscription", "syncEvents", {"deviceId", "after"}},
  };
  return all;
}

// Enums whose C++ order must be the schema's: an ordinal is cast to the enumerator.
struct enum_layout {
  std::string_view type;
  std::vector<std::string_view> names;
};

const std::vector<enum_layout>& enum_layouts() {
  static const std::vector<enum_layout> all = {
      {"SyncDomainEnum",
       {"VOICE", "BEHAVIORAL", "SESSION", "METRICS", "JOURNAL", "ATTENDANCE", "TASK", "TICKET",
        "WORK_ORDER"}},
      {"SyncOperationEnum", {"CREATE", "UPDATE", "DELETE", "SYNC"}},
      {"ResolutionStrategyEnum",
       {"CLIENT_WINS", "SERVER_WINS", "MOST_RECENT_WINS", "DEVICE_PRIORITY", "MERGE", "PRESERVE_ESCALATION",
        "MANUAL"}},
      {"ConflictStatusEnum", {"OPEN", "RESOLVED"}},
      {"DeviceTypeEnum", {"DESKTOP", "LAPTOP", "TABLET", "PHONE", "OTHER"}},
      {"PriorityEnum", {"NORMAL", "HIGH", "CRITICAL"}},
  };
  return all;
}

template<class E> E enumerator(const value& from) {
  return static_cast<E>(from.ordinal());
}

std::string text(const value& from) {
  return std::string(from.string());
}

std::optional<std::string> optional_text(const value& from) {
  if (!from.given()) return std::nullopt;
  return text(from);
}

// A JSON argument as a document. Nothing, or null, is absent. The engine marks a value that nests too deep by a json
// value without bytes: it becomes the item's error, not the request's.
document json(const value& from, std::string_view name, std::string& too_deep) {
  if (!from.given() || from.kind() != value_kind::json) return {};
  if (from.json().empty()) {
    too_deep = name;
    return {};
  }
  if (kind_of(from.json()) == document_kind::null) return {};
  return document{std::string(from.json())};
}

// A list of JSON values as one array document; each of them was measured alone.
document json_list(const value& from, std::string_view name, std::string& too_deep) {
  if (!from.given()) return {};
  document_writer out;
  std::size_t bytes = 5;
  for (const auto& item : from.items()) bytes += item.kind() == value_kind::json ? item.json().size() : 1;
  out.reserve(bytes);
  out.begin_array(from.items().size());
  for (const auto& item : from.items()) {
    if (item.kind() != value_kind::json)
      out.null();
    else if (item.json().empty()) {
      too_deep = name;
      out.null();
    } else
      out.value(item.json());
  }
  return out.take();
}

sync::input_instant read_instant(const value& from) {
  return from.given() ? parse_instant(from.string()) : std::nullopt;
}

sync::voice_item read_voice(const value& from) {
  sync::voice_item out;
  out.verification_id = text(from[voice::verification_id]);
  out.timestamp = read_instant(from[voice::timestamp]);
  out.verified = from[voice::verified].boolean();
  out.confidence_score = from[voice::confidence_score].optional_number();
  out.quality_score = from[voice::quality_score].optional_number();
  out.processing_time_ms = from[voice::processing_time_ms].optional_integer();
  out.metadata = json(from[voice::metadata], "metadata", out.too_deep);
  return out;
}

sync::behavioral_item read_behavioral(const value& from) {
  sync::behavioral_item out;
  out.session_id = text(from[behavioral::session_id]);
  out.events = json_list(from[behavioral::events], "events", out.too_deep);
  out.duration_ms = from[behavioral::duration_ms].integer();
  out.user_interactions = from[behavioral::user_interactions].optional_integer();
  out.screen_changes = from[behavioral::screen_changes].optional_integer();
  out.metadata = json(from[behavioral::metadata], "metadata", out.too_deep);
  return out;
}

sync::session_item read_session(const value& from) {
  sync::session_item out;
  out.session_id = text(from[session::session_id]);
  out.start_time = read_instant(from[session::start_time]);
  out.has_end_time = from[session::end_time].given();
  out.end_time = read_instant(from[session::end_time]);
  out.duration_ms = from[session::duration_ms].optional_integer();
  out.activities = json_list(from[session::activities], "activities", out.too_deep);
  out.metadata = json(from[session::metadata], "metadata", out.too_deep);
  return out;
}

sync::metrics_item read_metrics(const value& from) {
  sync::metrics_item out;
  out.metric_type = text(from[metrics::metric_type]);
  out.value = from[metrics::value].number();
  out.unit = optional_text(from[metrics::unit]);
  out.timestamp = read_instant(from[metrics::timestamp]);
  out.tags = json(from[metrics::tags], "tags", out.too_deep);
  return out;
}

sync::edit_item read_edit(const value& from) {
  sync::edit_item out;
  out.operation_id = optional_text(from[edit::operation_id]);
  out.in = enumerator<sync::domain>(from[edit::domain]);
  out.what = enumerator<sync::operation>(from[edit::operation]);
  out.entity_id = text(from[edit::entity_id]);
  out.base_version = from[edit::base_version].optional_integer();
  out.data = json(from[edit::data], "data", out.too_deep);
  out.modified_at = read_instant(from[edit::modified_at]);
  if (from[edit::priority].given()) out.urgency = enumerator<sync::priority>(from[edit::priority]);
  return out;
}

template<class Item> bool read_list(const value& from, std::vector<Item>& to, Item (*read)(const value&)) {
  if (!from.given()) return false;
  to.reserve(from.items().size());
  for (const auto& item : from.items()) to.push_back(read(item));
  return true;
}

error bad(std::string message, std::string_view field) {
  return {error_code::bad_user_input, std::move(message), std::string(field)};
}

sync::domain_set read_domains(const value& from) {
  if (!from.given()) return sync::all_domains;
  sync::domain_set out = 0;
  for (const auto& item : from.items()) out = static_cast<sync::domain_set>(out | 1u << item.ordinal());
  return out;
}

result<std::int32_t> read_first(const value& from, std::int32_t otherwise) {
  const auto first = from.optional_integer().value_or(otherwise);
  if (first < 1 || first > sync::page_max)
    return bad(fmt::format("first goes from 1 to {}", sync::page_max), "first");
  return first;
}

// `argument` is what the error names.
result<std::optional<sync::cursor>> read_cursor(const value& from, std::string_view argument,
                                                std::string_view tenant) {
  if (!from.given()) return std::optional<sync::cursor>{};
  auto at = sync::decode_cursor(tenant, from.string());
  if (!at) return bad(at.failure().message, argument);
  return std::optional<sync::cursor>{*at};
}

void add_to_digest(std::string& to, const value& from) {
  const auto put = [&](const void* data, std::size_t bytes) {
    to.append(static_cast<const char*>(data), bytes);
  };
  to.push_back(static_cast<char>(from.kind()));
  switch (from.kind()) {
  case value_kind::absent:
  case value_kind::null: break;
  case value_kind::boolean: to.push_back(from.boolean() ? 1 : 0); break;
  case value_kind::integer: {
    const auto number = from.integer();
    put(&number, sizeof number);
    break;
  }
  case value_kind::number: {
    const auto number = from.number();
    put(&number, sizeof number);
    break;
  }
  case value_kind::string: {
    const auto size = static_cast<std::uint32_t>(from.string().size());
    put(&size, sizeof size);
    to.append(from.string());
    break;
  }
  case value_kind::enumeration: {
    const auto ordinal = from.ordinal();
    put(&ordinal, sizeof ordinal);
    break;
  }
  case value_kind::json: {
    const auto hash = hash_document(from.json());
    put(&hash, sizeof hash);
    break;
  }
  case value_kind::list:
  case value_kind::object: {
    const auto children = from.kind() == value_kind::list ? from.items() : from.fields();
    const auto size = static_cast<std::uint32_t>(children.size());
    put(&size, sizeof size);
    for (const auto& child : children) add_to_digest(to, child);
    break;
  }
  }
}

} // namespace

digest128 digest_of(std::string_view field, argument_list arguments) {
  static thread_local std::string flat;
  flat.assign(field);
  for (const auto& argument : arguments) add_to_digest(flat, argument);
  const auto digest = hash128(flat);
  if (flat.capacity() > 1 << 20) std::string().swap(flat); // one large batch must not stay for ever
  return digest;
}

result<sync::upload> read_voice_upload(argument_list arguments, std::uint64_t payload_bytes) {
  sync::upload out;
  out.kind = sync::upload_kind::voice;
  out.has_voice = read_list(arguments[0], out.voice, &read_voice);
  out.idempotency_key = text(arguments[1]);
  out.device_id = text(arguments[2]);
  out.request = digest_of("syncVoiceData", arguments);
  out.payload_bytes = payload_bytes;
  return out;
}

result<sync::upload> read_operations_upload(argument_list arguments, std::uint64_t payload_bytes) {
  sync::upload out;
  out.kind = sync::upload_kind::operations;
  out.has_operations = read_list(arguments[0], out.operations, &read_edit);
  out.idempotency_key = text(arguments[1]);
  out.device_id = text(arguments[2]);
  out.request = digest_of("syncOperations", arguments);
  out.payload_bytes = payload_bytes;
  return out;
}

result<sync::upload> read_batch_upload(argument_list arguments, std::uint64_t payload_bytes) {
  const auto& from = arguments[0];
  sync::upload out;
  out.kind = sync::upload_kind::batch;
  out.idempotency_key = text(from[batch::idempotency_key]);
  out.device_id = text(from[batch::device_id]);
  if (!read_instant(from[batch::client_timestamp]))
    return bad("batch.clientTimestamp is no RFC 3339 instant", "clientTimestamp");
  out.has_voice = read_list(from[batch::voice_data], out.voice, &read_voice);
  out.has_behavioral = read_list(from[batch::behavioral_data], out.behavioral, &read_behavioral);
  out.has_session = read_list(from[batch::session_data], out.session, &read_session);
  out.has_metrics = read_list(from[batch::metrics_data], out.metrics, &read_metrics);
  out.has_operations = read_list(from[batch::operations], out.operations, &read_edit);
  std::string too_deep;
  out.metadata = json(from[batch::metadata], "metadata", too_deep);
  if (!too_deep.empty()) return bad("batch.metadata is nested deeper than 32", "metadata");
  out.request = digest_of("syncBatch", arguments);
  out.payload_bytes = payload_bytes;
  return out;
}

result<sync::resolve_conflict> read_resolution(argument_list arguments) {
  const auto& from = arguments[0];
  sync::resolve_conflict out;
  out.conflict_id = text(from[resolution::conflict_id]);
  out.by = enumerator<sync::strategy>(from[resolution::strategy]);
  out.chosen_version = text(from[resolution::chosen_version]);
  std::string too_deep;
  out.merge_data = json(from[resolution::merge_data], "mergeData", too_deep);
  if (!too_deep.empty()) return bad("resolution.mergeData is nested deeper than 32", "mergeData");
  out.notes = optional_text(from[resolution::notes]);
  return out;
}

sync::register_device read_registration(argument_list arguments) {
  const auto& from = arguments[0];
  sync::register_device out;
  out.device_id = text(from[device::device_id]);
  out.type = enumerator<sync::device_type>(from[device::type]);
  out.name = optional_text(from[device::name]);
  out.os_type = optional_text(from[device::os_type]);
  out.os_version = optional_text(from[device::os_version]);
  out.app_version = optional_text(from[device::app_version]);
  out.priority = from[device::priority].optional_integer();
  return out;
}

sync::deactivate_device read_deactivation(argument_list arguments) {
  return {text(arguments[0])};
}

result<sync::acknowledge> read_acknowledgement(argument_list arguments, std::string_view tenant) {
  auto at = read_cursor(arguments[1], "cursor", tenant);
  if (!at) return at.failure();
  return sync::acknowledge{text(arguments[0]), **at};
}

sync::set_conflict_policy read_policy(argument_list arguments) {
  const auto& from = arguments[0];
  sync::set_conflict_policy out;
  out.value.in = enumerator<sync::domain>(from[policy::domain]);
  out.value.resolution = enumerator<sync::strategy>(from[policy::resolution]);
  out.value.auto_resolve = from[policy::auto_resolve].optional_boolean().value_or(true);
  out.value.notify_on_conflict = from[policy::notify].optional_boolean().value_or(true);
  return out;
}

sync::set_push_subscription read_push_subscription(argument_list arguments) {
  const auto& from = arguments[0];
  sync::set_push_subscription out;
  out.device_id = text(from[push::device_id]);
  if (from[push::domain].given()) out.setting.in = enumerator<sync::domain>(from[push::domain]);
  out.setting.active = from[push::active].optional_boolean().value_or(true);
  out.setting.battery_saver = from[push::battery_saver].optional_boolean().value_or(false);
  if (from[push::least].given()) out.setting.least = enumerator<sync::priority>(from[push::least]);
  return out;
}

sync::trigger_sync read_trigger(argument_list arguments) {
  sync::trigger_sync out;
  out.domains = read_domains(arguments[trigger::domains]);
  out.user_id = optional_text(arguments[trigger::user_id]);
  out.reason = optional_text(arguments[trigger::reason]).value_or("server_update");
  return out;
}

result<sync::broadcast> read_broadcast(argument_list arguments) {
  sync::broadcast out;
  out.message = text(arguments[message::text]);
  std::string too_deep;
  out.data = json(arguments[message::data], "data", too_deep);
  if (!too_deep.empty()) return bad("data is nested deeper than 32", "data");
  if (arguments[message::priority].given())
    out.urgency = enumerator<sync::priority>(arguments[message::priority]);
  out.user_id = optional_text(arguments[message::user_id]);
  out.device_id = optional_text(arguments[message::device_id]);
  return out;
}

sync::get_entity read_get_entity(argument_list arguments) {
  return {enumerator<sync::domain>(arguments[0]), text(arguments[1])};
}

result<sync::get_changes> read_get_changes(argument_list arguments, std::string_view tenant) {
  sync::get_changes out;
  out.domains = read_domains(arguments[0]);
  auto since = read_cursor(arguments[1], "since", tenant);
  if (!since) return since.failure();
  out.since = *since;
  auto first = read_first(arguments[2], 100);
  if (!first) return first.failure();
  out.first = *first;
  return out;
}

result<sync::list_conflicts> read_list_conflicts(argument_list arguments, std::string_view tenant) {
  sync::list_conflicts out;
  if (arguments[0].given())
    out.status = enumerator<sync::conflict_status>(arguments[0]);
  else
    out.status = std::nullopt;
  out.domains = read_domains(arguments[1]);
  auto first = read_first(arguments[2], 50);
  if (!first) return first.failure();
  out.first = *first;
  auto after = read_cursor(arguments[3], "after", tenant);
  if (!after) return after.failure();
  if (*after) out.after = (*after)->at;
  return out;
}

result<sync::get_analytics> read_get_analytics(argument_list arguments) {
  const auto from = read_instant(arguments[0]), to = read_instant(arguments[1]);
  if (!from) return bad("from is no RFC 3339 instant", "from");
  if (!to) return bad("to is no RFC 3339 instant", "to");
  return sync::get_analytics{*from, *to};
}

std::string read_id(argument_list arguments) {
  return text(arguments[0]);
}

result<open_events> read_open_events(argument_list arguments, std::string_view tenant) {
  auto after = read_cursor(arguments[1], "after", tenant);
  if (!after) return after.failure();
  return open_events{std::string(arguments[0].string()), *after};
}

std::vector<std::string> check_layout(const graphql::schema& schema) {
  std::vector<std::string> wrong;
  for (const auto& one : layouts()) {
    const auto* type = schema.find_type(one.type);
    if (type == nullptr) {
      wrong.push_back(fmt::format("{} is not in the schema", one.type));
      continue;
    }
    std::span<const graphql::input_value> values;
    if (one.field.empty()) {
      values = type->input_fields;
    } else {
      const auto* field = schema.find_field(*type, one.field);
      if (field == nullptr) {
        wrong.push_back(fmt::format("{}.{} is not in the schema", one.type, one.field));
        continue;
      }
      values = field->arguments;
    }
    if (values.size() != one.names.size())
      wrong.push_back(fmt::format("{}.{} has {} inputs, {} are read", one.type, one.field, values.size(),
                                  one.names.size()));
    for (std::size_t i = 0; i < std::min(values.size(), one.names.size()); ++i)
      if (values[i].name != one.names[i])
        wrong.push_back(fmt::format("{}.{}: place {} is {}, read as {}", one.type, one.field, i,
                                    values[i].name, one.names[i]));
  }
  for (const auto& one : enum_layouts()) {
    const auto* type = schema.find_type(one.type);
    if (type == nullptr || type->values.size() != one.names.size()) {
      wrong.push_back(
          fmt::format("{} does not have the {} values that are read", one.type, one.names.size()));
      continue;
    }
    for (std::size_t i = 0; i < one.names.size(); ++i)
      if (type->values[i].name != one.names[i])
        wrong.push_back(
            fmt::format("{}: place {} is {}, read as {}", one.type, i, type->values[i].name, one.names[i]));
  }
  return wrong;
}

} // namespace mooring::api
