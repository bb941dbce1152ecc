// The parser behind parser.hpp: recursive descent with one token of look-ahead, one function per production
// of appendix B. Internal to graphql/.
//
// After the first error every token is the end of the file, so all loops end; `failed()` tells that what was
// built is not to be used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graphql/ast.hpp"
#include "graphql/lexer.hpp"
#include "graphql/parser.hpp"

namespace mooring::graphql {

class document_parser {
 public:
  document_parser(ast::document& document, const parse_options& options)
      : document_(document)
      , options_(options)
      , memory_(document.memory())
      , lexer_(document.source(), document.memory()) {}

  // False: error() tells why.
  bool parse();
  const document_error& error() const { return error_; }

 private:
  // ── tokens ──
  bool peek(token_kind kind) const { return current_.kind == kind; }
  bool peek_keyword(std::string_view word) const {
    return current_.kind == token_kind::name && current_.text == word;
  }
  const token& lookahead();
  void advance();
  bool accept(token_kind kind);
  bool accept_keyword(std::string_view word);
  bool expect(token_kind kind);
  void expect_keyword(std::string_view word);
  void unexpected(const token& at);
  void fail(std::uint32_t offset, std::string message, error_code code = error_code::bad_user_input,
            std::string_view rule = "Syntax");
  bool failed() const { return failed_; }
  // Enters one more level of nesting; false when that is one too many.
  bool enter();
  void leave() { --nesting_; }

  // open item+ close, where `parse` appends one item
  template<class T, class Parse> list<T> many(token_kind open, token_kind close, Parse&& parse) {
    std::vector<T> items;
    if (expect(open)) {
      do items.push_back(parse());
      while (!failed_ && !accept(close));
    }
    return finish(items);
  }
  template<class T, class Parse> list<T> optional_many(token_kind open, token_kind close, Parse&& parse) {
    return peek(open) ? many<T>(open, close, parse) : list<T>{};
  }
  // delimiter? item (delimiter item)*
  template<class T, class Parse> list<T> delimited(token_kind delimiter, Parse&& parse) {
    std::vector<T> items;
    accept(delimiter);
    do items.push_back(parse());
    while (!failed_ && accept(delimiter));
    return finish(items);
  }
  template<class T> list<T> finish(const std::vector<T>& items) {
    return failed_ ? list<T>{} : memory_.copy(items);
  }

  // ── executable definitions ──
  void definition();
  void operation();
  std::optional<ast::operation_kind> operation_kind();
  ast::variable_definition variable_definition();
  ast::selection_set selection_set();
  ast::selection selection();
  ast::selection field();
  ast::selection fragment_selection();
  void fragment();
  ast::name fragment_name();

  // ── values, types, directives ──
  ast::name name();
  ast::value value(bool constant);
  ast::value any_value(bool constant);
  ast::value list_value(bool constant);
  ast::value object_value(bool constant);
  ast::value variable_value(bool constant);
  const ast::value* stored_constant();
  list<ast::argument> arguments(bool constant);
  list<ast::directive> directives(bool constant);
  const ast::type* type();

  // ── the type system ──
  void type_system_definition();
  void type_system_extension();
  void schema_definition(std::uint32_t offset, ast::description description, bool extension);
  void type_definition(ast::type_definition_kind kind, std::uint32_t offset, ast::description description,
                       bool extension);
  void directive_definition(std::uint32_t offset, ast::description description);
  ast::description description();
  ast::root_operation_definition root_operation();
  ast::field_definition field_definition();
  ast::input_value_definition input_value();
  ast::enum_value_definition enum_value();
  ast::name directive_location();

  ast::document& document_;
  const parse_options& options_;
  arena& memory_;
  lexer lexer_;
  token current_;
  std::optional<token> ahead_;
  std::uint32_t tokens_ = 0, value_tokens_ = 0;
  std::uint32_t nesting_ = 0;
  std::uint32_t values_ = 0; // that it is in
  bool failed_ = false;
  document_error error_;
  std::vector<ast::definition> definitions_;
  std::vector<const ast::operation*> operations_;
  std::vector<const ast::fragment*> fragments_;
};

} // namespace mooring::graphql
