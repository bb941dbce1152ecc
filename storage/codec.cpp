#include "storage/codec.hpp"

#include <algorithm>
#include <charconv>
#include <type_traits>

namespace mooring::storage {

namespace {

constexpr std::size_t checksum_bytes = 4;
constexpr std::size_t number_bytes = 9; // the longest msgpack number
constexpr std::size_t head_bytes = 5;   // the longest head of a string, bin or array
constexpr std::size_t table_at = 9;     // where a key says its table

// The difference of two 64-bit values, whatever they are: decoding adds it back.
std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}
std::int64_t difference(instant a, instant b) {
  return difference(static_cast<std::uint64_t>(a.ms), static_cast<std::uint64_t>(b.ms));
}
std::uint64_t sum(std::uint64_t a, std::int64_t b) {
  return a + static_cast<std::uint64_t>(b);
}
instant sum(instant a, std::int64_t ms) {
  return {static_cast<std::int64_t>(sum(static_cast<std::uint64_t>(a.ms), ms))};
}

template<class Enum> std::uint64_t number_of_enum(Enum value) {
  return static_cast<std::uint64_t>(value);
}

// The version before the body and the checksum after it.
class sealed_value {
 public:
  sealed_value(packer& out, std::string_view key, std::size_t body_bytes_max)
      : out_(out)
      , key_(key) {
    out.room(body_bytes_max + record_overhead_bytes);
    start_ = out.size();
    out.byte(record_version(static_cast<table>(key[table_at])));
  }
  ~sealed_value() { out_.little32(crc32c(out_.since(start_), crc32c(key_))); }
  sealed_value(const sealed_value&) = delete;
  sealed_value& operator=(const sealed_value&) = delete;

 private:
  packer& out_;
  std::string_view key_;
  std::size_t start_ = 0;
};

error row_error(std::string_view key, std::string_view what) {
  const auto parts = parse_key(key);
  std::string message = parts ? std::string(to_string(parts->in)) : std::string("unknown");
  message.append(" row ").append(to_hex(key)).append(": ").append(what);
  return error{error_code::internal, std::move(message)};
}

struct opened_value {
  std::uint8_t version;
  std::string_view body;
};

// The body of a value whose checksum is right and whose version is known. REQUIRES: the key is one of `in`.
result<opened_value> open_value(std::string_view key, std::string_view value, table in) {
  if (value.size() < record_overhead_bytes + 1) return row_error(key, "too short");
  const auto covered = value.substr(0, value.size() - checksum_bytes);
  const auto* stored = reinterpret_cast<const unsigned char*>(value.data() + covered.size());
  const auto expected = static_cast<std::uint32_t>(stored[0]) | static_cast<std::uint32_t>(stored[1]) << 8 |
                        static_cast<std::uint32_t>(stored[2]) << 16 |
                        static_cast<std::uint32_t>(stored[3]) << 24;
  // The checksum stands in the same place in every version, so damage is never mistaken for a newer version.
  if (crc32c(covered, crc32c(key)) != expected) return row_error(key, "the checksum does not match");
  const auto version = static_cast<unsigned char>(value[0]);
  if (version > record_version(in))
    return row_error(key, "written by a newer version of mooring (record format " + std::to_string(version) +
                              ", this one knows up to " + std::to_string(record_version(in)) + ")");
  if (version == 0) return row_error(key, "record format 0 does not exist");
  return opened_value{version, covered.substr(1)};
}

// Opens the value, checks that the key is one of `in`, and has `read(unpacker&, const key_parts&, T&)` read
// the body; with the record's version before them when it asks for it.
template<class T, class Read>
result<T> decode(std::string_view key, std::string_view value, table in, Read&& read) {
  const auto parts = parse_key(key);
  if (!parts || parts->in != in) return row_error(key, "not a key of this table");
  const auto opened = open_value(key, value, in);
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  result<T> out{T{}};
  if constexpr (std::is_invocable_v<Read, std::uint8_t, unpacker&, const key_parts&, T&>)
    read(opened->version, from, *parts, *out);
  else
    read(from, *parts, *out);
  if (!from.whole()) return row_error(key, "the value has another shape than its version");
  return out;
}

void expect_array(unpacker& from, std::size_t elements) {
  if (from.array() != elements) from.fail();
}

document read_document(unpacker& from) {
  const auto bytes = from.bin();
  if (!bytes.empty() && !is_whole_document(bytes)) from.fail();
  return document{std::string(bytes)};
}

void write_optional(packer& out, const std::optional<std::string>& value) {
  if (value)
    out.string(*value);
  else
    out.nil();
}
std::optional<std::string> read_optional_string(unpacker& from) {
  if (from.next_is_nil()) return from.nil(), std::nullopt;
  return std::string(from.string());
}
std::size_t optional_bytes(const std::optional<std::string>& value) {
  return head_bytes + (value ? value->size() : 0);
}

void write_digest(packer& out, const digest128& digest) {
  out.byte(0xc4); // bin 8
  out.byte(16);
  out.big64(digest.high);
  out.big64(digest.low);
}
digest128 read_digest(unpacker& from) {
  const auto bytes = from.bin();
  if (bytes.size() != 16) return from.fail(), digest128{};
  const auto big = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  };
  return {.low = big(8), .high = big(0)};
}

std::string conflict_id(sync::position first_at) {
  return "c" + std::to_string(first_at);
}
std::string notification_id(sync::position at) {
  return "n" + std::to_string(at);
}

} // namespace

// ── counters, swept position, policies ──

void encode_counters(packer& out, std::string_view key, const sync::tenant_counters& counters) {
  sealed_value seal(out, key, 1 + head_bytes + counters.tenant.size() + 3 * number_bytes);
  out.array(4);
  out.string(counters.tenant);
  out.number(counters.last_user);
  out.number(counters.last_device);
  out.number(counters.last_position);
}

result<sync::tenant_counters> decode_counters(std::string_view key, std::string_view value) {
  return decode<sync::tenant_counters>(key, value, table::counters,
                                       [](unpacker& from, const key_parts&, sync::tenant_counters& counters) {
                                         expect_array(from, 4);
                                         counters.tenant = from.string();
                                         counters.last_user = from.number32();
                                         counters.last_device = from.number32();
                                         counters.last_position = from.number();
                                       });
}

void encode_swept(packer& out, std::string_view key, sync::position upto) {
  sealed_value seal(out, key, 1 + number_bytes);
  out.array(1);
  out.number(upto);
}

result<sync::position> decode_swept(std::string_view key, std::string_view value) {
  return decode<sync::position>(key, value, table::swept,
                                [](unpacker& from, const key_parts&, sync::position& upto) {
                                  expect_array(from, 1);
                                  upto = from.number();
                                });
}

void encode_policy(packer& out, std::string_view key, const sync::policy& policy) {
  sealed_value seal(out, key, 4);
  out.array(3);
  out.number(number_of_enum(policy.resolution));
  out.boolean(policy.auto_resolve);
  out.boolean(policy.notify_on_conflict);
}

result<sync::policy> decode_policy(std::string_view key, std::string_view value) {
  return decode<sync::policy>(key, value, table::policy,
                              [](unpacker& from, const key_parts& parts, sync::policy& policy) {
                                expect_array(from, 3);
                                policy.in = parts.domain;
                                policy.resolution = from.one_of(sync::strategy::manual);
                                policy.auto_resolve = from.boolean();
                                policy.notify_on_conflict = from.boolean();
                              });
}

// ── users and devices ──

void encode_user(packer& out, std::string_view key, const sync::user& user) {
  sealed_value seal(out, key, 1 + head_bytes + user.id.size());
  out.array(1);
  out.string(user.id);
}

result<sync::user> decode_user(std::string_view key, std::string_view value) {
  return decode<sync::user>(key, value, table::user,
                            [](unpacker& from, const key_parts& parts, sync::user& user) {
                              expect_array(from, 1);
                              user.id = from.string();
                              user.number = parts.user;
                            });
}

void encode_user_by_name(packer& out, std::string_view key, sync::user_number number) {
  sealed_value seal(out, key, 1 + number_bytes);
  out.array(1);
  out.number(number);
}

result<sync::user_number> decode_user_by_name(std::string_view key, std::string_view value) {
  return decode<sync::user_number>(key, value, table::user_by_name,
                                   [](unpacker& from, const key_parts&, sync::user_number& number) {
                                     expect_array(from, 1);
                                     number = from.number32();
                                   });
}

namespace {

constexpr std::size_t device_elements_1 = 15; // in format 1
constexpr std::size_t device_elements = 17;
constexpr std::size_t domain_state_elements = 4;

std::uint64_t pack_push_setting(const sync::push_setting& setting) {
  return (setting.in ? number_of_enum(*setting.in) + 1 : 0) |
         static_cast<std::uint64_t>(setting.active) << 4 |
         static_cast<std::uint64_t>(setting.battery_saver) << 5 | number_of_enum(setting.least) << 6;
}
bool unpack_push_setting(std::uint64_t packed, sync::push_setting& setting) {
  if (packed >> 8 != 0 || (packed & 15) > sync::domain_count || packed >> 6 > 2) return false;
  if ((packed & 15) != 0) setting.in = static_cast<sync::domain>((packed & 15) - 1);
  setting.active = (packed >> 4 & 1) != 0;
  setting.battery_saver = (packed >> 5 & 1) != 0;
  setting.least = static_cast<sync::priority>(packed >> 6);
  return true;
}

} // namespace

void encode_device(packer& out, std::string_view key, const sync::device& device) {
  sealed_value seal(out, key,
                    3 + head_bytes + device.id.size() + optional_bytes(device.name) +
                        optional_bytes(device.os_type) + optional_bytes(device.os_version) +
                        optional_bytes(device.app_version) + 10 * number_bytes + 2 * head_bytes +
                        device.push.size() * number_bytes + device.domains.size() * 4 * number_bytes);
  out.array(device_elements);
  out.string(device.id); // first, so that a name can be read without the rest
  out.number(device.owner);
  out.number(number_of_enum(device.type));
  write_optional(out, device.name);
  write_optional(out, device.os_type);
  write_optional(out, device.os_version);
  write_optional(out, device.app_version);
  if (device.priority_override)
    out.integer(*device.priority_override);
  else
    out.nil();
  out.boolean(device.active);
  out.integer(device.registered_at.ms);
  if (device.last_sync_at)
    out.integer(device.last_sync_at->ms);
  else
    out.nil();
  out.integer(device.sync_count);
  out.integer(device.failed_sync_count);
  out.integer(device.conflict_count);
  out.number(device.acknowledged);
  out.array(device.push.size());
  for (const auto& setting : device.push) out.number(pack_push_setting(setting));
  out.array(device.domains.size() * domain_state_elements);
  for (const auto& state : device.domains) {
    out.number(number_of_enum(state.in));
    out.integer(state.last_version);
    out.integer(difference(device.last_sync_at.value_or(instant{}), state.last_sync_at));
    out.integer(state.stored);
  }
}

result<sync::device> decode_device(std::string_view key, std::string_view value) {
  return decode<sync::device>(
      key, value, table::device,
      [](std::uint8_t version, unpacker& from, const key_parts& parts, sync::device& device) {
        expect_array(from, version == 1 ? device_elements_1 : device_elements);
        device.number = parts.device;
        device.id = from.string();
        device.owner = from.number32();
        device.type = from.one_of(sync::device_type::other);
        device.name = read_optional_string(from);
        device.os_type = read_optional_string(from);
        device.os_version = read_optional_string(from);
        device.app_version = read_optional_string(from);
        if (from.next_is_nil())
          from.nil();
        else
          device.priority_override = from.integer_as<std::int32_t>();
        device.active = from.boolean();
        device.registered_at = {from.integer()};
        if (from.next_is_nil())
          from.nil();
        else
          device.last_sync_at = instant{from.integer()};
        device.sync_count = from.integer();
        device.failed_sync_count = from.integer();
        device.conflict_count = from.integer();
        device.acknowledged = from.number();
        if (version == 1) return;
        device.push.resize(from.array());
        for (auto& setting : device.push)
          if (!unpack_push_setting(from.number(), setting)) from.fail();
        const auto elements = from.array();
        if (elements % domain_state_elements != 0) from.fail();
        device.domains.resize(elements / domain_state_elements);
        for (auto& state : device.domains) {
          state.in = from.one_of(sync::domain::work_order);
          state.last_version = from.integer_as<std::int32_t>();
          state.last_sync_at = {
              difference(static_cast<std::uint64_t>(device.last_sync_at.value_or(instant{}).ms),
                         static_cast<std::uint64_t>(from.integer()))};
          state.stored = from.integer();
        }
      });
}

namespace {

// The id that a body begins with.
result<std::string_view> decode_first_string(std::string_view key, std::string_view value, table in) {
  const auto opened = open_value(key, value, in);
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  static_cast<void>(from.array());
  const auto id = from.string();
  if (!from.ok()) return row_error(key, "the value has another shape than its version");
  return id;
}

} // namespace

result<std::string_view> decode_device_id(std::string_view key, std::string_view value) {
  return decode_first_string(key, value, table::device);
}

result<std::string_view> decode_user_id(std::string_view key, std::string_view value) {
  return decode_first_string(key, value, table::user);
}

void encode_device_by_name(packer& out, std::string_view key, sync::device_number number) {
  sealed_value seal(out, key, 1 + number_bytes);
  out.array(1);
  out.number(number);
}

result<sync::device_number> decode_device_by_name(std::string_view key, std::string_view value) {
  return decode<sync::device_number>(key, value, table::device_by_name,
                                     [](unpacker& from, const key_parts&, sync::device_number& number) {
                                       expect_array(from, 1);
                                       number = from.number32();
                                     });
}

void encode_device_by_owner(packer& out, std::string_view key) {
  sealed_value seal(out, key, 1);
  out.array(0);
}

result<void> decode_device_by_owner(std::string_view key, std::string_view value) {
  const auto read = decode<char>(key, value, table::device_by_owner,
                                 [](unpacker& from, const key_parts&, char&) { expect_array(from, 0); });
  if (!read) return read.failure();
  return {};
}

// ── conflicts ──

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

// ── notifications ──

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

// ── analytics ──

namespace {

constexpr std::size_t domain_counts_elements = 5;

}

void encode_analytics(packer& out, std::string_view key, const sync::analytics_hour& of) {
  const auto devices = of.devices.pack();
  sealed_value seal(out, key,
                    1 + 7 * number_bytes + 3 * head_bytes + devices.size() + 2 * of.buckets * number_bytes +
                        domain_counts_elements * sync::domain_count * number_bytes);
  out.array(10);
  out.integer(of.requests);
  out.integer(of.succeeded);
  out.integer(of.replayed);
  out.integer(of.conflicts_by_policy);
  out.integer(of.conflicts_opened);
  out.integer(of.bytes);
  out.integer(of.duration_sum_us);
  // Only what was counted: most hours use few of either.
  const auto used = static_cast<std::size_t>(
      std::count_if(of.durations.begin(), of.durations.end(), [](std::int64_t one) { return one != 0; }));
  out.array(2 * used);
  for (std::size_t i = 0; i < of.durations.size(); ++i) {
    if (of.durations[i] == 0) continue;
    out.number(i);
    out.integer(of.durations[i]);
  }
  const auto met = static_cast<std::size_t>(std::count_if(
      of.domains.begin(), of.domains.end(), [](const auto& one) { return one != sync::domain_counts{}; }));
  out.array(domain_counts_elements * met);
  for (std::size_t i = 0; i < of.domains.size(); ++i) {
    const auto& one = of.domains[i];
    if (one == sync::domain_counts{}) continue;
    out.number(i);
    out.integer(one.items);
    out.integer(one.failed);
    out.integer(one.duplicates);
    out.integer(one.conflicts);
  }
  out.bin(devices);
}

result<sync::analytics_hour> decode_analytics(std::string_view key, std::string_view value) {
  return decode<sync::analytics_hour>(
      key, value, table::analytics, [](unpacker& from, const key_parts& parts, sync::analytics_hour& of) {
        expect_array(from, 10);
        of.hour = parts.hour;
        of.requests = from.integer();
        of.succeeded = from.integer();
        of.replayed = from.integer();
        of.conflicts_by_policy = from.integer();
        of.conflicts_opened = from.integer();
        of.bytes = from.integer();
        of.duration_sum_us = from.integer();
        auto elements = from.array();
        if (elements % 2 != 0) from.fail();
        for (; elements > 0 && from.ok(); elements -= 2) {
          const auto bucket = from.number();
          const auto count = from.integer();
          if (bucket >= of.durations.size()) return from.fail();
          of.durations[bucket] = count;
        }
        elements = from.array();
        if (elements % domain_counts_elements != 0) from.fail();
        for (; elements > 0 && from.ok(); elements -= domain_counts_elements) {
          auto& one = of.domains[static_cast<std::size_t>(from.one_of(sync::domain::work_order))];
          one.items = from.integer();
          one.failed = from.integer();
          one.duplicates = from.integer();
          one.conflicts = from.integer();
        }
        auto devices = sync::device_sketch::unpack(from.bin());
        if (!devices) return from.fail();
        of.devices = std::move(*devices);
      });
}

// ── feed ──

namespace {

constexpr std::size_t feed_slot_elements = 6;

// kind, domain, operation, priority and expiry of a slot as one number.
std::uint64_t pack_slot_kind(const sync::feed_slot& slot) {
  return number_of_enum(slot.kind) | number_of_enum(slot.in) << 2 | number_of_enum(slot.what) << 6 |
         number_of_enum(slot.urgency) << 8 | static_cast<std::uint64_t>(slot.expires) << 10;
}
bool unpack_slot_kind(std::uint64_t packed, feed_slot_view& slot) {
  if (packed >> 11 != 0 || (packed & 3) > 2 || (packed >> 2 & 15) >= sync::domain_count ||
      (packed >> 8 & 3) > 2)
    return false;
  slot.kind = static_cast<sync::slot_kind>(packed & 3);
  slot.in = static_cast<sync::domain>(packed >> 2 & 15);
  slot.what = static_cast<sync::operation>(packed >> 6 & 3);
  slot.urgency = static_cast<sync::priority>(packed >> 8 & 3);
  slot.expires = packed >> 10 != 0;
  return true;
}

} // namespace

void encode_feed_row(packer& out, std::string_view key, const sync::feed_row& row) {
  std::size_t bytes = head_bytes + number_bytes;
  for (const auto& slot : row.slots) bytes += slot.id.size() + head_bytes + 5 * number_bytes;
  sealed_value seal(out, key, bytes);
  // Flat, and each number relative to the row, because most slots of a row differ in little.
  const instant base = row.slots.empty() ? instant{} : row.slots.front().decided_at;
  out.array(1 + row.slots.size() * feed_slot_elements);
  out.integer(base.ms);
  for (const auto& slot : row.slots) {
    out.integer(difference(row.key, slot.at));
    out.number(pack_slot_kind(slot));
    out.number(slot.owner);
    out.string(slot.id);
    out.number(slot.device);
    out.integer(difference(slot.decided_at, base));
  }
}

result<void> decode_feed_slots(std::string_view key, std::string_view value,
                               std::vector<feed_slot_view>& slots) {
  slots.clear();
  const auto parts = parse_key(key);
  if (!parts || parts->in != table::feed) return row_error(key, "not a key of this table");
  const auto opened = open_value(key, value, table::feed);
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  const auto elements = from.array();
  if (elements % feed_slot_elements != 1) from.fail();
  const instant base{from.integer()};
  slots.reserve(elements / feed_slot_elements);
  for (std::size_t i = 0; i < elements / feed_slot_elements && from.ok(); ++i) {
    auto& slot = slots.emplace_back();
    slot.at = parts->at - static_cast<std::uint64_t>(from.integer());
    if (!unpack_slot_kind(from.number(), slot)) from.fail();
    slot.owner = from.number32();
    slot.id = from.string();
    slot.device = from.number32();
    slot.decided_at = sum(base, from.integer());
  }
  if (from.whole()) return {};
  slots.clear();
  return row_error(key, "the value has another shape than its version");
}

sync::feed_slot to_slot(const feed_slot_view& view) {
  return {.at = view.at,
          .kind = view.kind,
          .in = view.in,
          .owner = view.owner,
          .id = std::string(view.id),
          .device = view.device,
          .what = view.what,
          .urgency = view.urgency,
          .expires = view.expires,
          .decided_at = view.decided_at};
}

feed_slot_view view_of(const sync::feed_slot& slot) {
  return {.at = slot.at,
          .kind = slot.kind,
          .in = slot.in,
          .owner = slot.owner,
          .id = slot.id,
          .device = slot.device,
          .what = slot.what,
          .urgency = slot.urgency,
          .expires = slot.expires,
          .decided_at = slot.decided_at};
}

result<sync::feed_row> decode_feed_row(std::string_view key, std::string_view value) {
  std::vector<feed_slot_view> slots;
  if (auto read = decode_feed_slots(key, value, slots); !read) return read.failure();
  sync::feed_row row;
  row.key = parse_key(key)->at;
  row.slots.reserve(slots.size());
  for (const auto& slot : slots) row.slots.push_back(to_slot(slot));
  return row;
}

// ── idempotency and operations ──

namespace {

void encode_remembered(packer& out, std::string_view key, instant committed_at, const digest128& digest,
                       std::string_view answer) {
  sealed_value seal(out, key, 1 + number_bytes + 18 + head_bytes + answer.size());
  out.array(3);
  out.integer(committed_at.ms); // first, so that a sweep can read it without the rest
  write_digest(out, digest);
  out.bin(answer);
}

} // namespace

void encode_idempotency(packer& out, std::string_view key, const sync::idempotency_record& record) {
  encode_remembered(out, key, record.committed_at, record.request, record.answer);
}

result<sync::idempotency_record> decode_idempotency(std::string_view key, std::string_view value) {
  return decode<sync::idempotency_record>(
      key, value, table::idempotency,
      [](unpacker& from, const key_parts& parts, sync::idempotency_record& record) {
        expect_array(from, 3);
        record.user = parts.user;
        record.device = parts.device;
        record.key = parts.id;
        record.committed_at = {from.integer()};
        record.request = read_digest(from);
        record.answer = from.bin();
      });
}

void encode_operation(packer& out, std::string_view key, const sync::operation_record& record) {
  encode_remembered(out, key, record.committed_at, record.edit, record.outcome);
}

result<sync::operation_record> decode_operation(std::string_view key, std::string_view value) {
  return decode<sync::operation_record>(
      key, value, table::operation,
      [](unpacker& from, const key_parts& parts, sync::operation_record& record) {
        expect_array(from, 3);
        record.user = parts.user;
        record.device = parts.device;
        record.operation_id = parts.id;
        record.committed_at = {from.integer()};
        record.edit = read_digest(from);
        record.outcome = from.bin();
      });
}

result<instant> decode_committed_at(std::string_view key, std::string_view value) {
  const auto opened = open_value(key, value, table::idempotency); // or operation: one format
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  expect_array(from, 3);
  const instant at{from.integer()};
  if (!from.ok()) return row_error(key, "the value has another shape than its version");
  return at;
}

// ── entities ──

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

// ── any row ──

result<key_parts> check_row(std::string_view key, std::string_view value) {
  const auto parts = parse_key(key);
  if (!parts) return error{error_code::internal, "row " + to_hex(key) + ": not a key of any table"};
  const auto outcome = [&]() -> result<void> {
    const auto invalid = [&](const document& one) { return !one.absent() && !is_valid_document(one.bytes); };
    const auto failed = [](const auto& read) -> result<void> {
      if (!read) return read.failure();
      return {};
    };
    switch (parts->in) {
    case table::counters: return failed(decode_counters(key, value));
    case table::swept: return failed(decode_swept(key, value));
    case table::policy: return failed(decode_policy(key, value));
    case table::user_by_name: return failed(decode_user_by_name(key, value));
    case table::user: return failed(decode_user(key, value));
    case table::device_by_name: return failed(decode_device_by_name(key, value));
    case table::device_by_owner: return decode_device_by_owner(key, value);
    case table::device: return failed(decode_device(key, value));
    case table::open_conflict: return failed(decode_open_conflict(key, value));
    case table::conflict: {
      const auto read = decode_conflict(key, value);
      if (read && (invalid(read->server_data) || invalid(read->client_data)))
        return row_error(key, "its data is no valid document");
      return failed(read);
    }
    case table::notification: {
      const auto read = decode_notification(key, value);
      if (read && invalid(read->data)) return row_error(key, "its data is no valid document");
      return failed(read);
    }
    case table::analytics: return failed(decode_analytics(key, value));
    case table::feed: return failed(decode_feed_row(key, value));
    case table::idempotency: return failed(decode_idempotency(key, value));
    case table::operation: return failed(decode_operation(key, value));
    case table::entity: {
      const auto read = decode_entity(key, value);
      if (read && invalid(read->data)) return row_error(key, "its data is no valid document");
      return failed(read);
    }
    }
    return row_error(key, "not a key of any table");
  }();
  if (!outcome) return outcome.failure();
  return *parts;
}

} // namespace mooring::storage
