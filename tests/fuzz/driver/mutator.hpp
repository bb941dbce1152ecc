// mutator: makes new inputs of known ones.
//
// Text formats and binary ones alike: flips, boundary integers, tokens of a dictionary, pieces of other
// inputs, numbers too long, nesting too deep, lengths from nothing to the limit, broken UTF-8. Same seed,
// same inputs. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mooring::fuzz {

class mutator {
 public:
  // `corpus` and `dictionary` live as long as this. REQUIRES: corpus is not empty.
  mutator(std::uint64_t seed, const std::vector<std::string>& corpus,
          const std::vector<std::string>& dictionary, std::size_t length_max);

  // A new input, at most `length_max` bytes. Valid until the next call.
  const std::string& next();

 private:
  std::uint64_t random();
  std::size_t below(std::size_t limit); // 0 to limit - 1; 0 when limit is 0
  bool chance(std::size_t one_in) { return below(one_in) == 0; }
  std::string_view pick_piece();
  void mutate();

  void flip_bits();
  void set_byte();
  void set_integer();
  void replace_number();
  void remove_range();
  void repeat_range();
  void insert_token();
  void overwrite_with_token();
  void insert_random();
  void insert_piece();
  void splice();
  void nest();
  void stretch();
  void truncate();
  void break_utf8();
  void swap_ranges();
  void insert(std::size_t at, std::string_view bytes);

  std::uint64_t state_;
  const std::vector<std::string>& corpus_;
  const std::vector<std::string>& dictionary_;
  std::size_t length_max_;
  std::string input_;
};

} // namespace mooring::fuzz
