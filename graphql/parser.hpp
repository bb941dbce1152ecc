// Text → syntax tree (October 2021, section 2 and appendix B).
//
// Never throws, never recurses deeper than `nesting_max`: hostile text of any length ends in a document or
// one error. The first error ends parsing, as in graphql-js, and its message is graphql-js's ("Syntax Error:
// Expected Name, found \"}\".").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "graphql/ast.hpp"

namespace mooring::graphql {

struct parse_options {
  std::uint32_t source_bytes_max = 64 * 1024; // query_too_complex above; domain.md, "Limits"
  std::uint32_t tokens_max =
      2'000; // query_too_complex above; commas, comments and what stands in values do not count
  std::uint32_t nesting_max =
      200;                 // selection sets, values and types within each other; query_too_complex above
  bool type_system = true; // false: a definition of the type system is a syntax error

  // For texts that are our own, such as the schema file: no limit but of nesting.
  static parse_options trusted();
};

// Either the document or, when it is null, the error.
struct parse_outcome {
  std::unique_ptr<const ast::document> document;
  document_error error;
  explicit operator bool() const { return document != nullptr; }
};

parse_outcome parse(std::string source, const parse_options& options = {});

} // namespace mooring::graphql
