#include "sync/validation.hpp"

namespace mooring::sync {

namespace {

using found = std::optional<problem>;

found wrong(std::string_view field, std::string_view what) {
  std::string message;
  message.reserve(field.size() + 1 + what.size());
  message.append(field).append(" ").append(what);
  return problem{error_code::validation_error, field, std::move(message)};
}

found check_id(std::string_view field, std::string_view id, const rule_settings& settings) {
  if (id.empty()) return wrong(field, "must not be empty");
  if (id.size() > settings.id_bytes_max)
    return wrong(field, "is longer than " + std::to_string(settings.id_bytes_max) + " bytes");
  return {};
}

found check_instant(std::string_view field, const input_instant& at, instant now,
                    const rule_settings& settings) {
  if (!at) return wrong(field, "is not a valid RFC 3339 date and time");
  if (*at > now + settings.timestamp_ahead_ms) return wrong(field, "lies too far in the future");
  return {};
}

found check_score(std::string_view field, const std::optional<double>& score) {
  // Written so that NaN fails too.
  if (score && !(*score >= 0.0 && *score <= 1.0)) return wrong(field, "must be between 0 and 1");
  return {};
}

found check_count(std::string_view field, const std::optional<std::int32_t>& count) {
  if (count && *count < 0) return wrong(field, "must not be negative");
  return {};
}

found check_depth(std::string_view too_deep) {
  if (!too_deep.empty())
    return wrong(too_deep, "is nested deeper than " + std::to_string(document_depth_max) + " levels");
  return {};
}

bool is_present(const document& value) {
  return !value.absent() && kind_of(value.bytes) != document_kind::null;
}

found check_array(std::string_view field, const document& value) {
  if (is_present(value) && kind_of(value.bytes) != document_kind::array)
    return wrong(field, "must be a list");
  return {};
}

} // namespace

std::optional<problem> check_item(const voice_item& item, instant now, const rule_settings& settings) {
  if (auto bad = check_id("verificationId", item.verification_id, settings)) return bad;
  if (auto bad = check_instant("timestamp", item.timestamp, now, settings)) return bad;
  if (auto bad = check_score("confidenceScore", item.confidence_score)) return bad;
  if (auto bad = check_score("qualityScore", item.quality_score)) return bad;
  if (auto bad = check_count("processingTimeMs", item.processing_time_ms)) return bad;
  return check_depth(item.too_deep);
}

std::optional<problem> check_item(const behavioral_item& item, instant, const rule_settings& settings) {
  if (auto bad = check_id("sessionId", item.session_id, settings)) return bad;
  if (auto bad = check_depth(item.too_deep)) return bad;
  if (item.events.absent() || kind_of(item.events.bytes) != document_kind::array)
    return wrong("events", "must be a list");
  if (auto bad = check_count("durationMs", item.duration_ms)) return bad;
  if (auto bad = check_count("userInteractions", item.user_interactions)) return bad;
  return check_count("screenChanges", item.screen_changes);
}

std::optional<problem> check_item(const session_item& item, instant now, const rule_settings& settings) {
  if (auto bad = check_id("sessionId", item.session_id, settings)) return bad;
  if (auto bad = check_instant("startTime", item.start_time, now, settings)) return bad;
  if (item.has_end_time) {
    if (auto bad = check_instant("endTime", item.end_time, now, settings)) return bad;
    if (*item.end_time < *item.start_time) return wrong("endTime", "lies before startTime");
  }
  if (auto bad = check_count("durationMs", item.duration_ms)) return bad;
  if (auto bad = check_depth(item.too_deep)) return bad;
  return check_array("activities", item.activities);
}

std::optional<problem> check_item(const metrics_item& item, instant now, const rule_settings& settings) {
  if (auto bad = check_id("metricType", item.metric_type, settings)) return bad;
  if (!(item.value - item.value == 0)) return wrong("value", "must be a finite number");
  if (auto bad = check_instant("timestamp", item.timestamp, now, settings)) return bad;
  return check_depth(item.too_deep);
}

std::optional<problem> check_item(const edit_item& item, instant now, const rule_settings& settings) {
  if (item.operation_id)
    if (auto bad = check_id("operationId", *item.operation_id, settings)) return bad;
  if (is_record(item.in))
    return wrong("domain",
                 "has no edits: VOICE, BEHAVIORAL, SESSION and METRICS are written once, by their own lists");
  if (auto bad = check_id("entityId", item.entity_id, settings)) return bad;
  if (auto bad = check_count("baseVersion", item.base_version)) return bad;
  if (auto bad = check_depth(item.too_deep)) return bad;
  if (item.what != operation::remove) {
    if (item.data.absent()) return wrong("data", "is needed for every operation but DELETE");
    if (kind_of(item.data.bytes) != document_kind::object) return wrong("data", "must be an object");
    if (auto bad = check_size("data", item.data, settings)) return bad;
  }
  return check_instant("modifiedAt", item.modified_at, now, settings);
}

std::optional<problem> check_size(std::string_view field, const document& data,
                                  const rule_settings& settings) {
  // One byte of msgpack is at most 6 of JSON text (a control character in a string); members add a comma and
  // a colon, a number up to 24 characters for 9 bytes; and 9 bytes of number may be 2 of text. So most data
  // needs no counting.
  if (data.bytes.size() <= settings.entity_data_bytes_max / 8) return {};
  if (data.bytes.size() <= settings.entity_data_bytes_max * 5 &&
      to_json(data).size() <= settings.entity_data_bytes_max)
    return {};
  return problem{error_code::validation_error, field,
                 std::string(field) + " has more than " +
                     std::to_string(settings.entity_data_bytes_max / 1024) + " KiB of JSON text"};
}

std::size_t items_of(const upload& what) {
  return what.voice.size() + what.behavioral.size() + what.session.size() + what.metrics.size() +
         what.operations.size();
}

result<void> check_id_argument(std::string_view field, std::string_view id, const rule_settings& settings) {
  if (id.empty())
    return error{error_code::bad_user_input, std::string(field) + " must not be empty", std::string(field)};
  if (id.size() > settings.id_bytes_max)
    return error{error_code::bad_user_input,
                 std::string(field) + " is longer than " + std::to_string(settings.id_bytes_max) + " bytes",
                 std::string(field)};
  return {};
}

result<void> check_shape(const upload& what, const rule_settings& settings) {
  const auto& key = what.idempotency_key;
  bool printable = !key.empty() && key.size() <= settings.idempotency_key_bytes_max;
  for (const char c : key) printable = printable && c >= ' ' && c <= '~';
  if (!printable)
    return error{error_code::bad_user_input,
                 "idempotencyKey must be 1 to " + std::to_string(settings.idempotency_key_bytes_max) +
                     " bytes of printable ASCII",
                 "idempotencyKey"};
  if (auto bad = check_id_argument("deviceId", what.device_id, settings); !bad) return bad.failure();
  const auto items = items_of(what);
  if (items == 0) return error{error_code::payload_too_large, "the upload is empty"};
  if (items > settings.batch_items_max)
    return error{error_code::payload_too_large,
                 "the upload has more than " + std::to_string(settings.batch_items_max) + " items"};
  if (what.payload_bytes > settings.payload_bytes_max)
    return error{error_code::payload_too_large,
                 "the upload has more than " + std::to_string(settings.payload_bytes_max) + " bytes"};
  return {};
}

} // namespace mooring::sync
