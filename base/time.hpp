// Instants and the clock.
//
// An instant is a number of milliseconds since 1970-01-01T00:00:00Z, UTC, without leap seconds. Rules get time as
// an argument; only the outside reads a clock.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace mooring {

struct instant {
  std::int64_t ms = 0;
  auto operator<=>(const instant&) const = default;
};

constexpr instant operator+(instant at, std::int64_t ms) {
  return {at.ms + ms};
}
constexpr std::int64_t operator-(instant a, instant b) {
  return a.ms - b.ms;
}

// Parses RFC 3339: `2025-09-28T12:00:00Z`, any fraction (rounded down to ms), any offset, `t`/`z` in either case.
// Returns nothing for what is no instant: wrong form, day 31 of June, hour 24. A leap second (:60) is taken as :59.999.
// Years 0001 to 9999.
std::optional<instant> parse_instant(std::string_view text);

// 24 characters: `2025-09-28T12:00:00.123Z`.
void append_instant(std::string& out, instant at);
std::string to_string(instant at);

// Where time comes from. Thread-safe.
class clock {
 public:
  virtual ~clock() = default;
  virtual instant now() const = 0;               // wall clock
  virtual std::int64_t monotonic_us() const = 0; // never goes back; for durations and deadlines
};

// The machine's clock.
const clock& system_clock();

// A clock that a test moves by hand.
class manual_clock final : public clock {
 public:
  explicit manual_clock(instant start)
      : now_(start) {}
  instant now() const override { return now_; }
  std::int64_t monotonic_us() const override { return now_.ms * 1000; }
  void advance_ms(std::int64_t ms) { now_.ms += ms; }
  void set(instant at) { now_ = at; }

 private:
  instant now_;
};

} // namespace mooring
