// Our answers to the questions of compare.mjs: each function appends one JSON object on one line.
#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"
#include "graphql/ast.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql::differential {

// The schema `../schemas/NAME.graphql`, built once.
const schema& schema_named(std::string_view folder, std::string_view name);

void answer_parse(std::string& out, const json_value& question, std::string_view schemas);
void answer_validate(std::string& out, const json_value& question, std::string_view schemas);
void answer_schema(std::string& out, const json_value& question, std::string_view schemas);

// The same line that dump.mjs writes.
std::string dump(const ast::document& document);

} // namespace mooring::graphql::differential
