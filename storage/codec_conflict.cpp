// Conflicts and notifications.
#include "storage/codec.hpp"

#include "storage/row_value.hpp"

namespace mooring::storage {

namespace {

std::string conflict_id(sync::position first_at) {
  return "c" + std::to_string(first_at);
}
std::string notification_id(sync::position at) {
  return "n" + std::to_string(at);
}

} // namespace

void encode_open_conflict(packer& out, std::string_view key, sync::domain in, sync::user_number owner) {
  sealed_value seal(out, key, 1 + 2 * number_bytes);
  out.array(2);
  out.number(number_of_enum(in));
  out.number(owner);
}

result<open_conflict_row> decode_open_conflict(std::string_view key, std::string_view value) {
  return decode<open_conflict_row>(key, value, table::open_conflict,
                                   [](unpacker& from, const key_parts&, open_conflict_row& row) {
                                     expect_array(from, 2);
                                     row.in = from.one_of(sync::domain::work_order);
                                     row.owner = from.number32();
                                   });
}

void encode_conflict(packer& out, std::string_view key, const sync::conflict& conflict) {
  MOORING_CHECK(conflict.id == conflict_id(conflict.first_at), "a conflict's id tells its first position");
  std::size_t names = 0;
  for (const auto& field : conflict.fields) names += field.size() + head_bytes;
  sealed_value seal(out, key,
                    3 + 8 * head_bytes + 16 * number_bytes + conflict.entity_id.size() + head_bytes + names +
                        conflict.server_data.bytes.size() + conflict.client_data.bytes.size() +
                        conflict.device_id.size() + conflict.server_device_id.size() +
                        conflict.resolved_by.size() + conflict.notes.size());
  out.array(24);
  out.number(number_of_enum(conflict.in));
  out.number(conflict.owner);
  out.string(conflict.entity_id);
  out.integer(conflict.server_version);
  out.integer(conflict.client_version);
  out.array(conflict.fields.size());
  for (const auto& field : conflict.fields) out.string(field);
  out.number(number_of_enum(conflict.by));
  out.number(number_of_enum(conflict.status));
  out.number(number_of_enum(conflict.winner));
  out.bin(conflict.server_data.bytes);
  out.bin(conflict.client_data.bytes);
  out.number(number_of_enum(conflict.client_operation));
  out.integer(conflict.client_modified_at.ms);
  out.number(number_of_enum(conflict.client_priority));
  out.string(conflict.device_id);
  out.number(conflict.device);
  out.number(conflict.user);
  out.string(conflict.server_device_id);
  out.integer(conflict.created_at.ms);
  if (conflict.resolved_at)
    out.integer(conflict.resolved_at->ms);
  else
    out.nil();
  out.string(conflict.resolved_by);
  out.string(conflict.notes);
  out.integer(conflict.resolved_version);
  out.number(conflict.at);
}

result<sync::conflict> decode_conflict(std::string_view key, std::string_view value) {
  return decode<sync::conflict>(key, value, table::conflict,
                                [](unpacker& from, const key_parts& parts, sync::conflict& conflict) {
                                  expect_array(from, 24);
                                  conflict.first_at = parts.at;
                                  conflict.id = conflict_id(parts.at);
                                  conflict.in = from.one_of(sync::domain::work_order);
                                  conflict.owner = from.number32();
                                  conflict.entity_id = from.string();
                                  conflict.server_version = from.integer_as<std::int32_t>();
                                  conflict.client_version = from.integer_as<std::int32_t>();
                                  const auto fields = from.array();
                                  conflict.fields.reserve(fields);
                                  for (std::size_t i = 0; i < fields; ++i)
                                    conflict.fields.emplace_back(from.string());
                                  conflict.by = from.one_of(sync::strategy::manual);
                                  conflict.status = from.one_of(sync::conflict_status::resolved);
                                  conflict.winner = from.one_of(sync::conflict_side::merged);
                                  conflict.server_data = read_document(from);
                                  conflict.client_data = read_document(from);
                                  conflict.client_operation = from.one_of(sync::operation::sync);
                                  conflict.client_modified_at = {from.integer()};
                                  conflict.client_priority = from.one_of(sync::priority::critical);
                                  conflict.device_id = from.string();
                                  conflict.device = from.number32();
                                  conflict.user = from.number32();
                                  conflict.server_device_id = from.string();
                                  conflict.created_at = {from.integer()};
                                  if (from.next_is_nil())
                                    from.nil();
                                  else
                                    conflict.resolved_at = instant{from.integer()};
                                  conflict.resolved_by = from.string();
                                  conflict.notes = from.string();
                                  conflict.resolved_version = from.integer_as<std::int32_t>();
                                  conflict.at = from.number();
                                });
}

void encode_notification(packer& out, std::string_view key, const sync::notification& told) {
  MOORING_CHECK(told.id == notification_id(told.at), "a notification's id tells its position");
  sealed_value seal(out, key,
                    1 + 6 * number_bytes + 2 * head_bytes + told.text.size() + told.data.bytes.size());
  out.array(8);
  out.number(number_of_enum(told.kind));
  out.number(told.owner);
  out.number(told.only_device);
  out.number(told.domains);
  out.string(told.text);
  out.bin(told.data.bytes);
  out.number(number_of_enum(told.urgency));
  out.integer(told.created_at.ms);
}

result<sync::notification> decode_notification(std::string_view key, std::string_view value) {
  return decode<sync::notification>(key, value, table::notification,
                                    [](unpacker& from, const key_parts& parts, sync::notification& told) {
                                      expect_array(from, 8);
                                      told.at = parts.at;
                                      told.id = notification_id(parts.at);
                                      told.kind = from.one_of(sync::notification_kind::message);
                                      told.owner = from.number32();
                                      told.only_device = from.number32();
                                      told.domains = from.integer_as<sync::domain_set>();
                                      if (told.domains > sync::all_domains) from.fail();
                                      told.text = from.string();
                                      told.data = read_document(from);
                                      told.urgency = from.one_of(sync::priority::critical);
                                      told.created_at = {from.integer()};
                                    });
}

} // namespace mooring::storage
