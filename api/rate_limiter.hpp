// Token buckets per user, per tenant and per address (domain.md, "Limits"). Thread-safe; one per process.
//
// Buckets are made on demand and forgotten when full again, so memory follows the callers of the last seconds.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "sync/limits.hpp"

namespace mooring::api {

class rate_limiter {
 public:
  explicit rate_limiter(sync::rate_limits settings)
      : settings_(settings) {}

  // Takes `cost` from all three buckets, or from none: then says after how many milliseconds to come back.
  // `address` may be empty (not counted).
  std::optional<std::int64_t> take(std::string_view tenant, std::string_view user, std::string_view address,
                                   double cost, std::int64_t now_us);

 private:
  using bucket_map = std::unordered_map<std::uint64_t, sync::token_bucket>;
  sync::token_bucket* find(bucket_map& in, const sync::rate& limit, std::uint64_t key, std::int64_t now_us);
  void forget_full(bucket_map& in, const sync::rate& limit, std::int64_t now_us);

  const sync::rate_limits settings_;
  std::mutex mutex_;
  bucket_map users_, tenants_, addresses_;
  std::size_t forget_at_ = 1024; // buckets in all
};

} // namespace mooring::api
