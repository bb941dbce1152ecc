// plan: one operation, flattened for execution (October 2021, 6.3.2 CollectFields and 6.4.1, done ahead of
// time).
//
// Fields are merged and in response order, fragments are written out for each concrete type, response keys
// are text ready to copy, arguments without variables are coerced. @skip and @include are decided: an
// operation whose directives depend on Boolean variables has one plan for each assignment of them ("condition
// bits"), so that execution asks nothing. A plan is immutable and lives in its own arena; it points into the
// document, the schema and the bindings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graphql/ast.hpp"
#include "graphql/binding.hpp"
#include "graphql/coercion.hpp"
#include "graphql/request_arena.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

// One argument of a field, by the ordinal of the schema.
struct plan_argument {
  enum class source : std::uint8_t { constant, variable, literal };
  source from = source::constant;
  graphql::value constant;             // the default, for `variable`, where one is declared
  std::uint32_t variable = 0;          // number of the variable
  const ast::value* literal = nullptr; // with variables inside
  const input_value* declared = nullptr;
  std::uint32_t offset = 0; // of the value that was given
};

struct plan_selection;

struct plan_field {
  // `"name":`; with a comma before it for all but the first field of its object.
  std::string_view key;
  field_writer write = nullptr;
  std::string_view response_name;
  // Values by level: bit 0 is the field's value, bit 1 the items of its list, …: set where null is not
  // allowed.
  std::uint32_t non_null = 0;
  scalar_kind scalar = scalar_kind::custom; // of the named type, when it is a scalar
  std::string_view constant;                // __typename: the quoted name
  const enum_bound* names = nullptr;        // enums
  const abstract_bound* abstract = nullptr; // unions and interfaces: `selections` is by place in its list
  std::span<const plan_selection> selections;
  const graphql::field* declared = nullptr;
  const graphql::type* parent = nullptr;
  std::span<const std::uint32_t> offsets; // of the field's nodes in the document
  std::span<const plan_argument> arguments;
  std::span<const graphql::value> constants; // the arguments, when no variable takes part
  bool arguments_constant = true;
  std::uint32_t argument_slot = 0;  // numbers the fields whose arguments need the request's variables
  const root_bound* root = nullptr; // root fields with a resolver
};

struct plan_selection {
  const void* identity = nullptr; // of the C++ class that is bound to the concrete type
  std::span<const plan_field> fields;
};

class operation_plan {
 public:
  std::span<const plan_field> fields;
  std::uint32_t argument_slots = 0;
  std::size_t bytes() const { return sizeof *this + memory.heap_bytes(); }

  request_arena memory;
};

// What planning needs to know of an operation, the same for all of its plans.
struct operation_facts {
  const ast::document* document = nullptr;
  const ast::operation* operation = nullptr;
  const graphql::type* root = nullptr;
  std::vector<variable> variables;
  name_table variable_numbers;
  std::vector<std::uint32_t>
      conditions; // numbers of the variables that @skip and @include look at; bit i is [i]
  std::vector<std::string_view> root_fields;
  bool nested_variables = false; // fields below the roots take arguments with variables inside
};

// REQUIRES: the document is valid for the schema. Fails when a literal of a custom scalar does not fit, or
// when the operation has more than 64 condition variables.
std::optional<document_error> gather_facts(const input_types& types, const ast::document& document,
                                           const ast::operation& operation, request_arena& constants,
                                           operation_facts& facts);

// Planning writes fragments out for each concrete type; this bounds the result where the static limits do not
// (they leave introspection out).
inline constexpr std::uint32_t plan_fields_max = 20'000;

struct plan_outcome {
  std::unique_ptr<const operation_plan> plan;
  document_error error;
};
plan_outcome make_plan(const bindings& bound, const input_types& types, const operation_facts& facts,
                       std::uint64_t condition_bits);

} // namespace mooring::graphql
