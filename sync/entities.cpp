#include "sync/entities.hpp"

#include <algorithm>
#include <charconv>

#include "sync/strategies.hpp"

namespace mooring::sync {

namespace {

document details_of_version(std::int32_t current) {
  document_writer out;
  out.begin_object(1);
  out.key("currentVersion");
  out.integer(current);
  return out.take();
}

// The other side of a concurrent edit, and what the stored entity holds of it.
struct other_side {
  // who wrote the newest version, or, when that was the author itself, the newest of others
  device_number device = 0;
  instant modified_at;
};

other_side find_other_side(const entity& stored, std::int32_t base, device_number author,
                           const rule_settings& settings) {
  other_side other;
  std::int32_t newest = 0;
  const auto see = [&](std::int32_t version, instant modified_at, device_number device) {
    if (version > newest) {
      other.device = device;
      newest = version;
    }
    other.modified_at = std::max(other.modified_at, modified_at);
  };
  const auto last_at = clamp_skew(stored.modified_at, stored.updated_at, settings);
  other.modified_at.ms = INT64_MIN;
  if (base == 0 && stored.first_device != author) see(1, stored.first_modified_at, stored.first_device);
  for (const auto& stamp : stored.fields)
    if (stamp.version > base && stamp.device != author) see(stamp.version, stamp.modified_at, stamp.device);
  if (stored.device != author || newest == 0) see(stored.version, last_at, stored.device);
  return other;
}

// The domain's policy as it applies between these two devices (rule 6).
strategy strategy_for(const policy& set, bool same_user_other_device) {
  if (!set.auto_resolve) return strategy::manual;
  if (set.resolution == strategy::most_recent_wins && same_user_other_device)
    return strategy::device_priority;
  return set.resolution;
}

struct concurrent_edit {
  staged& in;
  const edit_author& author;
  const edit_item& edit;
  const staged::handle& place;
  std::int32_t base;
  instant compared_at;

  version_mark mark(device_number not_pushed_to) const {
    return {edit.what,   *edit.modified_at, compared_at, author.with.number, author.with.number,
            author.user, edit.urgency,      true,        not_pushed_to};
  }

  // Rules 5 to 7.
  std::optional<problem> decide(item_result& out, std::vector<conflict>& conflicts) const {
    auto& stored = *place.found;
    const bool deletes = edit.what == operation::remove;
    auto changes = is_whole(edit.what) && !stored.deleted
                       ? changes_since(stored, edit.data, base, author.with.number)
                       : direct_changes(edit.what, stored.data, edit.data);
    std::vector<std::string> clashes;
    if (!deletes && !stored.deleted) {
      for (const auto& change : changes)
        if (changed_by_others(stored, change, base, author.with.number)) clashes.emplace_back(change.name);
      if (clashes.empty()) {
        out.version = stored.version;
        if (changes.empty()) return {}; // the result equals what is stored
        auto merged = apply_changes(stored.data, changes);
        if (auto bad = check_size("data", merged, in.settings())) return bad;
        out.version = stored.version + 1;
        write_version(in, place, changes, std::move(merged), mark(0));
        return {};
      }
    }
    return decide_conflict(std::move(clashes), std::move(changes), out, conflicts);
  }

  std::optional<problem> decide_conflict(std::vector<std::string> clashes, std::vector<field_change> changes,
                                         item_result& out, std::vector<conflict>& conflicts) const {
    auto& stored = *place.found;
    const auto other = find_other_side(stored, base, author.with.number, in.settings());
    const auto other_device = other.device != 0 && other.device != author.with.number
                                  ? in.base().find_device(other.device)
                                  : std::optional<device>{};
    const bool same_user_other_device = other_device && other_device->owner == author.user;
    const auto by = strategy_for(in.policy_of(edit.in), same_user_other_device);
    const contestant client{edit.what == operation::remove, compared_at, author.with.priority()};
    const contestant server{stored.deleted, other.modified_at,
                            other_device ? other_device->priority() : default_priority(device_type::other)};
    auto winner = judge(by, client, server);

    // What the stored entity becomes.
    document result;
    if (winner == conflict_side::client) {
      changes = direct_changes(edit.what, stored.data, edit.data);
      result = direct_result(edit.what, stored.data, edit.data, changes);
    } else if (winner == conflict_side::merged) {
      changes = merge_changes(by, stored, std::move(changes), base, author.with.number, compared_at);
      if (changes.empty())
        winner = conflict_side::server; // nothing of the upload remained
      else
        result = apply_changes(stored.data, changes);
    }
    const bool writes = winner == conflict_side::client || winner == conflict_side::merged;
    if (writes && !result.absent())
      if (auto bad = check_size("data", result, in.settings())) return bad;

    conflict made;
    made.first_at = in.next_position();
    made.at = made.first_at;
    made.id = conflict_id(made.first_at);
    made.in = edit.in;
    made.owner = stored.owner;
    made.entity_id = edit.entity_id;
    made.server_version = stored.version;
    made.client_version = base;
    made.fields = std::move(clashes);
    made.by = by;
    made.server_data = stored.data;
    if (edit.what != operation::remove) made.client_data = edit.data;
    made.client_operation = edit.what;
    made.client_modified_at = *edit.modified_at;
    made.client_priority = edit.urgency;
    made.device_id = author.with.id;
    made.device = author.with.number;
    made.user = author.user;
    if (other_device)
      made.server_device_id = other_device->id;
    else if (other.device == author.with.number)
      made.server_device_id = author.with.id;
    made.created_at = in.now();
    made.winner = winner;
    if (winner != conflict_side::none) {
      made.status = conflict_status::resolved;
      made.resolved_at = in.now();
      made.resolved_by = "policy";
      made.resolved_version = stored.version + (writes ? 1 : 0);
    }
    const bool open = made.status == conflict_status::open;
    in.add_slot({0, slot_kind::conflict, edit.in, stored.owner, made.id, 0, edit.what,
                 open && in.policy_of(edit.in).notify_on_conflict ? priority::critical : priority::normal,
                 !open, in.now()});
    out.version = stored.version + (writes ? 1 : 0);
    out.conflict_detected = true;
    out.conflict_id = made.id;
    if (writes) {
      // The device that sent a whole object or a deletion holds what is stored now; a patch landed on fields
      // that it has not seen, so it is pushed the outcome as everybody else.
      const bool holds_it = winner == conflict_side::client && edit.what != operation::update;
      write_version(in, place, changes, std::move(result), mark(holds_it ? author.with.number : 0));
    } else if (!open) {
      stand_again(in, place);
    }
    conflicts.push_back(made);
    in.put(std::move(made));
    return {};
  }
};

} // namespace

std::vector<field_change> direct_changes(operation what, const document& stored, const document& data) {
  switch (what) {
  case operation::remove: return changes_of_removal(stored);
  case operation::update: return changes_of_patch(stored, data);
  default: return changes_of_object(stored, data);
  }
}

document direct_result(operation what, const document& stored, const document& data,
                       const std::vector<field_change>& changes) {
  switch (what) {
  case operation::remove: return {};
  case operation::update: return apply_changes(stored, changes);
  default: return data;
  }
}

void write_version(staged& in, const staged::handle& place, const std::vector<field_change>& changes,
                   document data, const version_mark& mark) {
  auto& target = *place.found;
  const auto version = target.version + 1;
  stamp_changes(target, changes, version, mark.compared_at, mark.field_device);
  if (!mark.is_device_run)
    target.run_start = version + 1; // the run is empty: rule 3 holds for nobody
  else if (target.device != mark.device)
    target.run_start = version;
  target.version = version;
  target.deleted = data.absent();
  target.data = std::move(data);
  target.modified_at = mark.modified_at;
  target.updated_at = in.now();
  target.device = mark.device;
  target.user = mark.user;
  in.vacate(target.at);
  target.at = in.add_slot({0, slot_kind::entity, target.in, target.owner, target.id, mark.not_pushed_to,
                           mark.what, mark.urgency, target.deleted, in.now()});
  in.keep(place);
}

void stand_again(staged& in, const staged::handle& place) {
  auto& stays = *place.found;
  in.vacate(stays.at);
  stays.at = in.add_slot({0, slot_kind::entity, stays.in, stays.owner, stays.id, 0,
                          stays.deleted ? operation::remove : operation::sync, priority::normal,
                          stays.deleted, in.now()});
  in.keep(place);
}

void write_first_version(staged& in, const staged::handle& place, domain d, user_number owner,
                         std::string_view id, document data, const version_mark& mark) {
  entity made;
  made.in = d;
  made.owner = owner;
  made.id = id;
  made.data = std::move(data);
  made.modified_at = mark.modified_at;
  made.updated_at = in.now();
  made.device = mark.device;
  made.user = mark.user;
  made.run_start = mark.is_device_run ? 1 : 2;
  made.first_device = mark.field_device;
  made.first_modified_at = mark.compared_at;
  made.at = in.add_slot({0, slot_kind::entity, d, owner, made.id, mark.not_pushed_to, mark.what, mark.urgency,
                         false, in.now()});
  in.keep_new(place, std::move(made));
}

std::optional<problem> apply_edit(staged& in, const edit_author& author, const edit_item& edit,
                                  item_result& out, std::vector<conflict>& conflicts) {
  const auto& settings = in.settings();
  const user_number owner = settings.shared[static_cast<std::size_t>(edit.in)] ? 0 : author.user;
  const auto place = in.find(edit.in, owner, edit.entity_id);
  const auto self = author.with.number;
  const auto compared_at = clamp_skew(*edit.modified_at, in.now(), settings);
  const version_mark mark{edit.what,   *edit.modified_at, compared_at, self, self,
                          author.user, edit.urgency,      true,        self};

  // Rule 1. A tombstone that was swept is an unknown id: whatever version the client knew, it begins again.
  if (place.found == nullptr) {
    if (edit.what == operation::remove)
      return problem{error_code::not_found, "entityId", "there is no such entity to delete"};
    write_first_version(in, place, edit.in, owner, edit.entity_id,
                        is_whole(edit.what) ? edit.data : apply_changes({}, changes_of_patch({}, edit.data)),
                        mark);
    out.version = 1;
    return {};
  }

  auto& stored = *place.found;
  const auto base = edit.base_version.value_or(0);
  if (base > stored.version) { // rule 4
    problem bad{error_code::validation_error, "baseVersion", "baseVersion is newer than the stored version"};
    bad.details = details_of_version(stored.version);
    return bad;
  }
  const bool deletes = edit.what == operation::remove;
  if (deletes && stored.deleted) {
    out.version = stored.version;
    return {};
  }
  // Rule 3: every version after the base was written by this device. What it deleted itself, it may write
  // again.
  const bool own_run = stored.device == self && stored.run_start <= stored.version &&
                       (stored.run_start <= base + 1 || stored.deleted);
  if (base != stored.version && !own_run)
    return concurrent_edit{in, author, edit, place, base, compared_at}.decide(out, conflicts);

  const auto changes = direct_changes(edit.what, stored.data, edit.data);
  // The same device sends the same again under a new key: there is nothing to write.
  if (base != stored.version && changes.empty() && !deletes && !stored.deleted) {
    out.version = stored.version;
    return {};
  }
  auto result = direct_result(edit.what, stored.data, edit.data, changes);
  if (edit.what == operation::update)
    if (auto bad = check_size("data", result, settings)) return bad;
  out.version = stored.version + 1;
  write_version(in, place, changes, std::move(result), mark); // rules 2 and 3
  return {};
}

std::string conflict_id(position first_at) {
  char text[24] = {'c'};
  return {text, std::to_chars(text + 1, text + sizeof text, first_at).ptr};
}

std::optional<position> parse_conflict_id(std::string_view id) {
  if (id.size() < 2 || id[0] != 'c' || id[1] == '0') return std::nullopt;
  position at = 0;
  const auto [end, failed] = std::from_chars(id.data() + 1, id.data() + id.size(), at);
  if (failed != std::errc{} || end != id.data() + id.size()) return std::nullopt;
  return at;
}

} // namespace mooring::sync
