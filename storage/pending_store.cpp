#include "storage/pending_store.hpp"

namespace mooring::storage {

void pending_store::scan_feed(sync::position after, const std::function<bool(const feed_slot_view&)>& each) {
  if (after == UINT64_MAX) return;
  above_.scan_feed(after, [&](const sync::feed_row& row) {
    for (const auto& slot : row.slots)
      if (slot.at > after && !each(view_of(slot))) return false;
    return true;
  });
}

std::optional<entity_view> pending_store::view_entity(sync::domain in, sync::user_number owner,
                                                      std::string_view id) {
  const auto pending = above_.pending_entity(in, owner, id);
  if (!pending) return below_.view_entity(in, owner, id);
  return *pending != nullptr ? std::optional(view_of(**pending)) : std::nullopt;
}

std::optional<sync::notification> pending_store::find_notification(sync::position at) {
  const auto pending = above_.pending_notification(at);
  if (!pending) return below_.find_notification(at);
  return *pending != nullptr ? std::optional(**pending) : std::nullopt;
}

std::optional<std::string_view> pending_store::device_id(sync::device_number number) {
  device_ = above_.find_device(number);
  return device_ ? std::optional<std::string_view>(device_->id) : std::nullopt;
}

std::optional<std::string_view> pending_store::user_id(sync::user_number number) {
  user_ = above_.find_user(number);
  return user_ ? std::optional<std::string_view>(user_->id) : std::nullopt;
}

} // namespace mooring::storage
