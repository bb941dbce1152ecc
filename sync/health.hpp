// A device's health, 0 to 100: 60 % success rate, 20 % recency of the last sync, 20 % freedom from conflicts
// (schema, DeviceInfoType.healthScore).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sync/model.hpp"

namespace mooring::sync {

// Recency is full within an hour of the last sync and falls evenly to nothing at seven days. A device that
// never synced has nothing to answer for but its absence: 80.
double health_score(const device& of, instant now);

// How a user's devices fare together: SyncHealthType without its durations.
struct user_health {
  std::string status; // "healthy", "degraded" or "unhealthy"
  double success_rate = 1;
  std::optional<double> conflict_rate; // conflicts per upload, 1 at most; nothing: no uploads
  std::optional<instant> last_sync_at;
};
// healthy: at least 95 % of the uploads succeeded and at most one in ten met a conflict; unhealthy: fewer
// than 80 % succeeded.
user_health health_of(const std::vector<device>& devices);

} // namespace mooring::sync
