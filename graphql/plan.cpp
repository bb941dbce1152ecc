#include "graphql/plan.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/text_map.hpp"
#include "graphql/introspection.hpp"
#include "graphql/print.hpp"

namespace mooring::graphql {

namespace {

type_use type_of(const schema& in, const ast::type& written) {
  switch (written.kind) {
  case ast::type_kind::list: return type_of(in, *written.of).in_list();
  case ast::type_kind::non_null: return type_of(in, *written.of).as_non_null();
  case ast::type_kind::named: break;
  }
  return type_use(in.find_type(written.named)->id);
}

// Every selection of the operation once, fragments once each.
template<class F>
void for_each_selection(const ast::document& document, const ast::selection_set& set,
                        std::unordered_set<const ast::fragment*>& seen, const F& f) {
  for (const auto& each : set.items) {
    f(each);
    if (each.kind == ast::selection_kind::fragment_spread) {
      const auto* fragment = document.find_fragment(each.name.text);
      if (fragment != nullptr && seen.insert(fragment).second)
        for_each_selection(document, fragment->selections, seen, f);
    } else {
      for_each_selection(document, each.selections, seen, f);
    }
  }
}

const ast::value* condition_of(const ast::directive& directive) {
  for (const auto& argument : directive.arguments)
    if (argument.name.text == "if") return &argument.value;
  return nullptr;
}

bool is_condition(const ast::directive& directive) {
  return directive.name.text == "skip" || directive.name.text == "include";
}

document_error refusal(const ast::document& document, std::uint32_t offset, std::string message,
                       std::string_view rule, error_code code = error_code::bad_user_input) {
  return {code, std::move(message), {document.locate(offset)}, rule};
}

class planner {
 public:
  planner(const bindings& bound, const input_types& types, const operation_facts& facts,
          std::uint64_t condition_bits)
      : bound_(bound)
      , schema_(bound.of())
      , types_(types)
      , facts_(facts)
      , bits_(condition_bits)
      , plan_(std::make_unique<operation_plan>()) {
    for (const auto* fragment : facts.document->fragments) fragments_.emplace(fragment->name.text, fragment);
  }

  plan_outcome run() {
    plan_->fields = selection(*facts_.root, {&facts_.operation->selections}, true);
    plan_outcome out;
    if (error_)
      out.error = std::move(*error_);
    else
      out.plan = std::move(plan_);
    return out;
  }

 private:
  struct group {
    std::string_view response_name;
    std::vector<const ast::selection*> nodes;
  };

  struct collection {
    std::vector<group> groups;
    text_map<std::string_view, std::size_t> places; // used when there are many groups
    std::vector<const ast::fragment*> visited;
  };

  bool included(const ast::selection& node) const {
    for (const auto& directive : node.directives) {
      if (!is_condition(directive)) continue;
      const auto* condition = condition_of(directive);
      bool is = condition->boolean;
      if (condition->kind == ast::value_kind::variable) {
        const auto number = facts_.variable_numbers.find(condition->text);
        const auto bit = std::find(facts_.conditions.begin(), facts_.conditions.end(), number);
        is = (bits_ >> (bit - facts_.conditions.begin())) & 1;
      }
      if (is == (directive.name.text == "skip")) return false;
    }
    return true;
  }

  bool applies(const ast::name& condition, const type& object) const {
    if (!condition.present()) return true;
    const auto* named = schema_.find_type(condition.text);
    if (named->id == object.id) return true;
    return named->is_abstract() && schema_.is_possible_type(named->id, object.id);
  }

  // CollectFields (6.3.2).
  void collect(const type& object, const ast::selection_set& set, collection& into) {
    for (const auto& node : set.items) {
      if (!spend()) return;
      if (!included(node)) continue;
      switch (node.kind) {
      case ast::selection_kind::field: group_of(into, node.response_name()).nodes.push_back(&node); break;
      case ast::selection_kind::fragment_spread: {
        const auto* fragment = fragments_.at(node.name.text);
        if (std::find(into.visited.begin(), into.visited.end(), fragment) != into.visited.end()) break;
        into.visited.push_back(fragment);
        if (applies(fragment->type_condition, object)) collect(object, fragment->selections, into);
        break;
      }
      case ast::selection_kind::inline_fragment:
        if (applies(node.type_condition, object)) collect(object, node.selections, into);
        break;
      }
    }
  }

  group& group_of(collection& into, std::string_view response_name) {
    constexpr std::size_t few = 16;
    if (into.groups.size() < few) {
      for (auto& each : into.groups)
        if (each.response_name == response_name) return each;
    } else {
      if (into.places.empty())
        for (std::size_t i = 0; i < into.groups.size(); ++i)
          into.places.emplace(into.groups[i].response_name, i);
      const auto [at, fresh] = into.places.emplace(response_name, into.groups.size());
      if (!fresh) return into.groups[at->second];
    }
    return into.groups.emplace_back(group{response_name, {}});
  }

  std::span<const plan_field> selection(const type& object,
                                        const std::vector<const ast::selection_set*>& sets, bool root) {
    collection fields;
    for (const auto* set : sets) collect(object, *set, fields);
    if (error_) return {};
    auto out = plan_->memory.array<plan_field>(fields.groups.size());
    for (std::size_t i = 0; i < out.size() && !error_; ++i)
      field(object, fields.groups[i], i == 0, root, out[i]);
    return out;
  }

  void field(const type& parent, const group& merged, bool first, bool root, plan_field& out) {
    if (!spend()) return;
    const auto& node = *merged.nodes.front();
    const auto* declared = schema_.find_field(parent, node.name.text);
    auto& memory = plan_->memory;
    std::string key = first ? "\"" : ",\"";
    key.append(merged.response_name).append("\":");
    out.key = memory.copy(key);
    out.response_name = merged.response_name;
    out.declared = declared;
    out.parent = &parent;
    auto offsets = memory.array<std::uint32_t>(merged.nodes.size());
    for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = merged.nodes[i]->offset;
    out.offsets = offsets;
    unsigned level = 0;
    for (auto use = declared->type; !use.is_named(); use = use.of()) {
      if (use.is_non_null())
        out.non_null |= 1u << level;
      else
        ++level;
    }

    const auto& named = schema_.named_type(declared->type);
    out.scalar = named.scalar;
    if (named.kind == type_kind::enumeration) out.names = bound_.enumeration_of(named.id);
    arguments(node, *declared, out);
    if (error_) return;

    switch (declared->ordinal) {
    case ordinal_typename:
      out.constant = memory.copy("\"" + std::string(parent.name) + "\"");
      out.write = [](completer& to, const plan_field& field, const void*) {
        to.out.append(field.constant);
        return completion::written;
      };
      break;
    case ordinal_schema: out.write = write_introspected_schema; break;
    case ordinal_type: out.write = write_introspected_type; break;
    default:
      if (root) {
        out.root = bound_.root_of(parent.id, declared->ordinal);
        out.write = out.root->write;
      } else {
        out.write = bound_.object_of(parent.id)->fields[declared->ordinal].write;
      }
    }
    if (named.is_composite()) children(named, merged, out);
  }

  void children(const type& named, const group& merged, plan_field& out) {
    std::vector<const ast::selection_set*> sets;
    for (const auto* node : merged.nodes) sets.push_back(&node->selections);
    if (!named.is_abstract()) {
      auto only = plan_->memory.array<plan_selection>(1);
      only[0] = {bound_.object_of(named.id)->identity, selection(named, sets, false)};
      out.selections = only;
      return;
    }
    out.abstract = bound_.abstract_of(named.id);
    auto each = plan_->memory.array<plan_selection>(out.abstract->names.size());
    for (std::size_t i = 0; i < each.size() && !error_; ++i) {
      const auto& concrete_type = *schema_.find_type(out.abstract->names[i]);
      each[i] = {bound_.object_of(concrete_type.id)->identity, selection(concrete_type, sets, false)};
    }
    out.selections = each;
  }

  // CoerceArgumentValues (6.4.1), as far as it goes without variables.
  void arguments(const ast::selection& node, const graphql::field& declared, plan_field& out) {
    const auto count = declared.arguments.size();
    if (count == 0) return;
    auto& memory = plan_->memory;
    auto each = memory.array<plan_argument>(count);
    auto constants = memory.array<graphql::value>(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& in = declared.arguments[i];
      each[i].declared = &in;
      if (in.default_value != nullptr)
        each[i].constant =
            coerce_literal(types_, memory, in.type, *in.default_value, nullptr).value_or(graphql::value());
    }
    for (const auto& given : node.arguments) {
      const auto ordinal = declared.argument_ordinals.find(given.name.text);
      auto& to = each[ordinal];
      to.offset = given.value.offset;
      if (given.value.kind == ast::value_kind::variable) {
        to.from = plan_argument::source::variable;
        to.variable = facts_.variable_numbers.find(given.value.text);
        out.arguments_constant = false;
      } else if (has_variables(given.value)) {
        to.from = plan_argument::source::literal;
        to.literal = &given.value;
        out.arguments_constant = false;
      } else {
        const auto is = coerce_literal(types_, memory, to.declared->type, given.value, nullptr);
        if (!is) {
          error_ = refusal(*facts_.document, given.value.offset,
                           "Argument \"" + std::string(given.name.text) + "\" has invalid value " +
                               to_string(given.value) + ".",
                           "ValuesOfCorrectType");
          return;
        }
        to.constant = *is;
      }
    }
    for (std::size_t i = 0; i < count; ++i) constants[i] = each[i].constant;
    out.arguments = each;
    out.constants = constants;
    if (!out.arguments_constant) out.argument_slot = plan_->argument_slots++;
  }

  bool spend() {
    if (error_) return false;
    if (++spent_ <= plan_fields_max) return true;
    error_ = refusal(*facts_.document, facts_.operation->offset,
                     "The operation selects more than " + std::to_string(plan_fields_max) +
                         " fields, fragments written out.",
                     "Limit", error_code::query_too_complex);
    return false;
  }

  const bindings& bound_;
  const schema& schema_;
  const input_types& types_;
  const operation_facts& facts_;
  const std::uint64_t bits_;
  std::unique_ptr<operation_plan> plan_;
  text_map<std::string_view, const ast::fragment*> fragments_;
  std::uint32_t spent_ = 0;
  std::optional<document_error> error_;
};

bool takes_variables(const ast::selection& node) {
  for (const auto& argument : node.arguments)
    if (has_variables(argument.value)) return true;
  return false;
}

// The schema's names of the root fields, fragments written out, whatever the directives say.
void gather_root_fields(const ast::document& document, const ast::selection_set& set,
                        std::vector<const ast::fragment*>& visited, std::vector<std::string_view>& responses,
                        std::vector<std::string_view>& out, std::size_t& with_variables) {
  for (const auto& node : set.items) {
    switch (node.kind) {
    case ast::selection_kind::field:
      if (takes_variables(node)) ++with_variables;
      if (std::find(responses.begin(), responses.end(), node.response_name()) != responses.end()) break;
      responses.push_back(node.response_name());
      out.push_back(node.name.text);
      break;
    case ast::selection_kind::fragment_spread: {
      const auto* fragment = document.find_fragment(node.name.text);
      if (std::find(visited.begin(), visited.end(), fragment) != visited.end()) break;
      visited.push_back(fragment);
      gather_root_fields(document, fragment->selections, visited, responses, out, with_variables);
      break;
    }
    case ast::selection_kind::inline_fragment:
      gather_root_fields(document, node.selections, visited, responses, out, with_variables);
      break;
    }
  }
}

} // namespace

std::optional<document_error> gather_facts(const input_types& types, const ast::document& document,
                                           const ast::operation& operation, request_arena& constants,
                                           operation_facts& facts) {
  const auto& in = types.schema();
  facts.document = &document;
  facts.operation = &operation;
  facts.root = &in.type(in.root(operation.kind));
  for (const auto& declared : operation.variables) {
    variable out{declared.name.text,
                 type_of(in, *declared.type),
                 declared.default_value != nullptr,
                 {},
                 declared.offset};
    if (out.has_default) {
      const auto is = coerce_literal(types, constants, out.type, *declared.default_value, nullptr);
      if (!is)
        return refusal(document, declared.default_value->offset,
                       "Variable \"$" + std::string(out.name) + "\" has an invalid default value " +
                           to_string(*declared.default_value) + ".",
                       "ValuesOfCorrectType");
      out.fallback = *is;
    }
    facts.variable_numbers.insert(out.name, static_cast<std::uint32_t>(facts.variables.size()));
    facts.variables.push_back(out);
  }
  std::unordered_set<const ast::fragment*> seen;
  std::size_t with_variables = 0;
  for_each_selection(document, operation.selections, seen, [&](const ast::selection& node) {
    if (takes_variables(node)) ++with_variables;
    for (const auto& directive : node.directives) {
      const auto* condition = is_condition(directive) ? condition_of(directive) : nullptr;
      if (condition == nullptr || condition->kind != ast::value_kind::variable) continue;
      const auto number = facts.variable_numbers.find(condition->text);
      if (std::find(facts.conditions.begin(), facts.conditions.end(), number) == facts.conditions.end())
        facts.conditions.push_back(number);
    }
  });
  if (facts.conditions.size() > 64)
    return refusal(document, operation.offset, "More than 64 variables decide @skip and @include.", "Limit",
                   error_code::query_too_complex);
  std::vector<const ast::fragment*> visited;
  std::vector<std::string_view> responses;
  std::size_t roots_with_variables = 0;
  gather_root_fields(document, operation.selections, visited, responses, facts.root_fields,
                     roots_with_variables);
  facts.nested_variables = with_variables > roots_with_variables;
  return std::nullopt;
}

plan_outcome make_plan(const bindings& bound, const input_types& types, const operation_facts& facts,
                       std::uint64_t condition_bits) {
  return planner(bound, types, facts, condition_bits).run();
}

} // namespace mooring::graphql
