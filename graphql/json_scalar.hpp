// The JSON scalar: values as the bytes of mooring::documents in an arena.
#pragma once

#include <optional>
#include <string_view>

#include "base/document.hpp"
#include "base/json.hpp"
#include "graphql/coercion.hpp"

namespace mooring::graphql {

// A JSON value that is not null. Nothing when it nests too deeply, unless `any_depth`: then a json_too_deep()
// value.
std::optional<value> json_of(request_arena& to, const json_value& given, bool any_depth);

// A string given for JSON: the value whose text it holds when that is an object or an array, else the string
// itself. Nothing when that value nests too deeply, as above.
std::optional<value> json_of_text(request_arena& to, std::string_view text, bool any_depth);

// A coerced variable inside a literal for JSON, written as the JSON it came from: enums by name, input
// objects by field. `fits` goes false when it nests deeper than `depth`.
void write_json(document_writer& out, const input_types& types, type_use type, const value& is, int depth,
                bool& fits);

} // namespace mooring::graphql
