#include <doctest/doctest.h>

#include <atomic>

#include "base/deadline.hpp"

using namespace mooring;
using namespace std::chrono_literals;

TEST_CASE("a deadline that is missed is told of once, and waited for") {
  std::atomic<int> told{0}, done{0};
  {
    const deadline limit(1ms, [&] {
      ++told;
      std::this_thread::sleep_for(20ms);
      ++done;
    });
    while (told == 0) std::this_thread::yield();
  }
  CHECK(told == 1);
  CHECK(done == 1);
}

TEST_CASE("one that is met is not told of, and holds nobody up") {
  std::atomic<int> told{0};
  {
    const deadline limit(1h, [&] { ++told; });
  }
  CHECK(told == 0);
}
