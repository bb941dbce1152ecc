#include "graphql/introspection_sdl.hpp"

namespace mooring::graphql {

const std::string_view introspection_sdl = R"SDL(
"A sequence of characters, in UTF-8."
scalar String
"A signed whole number of 32 bits."
scalar Int
"A signed number of double precision (IEEE 754)."
scalar Float
"`true` or `false`."
scalar Boolean
"An identifier, opaque to the client. It is written as a string; as input, a whole number is accepted too."
scalar ID

"The field or fragment is executed only when `if` is true."
directive @include("Included when true." if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
"The field or fragment is not executed when `if` is true."
directive @skip("Skipped when true." if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
"Marks what is still there but should no longer be used."
directive @deprecated(
  "Why, and what to use instead, in Markdown."
  reason: String = "No longer supported"
) on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
"Names the specification that a custom scalar follows."
directive @specifiedBy("Where the specification is to be found." url: String!) on SCALAR

type __MetaFields {
  "The name of the object's type."
  __typename: String!
  "The schema of this server."
  __schema: __Schema!
  "The type with this name, when there is one."
  __type(name: String!): __Type
}

"The capabilities of a server: its types, its directives and where each kind of operation starts."
type __Schema {
  description: String
  "All types of the server."
  types: [__Type!]!
  "Where queries start."
  queryType: __Type!
  "Where mutations start, when there are any."
  mutationType: __Type
  "Where subscriptions start, when there are any."
  subscriptionType: __Type
  "All directives of the server."
  directives: [__Directive!]!
}

"A type: a named one of the kinds in `__TypeKind`, or a list or non-null around another type. Which fields are null depends on the kind."
type __Type {
  kind: __TypeKind!
  name: String
  description: String
  "Scalars: where their specification is to be found."
  specifiedByURL: String
  "Objects and interfaces."
  fields(includeDeprecated: Boolean = false): [__Field!]
  "Objects and interfaces: what they implement."
  interfaces: [__Type!]
  "Interfaces and unions: the objects that may stand for them."
  possibleTypes: [__Type!]
  "Enums."
  enumValues(includeDeprecated: Boolean = false): [__EnumValue!]
  "Input objects."
  inputFields(includeDeprecated: Boolean = false): [__InputValue!]
  "Lists and non-nulls: what they wrap."
  ofType: __Type
}

"A field of an object or an interface."
type __Field {
  name: String!
  description: String
  args(includeDeprecated: Boolean = false): [__InputValue!]!
  type: __Type!
  isDeprecated: Boolean!
  deprecationReason: String
}

"An argument of a field or directive, or a field of an input object."
type __InputValue {
  name: String!
  description: String
  type: __Type!
  "The default value as GraphQL text."
  defaultValue: String
  isDeprecated: Boolean!
  deprecationReason: String
}

"One value of an enum."
type __EnumValue {
  name: String!
  description: String
  isDeprecated: Boolean!
  deprecationReason: String
}

"The kinds of types."
enum __TypeKind {
  SCALAR
  "It has `fields` and `interfaces`."
  OBJECT
  "It has `fields`, `interfaces` and `possibleTypes`."
  INTERFACE
  "It has `possibleTypes`."
  UNION
  "It has `enumValues`."
  ENUM
  "It has `inputFields`."
  INPUT_OBJECT
  "It has `ofType`."
  LIST
  "It has `ofType`."
  NON_NULL
}

"A directive: a way to say how a part of a document is to be executed or a part of a schema to be understood."
type __Directive {
  name: String!
  description: String
  isRepeatable: Boolean!
  locations: [__DirectiveLocation!]!
  args(includeDeprecated: Boolean = false): [__InputValue!]!
}

"Where a directive may stand."
enum __DirectiveLocation {
  "On a query."
  QUERY
  "On a mutation."
  MUTATION
  "On a subscription."
  SUBSCRIPTION
  "On a field."
  FIELD
  "On the definition of a fragment."
  FRAGMENT_DEFINITION
  "Where a fragment is spread."
  FRAGMENT_SPREAD
  "On an inline fragment."
  INLINE_FRAGMENT
  "On the definition of a variable."
  VARIABLE_DEFINITION
  "On a schema."
  SCHEMA
  "On a scalar."
  SCALAR
  "On an object type."
  OBJECT
  "On the definition of a field."
  FIELD_DEFINITION
  "On the definition of an argument."
  ARGUMENT_DEFINITION
  "On an interface."
  INTERFACE
  "On a union."
  UNION
  "On an enum."
  ENUM
  "On a value of an enum."
  ENUM_VALUE
  "On an input object."
  INPUT_OBJECT
  "On a field of an input object."
  INPUT_FIELD_DEFINITION
}
)SDL";

} // namespace mooring::graphql
