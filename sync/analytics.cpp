#include "sync/analytics.hpp"

#include <algorithm>

namespace mooring::sync {

void analytics::turn_to(std::int64_t hour) {
  // A clock that was set back counts on in the hour that it had reached.
  if (present_.hour >= hour && present_.hour != 0) return;
  if (counted_) {
    if (ended_.size() >= 24)
      ended_.erase(ended_.begin()); // a node that cannot write for a day keeps the last day
    ended_.push_back(std::move(present_));
  }
  present_ = {};
  present_.hour = hour;
  counted_ = false;
}

void analytics::resume(const analytics_hour& stored) {
  if (present_.hour == 0) present_.hour = stored.hour;
  if (present_.hour == stored.hour) return present_.add(stored);
  for (auto& one : ended_)
    if (one.hour == stored.hour) return one.add(stored);
}

void analytics::count(const upload& what, const upload_answer& answer, std::int64_t took_us, instant now) {
  turn_to(hour_of(now));
  auto& to = present_;
  counted_ = true;
  ++to.requests;
  if (answer.success()) ++to.succeeded;
  to.bytes += static_cast<std::int64_t>(what.payload_bytes);
  to.devices.add(what.device_id);
  if (answer.replayed) {
    ++to.replayed;
    return;
  }
  to.duration_sum_us += took_us;
  ++to.durations[analytics_hour::bucket_of(took_us)];
  const auto note = [&](domain in, const item_result& item) {
    auto& counts = to.domains[static_cast<std::size_t>(in)];
    ++counts.items;
    if (!item.success) ++counts.failed;
    if (item.duplicate) ++counts.duplicates;
    if (item.conflict_detected && !item.duplicate) ++counts.conflicts;
  };
  const auto note_all = [&](domain in, const std::optional<section_answer>& section) {
    if (section)
      for (const auto& item : section->items) note(in, item);
  };
  note_all(domain::voice, answer.voice);
  note_all(domain::behavioral, answer.behavioral);
  note_all(domain::session, answer.session);
  note_all(domain::metrics, answer.metrics);
  if (!answer.operations) return;
  const auto& items = answer.operations->items; // one for each edit, in order
  for (std::size_t i = 0; i < std::min(items.size(), what.operations.size()); ++i)
    note(what.operations[i].in, items[i]);
  // Conflicts stand in the order of their items. Beside a duplicate an earlier one may be shown again; it was
  // counted then.
  auto next = answer.operations->conflicts.begin();
  const auto end = answer.operations->conflicts.end();
  for (const auto& item : items) {
    if (next == end || item.conflict_id != next->id) continue;
    if (!item.duplicate)
      ++(next->status == conflict_status::open ? to.conflicts_opened : to.conflicts_by_policy);
    ++next;
  }
}

bool analytics::is_due(instant now) const {
  if (!ended_.empty()) return true;
  return counted_ && (now - written_at_ >= analytics_write_ms || now < written_at_);
}

void analytics::take(instant now, write_list& out) {
  for (auto& one : ended_) out.emplace_back(boxed<analytics_hour>(std::move(one)));
  ended_.clear();
  if (!counted_) return;
  out.emplace_back(boxed<analytics_hour>(present_));
  counted_ = false;
  written_at_ = now;
}

} // namespace mooring::sync
