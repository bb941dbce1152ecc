#include "sync/changes.hpp"

#include <array>

#include "base/hash.hpp"

namespace mooring::sync {

namespace {

// Each three bytes are four characters: no padding, no spare bits.
constexpr std::size_t plain_bytes = 21, begun_bytes = 30;
constexpr std::size_t checksum_bytes = 4;
constexpr char plain_version = 1, begun_version = 2;
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

std::string encode_cursor(std::string_view tenant, cursor of) {
  char raw[begun_bytes];
  std::size_t bytes = 0;
  const auto add = [&](std::uint64_t value, int width) {
    put(raw + bytes, value, width);
    bytes += static_cast<std::size_t>(width);
  };
  if (of.begun == 0) {
    add(plain_version, 1);
  } else {
    add(begun_version, 1);
    add(0, 1);
  }
  add(hash64(tenant), 8);
  add(of.at, 8);
  if (of.begun != 0) add(of.begun, 8);
  add(crc32c({raw, bytes}), checksum_bytes);
  std::string text(bytes / 3 * 4, '\0');
  for (std::size_t i = 0, o = 0; i < bytes; i += 3, o += 4) {
    const auto group = static_cast<std::uint32_t>(static_cast<unsigned char>(raw[i])) << 16 |
                       static_cast<std::uint32_t>(static_cast<unsigned char>(raw[i + 1])) << 8 |
                       static_cast<std::uint32_t>(static_cast<unsigned char>(raw[i + 2]));
    for (std::size_t k = 0; k < 4; ++k) text[o + k] = alphabet[(group >> (18 - 6 * k)) & 63u];
  }
  return text;
}

result<cursor> decode_cursor(std::string_view tenant, std::string_view text) {
  const error bad{error_code::bad_user_input, "this is no cursor of this tenant's feed", "cursor"};
  const auto bytes = text.size() / 4 * 3;
  if (text.size() % 4 != 0 || (bytes != plain_bytes && bytes != begun_bytes)) return bad;
  char raw[begun_bytes];
  for (std::size_t i = 0, o = 0; i < text.size(); i += 4, o += 3) {
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
  const auto checked = bytes - checksum_bytes;
  if (get(raw + checked, checksum_bytes) != crc32c({raw, checked})) return bad;
  const bool is_plain = bytes == plain_bytes;
  if (raw[0] != (is_plain ? plain_version : begun_version) || (!is_plain && raw[1] != 0)) return bad;
  const char* const fields = raw + (is_plain ? 1 : 2);
  if (get(fields, 8) != hash64(tenant)) return bad;
  const position at = get(fields + 8, 8), begun = is_plain ? 0 : get(fields + 16, 8);
  if (!is_plain && begun <= at) return bad; // that one has another text
  return cursor{at, begun};
}

} // namespace mooring::sync
