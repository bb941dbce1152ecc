#include "graphql/parser.hpp"

#include <limits>
#include <utility>

#include <fmt/core.h>

#include "graphql/document_parser.hpp"
#include "graphql/type_use.hpp"
#include "graphql/utf8.hpp"

namespace mooring::graphql {

namespace {

constexpr std::size_t message_bytes_max = 500; // a token's text may be as long as the document

constexpr bool is_punctuator(token_kind kind) {
  return kind >= token_kind::bang && kind <= token_kind::right_brace;
}

std::string describe(const token& token) {
  std::string out(describe(token.kind));
  if (!is_punctuator(token.kind) && token.kind > token_kind::end_of_file)
    out += fmt::format(" \"{}\"", token.text);
  return out;
}

} // namespace

parse_options parse_options::trusted() {
  parse_options options;
  options.source_bytes_max = std::numeric_limits<std::uint32_t>::max();
  options.tokens_max = std::numeric_limits<std::uint32_t>::max();
  return options;
}

parse_outcome parse(std::string source, const parse_options& options) {
  parse_outcome outcome;
  if (source.size() > options.source_bytes_max ||
      source.size() >= std::numeric_limits<std::uint32_t>::max()) {
    outcome.error = {error_code::query_too_complex,
                     fmt::format("Document has {} bytes, which exceeds the limit of {}.", source.size(),
                                 options.source_bytes_max),
                     {},
                     "Limit"};
    return outcome;
  }
  if (const auto valid = valid_utf8_prefix(source); valid != source.size()) {
    outcome.error = {error_code::bad_user_input,
                     "Syntax Error: Invalid UTF-8.",
                     {locate(source, static_cast<std::uint32_t>(valid))},
                     "Syntax"};
    return outcome;
  }
  auto document = std::make_unique<ast::document>(std::move(source));
  document_parser parser(*document, options);
  if (parser.parse()) {
    outcome.document = std::move(document);
  } else {
    outcome.error = parser.error();
  }
  return outcome;
}

bool document_parser::parse() {
  advance();
  do definition();
  while (!failed_ && !peek(token_kind::end_of_file));
  if (failed_) return false;
  document_.definitions = memory_.copy(definitions_);
  document_.operations = memory_.copy(operations_);
  document_.fragments = memory_.copy(fragments_);
  document_.token_count = tokens_ + value_tokens_;
  return true;
}

// ── tokens
// ───────────────────────────────────────────────────────────────────────────────────────────────────────

const token& document_parser::lookahead() {
  if (!ahead_) {
    ahead_ = lexer_.next();
    if (lexer_.failed()) fail(lexer_.error_offset(), lexer_.message());
  }
  return *ahead_;
}

void document_parser::advance() {
  if (failed_) return;
  auto next = lookahead();
  if (failed_) return;
  ahead_.reset();
  current_ = next;
  if (current_.kind == token_kind::end_of_file) return;
  if (values_ > 0) {
    ++value_tokens_; // the document's length bounds them
    return;
  }
  if (++tokens_ > options_.tokens_max)
    fail(current_.offset,
         fmt::format("Document contains more than {} tokens. Parsing aborted.", options_.tokens_max),
         error_code::query_too_complex, "Limit");
}

bool document_parser::accept(token_kind kind) {
  if (current_.kind != kind) return false;
  advance();
  return true;
}

bool document_parser::accept_keyword(std::string_view word) {
  if (!peek_keyword(word)) return false;
  advance();
  return true;
}

bool document_parser::expect(token_kind kind) {
  if (accept(kind)) return true;
  fail(current_.offset, fmt::format("Expected {}, found {}.", describe(kind), describe(current_)));
  return false;
}

void document_parser::expect_keyword(std::string_view word) {
  if (accept_keyword(word)) return;
  fail(current_.offset, fmt::format("Expected \"{}\", found {}.", word, describe(current_)));
}

void document_parser::unexpected(const token& at) {
  fail(at.offset, fmt::format("Unexpected {}.", describe(at)));
}

void document_parser::fail(std::uint32_t offset, std::string message, error_code code,
                           std::string_view rule) {
  if (failed_) return;
  failed_ = true;
  error_.code = code;
  error_.message =
      code == error_code::bad_user_input ? "Syntax Error: " + std::move(message) : std::move(message);
  truncate(error_.message, message_bytes_max);
  error_.locations = {document_.locate(offset)};
  error_.rule = rule;
  current_ = {token_kind::end_of_file, offset, {}};
}

bool document_parser::enter() {
  if (failed_) return false;
  if (nesting_ == options_.nesting_max) {
    fail(current_.offset, fmt::format("Document is nested more than {} levels deep.", options_.nesting_max),
         error_code::query_too_complex, "Limit");
    return false;
  }
  ++nesting_;
  return true;
}

// ── executable definitions (appendix B.3)
// ────────────────────────────────────────────────────────────────────────

void document_parser::definition() {
  if (peek(token_kind::left_brace)) return operation();
  const bool described = peek(token_kind::string) || peek(token_kind::block_string);
  const auto keyword = described ? lookahead() : current_;
  if (failed_) return;
  if (keyword.kind == token_kind::name) {
    for (const auto* word :
         {"schema", "scalar", "type", "interface", "union", "enum", "input", "directive"}) {
      if (keyword.text != word) continue;
      if (!options_.type_system) return unexpected(keyword);
      return type_system_definition();
    }
    if (described)
      return fail(current_.offset,
                  "Unexpected description, descriptions are supported only on type definitions.");
    if (keyword.text == "query" || keyword.text == "mutation" || keyword.text == "subscription")
      return operation();
    if (keyword.text == "fragment") return fragment();
    if (keyword.text == "extend" && options_.type_system) return type_system_extension();
  }
  unexpected(keyword);
}

void document_parser::operation() {
  ast::operation node;
  node.offset = current_.offset;
  if (!peek(token_kind::left_brace)) {
    node.kind = operation_kind().value_or(ast::operation_kind::query);
    if (peek(token_kind::name)) node.name = name();
    node.variables =
        optional_many<ast::variable_definition>(token_kind::left_parenthesis, token_kind::right_parenthesis,
                                                [this] { return variable_definition(); });
    node.directives = directives(false);
  }
  node.selections = selection_set();
  if (failed_) return;
  const auto* stored = memory_.make<ast::operation>(node);
  operations_.push_back(stored);
  definitions_.push_back({.kind = ast::definition_kind::operation, .operation = stored});
}

std::optional<ast::operation_kind> document_parser::operation_kind() {
  const auto at = current_;
  if (!expect(token_kind::name)) return std::nullopt;
  if (at.text == "query") return ast::operation_kind::query;
  if (at.text == "mutation") return ast::operation_kind::mutation;
  if (at.text == "subscription") return ast::operation_kind::subscription;
  unexpected(at);
  return std::nullopt;
}

ast::variable_definition document_parser::variable_definition() {
  ast::variable_definition node;
  node.offset = current_.offset;
  expect(token_kind::dollar);
  node.name = name();
  expect(token_kind::colon);
  node.type = type();
  if (accept(token_kind::equals)) node.default_value = stored_constant();
  node.directives = directives(true);
  return node;
}

ast::selection_set document_parser::selection_set() {
  ast::selection_set node;
  node.offset = current_.offset;
  if (!enter()) return node;
  node.present = true;
  node.items =
      many<ast::selection>(token_kind::left_brace, token_kind::right_brace, [this] { return selection(); });
  leave();
  return node;
}

ast::selection document_parser::selection() {
  const auto index = document_.selection_count++;
  auto node = peek(token_kind::spread) ? fragment_selection() : field();
  node.index = index;
  return node;
}

ast::selection document_parser::field() {
  ast::selection node;
  node.offset = current_.offset;
  node.name = name();
  if (accept(token_kind::colon)) {
    node.alias = node.name;
    node.name = name();
  }
  node.arguments = arguments(false);
  node.directives = directives(false);
  if (peek(token_kind::left_brace)) node.selections = selection_set();
  return node;
}

ast::selection document_parser::fragment_selection() {
  ast::selection node;
  node.offset = current_.offset;
  expect(token_kind::spread);
  const bool conditioned = accept_keyword("on");
  if (!conditioned && peek(token_kind::name)) {
    node.kind = ast::selection_kind::fragment_spread;
    node.name = fragment_name();
    node.directives = directives(false);
    return node;
  }
  node.kind = ast::selection_kind::inline_fragment;
  if (conditioned) node.type_condition = name();
  node.directives = directives(false);
  node.selections = selection_set();
  return node;
}

void document_parser::fragment() {
  ast::fragment node;
  node.index = static_cast<std::uint32_t>(fragments_.size());
  node.offset = current_.offset;
  expect_keyword("fragment");
  node.name = fragment_name();
  expect_keyword("on");
  node.type_condition = name();
  node.directives = directives(false);
  node.selections = selection_set();
  if (failed_) return;
  const auto* stored = memory_.make<ast::fragment>(node);
  fragments_.push_back(stored);
  definitions_.push_back({.kind = ast::definition_kind::fragment, .fragment = stored});
}

ast::name document_parser::fragment_name() {
  if (peek_keyword("on")) unexpected(current_);
  return name();
}

// ── values, types, directives (appendix B.3)
// ─────────────────────────────────────────────────────────────────────

ast::name document_parser::name() {
  const auto at = current_;
  if (!expect(token_kind::name)) return {};
  return {at.text, at.offset};
}

ast::value document_parser::value(bool constant) {
  ++values_;
  auto node = any_value(constant);
  --values_;
  return node;
}

ast::value document_parser::any_value(bool constant) {
  ast::value node;
  node.offset = current_.offset;
  node.text = current_.text;
  switch (current_.kind) {
  case token_kind::left_bracket: return list_value(constant);
  case token_kind::left_brace: return object_value(constant);
  case token_kind::dollar: return variable_value(constant);
  case token_kind::integer: node.kind = ast::value_kind::integer; break;
  case token_kind::floating: node.kind = ast::value_kind::floating; break;
  case token_kind::string: node.kind = ast::value_kind::string; break;
  case token_kind::block_string:
    node.kind = ast::value_kind::string;
    node.block_string = true;
    break;
  case token_kind::name:
    if (node.text == "true" || node.text == "false") {
      node.kind = ast::value_kind::boolean;
      node.boolean = node.text == "true";
    } else {
      node.kind = node.text == "null" ? ast::value_kind::null : ast::value_kind::enumeration;
    }
    break;
  default: unexpected(current_); return node;
  }
  advance();
  return node;
}

ast::value document_parser::list_value(bool constant) {
  ast::value node;
  node.kind = ast::value_kind::list;
  node.offset = current_.offset;
  if (!enter()) return node;
  expect(token_kind::left_bracket);
  std::vector<ast::value> items;
  while (!failed_ && !accept(token_kind::right_bracket)) items.push_back(value(constant));
  leave();
  node.items = finish(items);
  return node;
}

ast::value document_parser::object_value(bool constant) {
  ast::value node;
  node.kind = ast::value_kind::object;
  node.offset = current_.offset;
  if (!enter()) return node;
  expect(token_kind::left_brace);
  std::vector<ast::object_field> fields;
  while (!failed_ && !accept(token_kind::right_brace)) {
    ast::object_field field;
    field.name = name();
    expect(token_kind::colon);
    field.value = value(constant);
    fields.push_back(field);
  }
  leave();
  node.fields = finish(fields);
  return node;
}

ast::value document_parser::variable_value(bool constant) {
  ast::value node;
  node.kind = ast::value_kind::variable;
  const auto at = current_;
  node.offset = at.offset;
  expect(token_kind::dollar);
  if (constant && !failed_) {
    if (peek(token_kind::name))
      fail(at.offset, fmt::format("Unexpected variable \"${}\" in constant value.", current_.text));
    else
      unexpected(at);
  }
  node.text = name().text;
  return node;
}

const ast::value* document_parser::stored_constant() {
  return memory_.make<ast::value>(value(true));
}

list<ast::argument> document_parser::arguments(bool constant) {
  return optional_many<ast::argument>(token_kind::left_parenthesis, token_kind::right_parenthesis, [&] {
    ast::argument node;
    node.name = name();
    expect(token_kind::colon);
    node.value = value(constant);
    return node;
  });
}

list<ast::directive> document_parser::directives(bool constant) {
  if (!peek(token_kind::at)) return {};
  std::vector<ast::directive> items;
  while (peek(token_kind::at)) {
    ast::directive node;
    node.offset = current_.offset;
    advance();
    node.name = name();
    node.arguments = arguments(constant);
    items.push_back(node);
  }
  return finish(items);
}

const ast::type* document_parser::type() {
  // The brackets first, then what closes them: no recursion.
  std::vector<std::uint32_t> brackets;
  while (peek(token_kind::left_bracket)) {
    brackets.push_back(current_.offset);
    if (brackets.size() > type_use::wrappers_max) {
      fail(current_.offset, fmt::format("Type is wrapped more than {} times.", type_use::wrappers_max),
           error_code::query_too_complex, "Limit");
      break;
    }
    advance();
  }
  auto offset = current_.offset;
  const auto named = name();
  const auto* node = memory_.make<ast::type>(ast::type_kind::named, offset, named.text, nullptr);
  int wrappers = 0;
  const auto wrap = [&](ast::type_kind kind) {
    if (++wrappers > type_use::wrappers_max)
      fail(offset, fmt::format("Type is wrapped more than {} times.", type_use::wrappers_max),
           error_code::query_too_complex, "Limit");
    node = memory_.make<ast::type>(kind, offset, std::string_view{}, node);
  };
  if (accept(token_kind::bang)) wrap(ast::type_kind::non_null);
  while (!brackets.empty() && !failed_) {
    offset = brackets.back();
    brackets.pop_back();
    expect(token_kind::right_bracket);
    wrap(ast::type_kind::list);
    if (accept(token_kind::bang)) wrap(ast::type_kind::non_null);
  }
  return node;
}

} // namespace mooring::graphql
