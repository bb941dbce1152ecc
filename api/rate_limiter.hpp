// Token buckets per user, per tenant and per address (domain.md, "Limits"). Thread-safe; one per process.
//
// Buckets are made on demand and forgotten when full again, so memory follows the callers of the last seconds.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sync/limits.hpp"

namespace mooring::api {

struct rate_limits {
  bool enabled = true;
  sync::bucket_settings user, tenant, address;
};

class rate_limiter {
 public:
  explicit rate_limiter(rate_limits settings) : settings_(settings) {}

  // Takes `cost` from all three buckets, or from none: then says after how many milliseconds to come back.
  // `address` may be empty (not counted).
  std::optional<std::int64_t> take(std::string_view tenant, std::string_view user, std::string_view address, double cost,
                                   std::int64_t now_us);

 private:
  struct shard {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, sync::token_bucket> buckets;
    std::size_t sweep_at = 1024;
  };
  static constexpr std::size_t shards = 16;

  std::optional<std::int64_t> take_one(std::uint64_t key, const sync::bucket_settings& settings, double cost,
                                       std::int64_t now_us);
  void give_back(std::uint64_t key, double cost);

  const rate_limits settings_;
  std::array<shard, shards> shards_;
};

} // namespace mooring::api
