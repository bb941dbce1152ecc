#include "sync/analytics_hour.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/hash.hpp"

namespace mooring::sync {

namespace {

constexpr std::uint32_t register_bits = 10;
constexpr std::size_t registers = 1u << register_bits;
constexpr std::size_t few_max = registers / 4; // as four bytes each they need as much as all

} // namespace

// ── devices ──

void device_sketch::raise(std::uint32_t index, std::uint8_t value) {
  if (!all_.empty()) {
    all_[index] = std::max(all_[index], value);
    return;
  }
  const auto place = std::lower_bound(few_.begin(), few_.end(), index << 8);
  if (place != few_.end() && *place >> 8 == index) {
    *place = std::max(*place, index << 8 | value);
    return;
  }
  if (few_.size() < few_max) {
    few_.insert(place, index << 8 | value);
    return;
  }
  all_.assign(registers, 0);
  for (const auto one : few_) all_[one >> 8] = static_cast<std::uint8_t>(one);
  few_ = {};
  all_[index] = value;
}

template<class F> void device_sketch::for_each(F f) const {
  for (const auto one : few_) f(one >> 8, static_cast<std::uint8_t>(one));
  for (std::size_t i = 0; i < all_.size(); ++i)
    if (all_[i] != 0) f(static_cast<std::uint32_t>(i), all_[i]);
}

void device_sketch::add(std::string_view device_id) {
  const auto hash = hash64(device_id, 11);
  const auto index = static_cast<std::uint32_t>(hash >> (64 - register_bits));
  const auto rest = hash << register_bits;
  raise(index, static_cast<std::uint8_t>(rest == 0 ? 64 - register_bits + 1 : std::countl_zero(rest) + 1));
}

void device_sketch::add(const device_sketch& other) {
  other.for_each([this](std::uint32_t index, std::uint8_t value) { raise(index, value); });
}

std::int64_t device_sketch::count() const {
  constexpr auto m = static_cast<double>(registers);
  double sum = m;
  std::size_t empty = registers;
  for_each([&](std::uint32_t, std::uint8_t value) {
    --empty;
    sum -= 1 - std::ldexp(1.0, -value);
  });
  auto estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
  if (estimate <= 2.5 * m && empty > 0)
    estimate = m * std::log(m / static_cast<double>(empty)); // linear counting
  return std::llround(estimate);
}

std::string device_sketch::pack() const {
  std::string out;
  if (!all_.empty()) {
    out.assign(reinterpret_cast<const char*>(all_.data()), all_.size());
    return out;
  }
  out.reserve(few_.size() * 3);
  for (const auto one : few_) {
    out.push_back(static_cast<char>(one >> 16));
    out.push_back(static_cast<char>(one >> 8));
    out.push_back(static_cast<char>(one));
  }
  return out;
}

std::optional<device_sketch> device_sketch::unpack(std::string_view bytes) {
  device_sketch out;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const auto possible = [](unsigned value) { return value <= 64 - register_bits + 1; };
  if (bytes.size() == registers) {
    for (const char one : bytes)
      if (!possible(static_cast<unsigned char>(one))) return std::nullopt;
    out.all_.assign(bytes.begin(), bytes.end());
    return out;
  }
  if (bytes.size() % 3 != 0 || bytes.size() / 3 > few_max) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto index = static_cast<std::uint32_t>(byte(i)) << 8 | byte(i + 1);
    const auto value = byte(i + 2);
    if (index >= registers || value == 0 || !possible(value)) return std::nullopt;
    if (!out.few_.empty() && out.few_.back() >> 8 >= index) return std::nullopt;
    out.few_.push_back(index << 8 | value);
  }
  return out;
}

// ── durations ──

std::size_t analytics_hour::bucket_of(std::int64_t took_us) {
  if (took_us <= 100) return 0;
  const auto above = std::ceil(2 * std::log2(static_cast<double>(took_us) / 100) - 1e-9);
  return std::min(static_cast<std::size_t>(above), buckets - 1);
}

double analytics_hour::upper_bound_us(std::size_t bucket) {
  return 100 * std::exp2(static_cast<double>(bucket) / 2);
}

void analytics_hour::add(const analytics_hour& other) {
  requests += other.requests;
  succeeded += other.succeeded;
  replayed += other.replayed;
  conflicts_by_policy += other.conflicts_by_policy;
  conflicts_opened += other.conflicts_opened;
  bytes += other.bytes;
  duration_sum_us += other.duration_sum_us;
  for (std::size_t i = 0; i < buckets; ++i) durations[i] += other.durations[i];
  for (std::size_t i = 0; i < domains.size(); ++i) {
    domains[i].items += other.domains[i].items;
    domains[i].failed += other.domains[i].failed;
    domains[i].duplicates += other.domains[i].duplicates;
    domains[i].conflicts += other.domains[i].conflicts;
  }
  devices.add(other.devices);
}

std::optional<double> analytics_hour::average_ms() const {
  const auto measured = requests - replayed;
  if (measured <= 0) return std::nullopt;
  return static_cast<double>(duration_sum_us) / static_cast<double>(measured) / 1000;
}

std::optional<double> analytics_hour::p95_ms() const {
  const auto measured = std::accumulate(durations.begin(), durations.end(), std::int64_t{0});
  if (measured <= 0) return std::nullopt;
  auto below = measured - measured / 20; // this many must be at or below it
  for (std::size_t i = 0; i < buckets; ++i)
    if ((below -= durations[i]) <= 0) return upper_bound_us(i) / 1000;
  return upper_bound_us(buckets - 1) / 1000;
}

} // namespace mooring::sync
