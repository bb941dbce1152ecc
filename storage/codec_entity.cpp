// Entities.
#include "storage/codec.hpp"

#include "storage/row_value.hpp"

namespace mooring::storage {

namespace {

constexpr std::size_t record_elements = 9;
constexpr std::size_t edited_elements = 12; // with who changed which field

bool has_history(const sync::entity& entity) {
  return entity.first_device != 0 || entity.first_modified_at != instant{} || !entity.fields.empty();
}

// The part that records and entities share.
void read_entity_head(unpacker& from, entity_view& entity, std::int32_t& run_start) {
  entity.version = from.integer_as<std::int32_t>();
  entity.deleted = from.boolean();
  entity.data = from.bin();
  entity.modified_at = {from.integer()};
  entity.updated_at = sum(entity.modified_at, from.integer());
  entity.device = from.number32();
  entity.user = from.number32();
  run_start = from.integer_as<std::int32_t>();
  entity.at = from.number();
  if (!entity.data.empty() && !is_whole_document(entity.data)) from.fail();
}

} // namespace

void encode_entity(packer& out, std::string_view key, const sync::entity& entity) {
  const bool history = has_history(entity);
  std::size_t bytes = 3 + head_bytes + entity.data.bytes.size() + 9 * number_bytes + head_bytes;
  if (history)
    for (const auto& field : entity.fields)
      bytes += 2 * head_bytes + 1 + field.name.size() + (3 + 2 * field.history.size()) * number_bytes;
  sealed_value seal(out, key, bytes);
  out.array(history ? edited_elements : record_elements);
  out.integer(entity.version);
  out.boolean(entity.deleted);
  out.bin(entity.data.bytes);
  out.integer(entity.modified_at.ms);
  out.integer(difference(entity.updated_at, entity.modified_at));
  out.number(entity.device);
  out.number(entity.user);
  out.integer(entity.run_start);
  out.number(entity.at);
  if (!history) return;
  out.number(entity.first_device);
  out.integer(difference(entity.modified_at, entity.first_modified_at));
  out.array(entity.fields.size());
  for (const auto& field : entity.fields) {
    out.array(5);
    out.string(field.name);
    out.integer(field.version);
    out.integer(difference(entity.modified_at, field.modified_at));
    out.number(field.device);
    out.array(field.history.size() * 2);
    for (const auto& [version, hash] : field.history) {
      out.integer(version);
      out.number(hash);
    }
  }
}

result<sync::entity> decode_entity(std::string_view key, std::string_view value) {
  return decode<sync::entity>(key, value, table::entity,
                              [](unpacker& from, const key_parts& parts, sync::entity& entity) {
                                const auto elements = from.array();
                                if (elements != record_elements && elements != edited_elements) from.fail();
                                entity_view head;
                                read_entity_head(from, head, entity.run_start);
                                if (!from.ok()) return;
                                entity.in = parts.domain;
                                entity.owner = parts.user;
                                entity.id = parts.id;
                                entity.version = head.version;
                                entity.deleted = head.deleted;
                                entity.data.bytes = head.data;
                                entity.modified_at = head.modified_at;
                                entity.updated_at = head.updated_at;
                                entity.device = head.device;
                                entity.user = head.user;
                                entity.at = head.at;
                                if (elements == record_elements) return;
                                // x - (x - y) is y, also where the subtraction wraps.
                                const auto before = [&](std::int64_t ms) {
                                  return instant{difference(static_cast<std::uint64_t>(entity.modified_at.ms),
                                                            static_cast<std::uint64_t>(ms))};
                                };
                                entity.first_device = from.number32();
                                entity.first_modified_at = before(from.integer());
                                const auto fields = from.array();
                                entity.fields.reserve(fields);
                                for (std::size_t i = 0; i < fields && from.ok(); ++i) {
                                  auto& field = entity.fields.emplace_back();
                                  expect_array(from, 5);
                                  field.name = from.string();
                                  field.version = from.integer_as<std::int32_t>();
                                  field.modified_at = before(from.integer());
                                  field.device = from.number32();
                                  const auto numbers = from.array();
                                  if (numbers % 2 != 0) from.fail();
                                  field.history.reserve(numbers / 2);
                                  for (std::size_t n = 0; n + 1 < numbers && from.ok(); n += 2) {
                                    const auto version = from.integer_as<std::int32_t>();
                                    field.history.emplace_back(version, from.number());
                                  }
                                }
                              });
}

result<entity_view> decode_entity_view(std::string_view key, std::string_view value) {
  const auto parts = parse_key(key);
  if (!parts || parts->in != table::entity) return row_error(key, "not a key of this table");
  const auto opened = open_value(key, value, table::entity);
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  const auto elements = from.array();
  if (elements != record_elements && elements != edited_elements) from.fail();
  entity_view entity;
  std::int32_t run_start = 0;
  read_entity_head(from, entity, run_start);
  if (!from.ok()) return row_error(key, "the value has another shape than its version");
  entity.in = parts->domain;
  entity.owner = parts->user;
  entity.id = parts->id;
  return entity;
}

entity_view view_of(const sync::entity& entity) {
  return {.in = entity.in,
          .owner = entity.owner,
          .id = entity.id,
          .version = entity.version,
          .deleted = entity.deleted,
          .data = entity.data.bytes,
          .modified_at = entity.modified_at,
          .updated_at = entity.updated_at,
          .device = entity.device,
          .user = entity.user,
          .at = entity.at};
}

} // namespace mooring::storage
