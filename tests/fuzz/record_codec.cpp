// storage/codec.hpp: a row of the tables, as damaged as a disk can make it. Input: the key's length, the key,
// the value. An odd length byte means that the checksum is to be made right first, so that the decoders
// behind it are reached. What decodes encodes to a row that decodes to the same, and its documents can be
// walked.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/document.hpp"
#include "storage/codec.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::storage;

namespace {

void look_at(const document& value) {
  if (!value.absent()) MOORING_CHECK(!to_json(value).empty(), "a document that was read can be shown");
}

template<class T, class Encode, class Decode>
void again(std::string_view key, std::string_view value, Encode&& encode, Decode&& decode) {
  const result<T> read = decode(key, value);
  MOORING_CHECK(read.ok(), "what passed the check decodes");
  std::string written;
  packer out(written);
  encode(out, key, *read);
  out.finish();
  const result<T> back = decode(key, written);
  MOORING_CHECK(back.ok() && *back == *read, "a row that was read can be written and read");
}

void row(std::string_view key, std::string_view value) {
  const auto parts = check_row(key, value);
  if (!parts) {
    MOORING_CHECK(parts.failure().code == error_code::internal, "damage is ours");
    // Readers of single columns stop in time as well.
    static_cast<void>(decode_device_id(key, value));
    static_cast<void>(decode_user_id(key, value));
    static_cast<void>(decode_committed_at(key, value));
    if (const auto view = decode_entity_view(key, value); view && !view->data.empty())
      look_at(document{std::string(view->data)});
    return;
  }
  switch (parts->in) {
  case table::counters: return again<sync::tenant_counters>(key, value, encode_counters, decode_counters);
  case table::swept: return again<sync::position>(key, value, encode_swept, decode_swept);
  case table::policy: return again<sync::policy>(key, value, encode_policy, decode_policy);
  case table::user_by_name:
    return again<sync::user_number>(key, value, encode_user_by_name, decode_user_by_name);
  case table::user: return again<sync::user>(key, value, encode_user, decode_user);
  case table::device_by_name:
    return again<sync::device_number>(key, value, encode_device_by_name, decode_device_by_name);
  case table::device_by_owner: return;
  case table::device: return again<sync::device>(key, value, encode_device, decode_device);
  case table::open_conflict: return;
  case table::conflict: {
    again<sync::conflict>(key, value, encode_conflict, decode_conflict);
    const auto conflict = decode_conflict(key, value);
    look_at(conflict->server_data);
    look_at(conflict->client_data);
    return;
  }
  case table::notification: {
    again<sync::notification>(key, value, encode_notification, decode_notification);
    look_at(decode_notification(key, value)->data);
    return;
  }
  case table::analytics: return again<sync::analytics_hour>(key, value, encode_analytics, decode_analytics);
  case table::feed: return again<sync::feed_row>(key, value, encode_feed_row, decode_feed_row);
  case table::idempotency:
    return again<sync::idempotency_record>(key, value, encode_idempotency, decode_idempotency);
  case table::operation: return again<sync::operation_record>(key, value, encode_operation, decode_operation);
  case table::entity: {
    again<sync::entity>(key, value, encode_entity, decode_entity);
    const auto entity = decode_entity(key, value);
    const auto view = decode_entity_view(key, value);
    MOORING_CHECK(view.ok() && view->data == entity->data.bytes && view->at == entity->at &&
                      view->id == entity->id,
                  "both ways to read an entity agree");
    look_at(entity->data);
    return;
  }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  std::string_view in(reinterpret_cast<const char*>(bytes), length);
  if (in.empty()) return 0;
  const auto head = static_cast<unsigned char>(in.front());
  in.remove_prefix(1);
  const auto key = in.substr(0, std::min<std::size_t>(head / 2, in.size()));
  std::string value(in.substr(key.size()));
  if (head % 2 != 0 && value.size() >= 4) {
    value.resize(value.size() - 4);
    packer out(value);
    out.room(4);
    out.little32(crc32c(out.since(0), crc32c(key)));
  }
  row(key, value);
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [add](const row_key& key, auto&& encode) {
    std::string input(1, static_cast<char>(key.view().size() * 2 + 1));
    input.append(key.view());
    std::string value;
    packer out(value);
    encode(out, key.view());
    out.finish();
    input.append(value);
    add(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  };
  constexpr tenant_hash tenant = 0x1122334455667788;
  const instant now{1'759'060'800'000};
  give(keys::counters(tenant), [](auto& out, auto key) {
    encode_counters(out, key, {.tenant = "acme", .last_user = 1, .last_position = 300});
  });
  give(keys::swept(tenant), [](auto& out, auto key) { encode_swept(out, key, 300); });
  give(keys::policy(tenant, sync::domain::task), [](auto& out, auto key) { encode_policy(out, key, {}); });
  give(keys::user(tenant, 1), [](auto& out, auto key) { encode_user(out, key, {"ann", 1}); });
  give(keys::user_by_name(tenant, "ann"), [](auto& out, auto key) { encode_user_by_name(out, key, 1); });
  give(keys::device_by_name(tenant, "phone"),
       [](auto& out, auto key) { encode_device_by_name(out, key, 1); });
  give(keys::device_by_owner(tenant, 1, 1), [](auto& out, auto key) { encode_device_by_owner(out, key); });
  sync::device device;
  device.id = "phone";
  device.number = device.owner = 1;
  device.name = "Ann's phone";
  device.priority_override = -3;
  device.last_sync_at = now;
  device.push = {{std::nullopt, true, true, sync::priority::high},
                 {sync::domain::task, false, false, sync::priority::normal}};
  device.domains = {{sync::domain::task, 3, now, 2}};
  give(keys::device(tenant, 1), [&](auto& out, auto key) { encode_device(out, key, device); });
  give(keys::open_conflict(tenant, 7),
       [](auto& out, auto key) { encode_open_conflict(out, key, sync::domain::task, 0); });
  sync::conflict conflict;
  conflict.first_at = conflict.at = 7;
  conflict.id = "c7";
  conflict.entity_id = "t1";
  conflict.fields = {"state", "title"};
  conflict.server_data = *document_from_json(R"({"state":"done","tags":[1,2.5,null,true]})");
  conflict.client_data = *document_from_json(R"({"state":"open"})");
  conflict.created_at = now;
  give(keys::conflict(tenant, 7), [&](auto& out, auto key) { encode_conflict(out, key, conflict); });
  sync::notification note;
  note.id = "n8";
  note.at = 8;
  note.text = "please sync";
  note.data = *document_from_json(R"({"why":["update"]})");
  note.created_at = now;
  give(keys::notification(tenant, 8), [&](auto& out, auto key) { encode_notification(out, key, note); });
  sync::feed_row feed;
  feed.key = 9;
  for (sync::position at = 7; at < 10; ++at) {
    sync::feed_slot slot;
    slot.at = at;
    slot.id = "t" + std::to_string(at);
    slot.in = sync::domain::task;
    slot.decided_at = now + static_cast<std::int64_t>(at);
    feed.slots.push_back(slot);
  }
  give(keys::feed(tenant, 9), [&](auto& out, auto key) { encode_feed_row(out, key, feed); });
  give(keys::idempotency(tenant, 1, 1, "key"), [&](auto& out, auto key) {
    encode_idempotency(out, key, {1, 1, "key", {5, 6}, now, "answer"});
  });
  give(keys::operation(tenant, 1, 1, "op"), [&](auto& out, auto key) {
    encode_operation(out, key, {1, 1, "op", {5, 6}, now, "outcome"});
  });
  sync::entity entity;
  entity.in = sync::domain::task;
  entity.id = "t1";
  entity.version = 300;
  entity.data = *document_from_json(R"({"title":"Fix it","parts":{"a":[1,-5,3e10],"b":null}})");
  entity.modified_at = now;
  entity.updated_at = now + 5;
  entity.at = 9;
  give(keys::entity(tenant, entity.in, 0, "t1"),
       [&](auto& out, auto key) { encode_entity(out, key, entity); });
  entity.first_device = 2;
  entity.first_modified_at = now + (-70'000);
  entity.fields = {{"title", 299, now, 2, {{1, 77}, {250, 0}}}};
  give(keys::entity(tenant, entity.in, 0, "t1"),
       [&](auto& out, auto key) { encode_entity(out, key, entity); });
}
