// The type system (October 2021, section 3) as a table: every type, field, argument, input field and enum
// value has a dense number and a constant-time look-up by name, so that planning and binding index arrays.
//
// A schema is built from SDL text once, is immutable, and may be read from any thread. All pointers and views
// handed out live as long as the schema. The introspection types (section 4) are part of it like any other
// type; so are those built-in scalars that something refers to (3.5: the others must not appear), and the
// directives skip, include, deprecated and specifiedBy.
//
// Ordinals: a field's position among its type's fields in SDL order (extensions after), an argument's in its
// field, an input field's in its input object, an enum value's in its enum. The meta fields __typename,
// __schema and __type belong to no type's list; they have the ordinals below.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "graphql/ast.hpp"
#include "graphql/directive_location.hpp"
#include "graphql/name_table.hpp"
#include "graphql/source.hpp"
#include "graphql/type_use.hpp"

namespace mooring::graphql {

enum class type_kind : std::uint8_t { scalar, object, interface, union_type, enumeration, input_object };

// What the engine itself knows how to coerce; `custom` scalars are the binding's.
enum class scalar_kind : std::uint8_t { custom, integer, floating, string, boolean, id };

inline constexpr std::uint32_t ordinal_typename = 0xfffffff0;
inline constexpr std::uint32_t ordinal_schema = 0xfffffff1; // Query.__schema
inline constexpr std::uint32_t ordinal_type = 0xfffffff2;   // Query.__type(name:)

struct description {
  bool present = false;
  std::string_view text = {};
};

struct deprecation {
  bool deprecated = false;
  std::string_view reason = {}; // "No longer supported" when the SDL gives none
};

// An argument of a field or directive, or a field of an input object.
struct input_value {
  std::uint32_t ordinal = 0;
  std::string_view name;
  graphql::description description;
  type_use type;
  const ast::value* default_value = nullptr; // nullptr: none. A literal without variables, valid for `type`
  graphql::deprecation deprecation;
  const ast::input_value_definition* node = nullptr;

  bool required() const { return type.is_non_null() && default_value == nullptr; }
};

struct field {
  std::uint32_t ordinal = 0;
  std::string_view name;
  graphql::description description;
  std::vector<input_value> arguments;
  type_use type;
  graphql::deprecation deprecation;
  const ast::field_definition* node = nullptr;

  const input_value* find_argument(std::string_view argument) const;
  bool is_meta() const { return ordinal >= ordinal_typename; }

  name_table argument_ordinals;
};

struct enum_value {
  std::uint32_t ordinal = 0;
  std::string_view name;
  graphql::description description;
  graphql::deprecation deprecation;
  const ast::enum_value_definition* node = nullptr;
};

struct type {
  type_id id = no_type;
  type_kind kind = type_kind::scalar;
  scalar_kind scalar = scalar_kind::custom; // scalars only
  bool introspection = false;               // __Schema, __Type, …
  bool built_in = false;                    // introspection types and the five scalars
  std::string_view name;
  graphql::description description;
  std::string_view specified_by_url = {}; // scalars; empty: none
  std::vector<field> fields;              // object, interface
  std::vector<type_id> interfaces;        // object, interface: the declared ones, in order
  std::vector<type_id> possible_types;    // interface: objects that implement it; union: members; in order
  std::vector<type_id> implementations;   // interface: interfaces that implement it
  std::vector<enum_value> values;         // enumeration
  std::vector<input_value> input_fields;  // input_object
  const ast::type_definition* node = nullptr;

  bool is_leaf() const { return kind == type_kind::scalar || kind == type_kind::enumeration; }
  bool is_composite() const {
    return kind == type_kind::object || kind == type_kind::interface || kind == type_kind::union_type;
  }
  bool is_abstract() const { return kind == type_kind::interface || kind == type_kind::union_type; }
  bool is_input() const { return is_leaf() || kind == type_kind::input_object; }
  bool is_output() const { return kind != type_kind::input_object; }

  // Each is nullptr when there is none. find_field does not know the meta fields; schema::find_field does.
  const field* find_field(std::string_view field) const;
  const enum_value* find_value(std::string_view value) const;
  const input_value* find_input_field(std::string_view input_field) const;

  name_table member_ordinals; // of fields, values or input fields
};

struct directive {
  std::string_view name;
  graphql::description description;
  std::vector<input_value> arguments;
  std::vector<directive_location> locations; // in SDL order
  bool repeatable = false;
  bool built_in = false;
  const ast::directive_definition* node = nullptr;

  bool allowed_at(directive_location location) const;
  const input_value* find_argument(std::string_view argument) const;
};

class schema {
 public:
  schema(const schema&) = delete;
  schema& operator=(const schema&) = delete;
  ~schema();

  const graphql::description& description() const { return description_; }

  // Types of the SDL in SDL order first, then the built-in scalars in use, then the introspection types.
  std::span<const graphql::type> types() const { return types_; }
  const graphql::type& type(type_id id) const { return types_[id]; } // REQUIRES: id < types().size()
  const graphql::type& named_type(type_use use) const { return types_[use.named()]; }
  const graphql::type* find_type(std::string_view name) const; // nullptr: none

  // no_type when the schema has no such root.
  type_id root(ast::operation_kind kind) const { return roots_[static_cast<int>(kind)]; }

  // The field as validation and planning see it on a composite type: also __typename, and on the query root
  // __schema and __type. nullptr: none.
  const field* find_field(const graphql::type& parent, std::string_view name) const;

  std::span<const directive> directives() const { return directives_; }
  const directive* find_directive(std::string_view name) const;

  // Is an object of type `object` also a value of the abstract type? Constant time.
  bool is_possible_type(type_id abstract, type_id object) const;
  // Do the two composite types have an object type in common (5.5.2.3)? Linear in the number of types / 64.
  bool types_overlap(type_id a, type_id b) const;
  // Is every value of `sub` also a value of `super` (IsValidImplementationFieldType, AreTypesCompatible)?
  bool is_sub_type(type_use sub, type_use super) const;

  std::string to_string(type_use use) const; // "[Int!]!"

 private:
  friend class schema_builder;
  schema();

  std::vector<std::unique_ptr<const ast::document>> sources_;
  graphql::description description_;
  std::vector<graphql::type> types_;
  std::vector<directive> directives_;
  name_table type_ids_;
  name_table directive_numbers_;
  type_id roots_[3] = {no_type, no_type, no_type};
  std::vector<std::uint64_t> possible_; // one bit set of types per type, row by row
  std::size_t possible_row_words_ = 0;
  field typename_field_;
  field schema_field_;
  field type_field_;
};

// Either the schema or, when it is null, everything that is wrong with it (at most 100 errors).
struct schema_outcome {
  std::unique_ptr<const graphql::schema> schema;
  std::vector<document_error> errors;
  explicit operator bool() const { return schema != nullptr; }
};

// Builds and validates a schema (section 3, all "Type Validation" rules, and the rules of graphql-js for SDL
// documents). Extensions in the same text are applied. Without a `schema { … }` definition the roots are the
// types named Query, Mutation and Subscription.
schema_outcome check_schema(std::string sdl);

// The same for callers that need one error: bad_user_input with the first message and its line.
result<std::unique_ptr<const schema>> build_schema(std::string sdl);

} // namespace mooring::graphql
