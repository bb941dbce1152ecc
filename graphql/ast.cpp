#include "graphql/ast.hpp"

namespace mooring::graphql::ast {

const fragment* document::find_fragment(std::string_view name) const {
  for (const auto* candidate : fragments)
    if (candidate->name.text == name) return candidate;
  return nullptr;
}

const operation* document::find_operation(std::string_view name) const {
  if (name.empty()) return operations.size() == 1 ? operations[0] : nullptr;
  for (const auto* candidate : operations)
    if (candidate->name.text == name) return candidate;
  return nullptr;
}

} // namespace mooring::graphql::ast
