// feed_source: what the queries that follow the feed read of one tenant (storage/query.hpp).
//
// Its stored rows are a tenant_store. With what is decided and not stored yet on top, they are a pending_store.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "storage/codec.hpp"
#include "sync/store.hpp"

namespace mooring::storage {

class feed_source {
 public:
  virtual ~feed_source() = default;

  // Counters, users, devices and conflicts.
  virtual sync::store& rows() = 0;
  virtual sync::position swept() = 0;
  // Slots above `after`, ascending, until the callback returns false.
  virtual void scan_feed(sync::position after, const std::function<bool(const feed_slot_view&)>& each) = 0;
  // These two: views, valid until the next call of the same function.
  virtual std::optional<entity_view> view_entity(sync::domain in, sync::user_number owner,
                                                 std::string_view id) = 0;
  // The entity that a slot names. Nothing when it is gone or the slot is no entity's.
  std::optional<entity_view> view_entity(const feed_slot_view& slot) {
    if (slot.kind != sync::slot_kind::entity) return std::nullopt;
    return view_entity(slot.in, slot.owner, slot.id);
  }
  virtual std::optional<sync::notification> find_notification(sync::position at) = 0;
  // The id behind a number. A view, valid until the next call of the same function.
  virtual std::optional<std::string_view> device_id(sync::device_number number) = 0;
  virtual std::optional<std::string_view> user_id(sync::user_number number) = 0;
  // Damage met (tenant_store.hpp): whoever answers asks for it first.
  virtual std::optional<error> failure() const = 0;
};

} // namespace mooring::storage
