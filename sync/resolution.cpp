// resolveConflict: a person decides (domain.md, "Versions and conflicts", rule 8).
#include <algorithm>

#include "sync/asker.hpp"
#include "sync/audience.hpp"
#include "sync/entities.hpp"
#include "sync/rules.hpp"

namespace mooring::sync {

namespace {

constexpr std::size_t notes_bytes_max = 4096;

document merge_details(const conflict& of, std::optional<std::int32_t> before,
                       const std::vector<field_change>& changes) {
  document_writer out;
  out.begin_object(3);
  out.key("conflictFields");
  out.begin_array(of.fields.size());
  for (const auto& name : of.fields) out.string(name);
  out.key("changedFields");
  out.begin_array(changes.size());
  for (const auto& change : changes) out.string(change.name);
  out.key("previousVersion");
  if (before)
    out.integer(*before);
  else
    out.null();
  return out.take();
}

result<conflict_side> side_of(const resolve_conflict& what) {
  if (what.chosen_version == "client") return conflict_side::client;
  if (what.chosen_version == "server") return conflict_side::server;
  if (what.chosen_version != "merged")
    return error{error_code::bad_user_input, "chosenVersion must be `client`, `server` or `merged`",
                 "chosenVersion"};
  if (what.merge_data.absent() || kind_of(what.merge_data.bytes) != document_kind::object)
    return error{error_code::bad_user_input, "mergeData must be an object when chosenVersion is `merged`",
                 "mergeData"};
  return conflict_side::merged;
}

// What a person chose between two whole objects is where they differ: elsewhere the entity may have moved on since.
void keep_differences(std::vector<field_change>& of, const document& server, const document& client) {
  const auto differing = changes_of_object(server, client); // ascending by name
  std::erase_if(of, [&](const field_change& change) {
    return !std::binary_search(differing.begin(), differing.end(), change,
                               [](const field_change& a, const field_change& b) { return a.name < b.name; });
  });
}

error not_found() {
  return {error_code::not_found, "there is no such conflict", "conflictId"};
}

} // namespace

result<decision<resolution_answer>> apply_resolution(store& base, const caller& who,
                                                     const resolve_conflict& what, instant now,
                                                     const rule_settings& settings) {
  const auto side = side_of(what);
  if (!side) return side.failure();
  if (what.notes && what.notes->size() > notes_bytes_max)
    return error{error_code::bad_user_input,
                 "notes are longer than " + std::to_string(notes_bytes_max) + " bytes", "notes"};
  auto asking = identify(base, who);
  if (!asking) return asking.failure();
  const auto first_at = parse_conflict_id(what.conflict_id);
  auto found = first_at ? base.find_conflict(*first_at) : std::nullopt;
  const user_number known_user = asking->known_user ? asking->known_user->number : 0;
  if (!found || !may_see(known_user, found->owner)) return not_found();

  decision<resolution_answer> out;
  auto& answer = out.answer;
  answer.conflict_id = found->id;
  if (found->status == conflict_status::resolved) {
    answer.result = "already_resolved";
    answer.winner = found->winner;
    if (found->resolved_version > 0) answer.version = found->resolved_version;
    answer.message = "the conflict was resolved before, by " + found->resolved_by;
    return out;
  }

  staged in(base, now, settings, 2);
  const auto place = in.find(found->in, found->owner, found->entity_id);
  const auto operation_chosen = *side == conflict_side::client ? found->client_operation : operation::sync;
  const auto& chosen = *side == conflict_side::client ? found->client_data : what.merge_data;
  const document nothing;
  const auto& stored = place.found != nullptr ? place.found->data : nothing;
  const bool deleted = place.found == nullptr || place.found->deleted;

  std::vector<field_change> changes;
  document after;
  bool writes = false;
  if (*side != conflict_side::server) {
    const bool deletes = operation_chosen == operation::remove;
    changes = direct_changes(operation_chosen, stored, chosen);
    if (*side == conflict_side::client && is_whole(operation_chosen) && !deleted &&
        !found->server_data.absent()) {
      keep_differences(changes, found->server_data, chosen);
      after = apply_changes(stored, changes);
    } else {
      after = direct_result(operation_chosen, stored, chosen, changes);
    }
    writes = deletes ? !deleted : deleted || !changes.empty();
  }
  if (writes && !after.absent()) {
    if (auto bad = check_size(*side == conflict_side::merged ? "mergeData" : "data", after, settings)) {
      answer.success = false;
      answer.result = "failed";
      answer.message = bad->message;
      answer.failure = item_error{bad->code, bad->message, std::string(bad->field), found->id, {}};
      return out;
    }
  }

  const user_number by = known_user != 0 ? known_user : in.new_user(who.user);
  // (new_user may have moved the writes, but nothing was kept yet: the handle still holds.)
  std::optional<std::int32_t> version;
  if (place.found != nullptr) version = place.found->version;
  answer.merge_details = merge_details(*found, version, changes);
  if (writes) {
    version_mark mark;
    mark.what = operation_chosen;
    mark.modified_at = now;
    mark.compared_at = now;
    // The version shows a device: the resolver's when the token names one, else the one whose edit it was.
    // But nobody's later edit may pass as a continuation of it, and everybody is pushed the outcome.
    mark.device = asking->known_device ? asking->known_device->number : found->device;
    mark.user = by;
    mark.urgency = *side == conflict_side::client ? found->client_priority : priority::normal;
    mark.is_device_run = false;
    if (place.found != nullptr) {
      version = place.found->version + 1;
      write_version(in, place, changes, std::move(after), mark);
    } else {
      version = 1;
      write_first_version(in, place, found->in, found->owner, found->entity_id, std::move(after), mark);
    }
  } else if (place.found != nullptr) {
    stand_again(in, place);
  }

  found->by = what.by;
  found->status = conflict_status::resolved;
  found->winner = *side;
  found->resolved_at = now;
  found->resolved_by = who.user;
  found->notes = what.notes.value_or("");
  found->resolved_version = version.value_or(0);
  in.vacate(found->at);
  found->at = in.add_slot({0, slot_kind::conflict, found->in, found->owner, found->id, 0, operation_chosen,
                           priority::normal, true, now});
  answer.result = "resolved";
  answer.winner = *side;
  answer.version = version;
  in.put(std::move(*found));
  in.finish(out);
  return out;
}

} // namespace mooring::sync
