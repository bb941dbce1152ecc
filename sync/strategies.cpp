#include "sync/strategies.hpp"

#include "base/check.hpp"
#include "sync/escalation.hpp"

namespace mooring::sync {

namespace {

conflict_side later(const contestant& client, const contestant& server) {
  return client.modified_at > server.modified_at ? conflict_side::client : conflict_side::server;
}

} // namespace

conflict_side judge(strategy by, const contestant& client, const contestant& server) {
  switch (by) {
  case strategy::client_wins: return conflict_side::client;
  case strategy::server_wins: return conflict_side::server;
  case strategy::most_recent_wins: return later(client, server);
  case strategy::device_priority:
    if (client.priority != server.priority)
      return client.priority > server.priority ? conflict_side::client : conflict_side::server;
    return later(client, server);
  case strategy::merge:
  case strategy::preserve_escalation:
    // Merging makes neither side win, so a deletion does not beat an edit: what was written survives.
    if (client.deletes) return conflict_side::server;
    if (server.deletes) return conflict_side::client;
    return conflict_side::merged;
  case strategy::manual: return conflict_side::none;
  }
  MOORING_CHECK(false, "a strategy of the model");
}

std::vector<field_change> merge_changes(strategy by, const entity& stored, std::vector<field_change> changes,
                                        std::int32_t base, device_number client, instant client_modified_at) {
  std::erase_if(changes, [&](const field_change& change) {
    if (by == strategy::preserve_escalation && !change.before.empty() && is_escalation_field(change.name)) {
      if (change.removes) return true;
      const auto order = compare_escalation(change.after(), change.before).value_or(0);
      if (order != 0) return order < 0;
    }
    if (!changed_by_others(stored, change, base, client)) return false;
    return client_modified_at <= origin_of(stored, change.name).modified_at;
  });
  return changes;
}

} // namespace mooring::sync
