// What a device or a person asks for, after the shape of the request was checked: plain values.
//
// Values inside are still as the client sent them: ids may be too long, scores out of range, instants no instants.
// The rules check them item by item (domain.md, "Validation is per item").
//
// `too_deep`, in each item: the name ("metadata", "data", …) of a JSON field that nests deeper than
// document_depth_max and therefore is no document; that field is absent then, and the item gets its VALIDATION_ERROR.
// Empty in all others. It keeps one such item from sinking its batch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/document.hpp"
#include "base/hash.hpp"
#include "base/time.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

// From the verified token, never from the request.
struct caller {
  std::string tenant;
  std::string user;
  std::optional<std::string> device; // when the token names one, only that device id may be used
  bool is_admin = false;             // role `admin`: administers the tenant
  bool is_operator = false;          // role `operator`: the node
};

// A DateTime that was a string, but perhaps no instant.
using input_instant = std::optional<instant>;

struct voice_item {
  std::string verification_id;
  input_instant timestamp;
  bool verified = false;
  std::optional<double> confidence_score, quality_score;
  std::optional<std::int32_t> processing_time_ms;
  document metadata;
  std::string too_deep;
};

struct behavioral_item {
  std::string session_id;
  document events; // an array
  std::int32_t duration_ms = 0;
  std::optional<std::int32_t> user_interactions, screen_changes;
  document metadata;
  std::string too_deep;
};

struct session_item {
  std::string session_id;
  input_instant start_time;
  // an end time was given and not null; end_time is then empty when it is no instant
  bool has_end_time = false;
  input_instant end_time;
  std::optional<std::int32_t> duration_ms;
  document activities; // an array, or absent
  document metadata;
  std::string too_deep;
};

struct metrics_item {
  std::string metric_type;
  double value = 0;
  std::optional<std::string> unit;
  input_instant timestamp;
  document tags;
  std::string too_deep;
};

struct edit_item {
  std::optional<std::string> operation_id;
  domain in = domain::task; // may be a record domain: then a VALIDATION_ERROR
  operation what = operation::sync;
  std::string entity_id;
  std::optional<std::int32_t> base_version;
  document data; // absent when not given or null
  input_instant modified_at;
  priority urgency = priority::normal;
  std::string too_deep;
};

enum class upload_kind : std::uint8_t { voice = 0, operations = 1, batch = 2 };

// syncVoiceData, syncOperations and syncBatch. A list that the batch did not give has its flag false.
struct upload {
  upload_kind kind = upload_kind::batch;
  std::string idempotency_key;
  std::string device_id;
  digest128 request; // of mutation and arguments
  std::uint64_t payload_bytes = 0;
  bool has_voice = false, has_behavioral = false, has_session = false, has_metrics = false,
       has_operations = false;
  std::vector<voice_item> voice;
  std::vector<behavioral_item> behavioral;
  std::vector<session_item> session;
  std::vector<metrics_item> metrics;
  std::vector<edit_item> operations;
  document metadata; // of the batch; kept nowhere, part of the request's identity
};

struct resolve_conflict {
  std::string conflict_id;
  strategy by = strategy::manual;
  std::string chosen_version; // "client", "server", "merged"; others are BAD_USER_INPUT
  document merge_data;
  std::optional<std::string> notes;
};

struct register_device {
  std::string device_id;
  device_type type = device_type::other;
  std::optional<std::string> name, os_type, os_version, app_version;
  std::optional<std::int32_t> priority;
};

struct deactivate_device {
  std::string device_id; // the caller's own, or any of the tenant for an admin
};

struct acknowledge {
  std::string device_id;
  cursor upto;
};

struct set_conflict_policy {
  policy value;
};

struct set_push_subscription {
  std::string device_id;
  push_setting setting; // replaces the one of the same domain
};

// The two below are an administrator's. `devices` is how many they are meant for, counted by a query (count_devices)
// just before; it is what they answer. 0: there is nobody, and nothing is written.
struct trigger_sync {
  domain_set domains = 0;
  std::optional<std::string> user_id; // nothing: every user
  std::string reason;
  std::int32_t devices = 0;
};

struct broadcast {
  std::string message;
  document data; // may be absent
  priority urgency = priority::normal;
  std::optional<std::string> user_id, device_id; // nothing: every user, every device
  std::int32_t devices = 0;
};

} // namespace mooring::sync
