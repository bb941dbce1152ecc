#include "sync/overlay.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace mooring::sync {

row_key overlay::key_of_entry(const entry& at) {
  if (!at.by_number) return key_of(*at.newest);
  if (const auto* row = row_in<device>(*at.newest)) return device_number_key(row->number);
  return user_number_key(std::get<user>(*at.newest).number);
}

std::size_t overlay::slot_of(const row_key& key, std::uint64_t hash) const {
  const auto mask = table_.size() - 1;
  auto at = hash & mask;
  while (table_[at].newest != nullptr && !(table_[at].hash == hash && key_of_entry(table_[at]) == key))
    at = (at + 1) & mask;
  return at;
}

const write* overlay::find(const row_key& key) const {
  if (used_ == 0) return nullptr;
  return table_[slot_of(key, key.hash())].newest;
}

void overlay::grow() {
  std::vector<entry> larger(table_.empty() ? 64 : table_.size() * 2);
  const auto mask = larger.size() - 1;
  for (const auto& old : table_) {
    if (old.newest == nullptr) continue;
    auto at = old.hash & mask;
    while (larger[at].newest != nullptr) at = (at + 1) & mask;
    larger[at] = old;
  }
  table_ = std::move(larger);
}

void overlay::note(const row_key& key, const write& w, std::uint64_t batch, bool by_number) {
  if ((used_ + 1) * 2 > table_.size()) grow();
  const auto hash = key.hash();
  auto& at = table_[slot_of(key, hash)];
  if (at.newest == nullptr) ++used_;
  at = {hash, &w, batch, by_number};
  hashes_.push_back(hash);
}

// Two rows of one batch may have one hash: then each call drops one of them.
void overlay::drop(std::uint64_t hash, std::uint64_t batch) {
  const auto mask = table_.size() - 1;
  auto hole = hash & mask;
  while (table_[hole].newest != nullptr && !(table_[hole].hash == hash && table_[hole].batch == batch))
    hole = (hole + 1) & mask;
  if (table_[hole].newest == nullptr) return; // a newer batch wrote it again
  --used_;
  // What was placed behind the hole because of it moves up, so that no search ends too early.
  table_[hole] = {};
  for (auto next = (hole + 1) & mask; table_[next].newest != nullptr; next = (next + 1) & mask) {
    const auto home = table_[next].hash & mask;
    if (((next - home) & mask) < ((next - hole) & mask)) continue; // it may not stand before its home
    table_[hole] = table_[next];
    table_[next] = {};
    hole = next;
  }
}

void overlay::show(pending& batch) {
  const auto rows_before = hashes_.size(), feed_rows_before = feed_keys_.size();
  for (const auto& w : *batch.writes) {
    const auto key = key_of(w);
    switch (key.table) {
    case row_table::swept: // the rules do not read it
      swept_.emplace_back(batch.number, std::get<put_swept_position>(w).upto);
      continue;
    case row_table::feed_row:
      feed_[key.number] = {&w, batch.number};
      feed_keys_.push_back(key.number);
      continue;
    case row_table::device: note(device_number_key(row_in<device>(w)->number), w, batch.number, true); break;
    case row_table::user: note(user_number_key(std::get<user>(w).number), w, batch.number, true); break;
    default: break;
    }
    note(key, w, batch.number, false);
  }
  batch.rows = static_cast<std::uint32_t>(hashes_.size() - rows_before);
  batch.feed_rows = static_cast<std::uint32_t>(feed_keys_.size() - feed_rows_before);
}

void overlay::add(std::uint64_t batch, std::shared_ptr<const write_list> writes) {
  MOORING_CHECK(batches_.empty() || batch > batches_.back().number, "batch numbers grow");
  batches_.push_back({batch, std::move(writes)});
  show(batches_.back());
}

void overlay::add(std::uint64_t batch, const write_list& writes) {
  add(batch, std::make_shared<const write_list>(writes));
}

void overlay::forget_upto(std::uint64_t batch) {
  while (!batches_.empty() && batches_.front().number <= batch) {
    const auto& oldest = batches_.front();
    for (auto left = oldest.rows; left > 0; --left, hashes_.pop_front()) drop(hashes_.front(), oldest.number);
    for (auto left = oldest.feed_rows; left > 0; --left, feed_keys_.pop_front()) {
      const auto at = feed_.find(feed_keys_.front());
      if (at != feed_.end() && at->second.second == oldest.number) feed_.erase(at);
    }
    while (!swept_.empty() && swept_.front().first <= oldest.number) swept_.pop_front();
    batches_.pop_front();
  }
  // After a burst the table goes back to a modest size.
  if (used_ == 0 && table_.size() > 4096) {
    table_.clear();
    table_.shrink_to_fit();
  }
}

void overlay::forget_from(std::uint64_t batch) {
  if (batches_.empty() || batches_.back().number < batch) return;
  while (!batches_.empty() && batches_.back().number >= batch) batches_.pop_back();
  // Which older batch wrote a row before the refused ones did is not kept: what stays is shown anew.
  table_.assign(table_.size() > 4096 && batches_.empty() ? 0 : table_.size(), {});
  used_ = 0;
  feed_.clear();
  hashes_.clear();
  feed_keys_.clear();
  swept_.clear();
  for (auto& one : batches_) show(one);
}

void overlay::clear() {
  table_.clear();
  used_ = 0;
  feed_.clear();
  hashes_.clear();
  feed_keys_.clear();
  swept_.clear();
  batches_.clear();
}

template<class T> std::optional<const T*> overlay::pending_row(const row_key& key) const {
  const auto* w = find(key);
  return w != nullptr ? std::optional(row_in<T>(*w)) : std::nullopt;
}

template<class T> std::optional<T> overlay::look(const row_key& key, bool& hit) const {
  const auto row = pending_row<T>(key);
  hit = row.has_value();
  return hit && *row != nullptr ? std::optional<T>(**row) : std::nullopt;
}

std::optional<const entity*> overlay::pending_entity(domain in, user_number owner,
                                                     std::string_view id) const {
  return pending_row<entity>(entity_key(in, owner, id));
}

std::optional<const notification*> overlay::pending_notification(position at) const {
  return pending_row<notification>(notification_key(at));
}

std::optional<position> overlay::pending_swept() const {
  return swept_.empty() ? std::nullopt : std::optional(swept_.back().second);
}

tenant_counters overlay::counters() {
  bool hit = false;
  auto row = look<tenant_counters>({row_table::counters}, hit);
  return hit ? std::move(*row) : below_.counters();
}

std::optional<entity> overlay::find_entity(domain in, user_number owner, std::string_view id) {
  bool hit = false;
  auto row = look<entity>(entity_key(in, owner, id), hit);
  return hit ? std::move(row) : below_.find_entity(in, owner, id);
}

std::optional<conflict> overlay::find_conflict(position first_at) {
  bool hit = false;
  auto row = look<conflict>(conflict_key(first_at), hit);
  return hit ? std::move(row) : below_.find_conflict(first_at);
}

std::optional<device> overlay::find_device(std::string_view id) {
  bool hit = false;
  auto row = look<device>(device_key(id), hit);
  return hit ? std::move(row) : below_.find_device(id);
}

std::optional<device> overlay::find_device(device_number number) {
  bool hit = false;
  auto row = look<device>(device_number_key(number), hit);
  return hit ? std::move(row) : below_.find_device(number);
}

std::optional<user> overlay::find_user(std::string_view id) {
  bool hit = false;
  auto row = look<user>(user_key(id), hit);
  return hit ? std::move(row) : below_.find_user(id);
}

std::optional<user> overlay::find_user(user_number number) {
  bool hit = false;
  auto row = look<user>(user_number_key(number), hit);
  return hit ? std::move(row) : below_.find_user(number);
}

std::optional<policy> overlay::find_policy(domain in) {
  bool hit = false;
  auto row = look<policy>(policy_key(in), hit);
  return hit ? std::move(row) : below_.find_policy(in);
}

std::optional<idempotency_record> overlay::find_idempotency(user_number user, device_number device,
                                                            std::string_view key) {
  bool hit = false;
  auto row = look<idempotency_record>(idempotency_key(user, device, key), hit);
  return hit ? std::move(row) : below_.find_idempotency(user, device, key);
}

std::optional<operation_record> overlay::find_operation(user_number user, device_number device,
                                                        std::string_view operation_id) {
  bool hit = false;
  auto row = look<operation_record>(operation_key(user, device, operation_id), hit);
  return hit ? std::move(row) : below_.find_operation(user, device, operation_id);
}

std::optional<feed_row> overlay::find_feed_row(position at) {
  std::optional<feed_row> found;
  scan_feed(std::max<position>(at, 1) - 1, [&](const feed_row& row) {
    found = row;
    return false;
  });
  return found;
}

void overlay::scan_feed(position after, const std::function<bool(const feed_row&)>& each) {
  std::optional<feed_row> stored; // the first one behind `after`, once it was asked for
  bool no_more_stored = false;
  for (auto next = feed_.lower_bound(after + 1);;) {
    const auto* const row =
        next != feed_.end() ? std::get_if<feed_row>(next->second.first) : nullptr; // else a deletion
    // Rows hold ascending, separate stretches of the feed: when this one begins right behind, nothing stands between.
    const bool adjacent = row && !row->slots.empty() && row->slots.front().at <= after + 1;
    if (!adjacent) {
      if (!no_more_stored && !(stored && stored->key > after)) {
        stored = below_.find_feed_row(after + 1);
        no_more_stored = !stored;
      }
      if (stored && (next == feed_.end() || stored->key < next->first)) {
        if (!each(*stored)) return;
        after = stored->key;
        continue;
      }
      if (next == feed_.end()) return;
    }
    // What is pending under the same key replaces or removes the stored row.
    if (row && !each(*row)) return;
    after = next->first;
    ++next;
  }
}

} // namespace mooring::sync
