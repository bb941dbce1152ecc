// The abstract syntax tree of a GraphQL document: executable definitions and the type system (October 2021,
// sections 2 and 3).
//
// A `document` owns its source text and an arena; nodes live in the arena, are trivially destructible and
// point with string_views into the source or the arena. A document is immutable once parsed: any thread may
// read it, and it must outlive every node taken from it. Each node has the byte offset of its first token in
// the source, the name it is located by in errors; `document::locate` turns it into line and column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graphql/arena.hpp"
#include "graphql/source.hpp"

namespace mooring::graphql::ast {

struct name {
  std::string_view text = {}; // empty: absent
  std::uint32_t offset = 0;
  bool present() const { return !text.empty(); }
};

// ── values
// ───────────────────────────────────────────────────────────────────────────────────────────────────────

enum class value_kind : std::uint8_t {
  variable,
  integer,
  floating,
  string,
  boolean,
  null,
  enumeration,
  list,
  object
};

struct object_field;

struct value {
  value_kind kind = value_kind::null;
  bool boolean = false;            // boolean: its value
  bool block_string = false;       // string: written with """
  std::uint32_t offset = 0;        // variable: of the `$`
  std::string_view text = {};      // variable: name without `$`; integer, floating: the literal; string: its
                                   // content after escapes (UTF-8); enumeration: the name
  graphql::list<value> items = {}; // list
  graphql::list<object_field> fields =
      {}; // object, in source order; names are unique in a validated document
};

struct object_field {
  graphql::ast::name name;
  graphql::ast::value value;
};

struct argument {
  graphql::ast::name name;
  graphql::ast::value value;
};

struct directive {
  std::uint32_t offset = 0; // of the `@`
  graphql::ast::name name;
  list<argument> arguments = {};
};

// ── type references
// ──────────────────────────────────────────────────────────────────────────────────────────────

enum class type_kind : std::uint8_t { named, list, non_null };

struct type {
  type_kind kind = type_kind::named;
  std::uint32_t offset = 0;
  std::string_view named = {}; // named: the name
  const type* of = nullptr;    // list, non_null: what it wraps
};

// ── executable definitions
// ───────────────────────────────────────────────────────────────────────────────────────

enum class operation_kind : std::uint8_t { query, mutation, subscription };
enum class selection_kind : std::uint8_t { field, fragment_spread, inline_fragment };

struct selection;

struct selection_set {
  std::uint32_t offset = 0; // of the `{`
  bool present = false;
  list<selection> items = {};
};

// One selection of any of the three kinds.
struct selection {
  selection_kind kind = selection_kind::field;
  std::uint32_t index = 0;       // dense in the document, 0 … document.selection_count - 1, for side tables
  std::uint32_t offset = 0;      // of the first token: the alias, the name or `...`
  ast::name alias = {};          // field
  ast::name name = {};           // field: its name; fragment_spread: the fragment's
  ast::name type_condition = {}; // inline_fragment; may be absent
  list<argument> arguments = {}; // field
  list<directive> directives = {};
  ast::selection_set selections = {}; // field (absent on leaves), inline_fragment

  // The key in the response. REQUIRES: kind == field
  std::string_view response_name() const { return alias.present() ? alias.text : name.text; }
};

struct variable_definition {
  std::uint32_t offset = 0; // of the `$`
  ast::name name;           // without `$`
  const ast::type* type = nullptr;
  const value* default_value = nullptr; // nullptr: none
  list<directive> directives = {};
};

struct operation {
  operation_kind kind = operation_kind::query;
  std::uint32_t offset = 0;
  ast::name name = {}; // absent: anonymous
  list<variable_definition> variables = {};
  list<directive> directives = {};
  selection_set selections = {};
};

struct fragment {
  std::uint32_t index = 0; // dense in the document: the position in document.fragments
  std::uint32_t offset = 0;
  ast::name name = {};
  ast::name type_condition = {};
  list<directive> directives = {};
  selection_set selections = {};
};

// ── type system definitions and extensions
// ───────────────────────────────────────────────────────────────────────

struct description {
  bool present = false;
  std::string_view text = {};
};

struct input_value_definition { // an argument or an input field
  std::uint32_t offset = 0;
  ast::description description = {};
  ast::name name = {};
  const ast::type* type = nullptr;
  const value* default_value = nullptr; // nullptr: none
  list<directive> directives = {};
};

struct field_definition {
  std::uint32_t offset = 0;
  ast::description description = {};
  ast::name name = {};
  list<input_value_definition> arguments = {};
  const ast::type* type = nullptr;
  list<directive> directives = {};
};

struct enum_value_definition {
  std::uint32_t offset = 0;
  ast::description description = {};
  ast::name name = {};
  list<directive> directives = {};
};

struct root_operation_definition {
  std::uint32_t offset = 0;
  operation_kind kind = operation_kind::query;
  ast::name type = {};
};

struct schema_definition {
  std::uint32_t offset = 0;
  bool extension = false;
  ast::description description = {};
  list<directive> directives = {};
  list<root_operation_definition> operations = {};
};

enum class type_definition_kind : std::uint8_t {
  scalar,
  object,
  interface,
  union_type,
  enumeration,
  input_object
};

struct type_definition {
  type_definition_kind kind = type_definition_kind::scalar;
  bool extension = false;
  std::uint32_t offset = 0;
  ast::description description = {};
  ast::name name = {};
  list<ast::name> interfaces = {}; // object, interface
  list<directive> directives = {};
  list<field_definition> fields = {};             // object, interface
  list<input_value_definition> input_fields = {}; // input_object
  list<enum_value_definition> values = {};        // enumeration
  list<ast::name> members = {};                   // union_type
};

struct directive_definition {
  std::uint32_t offset = 0;
  ast::description description = {};
  ast::name name = {};
  list<input_value_definition> arguments = {};
  bool repeatable = false;
  list<ast::name> locations = {};
};

// ── the document
// ─────────────────────────────────────────────────────────────────────────────────────────────────

enum class definition_kind : std::uint8_t { operation, fragment, schema, type, directive };

// One definition; exactly the pointer that `kind` names is set.
struct definition {
  definition_kind kind = definition_kind::operation;
  const ast::operation* operation = nullptr;
  const ast::fragment* fragment = nullptr;
  const schema_definition* schema = nullptr;
  const type_definition* type = nullptr;
  const directive_definition* directive = nullptr;
};

class document {
 public:
  explicit document(std::string source)
      : source_(std::move(source)) {}
  document(const document&) = delete;
  document& operator=(const document&) = delete;

  std::string_view source() const { return source_; }
  source_location locate(std::uint32_t offset) const { return graphql::locate(source_, offset); }

  // In source order.
  list<definition> definitions = {};
  list<const operation*> operations = {};
  list<const fragment*> fragments = {}; // fragments[i]->index == i
  std::uint32_t selection_count = 0;
  std::uint32_t token_count = 0;

  // The first with that name, or nullptr. Linear: for tables by name use the index of validation or a map of
  // your own.
  const fragment* find_fragment(std::string_view name) const;

  // The operation to run (October 2021, 6.1 GetOperation): the one with that name, or the only one when
  // `name` is empty; nullptr when there is none or more than one.
  const operation* find_operation(std::string_view name) const;

  arena& memory() { return memory_; } // for the parser

 private:
  std::string source_;
  arena memory_;
};

} // namespace mooring::graphql::ast
