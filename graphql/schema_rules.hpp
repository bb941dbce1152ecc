// "Type Validation" of October 2021, section 3: what a schema must keep once its types are linked. Internal
// to graphql/.
//
// Beyond what graphql-js 16 checks: default values and the arguments of directives must fit their types, and
// the defaults of input objects must not contain each other, for coercing them would never end.
#pragma once

#include "graphql/ast.hpp"
#include "graphql/error_list.hpp"
#include "graphql/schema.hpp"
#include "graphql/schema_builder.hpp"

namespace mooring::graphql {

void check_types(const schema& schema, const ast::document& sdl, const schema_builder::nodes_by_type& nodes,
                 error_list& errors);

} // namespace mooring::graphql
