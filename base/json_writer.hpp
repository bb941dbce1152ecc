// Writing JSON straight into one growing string. No tree is built; the caller writes keys and values in order.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace mooring {

// Appends `text` in quotes, escaped. `text` is valid UTF-8; control characters and U+2028/9 are escaped.
void append_json_string(std::string& out, std::string_view text);
// Shortest form that reads back the same; NaN and infinities (which JSON lacks) become null.
void append_json_number(std::string& out, double value);

inline void append_json_integer(std::string& out, std::int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}
inline void append_json_boolean(std::string& out, bool value) {
  out.append(value ? "true" : "false");
}
inline void append_json_instant(std::string& out, instant at) {
  out.push_back('"');
  append_instant(out, at);
  out.push_back('"');
}

} // namespace mooring
