#include "sync/fields.hpp"

#include <algorithm>

namespace mooring::sync {

namespace {

// The members of an object, ascending by name, each name once (the first one wins, as find_field has it).
class sorted_fields {
 public:
  explicit sorted_fields(std::string_view object) {
    if (object.empty()) return;
    fields_ = fields_of(object);
    std::stable_sort(fields_.begin(), fields_.end(),
                     [](const document_field& a, const document_field& b) { return a.name < b.name; });
    fields_.erase(
        std::unique(fields_.begin(), fields_.end(),
                    [](const document_field& a, const document_field& b) { return a.name == b.name; }),
        fields_.end());
  }
  std::string_view find(std::string_view name) const {
    const auto at =
        std::lower_bound(fields_.begin(), fields_.end(), name,
                         [](const document_field& field, std::string_view n) { return field.name < n; });
    return at != fields_.end() && at->name == name ? at->value : std::string_view{};
  }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::vector<document_field> fields_;
};

const field_stamp* find_stamp(const entity& in, std::string_view name) {
  const auto at =
      std::lower_bound(in.fields.begin(), in.fields.end(), name,
                       [](const field_stamp& stamp, std::string_view n) { return stamp.name < n; });
  return at != in.fields.end() && at->name == name ? &*at : nullptr;
}

// 0 is kept for "the field was absent".
std::uint64_t value_hash(std::string_view value) {
  if (value.empty()) return 0;
  const auto hash = hash_document(value);
  return hash == 0 ? 1 : hash;
}

// True when it is known that `value` (empty: absent) is what the field was in version `base`.
bool is_value_at(const entity& stored, std::string_view name, std::string_view present,
                 std::string_view value, std::int32_t base, device_number by) {
  const auto* stamp = find_stamp(stored, name);
  if (stamp != nullptr && stamp->version > base && stamp->device == by) return false;
  if (base == 0) return value.empty(); // before version 1 there was nothing
  if (stamp == nullptr || stamp->version <= base) return documents_equal(present, value);
  for (const auto& [from, hash] : stamp->history)
    if (from <= base) return hash == value_hash(value);
  return false; // so far back that it is forgotten: taken as changed
}

// Walks two sorted lists and calls with (name, stored value or empty, object's value or empty).
template<class F> void for_each_pair(const sorted_fields& stored, const sorted_fields& object, F&& f) {
  auto a = stored.begin();
  auto b = object.begin();
  while (a != stored.end() || b != object.end()) {
    const int order = a == stored.end() ? 1 : b == object.end() ? -1 : a->name.compare(b->name);
    if (order < 0) {
      f(a->name, a->value, std::string_view{});
      ++a;
    } else if (order > 0) {
      f(b->name, std::string_view{}, b->value);
      ++b;
    } else {
      f(a->name, a->value, b->value);
      ++a;
      ++b;
    }
  }
}

field_change change_to(std::string_view name, std::string_view before, std::string_view after) {
  return {name, before, after, {}, after.empty()};
}

} // namespace

std::vector<field_change> changes_of_patch(const document& stored, const document& patch) {
  const sorted_fields wanted(patch.bytes);
  std::vector<field_change> changes;
  changes.reserve(wanted.size());
  // A patch of one or two fields is the usual case: looking for them costs less than sorting everything.
  const bool few = wanted.size() <= 4;
  const sorted_fields there(few ? std::string_view{} : std::string_view{stored.bytes});
  for (const auto& [name, value] : wanted) {
    std::string_view before;
    if (!few)
      before = there.find(name);
    else if (!stored.absent())
      before = find_field(stored.bytes, name).value_or(std::string_view{});
    if (kind_of(value) == document_kind::null) {
      if (!before.empty()) changes.push_back(change_to(name, before, {}));
    } else if (kind_of(value) == document_kind::object) {
      auto merged = merge_patch(before, value); // also when it is new: nulls inside it mean nothing there
      if (documents_equal(before, merged.bytes)) continue;
      changes.push_back({name, before, {}, std::move(merged), false});
    } else if (!documents_equal(before, value)) {
      changes.push_back(change_to(name, before, value));
    }
  }
  return changes;
}

std::vector<field_change> changes_of_object(const document& stored, const document& object) {
  std::vector<field_change> changes;
  for_each_pair(sorted_fields(stored.bytes), sorted_fields(object.bytes),
                [&](std::string_view name, std::string_view before, std::string_view after) {
                  if (!documents_equal(before, after)) changes.push_back(change_to(name, before, after));
                });
  return changes;
}

std::vector<field_change> changes_since(const entity& stored, const document& object, std::int32_t base,
                                        device_number by) {
  std::vector<field_change> changes;
  for_each_pair(sorted_fields(stored.data.bytes), sorted_fields(object.bytes),
                [&](std::string_view name, std::string_view before, std::string_view after) {
                  if (documents_equal(before, after)) return;
                  if (is_value_at(stored, name, before, after, base, by)) return;
                  changes.push_back(change_to(name, before, after));
                });
  return changes;
}

std::vector<field_change> changes_of_removal(const document& stored) {
  std::vector<field_change> changes;
  const sorted_fields there(stored.bytes);
  changes.reserve(there.size());
  for (const auto& [name, value] : there) changes.push_back(change_to(name, value, {}));
  return changes;
}

document apply_changes(const document& stored, const std::vector<field_change>& changes) {
  const auto find = [&](std::string_view name) {
    const auto at =
        std::lower_bound(changes.begin(), changes.end(), name,
                         [](const field_change& change, std::string_view n) { return change.name < n; });
    return at != changes.end() && at->name == name ? &*at : nullptr;
  };
  std::vector<document_field> members;
  if (!stored.absent()) members = fields_of(stored.bytes);
  std::size_t bytes = stored.bytes.size() + 16;
  std::size_t count = members.size();
  for (const auto& change : changes) {
    bytes += change.name.size() + 5 + change.after().size();
    if (change.before.empty() && !change.removes) ++count;
  }
  // Members that go are taken out first: the head of the object needs their number.
  std::erase_if(members, [&](const document_field& member) {
    const auto* change = find(member.name);
    if (change == nullptr || !change->removes) return false;
    --count;
    return true;
  });
  document_writer out;
  out.reserve(bytes);
  out.begin_object(count);
  for (const auto& member : members) {
    const auto* change = find(member.name);
    out.key(member.name);
    out.value(change != nullptr ? change->after() : member.value);
  }
  for (const auto& change : changes) {
    if (!change.before.empty() || change.removes) continue;
    out.key(change.name);
    out.value(change.after());
  }
  return out.take();
}

field_origin origin_of(const entity& of, std::string_view name) {
  if (const auto* stamp = find_stamp(of, name)) return {stamp->version, stamp->modified_at, stamp->device};
  return {1, of.first_modified_at, of.first_device};
}

bool changed_by_others(const entity& stored, const field_change& change, std::int32_t base,
                       device_number by) {
  if (const auto* stamp = find_stamp(stored, change.name))
    return stamp->version > base && stamp->device != by;
  return !change.before.empty() && base < 1 && stored.first_device != by;
}

void stamp_changes(entity& target, const std::vector<field_change>& changes, std::int32_t version,
                   instant modified_at, device_number device) {
  auto& stamps = target.fields;
  const auto known = static_cast<std::ptrdiff_t>(stamps.size());
  std::size_t removed = 0;
  for (const auto& change : changes) {
    const auto known_end = stamps.begin() + known;
    const auto at =
        std::lower_bound(stamps.begin(), known_end, change.name,
                         [](const field_stamp& stamp, std::string_view n) { return stamp.name < n; });
    if (change.removes) ++removed;
    if (at != known_end && at->name == change.name) {
      at->history.insert(at->history.begin(), {at->version, value_hash(change.before)});
      if (at->history.size() > field_history_max) at->history.resize(field_history_max);
      at->version = version;
      at->modified_at = modified_at;
      at->device = device;
    } else {
      field_stamp made{std::string(change.name), version, modified_at, device, {}};
      // Without a stamp the field has had its value since version 1, or has never been there.
      made.history.emplace_back(change.before.empty() ? 0 : 1, value_hash(change.before));
      stamps.push_back(std::move(made));
    }
  }
  if (known < static_cast<std::ptrdiff_t>(stamps.size()))
    std::inplace_merge(stamps.begin(), stamps.begin() + known, stamps.end(),
                       [](const field_stamp& a, const field_stamp& b) { return a.name < b.name; });

  if (removed == 0 || stamps.size() <= removed_stamps_max) return;
  std::vector<std::size_t> gone; // stamps of fields that are absent once the changes are made
  const sorted_fields there(target.data.bytes);
  auto change = changes.begin();
  for (std::size_t i = 0; i < stamps.size(); ++i) {
    while (change != changes.end() && change->name < stamps[i].name) ++change;
    const bool changes_now = change != changes.end() && change->name == stamps[i].name;
    if (changes_now ? change->removes : there.find(stamps[i].name).empty()) gone.push_back(i);
  }
  if (gone.size() <= removed_stamps_max) return;
  const auto excess = gone.size() - removed_stamps_max;
  std::stable_sort(gone.begin(), gone.end(),
                   [&](std::size_t a, std::size_t b) { return stamps[a].version < stamps[b].version; });
  gone.resize(excess);
  std::sort(gone.begin(), gone.end());
  std::size_t index = 0, next = 0;
  std::erase_if(stamps, [&](const field_stamp&) {
    const bool drop = next < gone.size() && gone[next] == index;
    ++index;
    next += drop;
    return drop;
  });
}

} // namespace mooring::sync
