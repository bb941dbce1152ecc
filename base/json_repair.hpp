// What JSON's grammar allows and our parser does not take, made into what it takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mooring {

// Escapes of half a surrogate pair become U+FFFD, as JavaScript makes them when it writes UTF-8. Integers beyond 64 bits become
// doubles ("e0" behind their digits) as far as JSON.stringify writes doubles with all their digits, which is below 1e21; a
// longer one was more than a double, and stays what it is: refused. So does everything else, also what is no JSON.
// Nothing: nothing was to be done. Linear.
std::optional<std::string> repaired_json(std::string_view text);

} // namespace mooring
