// Is a document fit for a schema? All rules of October 2021, section 5, under the names and with the messages
// of graphql-js 16.
//
// Pure; any thread. The work is bounded: near-linear in the document for all rules but "fields can merge",
// which has a budget of comparisons. Only a document without errors may be planned and executed: planning
// relies on it (fragments known and acyclic, variables defined and rightly placed, arguments known and
// unique, …).
#pragma once

#include <cstdint>
#include <vector>

#include "graphql/ast.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

struct validation_options {
  std::uint32_t errors_max = 100; // then one more, "Too many validation errors…", and an end
  std::uint32_t comparisons_max =
      200'000; // of pairs of fields with one response name; then query_too_complex
};

// Empty: valid.
std::vector<document_error> validate(const schema& schema, const ast::document& document,
                                     const validation_options& options = {});

} // namespace mooring::graphql
