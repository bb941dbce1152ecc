// Token buckets and weights (domain.md, "Limits").
#include "sync/limits.hpp"

#include <doctest/doctest.h>

using namespace mooring::sync;

TEST_CASE("weights of root fields") {
  CHECK(weight_of_mutation("syncVoiceData") == 3.0);
  CHECK(weight_of_mutation("syncOperations") == 3.0);
  CHECK(weight_of_mutation("resolveConflict") == 2.5);
  CHECK(weight_of_mutation("syncBatch") == 5.0);
  CHECK(weight_of_mutation("acknowledge") == 2.0);
  CHECK(weight_of_query == 1.0);
}

TEST_CASE("a bucket lets a burst through, then as much as flows in, and says when to come back") {
  const rate limit{10, 5}; // ten a second, five at once
  token_bucket bucket(limit, 0);
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(bucket.wait_ms(limit, 1, 0).has_value());
    bucket.take(limit, 1, 0);
  }
  CHECK(bucket.wait_ms(limit, 1, 0) == 100);
  CHECK(bucket.wait_ms(limit, 3, 0) == 300);
  CHECK(bucket.wait_ms(limit, 1, 99'000) == 1);
  CHECK_FALSE(bucket.wait_ms(limit, 1, 100'000).has_value());
  CHECK_FALSE(bucket.is_full(limit, 499'000));
  CHECK(bucket.is_full(limit, 500'000));
  CHECK(bucket.is_full(limit, 10'000'000));
  // It never holds more than the burst, and time that goes back changes nothing.
  bucket.take(limit, 5, 10'000'000);
  CHECK(bucket.wait_ms(limit, 1, 9'000'000) == 100);
}

TEST_CASE("a cost above the burst waits for a full bucket and leaves a debt") {
  const rate limit{10, 5};
  token_bucket bucket(limit, 0);
  CHECK_FALSE(bucket.wait_ms(limit, 50, 0).has_value());
  bucket.take(limit, 50, 0);
  CHECK(bucket.wait_ms(limit, 1, 0) == 4600);
}

TEST_CASE("all three buckets or none") {
  rate_limits limits{{10, 5}, {10, 100}, {10, 2}};
  token_bucket user(limits.per_user, 0), tenant(limits.per_tenant, 0), address(limits.per_address, 0);
  CHECK_FALSE(take_or_wait_ms(limits, &user, &tenant, &address, 2, 0).has_value());
  CHECK(take_or_wait_ms(limits, &user, &tenant, &address, 2, 0) == 200); // the address
  // Nothing was taken of the others: the user still has three.
  CHECK_FALSE(take_or_wait_ms(limits, &user, nullptr, nullptr, 3, 0).has_value());
  CHECK(take_or_wait_ms(limits, &user, &tenant, nullptr, 4, 0) == 400);
  limits.per_user.per_second = 0; // off
  CHECK(limits.per_user.off());
  CHECK_FALSE(take_or_wait_ms(limits, &user, nullptr, nullptr, 1e9, 0).has_value());
}
