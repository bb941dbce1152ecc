#include "graphql/validation.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "base/text_map.hpp"
#include "graphql/directive_rules.hpp"
#include "graphql/document_index.hpp"
#include "graphql/document_rules.hpp"
#include "graphql/error_list.hpp"
#include "graphql/literal_rules.hpp"
#include "graphql/overlapping_fields.hpp"
#include "graphql/print.hpp"
#include "graphql/suggestions.hpp"

namespace mooring::graphql {

namespace {

directive_location location_of(ast::operation_kind kind) {
  switch (kind) {
  case ast::operation_kind::query: return directive_location::query;
  case ast::operation_kind::mutation: return directive_location::mutation;
  case ast::operation_kind::subscription: return directive_location::subscription;
  }
  return directive_location::query;
}

std::string_view plural_of(ast::operation_kind kind) {
  switch (kind) {
  case ast::operation_kind::query: return "queries";
  case ast::operation_kind::mutation: return "mutations";
  case ast::operation_kind::subscription: return "subscriptions";
  }
  return "";
}

// The one walk over every definition, which holds each node against the schema. What needs the whole document
// is in document_rules and overlapping_fields.
class document_check {
 public:
  document_check(const schema& of, document_index& index, error_list& errors)
      : schema_(of)
      , index_(index)
      , errors_(errors)
      , list_depths_(index.document().fragments.size()) {
    for (const auto& directive : schema_.directives()) directives_.add(schema_, directive);
  }

  void run() {
    const auto& document = index_.document();
    for (std::size_t i = 0; i < document.operations.size() && !errors_.full(); ++i) {
      usages_ = &index_.usages_of_operation[i];
      operation(*document.operations[i]);
    }
    for (const auto* node : document.fragments) {
      if (errors_.full()) break;
      usages_ = &index_.usages_of_fragment[node->index];
      fragment(*node);
    }
  }

 private:
  // ── definitions ──
  void operation(const ast::operation& node) {
    const auto id = schema_.root(node.kind);
    if (id == no_type)
      errors_.add("KnownOperationTypes",
                  fmt::format("Schema is not configured for {}.", plural_of(node.kind)), {node.offset});
    const auto* root = id == no_type ? nullptr : &schema_.type(id);
    unique_variables(node);
    for (const auto& variable : node.variables) variable_definition(variable);
    directives(node.directives, location_of(node.kind), nullptr);
    selections(node.selections, root, nullptr);
  }

  void unique_variables(const ast::operation& node) {
    text_map<std::string_view, std::vector<std::uint32_t>> offsets;
    for (const auto& variable : node.variables) offsets[variable.name.text].push_back(variable.name.offset);
    for (const auto& [name, at] : offsets)
      if (at.size() > 1)
        errors_.add("UniqueVariableNames", fmt::format("There can be only one variable named \"${}\".", name),
                    at);
  }

  void variable_definition(const ast::variable_definition& node) {
    const auto* innermost = node.type;
    while (innermost->of != nullptr) innermost = innermost->of;
    auto type = resolve_type(schema_, *node.type);
    if (!type.valid()) {
      unknown_type(innermost->named, innermost->offset);
    } else if (!schema_.named_type(type).is_input()) {
      errors_.add("VariablesAreInputTypes",
                  fmt::format("Variable \"${}\" cannot be non-input type \"{}\".", node.name.text,
                              to_string(*node.type)),
                  {node.type->offset});
      type = type_use();
    }
    if (node.default_value != nullptr) {
      check_input_field_names_unique(*node.default_value, errors_);
      check_literal(schema_, type, *node.default_value, errors_);
    }
    directives(node.directives, directive_location::variable_definition, nullptr);
  }

  void fragment(const ast::fragment& node) {
    const auto* type = schema_.find_type(node.type_condition.text);
    if (type == nullptr) {
      unknown_type(node.type_condition.text, node.type_condition.offset);
    } else if (!type->is_composite()) {
      errors_.add("FragmentsOnCompositeTypes",
                  fmt::format("Fragment \"{}\" cannot condition on non composite type \"{}\".",
                              node.name.text, type->name),
                  {node.type_condition.offset});
      type = nullptr;
    }
    directives(node.directives, directive_location::fragment_definition, nullptr);
    selections(node.selections, type, nullptr);
  }

  void unknown_type(std::string_view name, std::uint32_t offset) {
    std::vector<std::string_view> names;
    for (const auto& type : schema_.types()) names.push_back(type.name);
    errors_.add("KnownTypeNames",
                fmt::format("Unknown type \"{}\".{}", name, did_you_mean(suggestions(name, names))),
                {offset});
  }

  // ── selections ──
  // `parent`: the composite type selected on; nullptr: not known. `enclosing`: the field whose selections
  // these are.
  void selections(const ast::selection_set& set, const type* parent, const graphql::field* enclosing) {
    for (const auto& selection : set.items) {
      if (errors_.full()) return;
      switch (selection.kind) {
      case ast::selection_kind::field: field(selection, parent); break;
      case ast::selection_kind::fragment_spread: spread(selection, parent, enclosing); break;
      case ast::selection_kind::inline_fragment: inline_fragment(selection, parent, enclosing); break;
      }
    }
  }

  void field(const ast::selection& node, const type* parent) {
    const auto* definition = parent == nullptr ? nullptr : schema_.find_field(*parent, node.name.text);
    if (parent != nullptr && definition == nullptr) unknown_field(node, *parent);
    check_argument_names_unique(node.arguments, errors_);
    for (const auto& argument : node.arguments) {
      const auto* known = definition == nullptr ? nullptr : definition->find_argument(argument.name.text);
      if (definition != nullptr && known == nullptr) unknown_argument(argument, *definition, *parent);
      check_input_field_names_unique(argument.value, errors_);
      value(known, argument.value);
    }
    directives(node.directives, directive_location::field, definition);
    if (definition != nullptr) required_arguments(node, *definition);
    if (definition != nullptr) leaf(node, *definition);
    if (node.name.text == "__schema" || node.name.text == "__type") introspection(node);
    const auto* type = definition == nullptr ? nullptr : &schema_.named_type(definition->type);
    selections(node.selections, type != nullptr && type->is_composite() ? type : nullptr, definition);
  }

  void unknown_field(const ast::selection& node, const type& parent) {
    auto hint = did_you_mean(types_with_field(parent, node.name.text), "to use an inline fragment on");
    if (hint.empty()) {
      std::vector<std::string_view> names;
      for (const auto& candidate : parent.fields) names.push_back(candidate.name);
      hint = did_you_mean(suggestions(node.name.text, names));
    }
    errors_.add("FieldsOnCorrectType",
                fmt::format("Cannot query field \"{}\" on type \"{}\".{}", node.name.text, parent.name, hint),
                {node.offset});
  }

  // The possible types of an abstract type, and their interfaces, that have the field: the most widely shared
  // first, interfaces before what implements them.
  std::vector<std::string_view> types_with_field(const type& parent, std::string_view name) const {
    struct candidate {
      const type* of;
      int uses;
    };
    std::vector<candidate> candidates;
    const auto count = [&](const type& of) {
      for (auto& known : candidates)
        if (known.of == &of) return void(++known.uses);
      candidates.push_back({&of, 1});
    };
    if (parent.is_abstract()) {
      for (const auto id : parent.possible_types) {
        const auto& possible = schema_.type(id);
        if (possible.find_field(name) == nullptr) continue;
        count(possible);
        for (const auto interface : possible.interfaces)
          if (schema_.type(interface).find_field(name) != nullptr) count(schema_.type(interface));
      }
    }
    const auto implements = [this](const type& sub, const type& super) {
      return super.kind == type_kind::interface &&
             schema_.is_sub_type(type_use(sub.id), type_use(super.id)) && sub.id != super.id;
    };
    std::vector<std::string_view> names;
    while (!candidates.empty()) { // few: a selection sort, for "implements" orders only some of them
      auto best = candidates.begin();
      for (auto other = candidates.begin() + 1; other != candidates.end(); ++other) {
        const bool before = other->uses != best->uses           ? other->uses > best->uses
                            : implements(*best->of, *other->of) ? true
                            : implements(*other->of, *best->of)
                                ? false
                                : natural_compare(other->of->name, best->of->name) < 0;
        if (before) best = other;
      }
      names.push_back(best->of->name);
      candidates.erase(best);
    }
    return names;
  }

  void unknown_argument(const ast::argument& node, const graphql::field& definition, const type& parent) {
    std::vector<std::string_view> names;
    for (const auto& candidate : definition.arguments) names.push_back(candidate.name);
    errors_.add("KnownArgumentNames",
                fmt::format("Unknown argument \"{}\" on field \"{}.{}\".{}", node.name.text, parent.name,
                            definition.name, did_you_mean(suggestions(node.name.text, names))),
                {node.name.offset});
  }

  void required_arguments(const ast::selection& node, const graphql::field& definition) {
    for (const auto& argument : definition.arguments) {
      if (!argument.required()) continue;
      const auto named = [&](const ast::argument& given) { return given.name.text == argument.name; };
      if (std::any_of(node.arguments.begin(), node.arguments.end(), named)) continue;
      errors_.add(
          "ProvidedRequiredArguments",
          fmt::format("Field \"{}\" argument \"{}\" of type \"{}\" is required, but it was not provided.",
                      definition.name, argument.name, schema_.to_string(argument.type)),
          {node.offset});
    }
  }

  void leaf(const ast::selection& node, const graphql::field& definition) {
    if (schema_.named_type(definition.type).is_leaf()) {
      if (node.selections.present)
        errors_.add("ScalarLeafs",
                    fmt::format("Field \"{}\" must not have a selection since type \"{}\" has no subfields.",
                                node.name.text, schema_.to_string(definition.type)),
                    {node.selections.offset});
    } else if (!node.selections.present) {
      errors_.add(
          "ScalarLeafs",
          fmt::format(
              "Field \"{0}\" of type \"{1}\" must have a selection of subfields. Did you mean \"{0} {{ "
              "... }}\"?",
              node.name.text, schema_.to_string(definition.type)),
          {node.offset});
    }
  }

  void spread(const ast::selection& node, const type* parent, const graphql::field* enclosing) {
    directives(node.directives, directive_location::fragment_spread, enclosing);
    const auto* fragment = index_.fragment_of_spread()[node.index];
    if (fragment == nullptr) {
      errors_.add("KnownFragmentNames", fmt::format("Unknown fragment \"{}\".", node.name.text),
                  {node.name.offset});
      return;
    }
    const auto* type = schema_.find_type(fragment->type_condition.text);
    if (type == nullptr || !type->is_composite() || parent == nullptr ||
        schema_.types_overlap(type->id, parent->id))
      return;
    errors_.add(
        "PossibleFragmentSpreads",
        fmt::format("Fragment \"{}\" cannot be spread here as objects of type \"{}\" can never be of type "
                    "\"{}\".",
                    node.name.text, parent->name, type->name),
        {node.offset});
  }

  void inline_fragment(const ast::selection& node, const type* parent, const graphql::field* enclosing) {
    directives(node.directives, directive_location::inline_fragment, enclosing);
    const auto* type = parent;
    if (node.type_condition.present()) {
      type = schema_.find_type(node.type_condition.text);
      if (type == nullptr) {
        unknown_type(node.type_condition.text, node.type_condition.offset);
      } else if (!type->is_composite()) {
        errors_.add("FragmentsOnCompositeTypes",
                    fmt::format("Fragment cannot condition on non composite type \"{}\".", type->name),
                    {node.type_condition.offset});
        type = nullptr;
      } else if (parent != nullptr && !schema_.types_overlap(type->id, parent->id)) {
        errors_.add(
            "PossibleFragmentSpreads",
            fmt::format(
                "Fragment cannot be spread here as objects of type \"{}\" can never be of type \"{}\".",
                parent->name, type->name),
            {node.offset});
      }
    }
    selections(node.selections, type, enclosing);
  }

  // ── directives and values ──
  // `enclosing`: the field that the directive stands on or in. As in graphql-js, the arguments of an unknown
  // directive are taken for that field's.
  void directives(const list<ast::directive>& uses, directive_location location,
                  const graphql::field* enclosing) {
    seen_directives seen;
    check_directives(directives_, uses, location, seen, errors_);
    for (const auto& use : uses) {
      const auto* known = schema_.find_directive(use.name.text);
      for (const auto& argument : use.arguments)
        value(known != nullptr       ? known->find_argument(argument.name.text)
              : enclosing != nullptr ? enclosing->find_argument(argument.name.text)
                                     : nullptr,
              argument.value);
    }
  }

  // `place`: nullptr: not known.
  void value(const input_value* place, const ast::value& node) {
    if (place == nullptr) return variables(type_use(), false, node);
    check_literal(schema_, place->type, node, errors_);
    variables(place->type, place->default_value != nullptr, node);
  }

  // Notes the variables in a value and what is expected in their place.
  void variables(type_use expected, bool has_default, const ast::value& node) {
    if (node.kind == ast::value_kind::variable) {
      usages_->push_back({node.text, node.offset, expected, has_default});
      return;
    }
    for (const auto& item : node.items) {
      // A list where no list is expected: its items are held against the type itself.
      const auto nullable = expected.nullable();
      variables(nullable.is_list() ? nullable.of() : nullable, false, item);
    }
    if (node.fields.empty()) return;
    const auto* type = expected.valid() ? &schema_.named_type(expected) : nullptr;
    for (const auto& field : node.fields) {
      const auto* known = type == nullptr ? nullptr : type->find_input_field(field.name.text);
      variables(known == nullptr ? type_use() : known->type,
                known != nullptr && known->default_value != nullptr, field.value);
    }
  }

  // ── introspection ──
  // MaxIntrospectionDepth: lists of types in lists of types multiply what is answered.
  static constexpr int lists_max = 2;
  static constexpr int walk_depth_max = 500;

  void introspection(const ast::selection& node) {
    if (list_depth(node.selections, 0) > lists_max)
      errors_.add("MaxIntrospectionDepth", "Maximum introspection depth exceeded", {node.offset});
  }

  // How many lists of types lie within each other at most; a spread that closes a cycle counts nothing.
  int list_depth(const ast::selection_set& set, int walk_depth) {
    if (walk_depth > walk_depth_max) return lists_max + 1;
    int deepest = 0;
    for (const auto& selection : set.items) {
      int depth = 0;
      if (const auto* fragment = index_.fragment_of_spread()[selection.index]; fragment != nullptr) {
        auto& known = list_depths_[fragment->index];
        if (!known) {
          known = 0;
          known = list_depth(fragment->selections, walk_depth + 1);
        }
        depth = *known;
      } else {
        depth = list_depth(selection.selections, walk_depth + 1);
        const auto name = selection.name.text;
        if (selection.kind == ast::selection_kind::field &&
            (name == "fields" || name == "interfaces" || name == "possibleTypes" || name == "inputFields"))
          ++depth;
      }
      deepest = std::max(deepest, depth);
    }
    return deepest;
  }

  const schema& schema_;
  document_index& index_;
  error_list& errors_;
  known_directives directives_;
  std::vector<variable_usage>* usages_ = nullptr; // of the definition being walked
  std::vector<std::optional<int>> list_depths_;   // by fragment index
};

// ExecutableDefinitions. True when every definition can be executed.
bool check_executable(const ast::document& document, error_list& errors) {
  for (const auto& definition : document.definitions) {
    const auto report = [&](std::string_view name, std::uint32_t offset) {
      errors.add("ExecutableDefinitions", fmt::format("The {} definition is not executable.", name),
                 {offset});
    };
    switch (definition.kind) {
    case ast::definition_kind::operation:
    case ast::definition_kind::fragment: break;
    case ast::definition_kind::schema: report("schema", definition.schema->offset); break;
    case ast::definition_kind::type:
      report(fmt::format("\"{}\"", definition.type->name.text), definition.type->offset);
      break;
    case ast::definition_kind::directive:
      report(fmt::format("\"{}\"", definition.directive->name.text), definition.directive->offset);
      break;
    }
  }
  return errors.empty();
}

} // namespace

std::vector<document_error> validate(const schema& schema, const ast::document& document,
                                     const validation_options& options) {
  error_list errors(document, options.errors_max);
  // The other rules are for executable documents.
  if (!check_executable(document, errors)) return errors.take();
  document_index index(document);
  check_names(document, errors);
  document_check(schema, index, errors).run();
  check_fragments(index, errors);
  check_variables(schema, index, errors);
  check_subscriptions(schema, index, errors);
  if (!errors.full())
    check_overlapping_fields(schema, document, index.fragment_of_spread(), options.comparisons_max, errors);
  return errors.take();
}

} // namespace mooring::graphql
