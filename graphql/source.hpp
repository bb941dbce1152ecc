// Where something stands in a document, and what is wrong with it.
//
// Nodes keep a byte offset; lines and columns are computed only when an error needs them. Lines and columns
// start at 1, lines end at LF, CR or CRLF, and columns count UTF-16 code units, as in graphql-js, so that the
// clients' tools point at the right character.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mooring::graphql {

struct source_location {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  auto operator<=>(const source_location&) const = default;
};

// REQUIRES: offset <= source.size(); source is valid UTF-8 up to the offset.
source_location locate(std::string_view source, std::uint32_t offset);

// What makes a document unfit for execution. `rule` is the name of the validation rule (graphql-js's, without
// "Rule"), "Syntax" for syntax errors, "Limit" for the static limits; a literal, for programs and tests.
struct document_error {
  error_code code = error_code::bad_user_input;
  std::string message;
  std::vector<source_location> locations = {};
  std::string_view rule = {};
};

} // namespace mooring::graphql
