// Where a directive may stand (October 2021, 3.13).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mooring::graphql {

enum class directive_location : std::uint8_t {
  query,
  mutation,
  subscription,
  field,
  fragment_definition,
  fragment_spread,
  inline_fragment,
  variable_definition,
  schema,
  scalar,
  object,
  field_definition,
  argument_definition,
  interface,
  union_type,
  enumeration,
  enum_value,
  input_object,
  input_field_definition
};
inline constexpr int directive_location_count = 19;

std::string_view to_string(directive_location location); // "INPUT_FIELD_DEFINITION"
std::optional<directive_location> directive_location_named(std::string_view name);

} // namespace mooring::graphql
