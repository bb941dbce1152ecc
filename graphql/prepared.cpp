#include "graphql/prepared.hpp"

#include <algorithm>

#include "graphql/inspect.hpp"

namespace mooring::graphql {

namespace {

document_error no_operation(const ast::document& document, std::string_view name) {
  if (!name.empty())
    return {
        error_code::bad_user_input, "Unknown operation named \"" + shortened(name) + "\".", {}, "Operation"};
  if (document.operations.size() > 1)
    return {error_code::bad_user_input,
            "Must provide operation name if query contains multiple operations.",
            {},
            "Operation"};
  return {error_code::bad_user_input, "Must provide an operation.", {}, "Operation"};
}

// An estimate: tokens and selections are what trees are made of.
std::size_t tree_bytes(const ast::document& document) {
  return document.source().size() + document.token_count * std::size_t{48} +
         document.selection_count * sizeof(ast::selection);
}

} // namespace

std::optional<std::uint64_t> prepared_document::condition_bits(std::span<const value> variables,
                                                               std::string_view& variable) const {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < facts_.conditions.size(); ++i) {
    const auto& is = variables[facts_.conditions[i]];
    if (!is.given()) {
      variable = facts_.variables[facts_.conditions[i]].name;
      return std::nullopt;
    }
    if (is.boolean()) bits |= std::uint64_t{1} << i;
  }
  return bits;
}

prepared_document::plan_or_error prepared_document::plan_for(std::uint64_t condition_bits) const {
  if (only_) return {only_.get(), nullptr, {}};
  const std::lock_guard hold(lock_);
  for (const auto& [bits, plan] : plans_)
    if (bits == condition_bits) return {plan.get(), nullptr, {}};
  auto made = make_plan(*bound_, *types_, facts_, condition_bits);
  if (!made.plan) return {nullptr, nullptr, std::move(made.error)};
  std::shared_ptr<const operation_plan> plan = std::move(made.plan);
  if (plans_.size() >= plans_max) return {plan.get(), plan, {}};
  plans_.emplace_back(condition_bits, plan);
  return {plan.get(), nullptr, {}};
}

prepare_outcome prepare(const bindings& bound, const input_types& types, std::string_view source,
                        std::string_view operation_name, const prepare_options& options) {
  auto parsed = parse(std::string(source), options.parse);
  if (!parsed) return {nullptr, {std::move(parsed.error)}};
  const auto* operation = parsed.document->find_operation(operation_name);
  if (operation == nullptr) return {nullptr, {no_operation(*parsed.document, operation_name)}};
  if (auto over = check_limits(*parsed.document, *operation, options.limits))
    return {nullptr, {std::move(*over)}};
  if (auto errors = validate(bound.of(), *parsed.document, options.validation); !errors.empty())
    return {nullptr, std::move(errors)};

  auto made = std::make_shared<prepared_document>();
  made->bound_ = &bound;
  made->types_ = &types;
  made->document_ = std::move(parsed.document);
  made->operation_name_ = operation_name;
  if (auto error = gather_facts(types, *made->document_, *operation, made->constants_, made->facts_))
    return {nullptr, {std::move(*error)}};
  const auto& roots = made->facts_.root_fields;
  if (!options.introspection && std::any_of(roots.begin(), roots.end(), [](std::string_view name) {
        return name == "__schema" || name == "__type";
      }))
    return {
        nullptr,
        {{error_code::bad_user_input, "GraphQL introspection is switched off on this server.", {}, "Limit"}}};
  made->bytes_ = sizeof(prepared_document) + tree_bytes(*made->document_) + made->constants_.heap_bytes();
  if (made->facts_.conditions.empty()) {
    auto plan = make_plan(bound, types, made->facts_, 0);
    if (!plan.plan) return {nullptr, {std::move(plan.error)}};
    made->bytes_ += plan.plan->bytes();
    made->only_ = std::move(plan.plan);
  } else {
    // The number of plans to come is known, their size is not: as much again for each as the tree takes.
    const auto plans =
        std::min<std::size_t>(prepared_document::plans_max,
                              std::size_t{1} << std::min<std::size_t>(made->facts_.conditions.size(), 4));
    made->bytes_ += plans * (4096 + made->document_->selection_count * sizeof(plan_field) * 2);
  }
  return {std::move(made), {}};
}

} // namespace mooring::graphql
