#include "graphql/source.hpp"

namespace mooring::graphql {

source_location locate(std::string_view source, std::uint32_t offset) {
  source_location at;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < offset; ++i) {
    if (source[i] == '\n') {
      ++at.line;
      line_start = i + 1;
    } else if (source[i] == '\r') {
      if (i + 1 < offset && source[i + 1] == '\n') ++i;
      ++at.line;
      line_start = i + 1;
    }
  }
  for (auto i = line_start; i < offset; ++i) {
    const auto byte = static_cast<unsigned char>(source[i]);
    if ((byte & 0xc0) == 0x80) continue; // the rest of a character that was counted at its first byte
    at.column += byte >= 0xf0 ? 2 : 1;   // beyond U+FFFF: a surrogate pair in UTF-16
  }
  return at;
}

} // namespace mooring::graphql
