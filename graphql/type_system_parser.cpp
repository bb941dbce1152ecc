// The type system's half of the parser: definitions and extensions (appendix B.3).
#include <array>
#include <string_view>

#include <fmt/core.h>

#include "graphql/directive_location.hpp"
#include "graphql/document_parser.hpp"

namespace mooring::graphql {

namespace {

struct type_keyword {
  std::string_view word;
  ast::type_definition_kind kind;
};
constexpr std::array type_keywords = {
    type_keyword{"scalar", ast::type_definition_kind::scalar},
    type_keyword{"type", ast::type_definition_kind::object},
    type_keyword{"interface", ast::type_definition_kind::interface},
    type_keyword{"union", ast::type_definition_kind::union_type},
    type_keyword{"enum", ast::type_definition_kind::enumeration},
    type_keyword{"input", ast::type_definition_kind::input_object},
};

} // namespace

// REQUIRES: the keyword, behind an optional description, is one of a type system definition
void document_parser::type_system_definition() {
  const auto offset = current_.offset;
  const auto text = description();
  for (const auto& [word, kind] : type_keywords)
    if (peek_keyword(word)) return type_definition(kind, offset, text, false);
  if (peek_keyword("schema")) return schema_definition(offset, text, false);
  directive_definition(offset, text);
}

void document_parser::type_system_extension() {
  const auto offset = current_.offset;
  const auto keyword = lookahead();
  if (failed_) return;
  if (keyword.kind == token_kind::name) {
    if (keyword.text == "schema") {
      advance();
      return schema_definition(offset, {}, true);
    }
    for (const auto& [word, kind] : type_keywords) {
      if (keyword.text != word) continue;
      advance();
      return type_definition(kind, offset, {}, true);
    }
  }
  unexpected(keyword);
}

void document_parser::schema_definition(std::uint32_t offset, ast::description description, bool extension) {
  ast::schema_definition node{offset, extension, description, {}, {}};
  expect_keyword("schema");
  node.directives = directives(true);
  const auto operation = [this] { return root_operation(); };
  node.operations =
      extension
          ? optional_many<ast::root_operation_definition>(token_kind::left_brace, token_kind::right_brace,
                                                          operation)
          : many<ast::root_operation_definition>(token_kind::left_brace, token_kind::right_brace, operation);
  if (extension && node.directives.empty() && node.operations.empty()) unexpected(current_);
  if (failed_) return;
  definitions_.push_back(
      {.kind = ast::definition_kind::schema, .schema = memory_.make<ast::schema_definition>(node)});
}

ast::root_operation_definition document_parser::root_operation() {
  ast::root_operation_definition node;
  node.offset = current_.offset;
  node.kind = operation_kind().value_or(ast::operation_kind::query);
  expect(token_kind::colon);
  node.type = name();
  return node;
}

void document_parser::type_definition(ast::type_definition_kind kind, std::uint32_t offset,
                                      ast::description description, bool extension) {
  using enum ast::type_definition_kind;
  ast::type_definition node;
  node.kind = kind;
  node.extension = extension;
  node.offset = offset;
  node.description = description;
  advance(); // the keyword
  node.name = name();
  if ((kind == object || kind == interface) && accept_keyword("implements"))
    node.interfaces = delimited<ast::name>(token_kind::ampersand, [this] { return name(); });
  node.directives = directives(true);
  switch (kind) {
  case scalar: break;
  case object:
  case interface:
    node.fields = optional_many<ast::field_definition>(token_kind::left_brace, token_kind::right_brace,
                                                       [this] { return field_definition(); });
    break;
  case union_type:
    if (accept(token_kind::equals))
      node.members = delimited<ast::name>(token_kind::pipe, [this] { return name(); });
    break;
  case enumeration:
    node.values = optional_many<ast::enum_value_definition>(token_kind::left_brace, token_kind::right_brace,
                                                            [this] { return enum_value(); });
    break;
  case input_object:
    node.input_fields = optional_many<ast::input_value_definition>(
        token_kind::left_brace, token_kind::right_brace, [this] { return input_value(); });
    break;
  }
  if (extension && node.interfaces.empty() && node.directives.empty() && node.fields.empty() &&
      node.members.empty() && node.values.empty() && node.input_fields.empty())
    unexpected(current_);
  if (failed_) return;
  definitions_.push_back(
      {.kind = ast::definition_kind::type, .type = memory_.make<ast::type_definition>(node)});
}

void document_parser::directive_definition(std::uint32_t offset, ast::description description) {
  ast::directive_definition node;
  node.offset = offset;
  node.description = description;
  expect_keyword("directive");
  expect(token_kind::at);
  node.name = name();
  node.arguments = optional_many<ast::input_value_definition>(
      token_kind::left_parenthesis, token_kind::right_parenthesis, [this] { return input_value(); });
  node.repeatable = accept_keyword("repeatable");
  expect_keyword("on");
  node.locations = delimited<ast::name>(token_kind::pipe, [this] { return directive_location(); });
  if (failed_) return;
  definitions_.push_back(
      {.kind = ast::definition_kind::directive, .directive = memory_.make<ast::directive_definition>(node)});
}

ast::description document_parser::description() {
  if (!peek(token_kind::string) && !peek(token_kind::block_string)) return {};
  const ast::description node{true, current_.text};
  advance();
  return node;
}

ast::field_definition document_parser::field_definition() {
  ast::field_definition node;
  node.offset = current_.offset;
  node.description = description();
  node.name = name();
  node.arguments = optional_many<ast::input_value_definition>(
      token_kind::left_parenthesis, token_kind::right_parenthesis, [this] { return input_value(); });
  expect(token_kind::colon);
  node.type = type();
  node.directives = directives(true);
  return node;
}

ast::input_value_definition document_parser::input_value() {
  ast::input_value_definition node;
  node.offset = current_.offset;
  node.description = description();
  node.name = name();
  expect(token_kind::colon);
  node.type = type();
  if (accept(token_kind::equals)) node.default_value = stored_constant();
  node.directives = directives(true);
  return node;
}

ast::enum_value_definition document_parser::enum_value() {
  ast::enum_value_definition node;
  node.offset = current_.offset;
  node.description = description();
  if (peek_keyword("true") || peek_keyword("false") || peek_keyword("null"))
    fail(current_.offset,
         fmt::format("Name \"{}\" is reserved and cannot be used for an enum value.", current_.text));
  node.name = name();
  node.directives = directives(true);
  return node;
}

ast::name document_parser::directive_location() {
  const auto at = current_;
  const auto node = name();
  if (!failed_ && !directive_location_named(at.text)) unexpected(at);
  return node;
}

} // namespace mooring::graphql
