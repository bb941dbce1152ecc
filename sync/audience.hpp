// Whom a place in the feed is meant for (domain.md, "Two kinds of domain" and "The change feed"). What is pushed, read
// and counted as pending asks here, so the three agree.
#pragma once

#include "sync/model.hpp"

namespace mooring::sync {

// Visibility of entities, conflicts and notifications: owner 0 is shared by the tenant.
inline bool may_see(user_number who, user_number owner) {
  return owner == 0 || owner == who;
}

// A device gets what its user may see, except its own edits. A conflict that it brought about it does get.
// Slot: feed_slot, or a view of one. Device 0: no one in particular. For a notification also ask the notification itself.
template<class Slot> bool is_meant_for(const Slot& slot, user_number viewer, device_number device) {
  const bool own_edit = slot.kind == slot_kind::entity && device != 0 && slot.device == device;
  return may_see(viewer, slot.owner) && !own_edit;
}
inline bool is_meant_for(const notification& told, device_number device) {
  return told.only_device == 0 || told.only_device == device;
}

} // namespace mooring::sync
