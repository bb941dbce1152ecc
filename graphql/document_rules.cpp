#include "graphql/document_rules.hpp"

#include <string>
#include <utility>

#include <fmt/core.h>

#include "base/text_map.hpp"

namespace mooring::graphql {

// ── names
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

void check_names(const ast::document& document, error_list& errors) {
  text_map<std::string_view, std::uint32_t> operations;
  for (const auto* operation : document.operations) {
    if (!operation->name.present()) {
      if (document.operations.size() > 1)
        errors.add("LoneAnonymousOperation", "This anonymous operation must be the only defined operation.",
                   {operation->offset});
      continue;
    }
    const auto [first, inserted] = operations.emplace(operation->name.text, operation->name.offset);
    if (!inserted)
      errors.add("UniqueOperationNames",
                 fmt::format("There can be only one operation named \"{}\".", operation->name.text),
                 {first->second, operation->name.offset});
  }
  text_map<std::string_view, std::uint32_t> fragments;
  for (const auto* fragment : document.fragments) {
    const auto [first, inserted] = fragments.emplace(fragment->name.text, fragment->name.offset);
    if (!inserted)
      errors.add("UniqueFragmentNames",
                 fmt::format("There can be only one fragment named \"{}\".", fragment->name.text),
                 {first->second, fragment->name.offset});
  }
}

// ── fragments
// ────────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

void check_unused(const document_index& index, error_list& errors) {
  const auto& document = index.document();
  // By name, for fragments of one name stand and fall together.
  text_map<std::string_view, bool> used;
  for (const auto* operation : document.operations)
    for (const auto* fragment : index.reachable(*operation)) used[fragment->name.text] = true;
  for (const auto* fragment : document.fragments)
    if (!used.contains(fragment->name.text))
      errors.add("NoUnusedFragments", fmt::format("Fragment \"{}\" is never used.", fragment->name.text),
                 {fragment->offset});
}

// A depth-first walk with a stack of its own, for fragments may be chained as long as the document allows.
// Each fragment is entered once, so each cycle is reported from one side only.
class cycle_check {
 public:
  cycle_check(const document_index& index, error_list& errors)
      : index_(index)
      , errors_(errors)
      , state_(index.document().fragments.size(), state::unseen)
      , depth_(index.document().fragments.size()) {}

  void run() {
    for (const auto* fragment : index_.document().fragments) {
      if (errors_.full()) return;
      // Of fragments with one name the first that is met counts as the fragment, here as in graphql-js.
      if (entered_.contains(fragment->name.text)) continue;
      enter(*fragment);
      while (!stack_.empty()) step();
    }
  }

 private:
  enum class state : std::uint8_t { unseen, on_path, left };
  struct frame {
    const ast::fragment* fragment;
    std::vector<const ast::selection*> spreads;
    std::size_t next = 0;
  };

  void enter(const ast::fragment& fragment) {
    entered_.emplace(fragment.name.text, &fragment);
    state_[fragment.index] = state::on_path;
    depth_[fragment.index] = stack_.size();
    stack_.push_back({&fragment, document_index::spreads(fragment.selections)});
  }

  void step() {
    auto& top = stack_.back();
    if (top.next == top.spreads.size()) {
      state_[top.fragment->index] = state::left;
      stack_.pop_back();
      return;
    }
    const auto* spread = top.spreads[top.next++];
    const auto* target = index_.fragment_of_spread()[spread->index];
    if (target == nullptr) return;
    const auto known = entered_.find(target->name.text);
    if (known == entered_.end())
      enter(*target);
    else if (state_[known->second->index] == state::on_path)
      report(*spread, depth_[known->second->index]);
  }

  // The cycle: from the frame at `from` each frame's current spread leads to the next, the last one back.
  void report(const ast::selection& closing, std::size_t from) {
    std::string via;
    std::vector<std::uint32_t> at;
    for (auto i = from; i < stack_.size(); ++i) {
      const auto* spread = stack_[i].spreads[stack_[i].next - 1];
      at.push_back(spread->offset);
      if (i + 1 == stack_.size() || via.size() > error_list::message_bytes_max) continue;
      via += fmt::format("{}\"{}\"", via.empty() ? " via " : ", ", spread->name.text);
    }
    errors_.add("NoFragmentCycles",
                fmt::format("Cannot spread fragment \"{}\" within itself{}.", closing.name.text, via), at);
  }

  const document_index& index_;
  error_list& errors_;
  std::vector<state> state_;
  std::vector<std::size_t> depth_;
  text_map<std::string_view, const ast::fragment*> entered_;
  std::vector<frame> stack_;
};

} // namespace

void check_fragments(const document_index& index, error_list& errors) {
  check_unused(index, errors);
  cycle_check(index, errors).run();
}

// ── variables
// ────────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

// IsVariableUsageAllowed (5.8.5)
bool allowed(const schema& schema, type_use variable, const ast::value* default_value,
             const variable_usage& usage) {
  if (!usage.expected.is_non_null() || variable.is_non_null())
    return schema.is_sub_type(variable, usage.expected);
  const bool has_default = default_value != nullptr && default_value->kind != ast::value_kind::null;
  return (has_default || usage.has_location_default) && schema.is_sub_type(variable, usage.expected.of());
}

struct variable_state {
  const ast::variable_definition* definition;
  type_use type;
  bool used = false;
};
using variable_states = text_map<std::string_view, variable_state>;

void check_usage(const schema& schema, const ast::operation& operation, const variable_usage& usage,
                 variable_states& variables, error_list& errors) {
  const auto found = variables.find(usage.name);
  if (found == variables.end()) {
    errors.add("NoUndefinedVariables",
               operation.name.present() ? fmt::format("Variable \"${}\" is not defined by operation \"{}\".",
                                                      usage.name, operation.name.text)
                                        : fmt::format("Variable \"${}\" is not defined.", usage.name),
               {usage.offset, operation.offset});
    return;
  }
  auto& variable = found->second;
  variable.used = true;
  if (!usage.expected.valid() || !variable.type.valid()) return;
  if (!allowed(schema, variable.type, variable.definition->default_value, usage))
    errors.add("VariablesInAllowedPosition",
               fmt::format("Variable \"${}\" of type \"{}\" used in position expecting type \"{}\".",
                           usage.name, schema.to_string(variable.type), schema.to_string(usage.expected)),
               {variable.definition->offset, usage.offset});
}

} // namespace

void check_variables(const schema& schema, const document_index& index, error_list& errors) {
  const auto& operations = index.document().operations;
  for (std::size_t i = 0; i < operations.size() && !errors.full(); ++i) {
    const auto& operation = *operations[i];
    variable_states variables;
    for (const auto& definition : operation.variables)
      variables.insert_or_assign(definition.name.text,
                                 variable_state{&definition, resolve_type(schema, *definition.type)});
    for (const auto& usage : index.usages_of_operation[i])
      check_usage(schema, operation, usage, variables, errors);
    for (const auto* fragment : index.reachable(operation))
      for (const auto& usage : index.usages_of_fragment[fragment->index])
        check_usage(schema, operation, usage, variables, errors);
    for (const auto& definition : operation.variables)
      if (!variables.at(definition.name.text).used)
        errors.add("NoUnusedVariables",
                   operation.name.present()
                       ? fmt::format("Variable \"${}\" is never used in operation \"{}\".",
                                     definition.name.text, operation.name.text)
                       : fmt::format("Variable \"${}\" is never used.", definition.name.text),
                   {definition.offset});
  }
}

// ── subscriptions
// ────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

// Is the selection left out whatever the variables are?
bool never_included(const ast::selection& selection) {
  for (const auto& use : selection.directives)
    for (const auto& argument : use.arguments)
      if (argument.name.text == "if" && argument.value.kind == ast::value_kind::boolean &&
          ((use.name.text == "skip" && argument.value.boolean) ||
           (use.name.text == "include" && !argument.value.boolean)))
        return true;
  return false;
}

bool applies(const schema& schema, const ast::name& condition, const type& object) {
  if (!condition.present()) return true;
  const auto* type = schema.find_type(condition.text);
  return type != nullptr &&
         (type->id == object.id || (type->is_abstract() && schema.is_possible_type(type->id, object.id)));
}

using field_lists = std::vector<std::vector<const ast::selection*>>;

// CollectFields (6.3.2) on the root of a subscription: the fields by response name.
field_lists collect_root_fields(const schema& schema, const document_index& index, const type& root,
                                const ast::selection_set& set) {
  field_lists lists;
  text_map<std::string_view, std::size_t> numbers;
  std::vector<bool> seen(index.document().fragments.size());
  std::vector<std::pair<const ast::selection*, const ast::selection*>> stack{
      {set.items.begin(), set.items.end()}};
  while (!stack.empty()) {
    auto& [next, end] = stack.back();
    if (next == end) {
      stack.pop_back();
      continue;
    }
    const auto& selection = *next++;
    if (never_included(selection)) continue;
    const ast::selection_set* inside = nullptr;
    switch (selection.kind) {
    case ast::selection_kind::field: {
      const auto [number, inserted] = numbers.emplace(selection.response_name(), lists.size());
      if (inserted) lists.emplace_back();
      lists[number->second].push_back(&selection);
      break;
    }
    case ast::selection_kind::inline_fragment:
      if (applies(schema, selection.type_condition, root)) inside = &selection.selections;
      break;
    case ast::selection_kind::fragment_spread: {
      const auto* fragment = index.fragment_of_spread()[selection.index];
      if (fragment == nullptr || seen[fragment->index]) break;
      seen[fragment->index] = true;
      if (applies(schema, fragment->type_condition, root)) inside = &fragment->selections;
      break;
    }
    }
    if (inside != nullptr) stack.emplace_back(inside->items.begin(), inside->items.end());
  }
  return lists;
}

} // namespace

void check_subscriptions(const schema& schema, const document_index& index, error_list& errors) {
  const auto root = schema.root(ast::operation_kind::subscription);
  if (root == no_type) return;
  for (const auto* operation : index.document().operations) {
    if (operation->kind != ast::operation_kind::subscription) continue;
    const auto who = operation->name.present() ? fmt::format("Subscription \"{}\"", operation->name.text)
                                               : std::string("Anonymous Subscription");
    const auto lists = collect_root_fields(schema, index, schema.type(root), operation->selections);
    const auto offsets = [](const std::vector<const ast::selection*>& fields,
                            std::vector<std::uint32_t>& at) {
      for (const auto* field : fields) at.push_back(field->offset);
    };
    std::vector<std::uint32_t> extra;
    for (std::size_t i = 1; i < lists.size(); ++i) offsets(lists[i], extra);
    if (!extra.empty())
      errors.add("SingleFieldSubscriptions", who + " must select only one top level field.", extra);
    for (const auto& fields : lists) {
      if (!fields.front()->name.text.starts_with("__")) continue;
      std::vector<std::uint32_t> at;
      offsets(fields, at);
      errors.add("SingleFieldSubscriptions", who + " must not select an introspection top level field.", at);
    }
  }
}

// ── types
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

type_use resolve_type(const schema& schema, const ast::type& type) {
  switch (type.kind) {
  case ast::type_kind::named: break;
  case ast::type_kind::list: {
    const auto of = resolve_type(schema, *type.of);
    return of.valid() ? of.in_list() : of;
  }
  case ast::type_kind::non_null: {
    const auto of = resolve_type(schema, *type.of);
    return of.valid() ? of.as_non_null() : of;
  }
  }
  const auto* named = schema.find_type(type.named);
  return named == nullptr ? type_use() : type_use(named->id);
}

} // namespace mooring::graphql
