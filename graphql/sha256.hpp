// SHA-256, for what somebody might want to collide.
#pragma once

#include <string>
#include <string_view>

#include "base/hash.hpp"

namespace mooring::graphql {

// 64 lowercase hexadecimal digits.
std::string sha256_hex(std::string_view text);
// Its first 128 bits: nobody finds a second text for a given one.
digest128 sha256_128(std::string_view text);

} // namespace mooring::graphql
