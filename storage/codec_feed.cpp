// Rows of the change feed.
#include "storage/codec.hpp"

#include "storage/row_value.hpp"

namespace mooring::storage {

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

} // namespace mooring::storage
