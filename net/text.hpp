// Small questions asked of bytes from the network: is this UTF-8, are these two names equal but for case.
#pragma once

#include <string>
#include <string_view>

namespace mooring::net {

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// ASCII only, as the names in HTTP are.
bool equal_ignoring_case(std::string_view a, std::string_view b);

// Without blanks and tabs at both ends.
std::string_view trimmed(std::string_view text);

// At most `bytes_max` bytes of `text`, cut at a character's boundary. For reasons of close frames (123
// bytes).
std::string_view cut_utf8(std::string_view text, std::size_t bytes_max);

} // namespace mooring::net
