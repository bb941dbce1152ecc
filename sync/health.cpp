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

user_health health_of(const std::vector<device>& devices) {
  std::int64_t succeeded = 0, uploads = 0, conflicts = 0;
  user_health out;
  for (const auto& one : devices) {
    succeeded += one.sync_count;
    uploads += one.sync_count + one.failed_sync_count;
    conflicts += one.conflict_count;
    if (one.last_sync_at)
      out.last_sync_at = std::max(out.last_sync_at.value_or(*one.last_sync_at), *one.last_sync_at);
  }
  if (uploads > 0) {
    out.success_rate = static_cast<double>(succeeded) / static_cast<double>(uploads);
    out.conflict_rate = std::min(1.0, static_cast<double>(conflicts) / static_cast<double>(uploads));
  }
  out.status = out.success_rate < 0.8                                           ? "unhealthy"
               : out.success_rate < 0.95 || out.conflict_rate.value_or(0) > 0.1 ? "degraded"
                                                                                : "healthy";
  return out;
}

} // namespace mooring::sync
