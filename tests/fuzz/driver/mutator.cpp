#include "tests/fuzz/driver/mutator.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

namespace mooring::fuzz {

mutator::mutator(std::uint64_t seed, const std::vector<std::string>& corpus,
                 const std::vector<std::string>& dictionary, std::size_t length_max)
    : state_(seed)
    , corpus_(corpus)
    , dictionary_(dictionary)
    , length_max_(length_max) {}

const std::string& mutator::next() {
  input_ = corpus_[below(corpus_.size())];
  // Mostly a few changes, so that the input still reaches deep; sometimes many.
  const auto rounds = chance(16) ? 1 + below(64) : 1 + below(5);
  for (std::size_t i = 0; i < rounds; ++i) mutate();
  if (input_.size() > length_max_) input_.resize(length_max_);
  return input_;
}

void mutator::mutate() {
  using change = void (mutator::*)();
  // What stands twice is tried twice as often.
  static constexpr std::array changes{
      &mutator::flip_bits,     &mutator::set_byte,       &mutator::set_byte,
      &mutator::set_integer,   &mutator::replace_number, &mutator::remove_range,
      &mutator::remove_range,  &mutator::repeat_range,   &mutator::insert_token,
      &mutator::insert_token,  &mutator::insert_token,   &mutator::overwrite_with_token,
      &mutator::insert_random, &mutator::insert_piece,   &mutator::insert_piece,
      &mutator::splice,        &mutator::break_utf8,     &mutator::swap_ranges,
      &mutator::truncate,
  };
  // The extremes cost time, so they come seldom.
  static constexpr std::array<change, 2> extremes{&mutator::nest, &mutator::stretch};
  if (chance(200))
    (this->*extremes[below(extremes.size())])();
  else
    (this->*changes[below(changes.size())])();
}

std::uint64_t mutator::random() { // SplitMix64
  std::uint64_t x = state_ += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

std::size_t mutator::below(std::size_t limit) {
  return limit == 0 ? 0 : static_cast<std::size_t>(random() % limit);
}

void mutator::insert(std::size_t at, std::string_view bytes) {
  if (input_.size() + bytes.size() <= length_max_) input_.insert(at, bytes);
}

std::string_view mutator::pick_piece() {
  const std::string_view other = corpus_[below(corpus_.size())];
  const auto begin = below(other.size());
  return other.substr(begin, 1 + below(std::min<std::size_t>(other.size() - begin, chance(4) ? 4096 : 64)));
}

void mutator::flip_bits() {
  if (input_.empty()) return;
  for (auto i = 1 + below(4); i > 0; --i) {
    auto& byte = input_[below(input_.size())];
    byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << below(8)));
  }
}

void mutator::set_byte() {
  static constexpr std::string_view interesting(
      "\x00\x01\x1f\x20\x7f\x80\xc0\xff\"\\/{}[]():,.-+!$@#&|=0919eEnt\n\r\t", 40);
  if (input_.empty()) return;
  input_[below(input_.size())] =
      chance(3) ? static_cast<char>(random()) : interesting[below(interesting.size())];
}

void mutator::set_integer() {
  static constexpr std::array<std::uint64_t, 16> interesting{0,
                                                             1,
                                                             0x7f,
                                                             0x80,
                                                             0xff,
                                                             0x7fff,
                                                             0x8000,
                                                             0xffff,
                                                             0x7fffffff,
                                                             0x80000000,
                                                             0xffffffff,
                                                             0x100000000,
                                                             0x7fffffffffffffff,
                                                             0x8000000000000000,
                                                             0xffffffffffffffff,
                                                             0x00ffffffffffffff};
  const std::size_t width = std::size_t{1} << below(4);
  if (input_.size() < width) return;
  const auto at = below(input_.size() - width + 1);
  std::uint64_t value = interesting[below(interesting.size())];
  if (chance(3)) { // a little more or less than what stands there, or the input's own length
    value = input_.size();
    value += random() % 9 - 4;
  }
  const bool big_endian = chance(2);
  for (std::size_t i = 0; i < width; ++i)
    input_[at + i] = static_cast<char>(value >> (8 * (big_endian ? width - 1 - i : i)));
}

void mutator::replace_number() {
  static constexpr std::array<std::string_view, 20> numbers{"0",
                                                            "-0",
                                                            "-1",
                                                            "2147483647",
                                                            "2147483648",
                                                            "-2147483649",
                                                            "9007199254740993",
                                                            "9223372036854775807",
                                                            "9223372036854775808",
                                                            "18446744073709551616",
                                                            "1e400",
                                                            "-1e-400",
                                                            "1.7976931348623159e308",
                                                            "0.1e-9999999999",
                                                            "1234567890123456789012345678901234567",
                                                            "01",
                                                            "1.",
                                                            ".5",
                                                            "1e",
                                                            "NaN"};
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto from = input_.begin() + static_cast<std::ptrdiff_t>(below(input_.size()));
  const auto begin = std::find_if(from, input_.end(), is_digit);
  if (begin == input_.end()) return;
  const auto end = std::find_if_not(begin, input_.end(), is_digit);
  const auto at = static_cast<std::size_t>(begin - input_.begin());
  input_.erase(begin, end);
  if (chance(8))
    insert(at, std::string(1 + below(2000), static_cast<char>('0' + below(10))));
  else
    insert(at, numbers[below(numbers.size())]);
}

void mutator::remove_range() {
  if (input_.empty()) return;
  const auto begin = below(input_.size());
  input_.erase(begin, 1 + below(std::min<std::size_t>(input_.size() - begin, chance(4) ? 1024 : 16)));
}

void mutator::repeat_range() {
  if (input_.empty()) return;
  const auto begin = below(input_.size());
  const auto piece = input_.substr(begin, 1 + below(std::min<std::size_t>(input_.size() - begin, 128)));
  std::string copies;
  for (auto i = 1 + below(chance(8) ? 100 : 3); i > 0; --i) copies += piece;
  insert(begin, copies);
}

void mutator::insert_token() {
  if (!dictionary_.empty()) insert(below(input_.size() + 1), dictionary_[below(dictionary_.size())]);
}

void mutator::overwrite_with_token() {
  if (dictionary_.empty() || input_.empty()) return;
  const auto& token = dictionary_[below(dictionary_.size())];
  const auto at = below(input_.size());
  // Over a whole word when one stands there, else over as many bytes.
  const auto is_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  auto begin = at;
  auto end = at;
  while (begin > 0 && is_word(input_[begin - 1])) --begin;
  while (end < input_.size() && is_word(input_[end])) ++end;
  if (begin == end) end = std::min(input_.size(), at + token.size());
  if (input_.size() - (end - begin) + token.size() <= length_max_) input_.replace(begin, end - begin, token);
}

void mutator::insert_random() {
  std::string bytes(1 + below(16), '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  insert(below(input_.size() + 1), bytes);
}

void mutator::insert_piece() {
  insert(below(input_.size() + 1), pick_piece());
}

void mutator::splice() {
  const std::string_view other = corpus_[below(corpus_.size())];
  input_.resize(below(input_.size() + 1));
  input_.append(other.substr(below(other.size() + 1)));
}

void mutator::nest() {
  struct pair {
    std::string_view open, close;
  };
  static constexpr std::array<pair, 9> pairs{{{"[", "]"},
                                              {"{\"a\":", "}"},
                                              {"{a", "}"},
                                              {"{a:", "}"},
                                              {"(a:[", "])"},
                                              {"...{", "}"},
                                              {"{\"a\":[", "]}"},
                                              {"\x91", ""}, // msgpack: an array of one
                                              {"\x81\xa1"
                                               "a",
                                               ""}}}; // msgpack: an object of one
  const auto& [open, close] = pairs[below(pairs.size())];
  const auto room = (length_max_ - std::min(length_max_, input_.size())) / (open.size() + close.size());
  const auto depth = std::min<std::size_t>(room, chance(3) ? 20'000 : 1 + below(200));
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  if (!chance(3)) {
    if (chance(2)) text += "1";
    for (std::size_t i = 0; i < depth; ++i) text += close;
  }
  insert(below(input_.size() + 1), text);
}

void mutator::stretch() {
  if (input_.empty()) return;
  const auto piece = chance(2) ? input_ : std::string(pick_piece());
  const auto length = chance(2) ? length_max_ : below(length_max_);
  while (input_.size() + piece.size() <= length) input_ += piece;
}

void mutator::truncate() {
  input_.resize(below(input_.size() + 1));
}

void mutator::break_utf8() {
  static constexpr std::array<std::string_view, 10> sequences{
      "\x80",         "\xc0\x80",         "\xc3",
      "\xe2\x82",     "\xed\xa0\x80",     "\xed\xbf\xbf",
      "\xf0\x9f\x92", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
      "\xef\xbf\xbf"};
  insert(below(input_.size() + 1), sequences[below(sequences.size())]);
}

void mutator::swap_ranges() {
  if (input_.size() < 4) return;
  std::array<std::size_t, 3> cuts{below(input_.size()), below(input_.size()), below(input_.size())};
  std::sort(cuts.begin(), cuts.end());
  const auto at = [&](std::size_t i) { return input_.begin() + static_cast<std::ptrdiff_t>(cuts[i]); };
  std::rotate(at(0), at(1), at(2));
}

} // namespace mooring::fuzz
