#include "sync/health.hpp"

#include <algorithm>

namespace mooring::sync {

double health_score(const device& of, instant now) {
  constexpr double full_ms = 3'600'000, none_ms = 7 * 86'400'000.0;
  const auto syncs = static_cast<double>(of.sync_count + of.failed_sync_count);
  const double success = syncs == 0 ? 1 : static_cast<double>(of.sync_count) / syncs;
  const double peace = syncs == 0 ? 1 : 1 - std::min(1.0, static_cast<double>(of.conflict_count) / syncs);
  double recency = 0;
  if (of.last_sync_at) {
    const auto age = static_cast<double>(now - *of.last_sync_at);
    recency = std::clamp((none_ms - age) / (none_ms - full_ms), 0.0, 1.0);
  }
  return 60 * success + 20 * recency + 20 * peace;
}

} // namespace mooring::sync
