// What a tenant did in one hour: the row behind syncAnalytics, and how it adds up. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

// How many different devices were seen, without keeping their names: HyperLogLog with 1,024 registers of a
// 64-bit hash. Exact or nearly so for a few hundred, within 10 % (three standard errors) beyond. 4 bytes for
// each device at first, 1 KiB at most.
class device_sketch {
 public:
  void add(std::string_view device_id);
  void add(const device_sketch& other);
  std::int64_t count() const;

  // As bytes: 1,024 registers, or fewer as triples of register (big-endian) and value. Nothing: bytes that
  // are neither.
  std::string pack() const;
  static std::optional<device_sketch> unpack(std::string_view bytes);

  bool operator==(const device_sketch& other) const { return pack() == other.pack(); }

 private:
  void raise(std::uint32_t index, std::uint8_t value);
  template<class F> void for_each(F f) const; // f(register, value) for those above 0

  std::vector<std::uint32_t> few_; // register << 8 | value, ascending; while they are few
  std::vector<std::uint8_t> all_;  // every register; else empty
};

inline constexpr std::int64_t hour_ms = 3'600'000;
inline constexpr std::int64_t analytics_hours_max = 90 * 24; // kept, and answered at a time
constexpr std::int64_t hour_of(instant at) {
  return at.ms / hour_ms - (at.ms % hour_ms < 0 ? 1 : 0);
}

struct domain_counts {
  std::int64_t items = 0; // uploaded, replays not counted
  std::int64_t failed = 0;
  std::int64_t duplicates = 0;
  std::int64_t conflicts = 0;
  bool operator==(const domain_counts&) const = default;
};

struct analytics_hour {
  // Upper bounds of the durations that a bucket counts, in µs: 100, 141, 200, 283, … doubling every second
  // one; the last has none.
  static constexpr std::size_t buckets = 32;
  static std::size_t bucket_of(std::int64_t took_us);
  static double upper_bound_us(std::size_t bucket);

  std::int64_t hour = 0;      // since 1970-01-01T00:00Z; key
  std::int64_t requests = 0;  // uploads that were decided, replays too
  std::int64_t succeeded = 0; // of them, those without a failed item
  std::int64_t replayed = 0;  // of them, those that were a stored answer
  std::int64_t conflicts_by_policy = 0, conflicts_opened = 0;
  std::int64_t bytes = 0;           // of the requests
  std::int64_t duration_sum_us = 0; // of those that were no replays
  std::array<std::int64_t, buckets> durations{};
  std::array<domain_counts, domain_count> domains{};
  device_sketch devices;
  bool operator==(const analytics_hour&) const = default;

  void add(const analytics_hour& other); // the hours may differ; keeps its own
  std::optional<double> average_ms() const;
  std::optional<double> p95_ms() const; // the upper bound of its bucket
};

} // namespace mooring::sync
