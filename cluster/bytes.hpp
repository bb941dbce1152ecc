// Little-endian integers in byte strings, written and read with bounds. Private to cluster/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mooring::cluster {

template<class Integer> void append_integer(std::string& out, Integer value) {
  char bytes[sizeof(Integer)];
  for (std::size_t i = 0; i < sizeof(Integer); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes, sizeof bytes);
}

template<class Integer> void store_integer(char* at, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) at[i] = static_cast<char>(value >> (8 * i));
}

template<class Integer> Integer load_integer(const char* at) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i)
    value = static_cast<Integer>(value | static_cast<Integer>(static_cast<unsigned char>(at[i])) << (8 * i));
  return value;
}

// Reads from the front. After the first read beyond the end, ok() is false and everything reads as zero or
// empty.
class byte_reader {
 public:
  explicit byte_reader(std::string_view bytes)
      : rest_(bytes) {}

  template<class Integer> Integer integer() {
    if (rest_.size() < sizeof(Integer)) return fail(), Integer{0};
    const auto value = load_integer<Integer>(rest_.data());
    rest_.remove_prefix(sizeof(Integer));
    return value;
  }
  std::string_view bytes(std::uint64_t length) {
    if (rest_.size() < length) return fail(), std::string_view{};
    const auto value = rest_.substr(0, static_cast<std::size_t>(length));
    rest_.remove_prefix(static_cast<std::size_t>(length));
    return value;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  void fail() {
    ok_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool ok_ = true;
};

} // namespace mooring::cluster
