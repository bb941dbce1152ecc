#include "sync/health.hpp"

#include <doctest/doctest.h>

using namespace mooring;
using namespace mooring::sync;

TEST_CASE("a device's health: success, recency and freedom from conflicts") {
  const instant now{1'759'060'800'000};
  constexpr std::int64_t hour = 3'600'000, day = 24 * hour;
  struct row {
    std::int64_t good, failed, conflicts;
    std::optional<std::int64_t> age;
    double score;
  };
  const row table[] = {
      {0, 0, 0, {}, 80},        {10, 0, 0, 0, 100},     {10, 0, 0, hour, 100}, {10, 0, 0, 7 * day, 80},
      {10, 0, 0, 30 * day, 80}, {5, 5, 0, 0, 70},       {10, 0, 5, 0, 90},     {10, 0, 50, 0, 80},
      {0, 4, 4, 0, 20},         {10, 0, 0, -hour, 100},
  };
  for (const auto& row : table) {
    device of;
    of.sync_count = row.good;
    of.failed_sync_count = row.failed;
    of.conflict_count = row.conflicts;
    if (row.age) of.last_sync_at = now + -*row.age;
    CHECK(health_score(of, now) == doctest::Approx(row.score));
  }
}
