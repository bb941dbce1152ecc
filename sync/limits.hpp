// Rate limits: token buckets and what requests cost (domain.md, "Limits"). Pure; time is the caller's, in
// monotonic µs.
//
// The defaults let a fleet work at full speed and stop what has run wild: a phone in a retry loop, a client
// without back-off. 20,000 tokens a second are over 6,000 uploads a second of one user. Each of the three can
// be switched off (per_second 0).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mooring::sync {

struct rate {
  double per_second = 0; // tokens that flow in; 0 or less: no limit
  double burst = 0;      // tokens that the bucket holds
  bool off() const { return per_second <= 0; }
};

struct rate_limits {
  rate per_user{20'000, 40'000};
  rate per_tenant{200'000, 400'000};
  rate per_address{100'000, 200'000};
};

class token_bucket {
 public:
  // Full at first.
  token_bucket(const rate& limit, std::int64_t now_us)
      : tokens_(limit.burst)
      , at_us_(now_us) {}

  // Milliseconds until `cost` will be there, at least 1; nothing when it is there now. Takes nothing.
  // A cost above what the bucket holds is served by a full bucket, which then owes the rest: a limit slows
  // requests down, it does not forbid any.
  std::optional<std::int64_t> wait_ms(const rate& limit, double cost, std::int64_t now_us);
  void take(const rate& limit, double cost, std::int64_t now_us);
  // True when it has filled up: it can be forgotten and made anew.
  bool is_full(const rate& limit, std::int64_t now_us);

 private:
  void refill(const rate& limit, std::int64_t now_us);
  double tokens_;
  std::int64_t at_us_;
};

// All or nothing over the three buckets of a request: takes the cost from each, or from none and says when to
// come back. A null bucket, or one whose rate is off, does not count.
std::optional<std::int64_t> take_or_wait_ms(const rate_limits& limits, token_bucket* user,
                                            token_bucket* tenant, token_bucket* address, double cost,
                                            std::int64_t now_us);

// The weight of one root field: syncVoiceData and syncOperations 3, resolveConflict 2.5, syncBatch 5, any
// other mutation 2, any query 1. A subscription costs as a mutation.
double weight_of_mutation(std::string_view field);
inline constexpr double weight_of_query = 1.0;
inline constexpr double weight_of_subscription = 2.0;

} // namespace mooring::sync
