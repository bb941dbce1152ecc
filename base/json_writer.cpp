#include "base/json_writer.hpp"

#include <array>
#include <cmath>

namespace mooring {

namespace {

// 0: copied as it is; otherwise the letter after the backslash, 'u' for \u00XX. 0xE2 starts U+2028/9 and is looked at.
constexpr std::array<char, 256> escapes = [] {
  std::array<char, 256> table{};
  for (int c = 0; c < 0x20; ++c) table[static_cast<std::size_t>(c)] = 'u';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  table['"'] = '"';
  table['\\'] = '\\';
  table[0x7f] = 'u';
  table[0xe2] = 'l';
  return table;
}();

} // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const char escape = escapes[byte];
    if (escape == 0) [[likely]]
      continue;
    if (escape == 'l') {
      // U+2028 and U+2029 (E2 80 A8/A9) end a line in JavaScript source.
      if (i + 2 >= text.size() || static_cast<unsigned char>(text[i + 1]) != 0x80 ||
          (static_cast<unsigned char>(text[i + 2]) & 0xfe) != 0xa8)
        continue;
      out.append(text, copied, i - copied);
      out.append(static_cast<unsigned char>(text[i + 2]) == 0xa8 ? "\\u2028" : "\\u2029");
      i += 2;
      copied = i + 1;
      continue;
    }
    out.append(text, copied, i - copied);
    copied = i + 1;
    out.push_back('\\');
    out.push_back(escape);
    if (escape == 'u') {
      out.append("00");
      out.push_back(hex[byte >> 4]);
      out.push_back(hex[byte & 15]);
    }
  }
  out.append(text, copied, text.size() - copied);
  out.push_back('"');
}

void append_json_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  char digits[40];
  // From 2^63 on the shortest text may be an integer of more than 64 bits, which no reader of ours takes back.
  const bool is_huge = std::fabs(value) >= 0x1p63;
  const auto end =
      is_huge ? std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr
              : std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

} // namespace mooring
