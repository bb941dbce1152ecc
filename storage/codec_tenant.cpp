// A tenant's counters, what was swept, policies, users and devices.
#include "storage/codec.hpp"

#include <array>
#include <optional>

#include "storage/row_value.hpp"

namespace mooring::storage {

namespace {

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

} // namespace

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

constexpr std::array<std::size_t, 3> device_elements{15, 17, 18}; // in formats 1, 2 and 3
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
  out.array(device_elements.back());
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
  out.number(device.acknowledged.at);
  out.array(device.push.size());
  for (const auto& setting : device.push) out.number(pack_push_setting(setting));
  out.array(device.domains.size() * domain_state_elements);
  for (const auto& state : device.domains) {
    out.number(number_of_enum(state.in));
    out.integer(state.last_version);
    out.integer(difference(device.last_sync_at.value_or(instant{}), state.last_sync_at));
    out.integer(state.stored);
  }
  out.number(device.acknowledged.begun);
}

result<sync::device> decode_device(std::string_view key, std::string_view value) {
  return decode<sync::device>(
      key, value, table::device,
      [](std::uint8_t version, unpacker& from, const key_parts& parts, sync::device& device) {
        expect_array(from, device_elements.at(version - 1u));
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
        device.acknowledged.at = from.number();
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
        if (version == 2) return;
        device.acknowledged.begun = from.number();
        if (device.acknowledged.begun != 0 && device.acknowledged.begun <= device.acknowledged.at)
          from.fail();
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

} // namespace mooring::storage
