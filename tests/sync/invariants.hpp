// What must hold in a tenant's store after every command.
#pragma once

#include <set>
#include <string>

#include "tests/sync/memory_store.hpp"

namespace mooring::sync::testing {

// The first thing that is wrong, or an empty text.
inline std::string broken_invariant(const memory_store& in) {
  const auto name = [](const entity& e) { return std::string(to_string(e.in)) + "/" + e.id; };
  position before = 0;
  std::set<std::tuple<slot_kind, domain, user_number, std::string>> seen;
  std::size_t slots = 0;
  for (const auto& [key, row] : in.feed) {
    if (row.key != key) return "a feed row under another key than its own";
    if (row.slots.empty()) return "an empty feed row " + std::to_string(key);
    if (row.slots.size() > feed_row_slots_max) return "a feed row with too many slots";
    for (const auto& slot : row.slots) {
      ++slots;
      if (slot.at <= before) return "feed positions do not grow at " + std::to_string(slot.at);
      before = slot.at;
      if (slot.at > key) return "a slot behind its row's key";
      if (!seen.insert({slot.kind, slot.in, slot.owner, slot.id}).second)
        return slot.id + " stands twice in the feed";
      if (slot.kind == slot_kind::entity) {
        const auto found = in.entities.find({slot.in, slot.owner, slot.id});
        if (found == in.entities.end()) return "a slot of an entity that is not there: " + slot.id;
        if (found->second.at != slot.at) return "a slot that its entity left: " + slot.id;
        if (slot.expires != found->second.deleted)
          return "expiry of a slot that is no tombstone's: " + slot.id;
      } else if (slot.kind == slot_kind::conflict) {
        const auto found = in.conflicts.find(std::stoull(slot.id.substr(1)));
        if (found == in.conflicts.end()) return "a slot of a conflict that is not there: " + slot.id;
        if (found->second.at != slot.at) return "a slot that its conflict left: " + slot.id;
        if (slot.expires != (found->second.status == conflict_status::resolved))
          return "expiry of conflict " + slot.id;
      } else {
        const auto found = in.notifications.find(slot.at);
        if (found == in.notifications.end()) return "a slot of a notification that is not there: " + slot.id;
        if (found->second.id != slot.id || found->second.owner != slot.owner ||
            found->second.urgency != slot.urgency)
          return "a slot that is not its notification's: " + slot.id;
        if (!slot.expires || slot.device != 0) return "the slot of notification " + slot.id;
      }
    }
  }
  if (before > in.counts.last_position) return "a position beyond the counter";
  if (slots < in.entities.size() + in.conflicts.size() + in.notifications.size())
    return "something does not stand in the feed";
  for (const auto& [id, e] : in.entities) {
    if (e.version < 1) return "version of " + name(e);
    if (e.deleted != e.data.absent()) return "a tombstone with data, or an entity without: " + name(e);
    if (!e.data.absent() &&
        (!is_valid_document(e.data.bytes) || kind_of(e.data.bytes) != document_kind::object))
      return "data that is no object: " + name(e);
    if (e.run_start < 1 || e.run_start > e.version + 1) return "the run of " + name(e);
    for (std::size_t i = 0; i < e.fields.size(); ++i) {
      const auto& stamp = e.fields[i];
      if (i > 0 && !(e.fields[i - 1].name < stamp.name)) return "stamps out of order in " + name(e);
      if (stamp.version < 2 || stamp.version > e.version) return "a stamp's version in " + name(e);
      if (stamp.history.empty() || stamp.history.size() > field_history_max)
        return "a stamp's history in " + name(e);
      auto above = stamp.version;
      for (const auto& [from, hash] : stamp.history) {
        if (from >= above) return "a stamp's history does not descend in " + name(e);
        above = from;
      }
      if (e.deleted && stamp.history.front().second == 0 && stamp.version == e.version)
        return "a deletion that removed an absent field in " + name(e);
    }
  }
  for (const auto& [first_at, c] : in.conflicts) {
    if (c.first_at != first_at || c.id != "c" + std::to_string(first_at)) return "the id of conflict " + c.id;
    if ((c.status == conflict_status::open) != (c.winner == conflict_side::none))
      return "the winner of " + c.id;
    if ((c.status == conflict_status::open) == c.resolved_at.has_value())
      return "the resolution time of " + c.id;
  }
  std::set<device_number> numbers;
  for (const auto& [id, d] : in.devices)
    if (d.number == 0 || d.number > in.counts.last_device || !numbers.insert(d.number).second)
      return "the number of device " + id;
  std::set<user_number> users;
  for (const auto& [id, u] : in.users)
    if (u.number == 0 || u.number > in.counts.last_user || !users.insert(u.number).second)
      return "the number of user " + id;
  return {};
}

} // namespace mooring::sync::testing
