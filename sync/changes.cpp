#include "sync/changes.hpp"

#include <array>

#include "base/hash.hpp"

namespace mooring::sync {

namespace {

constexpr std::size_t cursor_bytes = 21, cursor_characters = 28; // 21 * 8 = 28 * 6: no padding, no spare bits
constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr auto make_values() {
  std::array<signed char, 256> values{};
  values.fill(-1);
  for (signed char i = 0; i < 64; ++i) values[static_cast<unsigned char>(alphabet[i])] = i;
  return values;
}
constexpr auto values = make_values();

void put(char* at, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i, value >>= 8) at[i] = static_cast<char>(value);
}

std::uint64_t get(const char* at, int width) {
  std::uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(at[i]);
  return value;
}

} // namespace

std::string encode_cursor(std::string_view tenant, position at) {
  char raw[cursor_bytes];
  raw[0] = 1;
  put(raw + 1, hash64(tenant), 8);
  put(raw + 9, at, 8);
  put(raw + 17, crc32c({raw, 17}), 4);
  std::string text(cursor_characters, '\0');
  for (std::size_t i = 0, o = 0; i < cursor_bytes; i += 3, o += 4) {
    const auto group = static_cast<std::uint32_t>(static_cast<unsigned char>(raw[i])) << 16 |
                       static_cast<std::uint32_t>(static_cast<unsigned char>(raw[i + 1])) << 8 |
                       static_cast<std::uint32_t>(static_cast<unsigned char>(raw[i + 2]));
    for (std::size_t k = 0; k < 4; ++k) text[o + k] = alphabet[(group >> (18 - 6 * k)) & 63u];
  }
  return text;
}

result<position> decode_cursor(std::string_view tenant, std::string_view text) {
  const error bad{error_code::bad_user_input, "this is no cursor of this tenant's feed", "cursor"};
  if (text.size() != cursor_characters) return bad;
  char raw[cursor_bytes];
  for (std::size_t i = 0, o = 0; i < cursor_characters; i += 4, o += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const auto value = values[static_cast<unsigned char>(text[i + k])];
      if (value < 0) return bad;
      group = (group << 6) | static_cast<std::uint32_t>(value);
    }
    raw[o] = static_cast<char>(group >> 16);
    raw[o + 1] = static_cast<char>(group >> 8);
    raw[o + 2] = static_cast<char>(group);
  }
  if (raw[0] != 1 || get(raw + 17, 4) != crc32c({raw, 17}) || get(raw + 1, 8) != hash64(tenant)) return bad;
  return position{get(raw + 9, 8)};
}

} // namespace mooring::sync
