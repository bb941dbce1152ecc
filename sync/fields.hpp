// An edit seen field by field: which top-level fields of the stored entity it would change, whether the
// server changed them too, and what the entity becomes (domain.md, "Versions and conflicts", rules 5 and 6).
// Pure.
//
// A change views the bytes of the stored document and of the edit: both must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

struct field_change {
  std::string_view name;
  std::string_view before; // the stored value; empty: the field is absent
  std::string_view plain;  // the new value where it is taken as it came
  document merged;         // the new value where a nested object was patched
  bool removes = false;
  std::string_view after() const {
    return merged.absent() ? plain : std::string_view{merged.bytes};
  } // empty: removed
};

// What an edit does to `stored` (an object, or absent for a tombstone or nothing), ascending by name. A field
// that already has the new value is no change.
std::vector<field_change> changes_of_patch(const document& stored, const document& patch);
std::vector<field_change> changes_of_object(const document& stored, const document& object);
// As changes_of_object, for a whole object that `by` made on version `base` of `stored`: a field that the
// upload merely carries along unchanged from `base` is no change, though the server has another value by now.
// What `by` itself changed after `base` is measured against the present value: its later edit knew of its
// earlier one.
std::vector<field_change> changes_since(const entity& stored, const document& object, std::int32_t base,
                                        device_number by);
// Every field removed.
std::vector<field_change> changes_of_removal(const document& stored);

// `stored` with the changes. Members keep their places; new ones follow.
document apply_changes(const document& stored, const std::vector<field_change>& changes);

// Who gave the field its present value (or took it away), and when.
struct field_origin {
  std::int32_t version = 1;
  instant modified_at;
  device_number device = 0;
};
field_origin origin_of(const entity& of, std::string_view name);
// True when somebody else than `by` gave the field its present state after version `base`.
bool changed_by_others(const entity& stored, const field_change& change, std::int32_t base, device_number by);

// Notes in `target.fields` that these fields change with `version`. To be called before target.data is
// replaced (the changes view it). `modified_at` is clamped already.
void stamp_changes(entity& target, const std::vector<field_change>& changes, std::int32_t version,
                   instant modified_at, device_number device);

// Stamps of fields that are gone are kept up to this number; the oldest are forgotten first. A client that
// sends a new name with every edit must not make the row grow for ever.
inline constexpr std::size_t removed_stamps_max = 64;

} // namespace mooring::sync
