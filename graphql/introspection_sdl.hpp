// What every schema contains, written in SDL: the built-in scalars and directives (October 2021, 3.5, 3.13),
// the introspection types (4.2), and the meta fields as fields of a type `__MetaFields` that no schema
// exposes.
//
// Beyond October 2021, and as graphql-js 16 has it: arguments and input fields may be deprecated, and
// `includeDeprecated` is there for them too; tools ask for it.
#pragma once

#include <string_view>

namespace mooring::graphql {

inline constexpr std::string_view meta_fields_type = "__MetaFields";
extern const std::string_view introspection_sdl;

} // namespace mooring::graphql
