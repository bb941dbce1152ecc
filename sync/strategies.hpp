// Who wins a conflict: the seven strategies of schema.graphql, ResolutionStrategyEnum (domain.md, rule 6).
// Pure.
#pragma once

#include <vector>

#include "sync/fields.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

// One side of a conflict, as far as a strategy looks at it.
struct contestant {
  bool deletes = false;
  instant modified_at;       // clamped against clock skew
  std::int32_t priority = 0; // of its device
};

// Which side the strategy takes: `client`, `server`, `merged` (field by field), or `none` for a person to
// decide.
conflict_side judge(strategy by, const contestant& client, const contestant& server);

// For `merged`: the client's changes that remain when both sides are merged field by field. A field that
// others changed too goes to the later modifiedAt, the stored value on a tie. With preserve_escalation an
// escalation is never undone.
std::vector<field_change> merge_changes(strategy by, const entity& stored, std::vector<field_change> changes,
                                        std::int32_t base, device_number client, instant client_modified_at);

} // namespace mooring::sync
