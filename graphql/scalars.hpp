// How input for a custom scalar is coerced. A scalar that nobody names is an opaque string.
#pragma once

#include <cstdint>

namespace mooring::graphql {

enum class custom_scalar : std::uint8_t {
  // A string, kept as it is (DateTime, Cursor); anything else is a coercion error.
  opaque_string,
  // Any JSON value, as the bytes of a mooring::document. A string that holds the JSON text of an object or
  // array stands
  // for that value (older clients send that); every other string stays a string. Nesting beyond
  // document_depth_max is
  // a coercion error, so it refuses the request.
  json_document,
  // The same, but what nests too deeply becomes a value with json_too_deep(), for callers to whom that is the
  // fault of
  // one item only.
  json_any_depth,
};

} // namespace mooring::graphql
