// histogram: latencies in log-linear buckets, 128 to each power of two, so that a percentile is right to 0.8
// %.
//
// Values are nanoseconds. Recording is a few instructions and never allocates. One thread.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace mooring::bench {

class histogram {
 public:
  void record(std::uint64_t ns) {
    ++counts_[index_of(ns)];
    ++total_;
    if (ns > max_) max_ = ns;
  }
  void clear() { *this = {}; }
  std::uint64_t total() const { return total_; }
  std::uint64_t max() const { return max_; }

  // The value that `share` (0 to 1) of the recorded ones do not exceed; 0 when nothing was recorded.
  std::uint64_t percentile(double share) const {
    if (total_ == 0) return 0;
    auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_) + 0.5);
    if (rank < 1) rank = 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return upper_bound(i) < max_ ? upper_bound(i) : max_;
    }
    return max_;
  }

 private:
  static constexpr int bits = 7; // 2^bits buckets a power of two
  static constexpr std::size_t size = (64 - bits + 1) << bits;

  static std::size_t index_of(std::uint64_t value) {
    if (value < (1U << bits)) return static_cast<std::size_t>(value);
    const int shift = std::bit_width(value) - 1 - bits;
    return (static_cast<std::size_t>(shift + 1) << bits) +
           static_cast<std::size_t>((value >> shift) - (1U << bits));
  }
  static std::uint64_t upper_bound(std::size_t index) {
    if (index < (1U << bits)) return index;
    const auto shift = static_cast<int>(index >> bits) - 1;
    const std::uint64_t low = (std::uint64_t{1} << bits) + (index & ((1U << bits) - 1));
    return ((low + 1) << shift) - 1;
  }

  std::array<std::uint64_t, size> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

} // namespace mooring::bench
