// Edits of versioned entities: the eight rules of domain.md, "Versions and conflicts". Pure.
#pragma once

#include <optional>
#include <vector>

#include "sync/answers.hpp"
#include "sync/commands.hpp"
#include "sync/fields.hpp"
#include "sync/staged.hpp"
#include "sync/validation.hpp"

namespace mooring::sync {

struct edit_author {
  user_number user = 0;
  const device& with;
};

// Rules 1 to 7. REQUIRES: check_item found nothing wrong. On success fills version and conflict of `out` and
// appends a conflict that was recorded to `conflicts`; a problem is the item's error, and nothing was staged.
std::optional<problem> apply_edit(staged& in, const edit_author& author, const edit_item& edit,
                                  item_result& out, std::vector<conflict>& conflicts);

// How an accepted edit is written down.
struct version_mark {
  operation what = operation::sync;
  instant modified_at;      // as the client said it
  instant compared_at;      // the same, clamped against clock skew
  device_number device = 0; // who wrote this version
  device_number field_device =
      0; // who is noted for its fields; 0: nobody's own, so that it can conflict with everybody
  user_number user = 0;
  priority urgency = priority::normal;
  bool is_device_run = true;       // counts for rule 3
  device_number not_pushed_to = 0; // the device that already holds exactly this state; 0: none
};

// Makes the next version of what stands in `place`. `changes` view place.found->data; `data` is absent for a
// deletion.
void write_version(staged& in, const staged::handle& place, const std::vector<field_change>& changes,
                   document data, const version_mark& mark);
// Makes version 1 of an entity that is not there, and returns nothing else: it cannot fail.
void write_first_version(staged& in, const staged::handle& place, domain d, user_number owner,
                         std::string_view id, document data, const version_mark& mark);

// Moves what stands in `place` to the end of the feed as it is, for everybody: the device whose edit lost may have taken
// its own for the stored one (docs/decisions/0032). REQUIRES: place.found
void stand_again(staged& in, const staged::handle& place);

// modifiedAt more than the allowed skew ahead of the server counts as the server's clock.
inline instant clamp_skew(instant modified_at, instant server, const rule_settings& settings) {
  return modified_at > server + settings.clock_skew_ms ? server : modified_at;
}

// True for an edit that brings the whole object.
constexpr bool is_whole(operation what) {
  return what == operation::create || what == operation::sync;
}

// What an edit changes when it is applied as if nobody else had edited.
std::vector<field_change> direct_changes(operation what, const document& stored, const document& data);
// The data that those changes make; absent for a deletion.
document direct_result(operation what, const document& stored, const document& data,
                       const std::vector<field_change>& changes);

// The text of a conflict's id, and back.
std::string conflict_id(position first_at);
std::optional<position> parse_conflict_id(std::string_view id);

} // namespace mooring::sync
