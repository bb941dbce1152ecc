// Builds the tables of a schema from type system documents that passed check_sdl. Internal to graphql/.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/text_map.hpp"
#include "graphql/ast.hpp"
#include "graphql/error_list.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

class schema_builder {
 public:
  // REQUIRES: both passed check_sdl. The schema owns them from here on.
  std::unique_ptr<schema> build(std::unique_ptr<const ast::document> sdl,
                                std::unique_ptr<const ast::document> built_in);

  // Every node of each type of the SDL, by type id: the definition, then its extensions. For the locations of
  // errors.
  using nodes_by_type = std::vector<std::vector<const ast::type_definition*>>;
  const nodes_by_type& nodes() const { return nodes_; }

 private:
  void collect_used_names(const ast::document& document);
  void collect_used_name(const ast::type& type);
  void add_type(const ast::type_definition& node, bool built_in);
  void fill(type& to, const ast::type_definition& node);
  void add_directives(const ast::document& document, bool built_in);
  void set_roots(const ast::document& sdl);
  void set_meta_fields(const ast::type_definition& node);
  void link_implementations();

  field make_field(const ast::field_definition& node, std::uint32_t ordinal);
  std::vector<input_value> make_input_values(const list<ast::input_value_definition>& nodes,
                                             std::size_t first = 0);
  type_use resolve(const ast::type& node) const;
  static deprecation deprecation_of(const list<ast::directive>& directives);

  std::unique_ptr<schema> schema_;
  text_set<std::string_view> used_names_;
  nodes_by_type nodes_;
};

} // namespace mooring::graphql
