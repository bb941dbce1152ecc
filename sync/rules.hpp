// THE RULES: what a node does with a command. Pure: (store, command, time) → (writes, answer). No I/O, no clock.
//
// Each function returns a `decision`. A failure is a refused request: no writes, and it is not remembered. The
// caller makes the writes durable as one atomic batch and only then sends the answer.
// Source of every rule: domain.md.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.hpp"
#include "sync/answers.hpp"
#include "sync/commands.hpp"
#include "sync/store.hpp"

namespace mooring::sync {

// Configurable parts of the rules.
struct rule_settings {
  std::int64_t idempotency_window_ms = 24 * 3600 * 1000;
  // tombstones, closed conflicts, notifications
  std::int64_t retention_ms = std::int64_t{30} * 24 * 3600 * 1000;
  std::int64_t clock_skew_ms = 5 * 60 * 1000; // modifiedAt further ahead counts as the server's now
  std::int64_t timestamp_ahead_ms = std::int64_t{24} * 3600 * 1000; // further ahead is invalid
  std::size_t batch_items_max = 1000;
  std::size_t payload_bytes_max = 10 * 1024 * 1024;
  std::size_t id_bytes_max = 128;
  std::size_t idempotency_key_bytes_max = 255;
  std::size_t entity_data_bytes_max = 256 * 1024; // of the data's JSON text
  // Which domains are shared by the tenant; the others are private to their user. Indexed by domain.
  std::array<bool, domain_count> shared = {false, false, false, false, false, true, true, true, true};
};

template<class Answer> struct decision {
  Answer answer;
  write_list writes;     // empty: nothing to commit (a replay, a no-op)
  position first_at = 0; // the feed positions this decision made, 0 when none
  position last_at = 0;
};

result<decision<upload_answer>> apply_upload(store&, const caller&, const upload&, instant now,
                                             const rule_settings&);
result<decision<resolution_answer>> apply_resolution(store&, const caller&, const resolve_conflict&,
                                                     instant now, const rule_settings&);
result<decision<device>> apply_registration(store&, const caller&, const register_device&, instant now,
                                            const rule_settings&);
result<decision<bool>> apply_deactivation(store&, const caller&, const deactivate_device&, instant now,
                                          const rule_settings&);
result<decision<bool>> apply_acknowledgement(store&, const caller&, const acknowledge&, instant now,
                                             const rule_settings&);
result<decision<policy>> apply_policy(store&, const caller&, const set_conflict_policy&, instant now,
                                      const rule_settings&);
result<decision<push_answer>> apply_push_subscription(store&, const caller&, const set_push_subscription&,
                                                      instant now, const rule_settings&);
// These two answer what.devices, or 0 when there is nobody.
result<decision<std::int32_t>> apply_trigger(store&, const caller&, const trigger_sync&, instant now,
                                             const rule_settings&);
result<decision<std::int32_t>> apply_broadcast(store&, const caller&, const broadcast&, instant now,
                                               const rule_settings&);

// True when `who` may use this device id: own or unknown, active, and the one of the token when it names one.
// FORBIDDEN or DEVICE_DEACTIVATED otherwise.
result<void> check_device(store&, const caller&, std::string_view device_id);

// What was set for the domain, else its default. REQUIRES: !is_record(in)
policy effective_policy(store&, domain in);

// The identity of a METRICS record, `metricType` + `timestamp` + device, as one id: the time, the bytes of the type (so
// that the parts cannot run into each other whatever is in them), the type, the device:
// `2025-09-28T12:00:00.123Z/10/heart_rate/phone-1`. At most 286 bytes; what was measured together lies together.
std::string metric_id(std::string_view metric_type, instant timestamp, std::string_view device_id);

} // namespace mooring::sync
