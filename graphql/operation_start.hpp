// What every operation begins with, of whatever kind: its variables are coerced (October 2021, 6.1.2), which
// decides its plan; then, field by field, the arguments that depend on them (6.4.1).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "graphql/completer.hpp"
#include "graphql/prepared.hpp"
#include "graphql/request_arena.hpp"

namespace mooring::graphql {

// Points into the document, and into the arena and perhaps the JSON that the variables came from.
struct operation_start {
  const operation_plan* plan = nullptr;
  std::shared_ptr<const operation_plan> plan_owner; // when the document does not own it
  variable_scope scope;
  std::uint64_t condition_bits = 0; // which of the document's plans it is
};

// What refuses the request; empty: `to` is filled. With options.copy_text nothing points into the JSON.
std::vector<document_error> start_operation(const input_types& types, const prepared_document& document,
                                            request_arena& memory, const json_value& variables,
                                            const variable_options& options, operation_start& to);

// The arguments of a field that has some with variables inside, by ordinal. REQUIRES:
// !field.arguments_constant
std::optional<argument_fault> coerce_field_arguments(const input_types& types, request_arena& memory,
                                                     const variable_scope& scope, const plan_field& field,
                                                     std::span<const value>& to);

} // namespace mooring::graphql
