// Where a row stands: the keys of a tenant's tables (docs/data_file.md, "Keys").
//
//   0x10 | hash64 of the tenant's name, 8 bytes | table, 1 byte | what the table adds
//
// All integers are big-endian, so that byte order is numeric order. The tenant comes before the table: a
// small tenant's counters, device, feed and idempotency rows share a page or two, and an upload touches few
// pages. Client ids stand raw at the end (docs/decisions/0002-raw-ids-in-keys.md). First bytes 0x01 to 0x0f
// belong to cluster/.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "sync/model.hpp"

namespace mooring::storage {

inline constexpr unsigned char tenant_rows_tag = 0x10; // the smallest first byte that is not cluster/'s
inline constexpr std::size_t key_bytes_max = 511;      // LMDB's

// The stored value of each table is part of the data file: never renumber.
enum class table : std::uint8_t {
  counters = 0x01,        // –
  swept = 0x02,           // –
  policy = 0x03,          // domain
  user_by_name = 0x04,    // user id
  user = 0x05,            // user number
  device_by_name = 0x06,  // device id
  device_by_owner = 0x07, // owner's user number, device number
  device = 0x08,          // device number
  open_conflict = 0x09,   // first position
  conflict = 0x0a,        // first position
  notification = 0x0b,    // position
  analytics = 0x0c,       // hour
  feed = 0x10,            // key position
  idempotency = 0x11,     // user number, device number, key
  operation = 0x12,       // user number, device number, operation id
  entity = 0x20,          // domain, owner, entity id
};
std::string_view to_string(table value);

using tenant_hash = std::uint64_t;
tenant_hash hash_tenant(std::string_view name);
// The shard that a tenant belongs to, for ever. Another seed than the key's, so that a shard's keys spread
// evenly. REQUIRES: shards > 0
unsigned shard_of_tenant(std::string_view name, unsigned shards);

// A key under construction, on the stack. An id too long for a key makes it unfit: such a row cannot exist.
class row_key {
 public:
  row_key(tenant_hash tenant, table in) {
    bytes_[0] = static_cast<char>(tenant_rows_tag);
    size_ = 1;
    add64(tenant);
    add8(static_cast<std::uint8_t>(in));
  }
  row_key& add8(std::uint8_t value) {
    bytes_[size_++] = static_cast<char>(value);
    return *this;
  }
  row_key& add32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_[size_++] = static_cast<char>(value >> shift);
    return *this;
  }
  row_key& add64(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_[size_++] = static_cast<char>(value >> shift);
    return *this;
  }
  row_key& add(std::string_view id) {
    if (id.size() > sizeof bytes_ - size_) {
      fits_ = false;
    } else if (!id.empty()) {
      std::memcpy(bytes_ + size_, id.data(), id.size());
      size_ += id.size();
    }
    return *this;
  }
  bool fits() const { return fits_; }
  std::string_view view() const { return {bytes_, size_}; }

 private:
  char bytes_[key_bytes_max];
  std::size_t size_ = 0;
  bool fits_ = true;
};

namespace keys {
inline row_key counters(tenant_hash t) {
  return {t, table::counters};
}
inline row_key swept(tenant_hash t) {
  return {t, table::swept};
}
inline row_key policy(tenant_hash t, sync::domain in) {
  return row_key(t, table::policy).add8(static_cast<std::uint8_t>(in));
}
inline row_key user_by_name(tenant_hash t, std::string_view id) {
  return row_key(t, table::user_by_name).add(id);
}
inline row_key user(tenant_hash t, sync::user_number number) {
  return row_key(t, table::user).add32(number);
}
inline row_key device_by_name(tenant_hash t, std::string_view id) {
  return row_key(t, table::device_by_name).add(id);
}
inline row_key device_by_owner(tenant_hash t, sync::user_number owner, sync::device_number number) {
  return row_key(t, table::device_by_owner).add32(owner).add32(number);
}
inline row_key device(tenant_hash t, sync::device_number number) {
  return row_key(t, table::device).add32(number);
}
inline row_key open_conflict(tenant_hash t, sync::position first_at) {
  return row_key(t, table::open_conflict).add64(first_at);
}
inline row_key conflict(tenant_hash t, sync::position first_at) {
  return row_key(t, table::conflict).add64(first_at);
}
inline row_key notification(tenant_hash t, sync::position at) {
  return row_key(t, table::notification).add64(at);
}
// `hour` since 1970, from 0 to 2^32 - 1: the year 491,936.
inline row_key analytics(tenant_hash t, std::int64_t hour) {
  return row_key(t, table::analytics).add32(static_cast<std::uint32_t>(hour));
}
inline row_key feed(tenant_hash t, sync::position key) {
  return row_key(t, table::feed).add64(key);
}
inline row_key idempotency(tenant_hash t, sync::user_number user, sync::device_number device,
                           std::string_view key) {
  return row_key(t, table::idempotency).add32(user).add32(device).add(key);
}
inline row_key operation(tenant_hash t, sync::user_number user, sync::device_number device,
                         std::string_view id) {
  return row_key(t, table::operation).add32(user).add32(device).add(id);
}
inline row_key entity(tenant_hash t, sync::domain in, sync::user_number owner, std::string_view id) {
  return row_key(t, table::entity).add8(static_cast<std::uint8_t>(in)).add32(owner).add(id);
}
} // namespace keys

// A key taken apart. Only what the table has is set.
struct key_parts {
  tenant_hash tenant = 0;
  table in = table::counters;
  sync::domain domain = sync::domain::voice; // policy, entity
  sync::user_number user = 0;     // user; the owner in device_by_owner and entity; idempotency, operation
  sync::device_number device = 0; // device, device_by_owner, idempotency, operation
  sync::position at = 0;          // conflicts, notifications and feed
  std::int64_t hour = 0;          // analytics
  std::string_view id;            // what stands raw at the end
};
// Nothing when the bytes are no key of a tenant's table.
std::optional<key_parts> parse_key(std::string_view key);

std::string to_hex(std::string_view bytes);

} // namespace mooring::storage
