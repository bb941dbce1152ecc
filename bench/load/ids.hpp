// Ids and instants as clients make them, written into buffers of fixed width.
#pragma once

#include <cstdint>
#include <string_view>

namespace mooring::bench {

// A good scrambler of 64 bits (the finaliser of SplitMix64).
constexpr std::uint64_t scramble(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

constexpr std::uint64_t hash_name(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return scramble(h);
}

// The families of ids that belong to a tenant of this name, in every run.
inline std::uint64_t device_family(std::string_view tenant) {
  return scramble(hash_name(tenant) ^ hash_name("/devices"));
}
inline std::uint64_t entity_family(std::string_view tenant) {
  return scramble(hash_name(tenant) ^ hash_name("/entities"));
}

// The UUID (version 4 in form) with this number in this family: the same pair gives the same text, in every
// process.
class uuid {
 public:
  uuid(std::uint64_t family, std::uint64_t number) {
    static constexpr char digits[] = "0123456789abcdef";
    const std::uint64_t halves[2] = {scramble(family ^ scramble(number)), scramble(family + ~number)};
    int at = 0;
    for (int i = 0; i < 32; ++i) {
      if (at == 8 || at == 13 || at == 18 || at == 23) text_[at++] = '-';
      text_[at++] = digits[(halves[i / 16] >> (4 * (i % 16))) & 15U];
    }
    text_[14] = '4';
    text_[19] = 'a';
  }
  operator std::string_view() const { return {text_, width}; }
  static constexpr std::size_t width = 36;

 private:
  char text_[width];
};

// `2025-09-28T12:00:00.123Z`.
class instant_text {
 public:
  explicit instant_text(std::int64_t ms_since_1970) {
    std::int64_t days = ms_since_1970 / 86'400'000;
    auto rest = static_cast<unsigned>(ms_since_1970 % 86'400'000);
    // days -> civil date, after Howard Hinnant's chrono paper
    days += 719'468;
    const auto era = days / 146'097;
    const auto day_of_era = static_cast<unsigned>(days - era * 146'097);
    const unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned shifted_month = (5 * day_of_year + 2) / 153;
    const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    const auto year =
        static_cast<unsigned>(static_cast<std::int64_t>(year_of_era) + era * 400) + (month <= 2 ? 1 : 0);
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day_of_year - (153 * shifted_month + 2) / 5 + 1);
    put(20, 3, rest % 1000);
    rest /= 1000;
    put(17, 2, rest % 60);
    rest /= 60;
    put(14, 2, rest % 60);
    put(11, 2, rest / 60);
  }
  operator std::string_view() const { return {text_, width}; }
  static constexpr std::size_t width = 24;

 private:
  void put(int at, int digits, unsigned value) {
    for (int i = digits - 1; i >= 0; --i, value /= 10) text_[at + i] = static_cast<char>('0' + value % 10);
  }
  char text_[width + 1] = "0000-00-00T00:00:00.000Z";
};

// A JSON integer, padded with blanks (which JSON allows) to a fixed width.
class padded_integer {
 public:
  explicit padded_integer(std::uint64_t value) {
    char reversed[20];
    int count = 0;
    do reversed[count++] = static_cast<char>('0' + value % 10);
    while ((value /= 10) > 0);
    for (int i = 0; i < static_cast<int>(width); ++i) text_[i] = i < count ? reversed[count - 1 - i] : ' ';
  }
  operator std::string_view() const { return {text_, width}; }
  static constexpr std::size_t width = 10;

 private:
  char text_[width];
};

} // namespace mooring::bench
