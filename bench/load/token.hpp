// Tokens as the server's own `mooring token` makes them: HS256 over the raw bytes of the secret file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mooring::bench {

// The whole file, or an empty string with a message on standard error.
std::string read_secret(const std::string& path);

// `expires` is in seconds since 1970. Names hold no characters that JSON would escape.
std::string make_token(std::string_view secret, std::string_view tenant, std::string_view user,
                       std::int64_t expires);

} // namespace mooring::bench
