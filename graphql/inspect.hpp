// A client's JSON value inside an error message: graphql-js's inspect(), cut to `inspect_bytes_max`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace mooring::graphql {

inline constexpr std::size_t inspect_bytes_max = 100;

// `"text"`, `12`, `[1, 2]`, `{ a: 1 }`; inner levels as [Array] and [Object], long ones with an ellipsis.
std::string inspect(const json_value& is);

// A JSON number as JavaScript prints it: 1 for 1.0.
void append_js_number(std::string& out, const json_value& is);

// At most inspect_bytes_max bytes of the text, cut between characters, then an ellipsis.
std::string shortened(std::string_view text);

} // namespace mooring::graphql
