#include "sync/sweep.hpp"

#include <algorithm>

#include "sync/entities.hpp"
#include "sync/staged.hpp"

namespace mooring::sync {

namespace {

const feed_slot* slot_at(const std::optional<feed_row>& row, position at) {
  if (!row) return nullptr;
  for (const auto& slot : row->slots)
    if (slot.at == at) return &slot;
  return nullptr;
}

// Removes what the slot stands for. False when it moved on meanwhile: a tombstone that was revived has its
// slot elsewhere, and this one is no longer its own.
bool remove_subject(store& in, const feed_slot& slot, write_list& writes) {
  switch (slot.kind) {
  case slot_kind::entity: {
    const auto found = in.find_entity(slot.in, slot.owner, slot.id);
    if (!found) return true;
    if (!found->deleted || found->at != slot.at) return false;
    writes.emplace_back(delete_entity{slot.in, slot.owner, slot.id});
    return true;
  }
  case slot_kind::conflict: {
    const auto first_at = parse_conflict_id(slot.id);
    const auto found = first_at ? in.find_conflict(*first_at) : std::nullopt;
    if (!found) return true;
    if (found->status != conflict_status::resolved || found->at != slot.at) return false;
    writes.emplace_back(delete_conflict{*first_at});
    return true;
  }
  case slot_kind::notification: // it never moves: its row stands under the slot's position
    writes.emplace_back(delete_notification{slot.at});
    return true;
  }
  return false;
}

} // namespace

write_list decide_sweep(store& in, const sweep_candidates& seen, position swept, instant now,
                        const rule_settings& settings) {
  write_list writes;
  for (const auto& record : seen.idempotency) {
    const auto present = in.find_idempotency(record.user, record.device, record.key);
    if (present && now - present->committed_at >= settings.idempotency_window_ms)
      writes.emplace_back(delete_idempotency{record.user, record.device, record.key});
  }
  for (const auto& record : seen.operations) {
    const auto present = in.find_operation(record.user, record.device, record.operation_id);
    if (present && now - present->committed_at >= settings.idempotency_window_ms)
      writes.emplace_back(delete_operation{record.user, record.device, record.operation_id});
  }

  std::vector<position> gone;
  for (const auto& row : seen.feed) {
    std::optional<feed_row> present; // read when the first slot of the row asks for it
    bool read = false;
    for (const auto& slot : row.slots) {
      if (!has_expired(slot, now, settings)) continue;
      if (!read) present = in.find_feed_row(slot.at);
      read = true;
      const auto* still = slot_at(present, slot.at);
      if (still == nullptr || still->kind != slot.kind || still->id != slot.id) continue;
      if (remove_subject(in, *still, writes)) gone.push_back(slot.at);
    }
  }
  if (gone.empty()) return writes;
  std::sort(gone.begin(), gone.end());
  gone.erase(std::unique(gone.begin(), gone.end()), gone.end());
  vacate_slots(in, gone, writes);
  if (gone.back() > swept) writes.emplace_back(put_swept_position{gone.back()});
  return writes;
}

} // namespace mooring::sync
