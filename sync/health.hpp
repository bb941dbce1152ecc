// A device's health, 0 to 100: 60 % success rate, 20 % recency of the last sync, 20 % freedom from conflicts
// (schema, DeviceInfoType.healthScore).
#pragma once

#include "sync/model.hpp"

namespace mooring::sync {

// Recency is full within an hour of the last sync and falls evenly to nothing at seven days. A device that never synced
// has nothing to answer for but its absence: 80.
double health_score(const device& of, instant now);

} // namespace mooring::sync
