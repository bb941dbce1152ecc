// ValuesOfCorrectType: does a literal fit a type? (October 2021, 5.6.1 to 5.6.4.) Internal to graphql/.
#pragma once

#include "graphql/ast.hpp"
#include "graphql/error_list.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

// Reports everything in `value` that cannot stand where `type` is expected, under the name `rule`. Variables
// are not looked at. Nothing is reported when the type is not valid(), which is how unknown arguments arrive.
void check_literal(const schema& schema, type_use type, const ast::value& value, error_list& errors,
                   std::string_view rule = "ValuesOfCorrectType");

} // namespace mooring::graphql
