#include "sync/staged.hpp"

#include <algorithm>
#include <bit>

namespace mooring::sync {

staged::staged(store& base, instant now, const rule_settings& settings, std::size_t items)
    : base_(base)
    , now_(now)
    , settings_(settings)
    , counters_(base.counters())
    , first_at_(counters_.last_position + 1) {
  // One write an item, and: counters, user, device, idempotency record, feed row, one old feed row.
  writes_.reserve(items + 6);
  slots_.reserve(items);
  if (items > 1) table_.resize(std::bit_ceil(items * 2));
}

policy staged::policy_of(domain in) {
  auto& known = policies_[static_cast<std::size_t>(in)];
  if (!known) known = effective_policy(base_, in);
  return *known;
}

std::uint32_t staged::lookup(const row_key& key, std::uint64_t hash) const {
  if (used_ == 0) return 0;
  const auto mask = table_.size() - 1;
  for (auto at = hash & mask; table_[at].index != 0; at = (at + 1) & mask)
    if (table_[at].hash == hash && key_of(writes_[table_[at].index - 1]) == key) return table_[at].index;
  return 0;
}

void staged::insert(std::uint64_t hash, std::uint32_t index) {
  if ((used_ + 1) * 2 > table_.size()) {
    std::vector<entry> larger(std::max<std::size_t>(8, table_.size() * 2));
    const auto mask = larger.size() - 1;
    for (const auto& old : table_) {
      if (old.index == 0) continue;
      auto at = old.hash & mask;
      while (larger[at].index != 0) at = (at + 1) & mask;
      larger[at] = old;
    }
    table_ = std::move(larger);
  }
  const auto mask = table_.size() - 1;
  auto at = hash & mask;
  while (table_[at].index != 0) at = (at + 1) & mask;
  table_[at] = {hash, index};
  ++used_;
}

staged::handle staged::find(domain in, user_number owner, std::string_view id) {
  const auto key = entity_key(in, owner, id);
  const auto hash = key.hash();
  if (const auto index = lookup(key, hash)) return {std::get_if<entity>(&writes_[index - 1]), hash, index};
  loaded_ = base_.find_entity(in, owner, id);
  return {loaded_ ? &*loaded_ : nullptr, hash, 0};
}

void staged::keep(const handle& changed) {
  if (changed.index != 0) return; // it was changed where it stands
  writes_.emplace_back(std::move(*changed.found));
  insert(changed.hash, static_cast<std::uint32_t>(writes_.size()));
}

void staged::keep_new(const handle& place, entity&& made) {
  writes_.emplace_back(std::move(made));
  insert(place.hash, static_cast<std::uint32_t>(writes_.size()));
}

const operation_record* staged::find_operation(user_number user, device_number device,
                                               std::string_view operation_id) {
  const auto key = operation_key(user, device, operation_id);
  if (const auto index = lookup(key, key.hash())) return std::get_if<operation_record>(&writes_[index - 1]);
  operation_ = base_.find_operation(user, device, operation_id);
  if (!operation_ || now_ - operation_->committed_at >= settings_.idempotency_window_ms) return nullptr;
  return &*operation_;
}

void staged::keep(operation_record&& record) {
  const auto hash = operation_key(record.user, record.device, record.operation_id).hash();
  writes_.emplace_back(std::move(record));
  insert(hash, static_cast<std::uint32_t>(writes_.size()));
}

position staged::add_slot(feed_slot&& slot) {
  slot.at = next_position();
  slot.decided_at = now_;
  slots_.push_back(std::move(slot));
  return slots_.back().at;
}

user_number staged::new_user(std::string_view id) {
  counters_changed_ = true;
  const auto number = ++counters_.last_user;
  writes_.emplace_back(user{std::string(id), number});
  return number;
}

void staged::close() {
  if (!slots_.empty()) {
    counters_changed_ = true;
    counters_.last_position = first_at_ + slots_.size() - 1;
    if (!vacated_.empty()) {
      std::sort(vacated_.begin(), vacated_.end());
      // An earlier item of this very command may have made the slot that a later one left.
      const auto own = std::lower_bound(vacated_.begin(), vacated_.end(), first_at_);
      if (own != vacated_.end()) {
        auto gone = own;
        std::erase_if(slots_, [&](const feed_slot& slot) {
          while (gone != vacated_.end() && *gone < slot.at) ++gone;
          return gone != vacated_.end() && *gone == slot.at;
        });
        vacated_.erase(own, vacated_.end());
      }
      vacate_slots(base_, vacated_, writes_);
    }
    if (slots_.size() <= feed_row_slots_max) {
      const auto key = slots_.back().at;
      writes_.emplace_back(feed_row{key, std::move(slots_)});
    } else {
      for (std::size_t from = 0; from < slots_.size(); from += feed_row_slots_max) {
        const auto to = std::min(slots_.size(), from + feed_row_slots_max);
        feed_row row;
        row.slots.assign(std::make_move_iterator(slots_.begin() + static_cast<std::ptrdiff_t>(from)),
                         std::make_move_iterator(slots_.begin() + static_cast<std::ptrdiff_t>(to)));
        row.key = row.slots.back().at;
        writes_.emplace_back(std::move(row));
      }
    }
  }
  if (counters_changed_) writes_.emplace_back(std::move(counters_));
}

void vacate_slots(store& base, const std::vector<position>& ascending, write_list& writes) {
  for (auto at = ascending.begin(); at != ascending.end();) {
    auto row = base.find_feed_row(*at);
    if (!row) return; // nothing stands there or later
    const auto key = row->key;
    auto gone = at;
    const auto removed = std::erase_if(row->slots, [&](const feed_slot& slot) {
      while (gone != ascending.end() && *gone < slot.at) ++gone;
      return gone != ascending.end() && *gone == slot.at;
    });
    if (row->slots.empty())
      writes.emplace_back(delete_feed_row{key});
    else if (removed > 0)
      writes.emplace_back(std::move(*row));
    while (at != ascending.end() && *at <= key) ++at;
  }
}

} // namespace mooring::sync
