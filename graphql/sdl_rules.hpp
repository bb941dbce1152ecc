// The rules a type system document must keep before a schema can be built from it: unique names, known types
// and directives, extensions of what exists. The names are those of graphql-js's rules for SDL. Internal to
// graphql/.
#pragma once

#include "graphql/ast.hpp"
#include "graphql/error_list.hpp"

namespace mooring::graphql {

// `built_in` is the document of the built-in types and directives.
void check_sdl(const ast::document& document, const ast::document& built_in, error_list& errors);

} // namespace mooring::graphql
