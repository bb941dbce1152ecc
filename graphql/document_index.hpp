// What the validation rules want to know of a document, found in one walk or table. Internal to graphql/.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/text_map.hpp"
#include "graphql/ast.hpp"
#include "graphql/type_use.hpp"

namespace mooring::graphql {

// One place where a variable is used.
struct variable_usage {
  std::string_view name;
  std::uint32_t offset = 0;
  type_use expected = {};            // what the place expects; not valid() when that is not known
  bool has_location_default = false; // the argument or input field has a default value of its own
};

class document_index {
 public:
  explicit document_index(const ast::document& document);

  const ast::document& document() const { return document_; }

  // Of several fragments with one name (which is an error) the last. nullptr: none.
  const ast::fragment* find_fragment(std::string_view name) const;
  // By the selection index of a spread; nullptr for other selections and for unknown names.
  const std::vector<const ast::fragment*>& fragment_of_spread() const { return fragment_of_spread_; }

  // The spreads in a selection set, however deep, but not those inside of what they spread.
  static std::vector<const ast::selection*> spreads(const ast::selection_set& set);

  // Every fragment that an operation reaches, each once.
  std::vector<const ast::fragment*> reachable(const ast::operation& operation) const;

  // Filled by the walk: the variables that each definition uses itself.
  std::vector<std::vector<variable_usage>> usages_of_operation; // by position in document.operations
  std::vector<std::vector<variable_usage>> usages_of_fragment;  // by fragment index

 private:
  const ast::document& document_;
  text_map<std::string_view, const ast::fragment*> fragments_;
  std::vector<const ast::fragment*> fragment_of_spread_;
  std::vector<std::vector<const ast::fragment*>> references_; // by fragment index
};

} // namespace mooring::graphql
