// A tenant whose tables agree with each other, for the tests of queries and of the check.
#pragma once

#include <string>

#include "sync/answer_codec.hpp"
#include "sync/store.hpp"

namespace mooring::storage::test {

inline constexpr instant sample_time{1'759'060'800'000}; // 2025-09-28T12:00:00Z

inline document text_object(const std::string& text) {
  document_writer out;
  out.begin_object(1);
  out.key("text");
  out.string(text);
  return out.take();
}

inline sync::entity sample_entity(sync::domain in, sync::user_number owner, std::string id,
                                  sync::position at) {
  sync::entity made;
  made.in = in;
  made.owner = owner;
  made.id = std::move(id);
  made.data = text_object(made.id);
  made.modified_at = sample_time;
  made.updated_at = sample_time + 5;
  made.device = 1;
  made.user = 1;
  made.at = at;
  return made;
}

inline sync::feed_slot slot_of(const sync::entity& entity) {
  return {.at = entity.at,
          .kind = sync::slot_kind::entity,
          .in = entity.in,
          .owner = entity.owner,
          .id = entity.id,
          .device = entity.device,
          .what = entity.deleted ? sync::operation::remove : sync::operation::sync,
          .urgency = sync::priority::normal,
          .expires = entity.deleted,
          .decided_at = entity.updated_at};
}

inline sync::conflict sample_conflict(sync::position first_at, sync::position at, sync::user_number owner,
                                      sync::conflict_status status) {
  sync::conflict made;
  made.first_at = first_at;
  made.at = at;
  made.id = "c" + std::to_string(first_at);
  made.in = owner == 0 ? sync::domain::task : sync::domain::journal;
  made.owner = owner;
  made.entity_id = "t1";
  made.server_version = 1;
  made.client_version = 1;
  made.fields = {"text"};
  made.status = status;
  if (status == sync::conflict_status::resolved) {
    made.winner = sync::conflict_side::server;
    made.resolved_at = sample_time;
    made.resolved_by = "ann";
  }
  made.server_data = text_object("server");
  made.client_data = text_object("client");
  made.device_id = "phone-a";
  made.device = 1;
  made.user = 1;
  made.created_at = sample_time;
  return made;
}

inline sync::feed_slot slot_of(const sync::conflict& conflict) {
  return {.at = conflict.at,
          .kind = sync::slot_kind::conflict,
          .in = conflict.in,
          .owner = conflict.owner,
          .id = conflict.id,
          .device = conflict.device,
          .what = sync::operation::sync,
          .urgency = sync::priority::critical,
          .expires = conflict.status == sync::conflict_status::resolved,
          .decided_at = conflict.created_at};
}

inline sync::device sample_device(std::string id, sync::device_number number, sync::user_number owner) {
  sync::device made;
  made.id = std::move(id);
  made.number = number;
  made.owner = owner;
  made.type = sync::device_type::phone;
  made.registered_at = sample_time;
  return made;
}

inline std::string sample_answer(std::string key) {
  sync::upload_answer made;
  made.idempotency_key = std::move(key);
  made.server_timestamp = sample_time;
  return sync::pack_answer(made);
}

// Users 1 ann and 2 bob; devices 1 phone-a and 2 tablet-a of ann, 3 phone-b of bob. Feed, in three rows:
//   2 voice v1 of ann, 3 task t1 | 5 journal j1 of ann, 6 journal j2 of bob, 7 conflict c7 (open, shared)
//   9 task t2 (tombstone), 10 conflict c8 of ann (closed at 10), 11 conflict c11 of bob (open), 12 a
//   notification
inline sync::write_list sample_tenant(const std::string& name) {
  using sync::domain;
  const auto v1 = sample_entity(domain::voice, 1, "v1", 2);
  auto t1 = sample_entity(domain::task, 0, "t1", 3);
  t1.version = 3;
  t1.first_device = 1;
  t1.first_modified_at = sample_time;
  t1.fields = {{"text", 2, sample_time, 3, {{1, 77}}}};
  const auto j1 = sample_entity(domain::journal, 1, "j1", 5);
  auto j2 = sample_entity(domain::journal, 2, "j2", 6);
  j2.device = 3;
  j2.user = 2;
  auto t2 = sample_entity(domain::task, 0, "t2", 9);
  t2.deleted = true;
  t2.data = {};
  const auto c7 = sample_conflict(7, 7, 0, sync::conflict_status::open);
  const auto c8 = sample_conflict(8, 10, 1, sync::conflict_status::resolved);
  const auto c11 = sample_conflict(11, 11, 2, sync::conflict_status::open);
  sync::feed_slot note;
  note.at = 12;
  note.kind = sync::slot_kind::notification;
  note.id = "n12";
  note.expires = true;
  note.decided_at = sample_time;
  sync::notification told;
  told.id = "n12";
  told.text = "hello";
  told.created_at = sample_time;
  told.at = 12;
  sync::analytics_hour hour;
  hour.hour = sync::hour_of(sample_time);
  hour.requests = 3;
  hour.succeeded = 2;
  hour.duration_sum_us = 3'000;
  hour.durations[sync::analytics_hour::bucket_of(1'000)] = 3;
  hour.devices.add("phone-a");
  const digest128 digest{1, 2};
  return {sync::tenant_counters{name, 2, 3, 12},
          sync::put_swept_position{1},
          sync::user{"ann", 1},
          sync::user{"bob", 2},
          sample_device("phone-a", 1, 1),
          sample_device("tablet-a", 2, 1),
          sample_device("phone-b", 3, 2),
          sync::policy{domain::task, sync::strategy::manual, false, true},
          sync::policy{domain::journal, sync::strategy::merge, true, false},
          v1,
          t1,
          j1,
          j2,
          t2,
          c7,
          c8,
          c11,
          told,
          hour,
          sync::feed_row{4, {slot_of(v1), slot_of(t1)}},
          sync::feed_row{8, {slot_of(j1), slot_of(j2), slot_of(c7)}},
          sync::feed_row{12, {slot_of(t2), slot_of(c8), slot_of(c11), note}},
          sync::idempotency_record{1, 1, "key-1", digest, sample_time, sample_answer("key-1")},
          sync::idempotency_record{1, 1, "key-2", digest, sample_time + 1000, sample_answer("key-2")},
          sync::idempotency_record{2, 3, "key-1", digest, sample_time + 2000, sample_answer("key-1")},
          sync::operation_record{1, 1, "op-1", digest, sample_time, sync::pack_item({})}};
}

} // namespace mooring::storage::test
