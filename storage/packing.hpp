// msgpack at the speed of a memory copy: a writer that asks for room once per row, a reader that cannot leave
// its bytes. Private to storage/.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

namespace mooring::storage {

// Appends to a string that it keeps larger than its content; finish() or the destructor cuts it to size.
// room(n) promises space for n bytes; every other function REQUIRES room for what it writes (a number: 9
// bytes, a head of a string, bin or array: 5).
class packer {
 public:
  explicit packer(std::string& out)
      : out_(out)
      , at_(out.data() + out.size())
      , end_(at_) {}
  packer(const packer&) = delete;
  packer& operator=(const packer&) = delete;
  ~packer() { finish(); }

  void finish() {
    out_.resize(size());
    at_ = end_ = out_.data() + out_.size();
  }
  std::size_t size() const { return static_cast<std::size_t>(at_ - out_.data()); }
  std::string_view since(std::size_t offset) const { return {out_.data() + offset, size() - offset}; }
  void cut(std::size_t to) { at_ = out_.data() + to; }
  char* data_at(std::size_t offset) { return out_.data() + offset; }

  void room(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - at_) < bytes) grow(bytes);
  }

  void byte(unsigned value) { *at_++ = static_cast<char>(value); }
  void raw(std::string_view bytes) {
    if (bytes.empty()) return; // its pointer may be null
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void little32(std::uint32_t value) {
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
    std::memcpy(at_, &value, 4);
    at_ += 4;
  }

  void nil() { byte(0xc0); }
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void number(std::uint64_t value) {
    if (value <= 0x7f) return byte(static_cast<unsigned>(value));
    if (value <= 0xff) return byte(0xcc), byte(static_cast<unsigned>(value));
    if (value <= 0xffff) return byte(0xcd), big16(static_cast<std::uint16_t>(value));
    if (value <= 0xffffffff) return byte(0xce), big32(static_cast<std::uint32_t>(value));
    byte(0xcf), big64(value);
  }
  void integer(std::int64_t value) {
    if (value >= 0) return number(static_cast<std::uint64_t>(value));
    if (value >= -32) return byte(static_cast<unsigned char>(value));
    if (value >= INT8_MIN) return byte(0xd0), byte(static_cast<unsigned char>(value));
    if (value >= INT16_MIN) return byte(0xd1), big16(static_cast<std::uint16_t>(value));
    if (value >= INT32_MIN) return byte(0xd2), big32(static_cast<std::uint32_t>(value));
    byte(0xd3), big64(static_cast<std::uint64_t>(value));
  }
  // REQUIRES room(value.size() + 5)
  void string(std::string_view value) {
    const auto size = value.size();
    if (size <= 31)
      byte(0xa0 | static_cast<unsigned>(size));
    else if (size <= 0xff)
      byte(0xd9), byte(static_cast<unsigned>(size));
    else if (size <= 0xffff)
      byte(0xda), big16(static_cast<std::uint16_t>(size));
    else
      byte(0xdb), big32(static_cast<std::uint32_t>(size));
    raw(value);
  }
  void bin(std::string_view value) {
    const auto size = value.size();
    if (size <= 0xff)
      byte(0xc4), byte(static_cast<unsigned>(size));
    else if (size <= 0xffff)
      byte(0xc5), big16(static_cast<std::uint16_t>(size));
    else
      byte(0xc6), big32(static_cast<std::uint32_t>(size));
    raw(value);
  }
  void array(std::size_t elements) {
    if (elements <= 15)
      byte(0x90 | static_cast<unsigned>(elements));
    else if (elements <= 0xffff)
      byte(0xdc), big16(static_cast<std::uint16_t>(elements));
    else
      byte(0xdd), big32(static_cast<std::uint32_t>(elements));
  }
  void big16(std::uint16_t value) {
    byte(value >> 8u);
    byte(value & 0xffu);
  }
  void big32(std::uint32_t value) {
    if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap32(value);
    std::memcpy(at_, &value, 4);
    at_ += 4;
  }
  void big64(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
    std::memcpy(at_, &value, 8);
    at_ += 8;
  }

 private:
  __attribute__((noinline)) void grow(std::size_t bytes) {
    const auto used = size();
    out_.resize(used + bytes +
                2048); // the string's capacity doubles by itself; this bounds what is zeroed in vain
    at_ = out_.data() + used;
    end_ = out_.data() + out_.size();
  }

  std::string& out_;
  char* at_;
  char* end_;
};

// True when the bytes are one msgpack value of a document's shapes (base/document.hpp), cut off nowhere:
// whoever walks it stays inside. Does not look at UTF-8 or depth, which is what makes it several times faster
// than is_valid_document: for rows whose checksum is right.
bool is_whole_document(std::string_view bytes);

// Reads from the front. After the first value that is cut off or of another kind, ok() is false and
// everything reads as zero or empty; so a decoder reads all and asks once.
class unpacker {
 public:
  explicit unpacker(std::string_view bytes)
      : at_(bytes.data())
      , end_(at_ + bytes.size()) {}

  bool ok() const { return ok_; }
  bool whole() const { return ok_ && at_ == end_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  void fail() {
    ok_ = false;
    at_ = end_;
  }

  bool next_is_nil() const { return at_ != end_ && static_cast<unsigned char>(*at_) == 0xc0; }
  void nil() { next_is_nil() ? void(++at_) : fail(); }
  bool boolean() {
    const auto first = head();
    if (first != 0xc2 && first != 0xc3) return fail(), false;
    return first == 0xc3;
  }
  std::uint64_t number() {
    const auto first = head();
    if (first <= 0x7f) return first;
    switch (first) {
    case 0xcc: return big(1);
    case 0xcd: return big(2);
    case 0xce: return big(4);
    case 0xcf: return big(8);
    default: return fail(), 0;
    }
  }
  std::int64_t integer() {
    if (at_ == end_) return fail(), 0;
    const auto first = static_cast<unsigned char>(*at_);
    if (first >= 0xe0) return ++at_, static_cast<signed char>(first);
    switch (first) {
    case 0xd0: return ++at_, static_cast<std::int8_t>(big(1));
    case 0xd1: return ++at_, static_cast<std::int16_t>(big(2));
    case 0xd2: return ++at_, static_cast<std::int32_t>(big(4));
    case 0xd3: return ++at_, static_cast<std::int64_t>(big(8));
    default: {
      const auto value = number();
      if (value > INT64_MAX) return fail(), 0;
      return static_cast<std::int64_t>(value);
    }
    }
  }
  template<class Integer> Integer integer_as() {
    const auto value = integer();
    if (value < std::numeric_limits<Integer>::min() || value > std::numeric_limits<Integer>::max())
      return fail(), Integer{};
    return static_cast<Integer>(value);
  }
  std::uint32_t number32() {
    const auto value = number();
    if (value > UINT32_MAX) return fail(), 0;
    return static_cast<std::uint32_t>(value);
  }
  // An enumerator from 0 to `last`.
  template<class Enum> Enum one_of(Enum last) {
    const auto value = number();
    if (value > static_cast<std::uint64_t>(last)) return fail(), Enum{};
    return static_cast<Enum>(value);
  }
  std::string_view string() {
    const auto first = head();
    if (first >= 0xa0 && first <= 0xbf) return take(first & 0x1fu);
    switch (first) {
    case 0xd9: return take(big(1));
    case 0xda: return take(big(2));
    case 0xdb: return take(big(4));
    default: return fail(), std::string_view{};
    }
  }
  std::string_view bin() {
    switch (head()) {
    case 0xc4: return take(big(1));
    case 0xc5: return take(big(2));
    case 0xc6: return take(big(4));
    default: return fail(), std::string_view{};
    }
  }
  // Never more than the bytes that are left, so it is safe to reserve.
  std::size_t array() {
    const auto first = head();
    std::uint64_t elements = 0;
    if (first >= 0x90 && first <= 0x9f)
      elements = first & 0x0fu;
    else if (first == 0xdc)
      elements = big(2);
    else if (first == 0xdd)
      elements = big(4);
    else
      fail();
    if (elements > left()) return fail(), 0;
    return static_cast<std::size_t>(elements);
  }

 private:
  unsigned head() {
    if (at_ == end_) {
      ok_ = false;
      return 0xc1; // msgpack never uses it
    }
    return static_cast<unsigned char>(*at_++);
  }
  std::uint64_t big(std::size_t width) {
    if (left() < width) return fail(), 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8 | static_cast<unsigned char>(at_[i]);
    at_ += width;
    return value;
  }
  std::string_view take(std::uint64_t size) {
    if (left() < size) return fail(), std::string_view{};
    const std::string_view bytes(at_, static_cast<std::size_t>(size));
    at_ += size;
    return bytes;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
};

} // namespace mooring::storage
