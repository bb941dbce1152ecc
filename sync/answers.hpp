// What the rules answer: the result types of schema.graphql as plain structs, field for field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

struct item_error { // SyncErrorType
  error_code code = error_code::validation_error;
  std::string message;
  std::optional<std::string> field;
  std::optional<std::string> item_id;
  document details; // absent: null
  bool operator==(const item_error&) const = default;
};

struct item_result { // SyncItemResultType
  std::string item_id;
  std::optional<std::string> operation_id;
  bool success = true;
  std::optional<std::int32_t> version;
  bool duplicate = false;
  bool conflict_detected = false;
  std::optional<std::string> conflict_id;
  std::optional<item_error> failure;
  bool operator==(const item_result&) const = default;
};

struct sync_metrics { // SyncMetricsType
  std::int32_t total_items = 0;
  std::int32_t synced_items = 0;
  std::int32_t failed_items = 0;
  std::int32_t conflicts_detected = 0;
  double duration_ms = 0; // filled in by the actor at the commit; 0 in what the rules return
  std::optional<std::int64_t> bandwidth_bytes;
  std::optional<double> cache_hit_rate;
  bool operator==(const sync_metrics&) const = default;
};

struct section_answer { // SyncResponseType, without what it shares with the whole answer
  std::int32_t synced_items = 0;
  std::int32_t failed_items = 0;
  std::vector<item_result> items;
  std::vector<conflict> conflicts;
  std::vector<item_error> errors;
  sync_metrics metrics;
  bool success() const { return failed_items == 0; }
  bool operator==(const section_answer&) const = default;
};

struct upload_answer { // SyncResponseType (one section) or SyncBatchResponseType
  std::optional<section_answer> voice, behavioral, session, metrics, operations;
  sync_metrics overall;
  std::vector<std::string> warnings;
  instant server_timestamp;
  std::string idempotency_key;
  bool replayed = false;
  bool success() const { return overall.failed_items == 0; }
  bool operator==(const upload_answer&) const = default;
};

struct resolution_answer { // ConflictResolutionResponseType
  bool success = true;
  std::string conflict_id;
  std::string result; // "resolved", "already_resolved", "failed"
  conflict_side winner = conflict_side::none;
  std::optional<std::int32_t> version;
  document merge_details;
  std::optional<std::string> message;
  std::optional<item_error> failure;
};

struct push_answer { // PushSubscriptionType
  std::string device_id;
  push_setting setting;
};

} // namespace mooring::sync
