#include "graphql/operation_start.hpp"

#include "graphql/print.hpp"

namespace mooring::graphql {

std::vector<document_error> start_operation(const input_types& types, const prepared_document& document,
                                            request_arena& memory, const json_value& variables,
                                            const variable_options& options, operation_start& to) {
  const auto& facts = document.facts();
  to.scope = {facts.variables, &facts.variable_numbers, {}};
  std::vector<variable_fault> faults;
  to.scope.values = coerce_variables(types, memory, to.scope, variables, options, faults);
  if (!faults.empty()) {
    std::vector<document_error> errors;
    for (auto& each : faults)
      errors.push_back({error_code::bad_user_input,
                        std::move(each.message),
                        {document.document().locate(each.offset)},
                        {}});
    return errors;
  }
  std::string_view null_condition;
  const auto bits = document.condition_bits(to.scope.values, null_condition);
  if (!bits)
    return {{error_code::bad_user_input,
             "Argument \"if\" of non-null type \"Boolean!\" must not be null: \"$" +
                 std::string(null_condition) + "\".",
             {document.document().locate(facts.operation->offset)},
             {}}};
  auto found = document.plan_for(*bits);
  if (found.plan == nullptr) return {std::move(found.error)};
  to.condition_bits = *bits;
  to.plan_owner = std::move(found.owner);
  to.plan = found.plan;
  return {};
}

std::optional<argument_fault> coerce_field_arguments(const input_types& types, request_arena& memory,
                                                     const variable_scope& scope, const plan_field& field,
                                                     std::span<const value>& to) {
  const auto out = memory.array<value>(field.arguments.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto& argument = field.arguments[i];
    out[i] = argument.constant;
    if (argument.from == plan_argument::source::constant) continue;
    const auto& declared = *argument.declared;
    const auto fault = [&](std::string_view what) {
      return argument_fault{"Argument \"" + std::string(declared.name) + "\"" + std::string(what),
                            argument.offset};
    };
    if (argument.from == plan_argument::source::variable) {
      const auto& given = scope.values[argument.variable];
      if (given.absent()) {
        if (declared.required())
          return fault(" of required type \"" + types.schema().to_string(declared.type) +
                       "\" was provided the variable \"$" +
                       std::string(scope.declared[argument.variable].name) +
                       "\" which was not provided a runtime value.");
        continue; // the default
      }
      if (given.kind() == value_kind::null && declared.type.is_non_null())
        return fault(" of non-null type \"" + types.schema().to_string(declared.type) +
                     "\" must not be null.");
      out[i] = given;
      continue;
    }
    const auto is = coerce_literal(types, memory, declared.type, *argument.literal, &scope);
    if (!is) return fault(" has invalid value " + to_string(*argument.literal) + ".");
    out[i] = *is;
  }
  to = out;
  return std::nullopt;
}

} // namespace mooring::graphql
