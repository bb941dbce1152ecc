// Syntax tree → GraphQL text, in graphql-js's form: `[1, 2]`, `{a: 1, b: "x"}`, `$v`, `[Int!]!`.
//
// Introspection's defaultValue and the messages of validation are printed with these.
#pragma once

#include <string>
#include <string_view>

#include "graphql/ast.hpp"

namespace mooring::graphql {

void print(std::string& out, const ast::value& value);
void print(std::string& out, const ast::type& type);
std::string to_string(const ast::value& value);
std::string to_string(const ast::type& type);

// `text` as a GraphQL string literal, with quotes.
void print_string(std::string& out, std::string_view text);

} // namespace mooring::graphql
