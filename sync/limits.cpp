#include "sync/limits.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace mooring::sync {

void token_bucket::refill(const rate& limit, std::int64_t now_us) {
  if (now_us <= at_us_) return;
  tokens_ = std::min(limit.burst, tokens_ + static_cast<double>(now_us - at_us_) * limit.per_second / 1e6);
  at_us_ = now_us;
}

std::optional<std::int64_t> token_bucket::wait_ms(const rate& limit, double cost, std::int64_t now_us) {
  if (limit.off()) return std::nullopt;
  refill(limit, now_us);
  const double needed = std::min(cost, limit.burst);
  if (tokens_ >= needed) return std::nullopt;
  // A millionth of a millisecond is rounding, not waiting.
  const double ms = std::ceil((needed - tokens_) * 1000 / limit.per_second - 1e-6);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(ms));
}

void token_bucket::take(const rate& limit, double cost, std::int64_t now_us) {
  if (limit.off()) return;
  refill(limit, now_us);
  tokens_ -= cost;
}

bool token_bucket::is_full(const rate& limit, std::int64_t now_us) {
  refill(limit, now_us);
  return tokens_ >= limit.burst;
}

std::optional<std::int64_t> take_or_wait_ms(const rate_limits& limits, token_bucket* user,
                                            token_bucket* tenant, token_bucket* address, double cost,
                                            std::int64_t now_us) {
  const std::array<std::pair<token_bucket*, const rate*>, 3> all = {
      {{user, &limits.per_user}, {tenant, &limits.per_tenant}, {address, &limits.per_address}}};
  std::optional<std::int64_t> longest;
  for (const auto& [bucket, limit] : all)
    if (bucket != nullptr)
      if (const auto wait = bucket->wait_ms(*limit, cost, now_us))
        longest = std::max(longest.value_or(0), *wait);
  if (longest) return longest;
  for (const auto& [bucket, limit] : all)
    if (bucket != nullptr) bucket->take(*limit, cost, now_us);
  return std::nullopt;
}

double weight_of_mutation(std::string_view field) {
  if (field == "syncVoiceData" || field == "syncOperations") return 3.0;
  if (field == "resolveConflict") return 2.5;
  if (field == "syncBatch") return 5.0;
  return 2.0;
}

} // namespace mooring::sync
