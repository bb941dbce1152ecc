// The validation rules about directives and arguments that executable documents and schemas share:
// KnownDirectives, UniqueDirectivesPerLocation, KnownArgumentNames on directives, ProvidedRequiredArguments
// on directives, UniqueArgumentNames, UniqueInputFieldNames. Internal to graphql/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_map.hpp"
#include "graphql/ast.hpp"
#include "graphql/directive_location.hpp"
#include "graphql/error_list.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

struct known_argument {
  std::string_view name;
  bool required = false;
  std::string type; // as GraphQL text
};

struct known_directive {
  std::uint32_t locations = 0; // one bit a directive_location
  bool repeatable = false;
  std::vector<known_argument> arguments;
};

// The directives that uses are held against.
class known_directives {
 public:
  void add(const schema& of, const directive& directive);
  void add(const ast::directive_definition& definition); // replaces one of the same name
  const known_directive* find(std::string_view name) const;

 private:
  text_map<std::string_view, known_directive> directives_;
};

// The directives that one location has had so far: UniqueDirectivesPerLocation looks over all extensions of a
// type.
using seen_directives = text_map<std::string_view, std::uint32_t>; // name → offset of the first use

// All rules above for the directives of one node, but for values.
void check_directives(const known_directives& known, const list<ast::directive>& uses,
                      directive_location location, seen_directives& seen, error_list& errors);

// UniqueArgumentNames
void check_argument_names_unique(const list<ast::argument>& arguments, error_list& errors);

// UniqueInputFieldNames, in the value and all values in it.
void check_input_field_names_unique(const ast::value& value, error_list& errors);

} // namespace mooring::graphql
