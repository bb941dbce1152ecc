#include "graphql/limits.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "base/text_map.hpp"

namespace mooring::graphql {

namespace {

constexpr std::uint32_t saturated = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t add(std::uint32_t a, std::uint32_t b) {
  return a > saturated - b ? saturated : a + b;
}

// Where measuring stops going deeper and calls the count saturated: it needs a stack itself.
constexpr int nesting_max = 300;

class measuring {
 public:
  explicit measuring(const ast::document& document)
      : fragments_(document.fragments.size()) {
    for (const auto* fragment : document.fragments) by_name_.insert_or_assign(fragment->name.text, fragment);
  }

  // `nesting`: how many selection sets lie around this one.
  document_measure selections(const ast::selection_set& set, int nesting) {
    document_measure sum;
    if (!set.present) return sum;
    if (nesting > nesting_max) {
      sum.levels = saturated;
      return sum;
    }
    for (const auto& selection : set.items) {
      sum.directives = add(sum.directives, selection.directives.size());
      switch (selection.kind) {
      case ast::selection_kind::field: join(sum, field(selection, nesting)); break;
      case ast::selection_kind::inline_fragment:
        join(sum, selections(selection.selections, nesting + 1));
        break;
      case ast::selection_kind::fragment_spread: join(sum, spread(selection, nesting)); break;
      }
    }
    sum.levels = add(sum.levels, 1);
    return sum;
  }

 private:
  enum class progress : std::uint8_t { none, running, done };
  struct measured_fragment {
    progress state = progress::none;
    document_measure measure;
  };

  static void join(document_measure& sum, const document_measure& part) {
    sum.depth = std::max(sum.depth, part.depth);
    sum.introspection_depth = std::max(sum.introspection_depth, part.introspection_depth);
    sum.levels = std::max(sum.levels, part.levels);
    sum.complexity = add(sum.complexity, part.complexity);
    sum.aliases = add(sum.aliases, part.aliases);
    sum.root_fields = add(sum.root_fields, part.root_fields);
    sum.directives = add(sum.directives, part.directives);
  }

  document_measure field(const ast::selection& node, int nesting) {
    auto inside = selections(node.selections, nesting + 1);
    inside.root_fields = 1;
    if (node.alias.present()) inside.aliases = add(inside.aliases, 1);
    if (node.name.text == "__schema" || node.name.text == "__type") {
      inside.introspection_depth = add(std::max(inside.introspection_depth, inside.depth), 1);
      inside.depth = 1;
      inside.complexity = 1;
    } else {
      inside.depth = add(inside.depth, 1);
      inside.complexity = add(inside.complexity, 1);
    }
    return inside;
  }

  document_measure spread(const ast::selection& node, int nesting) {
    const auto found = by_name_.find(node.name.text);
    if (found == by_name_.end()) return {};
    auto& known = fragments_[found->second->index];
    if (known.state == progress::running) return {};
    if (known.state == progress::none) {
      known.state = progress::running;
      known.measure = selections(found->second->selections, nesting + 1);
      known.state = progress::done;
    }
    return known.measure;
  }

  text_map<std::string_view, const ast::fragment*> by_name_;
  std::vector<measured_fragment> fragments_; // by fragment index
};

} // namespace

document_measure measure(const ast::document& document, const ast::operation& operation) {
  auto total = measuring(document).selections(operation.selections, 0);
  total.directives = add(total.directives, operation.directives.size());
  for (const auto& variable : operation.variables)
    total.directives = add(total.directives, variable.directives.size());
  return total;
}

std::optional<document_error> check_limits(const ast::document& document, const ast::operation& operation,
                                           const document_limits& limits) {
  const auto measured = measure(document, operation);
  const struct {
    std::string_view what;
    std::uint32_t count;
    std::uint32_t limit;
  } checks[] = {
      {"nesting", measured.levels, limits.levels},
      {"depth", measured.depth, limits.depth},
      {"introspection depth", measured.introspection_depth, limits.introspection_depth},
      {"complexity", measured.complexity, limits.complexity},
      {"number of aliases", measured.aliases, limits.aliases},
      {"number of root fields", measured.root_fields, limits.root_fields},
      {"number of directives", measured.directives, limits.directives},
  };
  for (const auto& [what, count, limit] : checks) {
    if (count <= limit) continue;
    auto message = count == saturated
                       ? fmt::format("Query {} exceeds the limit of {}.", what, limit)
                       : fmt::format("Query {} is {}, which exceeds the limit of {}.", what, count, limit);
    return document_error{
        error_code::query_too_complex, std::move(message), {document.locate(operation.offset)}, "Limit"};
  }
  return std::nullopt;
}

} // namespace mooring::graphql
