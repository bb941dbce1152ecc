// Introspection (October 2021, section 4): the schema's own types bound to C++ like any others, and the two
// root fields that start it.
#pragma once

#include "graphql/completer.hpp"

namespace mooring::graphql {

class bindings;

// Binds __Schema, __Type, __Field, __InputValue, __EnumValue, __Directive and their enums.
void bind_introspection(bindings& to);

// Writers of Query.__schema and Query.__type(name:). REQUIRES: the object is a const schema.
completion write_introspected_schema(completer& to, const plan_field& field, const void* of);
completion write_introspected_type(completer& to, const plan_field& field, const void* of);

} // namespace mooring::graphql
