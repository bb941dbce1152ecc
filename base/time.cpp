#include "base/time.hpp"

#include <time.h>

#include <chrono>

namespace mooring {

namespace {

// `count` decimal digits at `at`, or -1.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

void put_digits(char* out, int value, int count) {
  for (int i = count - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

constexpr std::int64_t ms_per_day = 86'400'000;
// The first and the last instant that four digits of a year can write.
constexpr std::int64_t first_ms = -62'135'596'800'000, last_ms = 253'402'300'799'999;

} // namespace

std::optional<instant> parse_instant(std::string_view text) {
  // 2025-09-28T12:00:00 is 19 characters; a zone must follow.
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
      text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2);
  int second = digits(text, 17, 2);
  if (year < 1 || month < 1 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 60)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;

  std::size_t at = 19;
  int ms = 0;
  if (text[at] == '.') {
    ++at;
    int scale = 100;
    const auto first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      ms += (text[at] - '0') * scale;
      scale /= 10;
      ++at;
    }
    if (at == first) return std::nullopt;
  }
  if (second == 60) { // a leap second counts as the last millisecond before the next minute
    second = 59;
    ms = 999;
  }
  if (at >= text.size()) return std::nullopt;
  std::int64_t offset_minutes = 0;
  if (text[at] == 'Z' || text[at] == 'z') {
    ++at;
  } else if (text[at] == '+' || text[at] == '-') {
    const int offset_hour = digits(text, at + 1, 2), offset_minute = digits(text, at + 4, 2);
    if (offset_hour < 0 || offset_hour > 23 || offset_minute < 0 || offset_minute > 59 || text[at + 3] != ':')
      return std::nullopt;
    offset_minutes = (offset_hour * 60 + offset_minute) * (text[at] == '+' ? 1 : -1);
    at += 6;
  } else {
    return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;

  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  const std::int64_t since_1970 =
      days * ms_per_day + ((hour * 60 + minute - offset_minutes) * 60 + second) * std::int64_t{1000} + ms;
  if (since_1970 < first_ms || since_1970 > last_ms)
    return std::nullopt; // the offset leads out of the years 1 to 9999
  return instant{since_1970};
}

void append_instant(std::string& out, instant at) {
  // Outside the years that four digits can write, the nearest one that they can.
  const std::int64_t ms = at.ms < first_ms ? first_ms : at.ms > last_ms ? last_ms : at.ms;
  std::int64_t day_number = ms / ms_per_day, in_day = ms % ms_per_day;
  if (in_day < 0) {
    in_day += ms_per_day;
    --day_number;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day_number}}};
  char text[24] = {'0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0',
                   '0', ':', '0', '0', ':', '0', '0', '.', '0', '0', '0', 'Z'};
  put_digits(text, static_cast<int>(date.year()), 4);
  put_digits(text + 5, static_cast<int>(static_cast<unsigned>(date.month())), 2);
  put_digits(text + 8, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  put_digits(text + 11, static_cast<int>(in_day / 3'600'000), 2);
  put_digits(text + 14, static_cast<int>(in_day / 60'000 % 60), 2);
  put_digits(text + 17, static_cast<int>(in_day / 1000 % 60), 2);
  put_digits(text + 20, static_cast<int>(in_day % 1000), 3);
  out.append(text, sizeof text);
}

std::string to_string(instant at) {
  std::string out;
  append_instant(out, at);
  return out;
}

namespace {

class machine_clock final : public clock {
 public:
  instant now() const override {
    timespec at{};
    ::clock_gettime(CLOCK_REALTIME, &at);
    return {at.tv_sec * std::int64_t{1000} + at.tv_nsec / 1'000'000};
  }
  std::int64_t monotonic_us() const override {
    timespec at{};
    ::clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * std::int64_t{1'000'000} + at.tv_nsec / 1000;
  }
};

} // namespace

const clock& system_clock() {
  static const machine_clock instance;
  return instance;
}

} // namespace mooring
