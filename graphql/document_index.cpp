#include "graphql/document_index.hpp"

namespace mooring::graphql {

document_index::document_index(const ast::document& document)
    : usages_of_operation(document.operations.size())
    , usages_of_fragment(document.fragments.size())
    , document_(document)
    , fragment_of_spread_(document.selection_count)
    , references_(document.fragments.size()) {
  for (const auto* fragment : document.fragments) fragments_.insert_or_assign(fragment->name.text, fragment);
  const auto link = [this](const ast::selection_set& set) {
    std::vector<const ast::fragment*> found;
    for (const auto* spread : spreads(set)) {
      const auto* fragment = find_fragment(spread->name.text);
      fragment_of_spread_[spread->index] = fragment;
      if (fragment != nullptr) found.push_back(fragment);
    }
    return found;
  };
  for (const auto* fragment : document.fragments) references_[fragment->index] = link(fragment->selections);
  for (const auto* operation : document.operations) link(operation->selections);
}

const ast::fragment* document_index::find_fragment(std::string_view name) const {
  const auto found = fragments_.find(name);
  return found == fragments_.end() ? nullptr : found->second;
}

std::vector<const ast::selection*> document_index::spreads(const ast::selection_set& set) {
  // The order is graphql-js's: it decides which of several cycles is found first.
  std::vector<const ast::selection*> found;
  std::vector<const ast::selection_set*> pending{&set};
  while (!pending.empty()) {
    const auto* next = pending.back();
    pending.pop_back();
    for (const auto& selection : next->items) {
      if (selection.kind == ast::selection_kind::fragment_spread)
        found.push_back(&selection);
      else if (selection.selections.present)
        pending.push_back(&selection.selections);
    }
  }
  return found;
}

std::vector<const ast::fragment*> document_index::reachable(const ast::operation& operation) const {
  std::vector<const ast::fragment*> found;
  std::vector<bool> seen(document_.fragments.size());
  const auto add = [&](const ast::fragment* fragment) {
    if (fragment == nullptr || seen[fragment->index]) return;
    seen[fragment->index] = true;
    found.push_back(fragment);
  };
  for (const auto* spread : spreads(operation.selections)) add(fragment_of_spread_[spread->index]);
  for (std::size_t i = 0; i < found.size(); ++i)
    for (const auto* fragment : references_[found[i]->index]) add(fragment);
  return found;
}

} // namespace mooring::graphql
