// The few msgpack shapes that packed answers are made of, written and read without building a tree.
//
// The packer writes what msgpack calls int, bool, nil, float 64, str, bin and array. The unpacker reads bytes
// from disk or from peers and trusts nothing: the first thing that is not what was asked for sets `failed`,
// and from then on every read returns zero, an empty text or false.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace mooring::sync {

class packer {
 public:
  explicit packer(std::string& out)
      : out_(out) {}

  void nil() { put(0xc0); }
  void boolean(bool value) { put(value ? 0xc3 : 0xc2); }
  void integer(std::int64_t value) {
    if (value >= 0 && value <= 0x7f) {
      put(static_cast<unsigned>(value));
    } else if (value >= -32 && value < 0) {
      put(static_cast<unsigned>(value) & 0xffu);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      put(0xd2);
      big_endian(static_cast<std::uint64_t>(value), 4);
    } else {
      put(0xd3);
      big_endian(static_cast<std::uint64_t>(value), 8);
    }
  }
  void unsigned_integer(std::uint64_t value) {
    if (value <= INT32_MAX) return integer(static_cast<std::int64_t>(value));
    put(0xcf);
    big_endian(value, 8);
  }
  void number(double value) {
    put(0xcb);
    big_endian(std::bit_cast<std::uint64_t>(value), 8);
  }
  void text(std::string_view value) {
    if (value.size() <= 31) {
      put(0xa0u | static_cast<unsigned>(value.size()));
    } else if (value.size() <= 0xff) {
      put(0xd9);
      put(static_cast<unsigned>(value.size()));
    } else {
      put(0xdb);
      big_endian(value.size(), 4);
    }
    out_.append(value);
  }
  void bytes(std::string_view value) {
    put(0xc6);
    big_endian(value.size(), 4);
    out_.append(value);
  }
  void array(std::size_t elements) {
    if (elements <= 15) {
      put(0x90u | static_cast<unsigned>(elements));
    } else {
      put(0xdd);
      big_endian(elements, 4);
    }
  }

 private:
  void put(unsigned byte) { out_.push_back(static_cast<char>(byte)); }
  void big_endian(std::uint64_t value, int width) {
    char at[8];
    for (int i = width - 1; i >= 0; --i, value >>= 8) at[i] = static_cast<char>(value);
    out_.append(at, static_cast<std::size_t>(width));
  }
  std::string& out_;
};

class unpacker {
 public:
  explicit unpacker(std::string_view in)
      : in_(in) {}

  bool failed() const { return failed_; }
  bool at_end() const { return in_.empty(); }
  void fail() {
    failed_ = true;
    in_ = {};
  }

  bool take_nil() { // true and past it when a nil comes next
    if (in_.empty() || static_cast<unsigned char>(in_[0]) != 0xc0) return false;
    in_.remove_prefix(1);
    return true;
  }
  bool boolean() {
    const auto first = head();
    if (first == 0xc3) return true;
    if (first != 0xc2) fail();
    return false;
  }
  std::int64_t integer() {
    const auto first = head();
    if (first <= 0x7f) return first;
    if (first >= 0xe0 && first <= 0xff) return static_cast<std::int64_t>(first) - 0x100;
    if (first == 0xd2) return static_cast<std::int32_t>(big_endian(4));
    if (first == 0xd3) return static_cast<std::int64_t>(big_endian(8));
    fail();
    return 0;
  }
  std::int32_t integer32() {
    const auto value = integer();
    if (value < INT32_MIN || value > INT32_MAX) fail();
    return failed_ ? 0 : static_cast<std::int32_t>(value);
  }
  std::uint64_t unsigned_integer() {
    if (!in_.empty() && static_cast<unsigned char>(in_[0]) == 0xcf) {
      in_.remove_prefix(1);
      return big_endian(8);
    }
    const auto value = integer();
    if (value < 0) fail();
    return failed_ ? 0 : static_cast<std::uint64_t>(value);
  }
  // An enumerator from 0 to `last`.
  template<class Enum> Enum enumerator(Enum last) {
    const auto value = integer();
    if (value < 0 || value > static_cast<std::int64_t>(last)) fail();
    return failed_ ? Enum{} : static_cast<Enum>(value);
  }
  double number() {
    if (head() != 0xcb) fail();
    return failed_ ? 0 : std::bit_cast<double>(big_endian(8));
  }
  std::string_view text() {
    const auto first = head();
    if (first >= 0xa0 && first <= 0xbf) return part(first & 0x1fu);
    if (first == 0xd9) return part(big_endian(1));
    if (first == 0xdb) return part(big_endian(4));
    fail();
    return {};
  }
  std::string_view bytes() {
    if (head() != 0xc6) fail();
    return part(big_endian(4));
  }
  // The number of elements that follow. Each takes at least a byte, so a larger number than bytes is damage.
  std::size_t array() {
    const auto first = head();
    std::uint64_t elements = 0;
    if (first >= 0x90 && first <= 0x9f)
      elements = first & 0x0fu;
    else if (first == 0xdd)
      elements = big_endian(4);
    else
      fail();
    if (elements > in_.size()) fail();
    return failed_ ? 0 : static_cast<std::size_t>(elements);
  }
  void array_of(std::size_t elements) {
    if (array() != elements) fail();
  }

 private:
  unsigned head() {
    if (in_.empty()) {
      failed_ = true;
      return 0x100;
    }
    const auto first = static_cast<unsigned char>(in_[0]);
    in_.remove_prefix(1);
    return first;
  }
  std::uint64_t big_endian(std::size_t width) {
    if (in_.size() < width) {
      fail();
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = (value << 8) | static_cast<unsigned char>(in_[i]);
    in_.remove_prefix(width);
    return value;
  }
  std::string_view part(std::uint64_t length) {
    if (length > in_.size()) {
      fail();
      return {};
    }
    const auto value = in_.substr(0, static_cast<std::size_t>(length));
    in_.remove_prefix(static_cast<std::size_t>(length));
    return value;
  }
  std::string_view in_;
  bool failed_ = false;
};

} // namespace mooring::sync
