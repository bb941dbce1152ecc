// Input coercion (October 2021, 3.x "Input Coercion", 6.1.2 and 6.4.1): JSON variables and literals of the
// document become trees of graphql::value.
//
// Accepts, refuses and says what graphql-js 16 does, with two differences: of a JSON object's duplicate
// members the first counts, and a message never shows more than about 100 bytes of a client's value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "graphql/ast.hpp"
#include "graphql/name_table.hpp"
#include "graphql/request_arena.hpp"
#include "graphql/scalars.hpp"
#include "graphql/schema.hpp"
#include "graphql/value.hpp"

namespace mooring::graphql {

// The input side of a schema as flat tables, made once. Immutable, any thread.
class input_types {
 public:
  enum class kind : std::uint8_t {
    none, // an output type
    boolean,
    integer,
    number,
    string,
    id,
    opaque_string,
    json_document,
    json_any_depth,
    enumeration,
    object
  };
  struct field {
    std::string_view name;
    type_use type;
    value fallback;        // the coerced default; absent: none
    bool required = false; // non-null and without a default
  };

  // REQUIRES: no input object's default contains itself without end. The schema outlives the tables.
  input_types(const schema& of, std::span<const std::pair<std::string, custom_scalar>> scalars);

  kind kind_of(type_id type) const { return kinds_[type]; }
  std::span<const field> fields_of(type_id object) const { return fields_[object]; } // by ordinal
  const graphql::schema& schema() const { return schema_; }

 private:
  void fill(type_id object, int depth);
  void fill_defaults_in(const ast::value& literal, type_use type, int depth);

  const graphql::schema& schema_;
  std::vector<kind> kinds_;
  std::vector<std::vector<field>> fields_;
  std::vector<std::uint8_t> filled_;
  request_arena constants_;
};

// A variable of an operation.
struct variable {
  std::string_view name; // without `$`
  type_use type;
  bool has_default = false;
  value fallback;           // the coerced default
  std::uint32_t offset = 0; // in the document
};

// What an operation declares, and in one request the values by the same numbers; `absent` where nothing was
// given.
struct variable_scope {
  std::span<const variable> declared;
  const name_table* numbers = nullptr; // by name
  std::span<const value> values = {};
};

// A literal of the document as a value of `type`; nothing when it does not fit. Variables inside are looked
// up in `scope` (6.4.1: a variable that is absent counts as not given); null: there are none. Texts stay in
// the document.
std::optional<value> coerce_literal(const input_types& types, request_arena& to, type_use type,
                                    const ast::value& literal, const variable_scope* scope);

bool has_variables(const ast::value& literal);

struct variable_fault {
  std::string message;
  std::uint32_t offset = 0; // of the variable's definition
};

struct variable_options {
  bool copy_text = false; // false: the values point into the JSON; true: they own their text in the arena
  std::size_t errors_max = 50; // then one more message, and an end
};

// CoerceVariableValues (6.1.2). The values by number of the declaration; they are good only when `faults`
// stays empty.
std::span<const value> coerce_variables(const input_types& types, request_arena& to,
                                        const variable_scope& scope, const json_value& given,
                                        const variable_options& options, std::vector<variable_fault>& faults);

} // namespace mooring::graphql
