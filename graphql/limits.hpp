// The static limits on an operation, measured before it is validated and long before it runs. domain.md,
// "Limits".
//
// Fragments count as if they were written out where they are spread, but each is measured once, so that a
// fragment bomb costs no more than its length. What lies inside `__schema` and `__type` is bounded by
// `introspection_depth` and is exempt from depth and complexity: the standard introspection query of tools
// passes.
//
// Needs no schema and no valid document: unknown fragments count nothing, and a spread that closes a cycle
// counts nothing (validation refuses it by name).
#pragma once

#include <cstdint>
#include <optional>

#include "graphql/ast.hpp"

namespace mooring::graphql {

struct document_limits {
  std::uint32_t depth = 12;               // fields within each other, the root field being 1
  std::uint32_t introspection_depth = 20; // the same inside __schema and __type, they being 1
  std::uint32_t complexity =
      1'000; // each field costs 1; lists do not multiply: their pages have limits of their own
  std::uint32_t aliases = 30;
  std::uint32_t levels =
      100; // selection sets within each other, through fragments: bounds every walk's stack
  std::uint32_t root_fields = 10;
  std::uint32_t directives = 50;
};

// What was counted; saturated at 2^32 - 1.
struct document_measure {
  std::uint32_t depth = 0;
  std::uint32_t introspection_depth = 0;
  std::uint32_t complexity = 0;
  std::uint32_t levels = 0;
  std::uint32_t aliases = 0;
  std::uint32_t root_fields = 0;
  std::uint32_t directives = 0;
};

document_measure measure(const ast::document& document, const ast::operation& operation);

// Nothing when the operation is within the limits, else a query_too_complex that names the limit and the
// count.
std::optional<document_error> check_limits(const ast::document& document, const ast::operation& operation,
                                           const document_limits& limits = {});

} // namespace mooring::graphql
