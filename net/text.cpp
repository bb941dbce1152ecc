#include "net/text.hpp"

#include <cstdint>

namespace mooring::net {

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at != end) {
    const auto lead = *at++;
    if (lead < 0x80) continue;
    int following = 0;
    std::uint32_t point = 0;
    std::uint32_t least = 0;
    if ((lead & 0xe0) == 0xc0)
      following = 1, point = lead & 0x1fU, least = 0x80;
    else if ((lead & 0xf0) == 0xe0)
      following = 2, point = lead & 0x0fU, least = 0x800;
    else if ((lead & 0xf8) == 0xf0)
      following = 3, point = lead & 0x07U, least = 0x10000;
    else
      return false;
    for (; following > 0; --following, ++at) {
      if (at == end || (*at & 0xc0) != 0x80) return false;
      point = (point << 6) | (*at & 0x3fU);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  }
  return true;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  auto length = bytes_max;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  return text.substr(0, length);
}

} // namespace mooring::net
