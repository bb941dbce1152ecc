// Removing what has expired: idempotency and operation records after the window; tombstones, closed conflicts
// and notifications after the retention (domain.md, "Exactly once", "The change feed"). Pure.
//
// The outside scans and hands over what it saw; the decision looks at each row again as it stands now, so
// rows that were seen a while ago are no danger.
#pragma once

#include <vector>

#include "sync/rules.hpp"
#include "sync/store.hpp"

namespace mooring::sync {

struct sweep_candidates {
  std::vector<idempotency_record> idempotency;
  std::vector<operation_record> operations;
  std::vector<feed_row> feed;
};

// `swept` is the tenant's present swept position; it only ever grows. Empty when nothing expired.
write_list decide_sweep(store&, const sweep_candidates& seen, position swept, instant now,
                        const rule_settings&);

// True when a slot may be removed by now.
inline bool has_expired(const feed_slot& slot, instant now, const rule_settings& settings) {
  return slot.expires && now - slot.decided_at >= settings.retention_ms;
}

} // namespace mooring::sync
