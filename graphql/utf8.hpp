// UTF-8, as far as the lexer needs it. Scalar values only: surrogates, overlong forms and values above
// U+10FFFF are invalid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mooring::graphql {

// The offset of the first byte that belongs to no valid character, or text.size().
std::size_t valid_utf8_prefix(std::string_view text);

struct code_point {
  std::uint32_t value = 0;
  std::uint32_t bytes = 0;
};
// REQUIRES: text is valid UTF-8 and at is the first byte of a character
code_point code_point_at(std::string_view text, std::size_t at);

// REQUIRES: value is a scalar value
void append_utf8(std::string& out, std::uint32_t value);

constexpr bool is_scalar_value(std::uint32_t value) {
  return value <= 0xd7ff || (value >= 0xe000 && value <= 0x10ffff);
}

// Cuts text that is longer than `bytes_max` at a character and ends it with "…".
void truncate(std::string& text, std::size_t bytes_max);

} // namespace mooring::graphql
