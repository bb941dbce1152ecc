#include "api/rate_limiter.hpp"

#include <algorithm>

#include "base/hash.hpp"

namespace mooring::api {

sync::token_bucket* rate_limiter::find(bucket_map& in, const sync::rate& limit, std::uint64_t key,
                                       std::int64_t now_us) {
  if (limit.off()) return nullptr;
  return &in.try_emplace(key, limit, now_us).first->second;
}

void rate_limiter::forget_full(bucket_map& in, const sync::rate& limit, std::int64_t now_us) {
  for (auto at = in.begin(); at != in.end();)
    at = at->second.is_full(limit, now_us) ? in.erase(at) : std::next(at);
}

std::optional<std::int64_t> rate_limiter::take(std::string_view tenant, std::string_view user,
                                               std::string_view address, double cost, std::int64_t now_us) {
  if (settings_.per_user.off() && settings_.per_tenant.off() && settings_.per_address.off())
    return std::nullopt;
  const auto tenant_key = hash64(tenant, process_seed());
  const std::lock_guard hold(mutex_);
  if (users_.size() + tenants_.size() + addresses_.size() >= forget_at_) {
    forget_full(users_, settings_.per_user, now_us);
    forget_full(tenants_, settings_.per_tenant, now_us);
    forget_full(addresses_, settings_.per_address, now_us);
    forget_at_ = std::max<std::size_t>(1024, 2 * (users_.size() + tenants_.size() + addresses_.size()));
  }
  auto* const of_user = find(users_, settings_.per_user, hash64(user, tenant_key), now_us);
  auto* const of_tenant = find(tenants_, settings_.per_tenant, tenant_key, now_us);
  auto* const of_address =
      address.empty() ? nullptr
                      : find(addresses_, settings_.per_address, hash64(address, process_seed() + 1), now_us);
  return sync::take_or_wait_ms(settings_, of_user, of_tenant, of_address, cost, now_us);
}

} // namespace mooring::api
