// The order of escalation values, for PRESERVE_ESCALATION: which of two priorities, severities or levels is
// higher.
//
// The rules do not know an application's words, so they know the usual ones (docs/decisions/0014 has the
// table).
#pragma once

#include <optional>
#include <string_view>

namespace mooring::sync {

// True for `priority`, `severity`, `escalation_level` and `escalated`.
bool is_escalation_field(std::string_view name);

// -1, 0, 1 as `a` is lower than, as high as or higher than `b`; nothing when the two cannot be compared. Both
// are documents; numbers compare as numbers, true is above false, known words in any case by their rank, P0
// to P9 and S0 to S9 (also SEV0…) with 0 on top.
std::optional<int> compare_escalation(std::string_view a, std::string_view b);

} // namespace mooring::sync
