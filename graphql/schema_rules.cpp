#include "graphql/schema_rules.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/core.h>

#include "graphql/literal_rules.hpp"

namespace mooring::graphql {

namespace {

using offsets = std::vector<std::uint32_t>;
constexpr std::string_view rule = "TypeValidation";

const ast::directive* deprecated_directive(const list<ast::directive>& directives) {
  for (const auto& use : directives)
    if (use.name.text == "deprecated") return &use;
  return nullptr;
}

class type_check {
 public:
  type_check(const schema& of, const ast::document& sdl, const schema_builder::nodes_by_type& nodes,
             error_list& errors)
      : schema_(of)
      , sdl_(sdl)
      , nodes_(nodes)
      , errors_(errors) {}

  void run() {
    roots();
    for (const auto& directive : schema_.directives())
      if (!directive.built_in) check(directive);
    for (const auto& type : schema_.types())
      if (!type.built_in) check(type);
    check_literals();
    if (errors_.empty()) check_default_cycles();
  }

 private:
  void report(std::string message, const offsets& at) { errors_.add(rule, std::move(message), at); }

  offsets all_nodes(const type& type) const {
    offsets at;
    for (const auto* node : nodes_[type.id]) at.push_back(node->offset);
    return at;
  }

  // ── roots (3.3.1) ──
  void roots() {
    const auto node_of = [this](ast::operation_kind kind) -> const ast::name* {
      for (const auto& definition : sdl_.definitions)
        if (definition.kind == ast::definition_kind::schema)
          for (const auto& operation : definition.schema->operations)
            if (operation.kind == kind) return &operation.type;
      return nullptr;
    };
    const auto check_root = [&](ast::operation_kind kind, std::string_view name, std::string_view provided) {
      const auto id = schema_.root(kind);
      if (id == no_type) return;
      const auto& type = schema_.type(id);
      if (type.kind == type_kind::object) return;
      const auto* node = node_of(kind);
      report(fmt::format("{} root type must be Object type{}, it cannot be {}.", name, provided, type.name),
             {node != nullptr ? node->offset : type.node->offset});
    };
    if (schema_.root(ast::operation_kind::query) == no_type) {
      offsets at;
      for (const auto& definition : sdl_.definitions)
        if (definition.kind == ast::definition_kind::schema && !definition.schema->extension)
          at.push_back(definition.schema->offset);
      report("Query root type must be provided.", at);
    }
    check_root(ast::operation_kind::query, "Query", "");
    check_root(ast::operation_kind::mutation, "Mutation", " if provided");
    check_root(ast::operation_kind::subscription, "Subscription", " if provided");
  }

  void name(std::string_view text, std::uint32_t offset) {
    if (text.starts_with("__"))
      report(fmt::format(
                 "Name \"{}\" must not begin with \"__\", which is reserved by GraphQL introspection.", text),
             {offset});
  }

  // ── arguments and input fields ──
  // `path` is what messages call the value: `Type.field(argument:)`. `at_type`: its type is what errors point
  // at.
  void input(const input_value& value, const std::string& path, std::string_view what, bool at_type) {
    name(value.name, value.node->offset);
    if (!schema_.named_type(value.type).is_input())
      report(
          fmt::format("The type of {} must be Input Type but got: {}.", path, schema_.to_string(value.type)),
          {at_type ? value.node->type->offset : value.node->offset});
    if (value.required() && value.deprecation.deprecated)
      report(fmt::format("Required {} {} cannot be deprecated.", what, path),
             {deprecated_directive(value.node->directives)->offset, value.node->type->offset});
  }

  void check(const directive& directive) {
    name(directive.name, directive.node->offset);
    for (const auto& argument : directive.arguments)
      input(argument, fmt::format("@{}({}:)", directive.name, argument.name), "argument", false);
  }

  // ── types ──
  void check(const type& type) {
    name(type.name, type.node->offset);
    switch (type.kind) {
    case type_kind::scalar: break;
    case type_kind::object:
    case type_kind::interface:
      fields(type);
      interfaces(type);
      break;
    case type_kind::union_type: members(type); break;
    case type_kind::enumeration:
      if (type.values.empty())
        report(fmt::format("Enum type {} must define one or more values.", type.name), all_nodes(type));
      for (const auto& value : type.values) name(value.name, value.node->offset);
      break;
    case type_kind::input_object:
      if (type.input_fields.empty())
        report(fmt::format("Input Object type {} must define one or more fields.", type.name),
               all_nodes(type));
      for (const auto& field : type.input_fields)
        input(field, fmt::format("{}.{}", type.name, field.name), "input field", true);
      input_cycles(type);
      break;
    }
  }

  void fields(const type& type) {
    if (type.fields.empty())
      report(fmt::format("Type {} must define one or more fields.", type.name), all_nodes(type));
    for (const auto& field : type.fields) {
      name(field.name, field.node->offset);
      if (!schema_.named_type(field.type).is_output())
        report(fmt::format("The type of {}.{} must be Output Type but got: {}.", type.name, field.name,
                           schema_.to_string(field.type)),
               {field.node->type->offset});
      for (const auto& argument : field.arguments)
        input(argument, fmt::format("{}.{}({}:)", type.name, field.name, argument.name), "argument", true);
    }
  }

  // The places where `type` names the interface.
  offsets implements_nodes(const type& type, const graphql::type& interface) const {
    offsets at;
    for (const auto* node : nodes_[type.id])
      for (const auto& named : node->interfaces)
        if (named.text == interface.name) at.push_back(named.offset);
    return at;
  }

  void interfaces(const type& type) {
    std::vector<type_id> seen;
    for (const auto id : type.interfaces) {
      const auto& interface = schema_.type(id);
      if (interface.kind != type_kind::interface) {
        report(fmt::format("Type {} must only implement Interface types, it cannot implement {}.", type.name,
                           interface.name),
               implements_nodes(type, interface));
      } else if (id == type.id) {
        report(fmt::format("Type {} cannot implement itself because it would create a circular reference.",
                           type.name),
               implements_nodes(type, interface));
      } else if (std::find(seen.begin(), seen.end(), id) != seen.end()) {
        report(fmt::format("Type {} can only implement {} once.", type.name, interface.name),
               implements_nodes(type, interface));
      } else {
        seen.push_back(id);
        ancestors(type, interface);
        implementation(type, interface);
      }
    }
  }

  void ancestors(const type& type, const graphql::type& interface) {
    for (const auto id : interface.interfaces) {
      if (std::find(type.interfaces.begin(), type.interfaces.end(), id) != type.interfaces.end()) continue;
      const auto& ancestor = schema_.type(id);
      auto at = implements_nodes(interface, ancestor);
      const auto own = implements_nodes(type, interface);
      at.insert(at.end(), own.begin(), own.end());
      report(id == type.id
                 ? fmt::format("Type {} cannot implement {} because it would create a circular reference.",
                               type.name, interface.name)
                 : fmt::format("Type {} must implement {} because it is implemented by {}.", type.name,
                               ancestor.name, interface.name),
             at);
    }
  }

  // IsValidImplementation (3.6)
  void implementation(const type& type, const graphql::type& interface) {
    for (const auto& expected : interface.fields) {
      const auto path = fmt::format("{}.{}", interface.name, expected.name);
      const auto* field = type.find_field(expected.name);
      if (field == nullptr) {
        offsets at{expected.node->offset};
        const auto own = all_nodes(type);
        at.insert(at.end(), own.begin(), own.end());
        report(fmt::format("Interface field {} expected but {} does not provide it.", path, type.name), at);
        continue;
      }
      if (!schema_.is_sub_type(field->type, expected.type))
        report(fmt::format("Interface field {} expects type {} but {}.{} is type {}.", path,
                           schema_.to_string(expected.type), type.name, field->name,
                           schema_.to_string(field->type)),
               {expected.node->type->offset, field->node->type->offset});
      implemented_arguments(type, *field, path, expected);
    }
  }

  void implemented_arguments(const type& type, const field& field, const std::string& path,
                             const graphql::field& expected) {
    for (const auto& wanted : expected.arguments) {
      const auto* given = field.find_argument(wanted.name);
      if (given == nullptr)
        report(fmt::format("Interface field argument {}({}:) expected but {}.{} does not provide it.", path,
                           wanted.name, type.name, field.name),
               {wanted.node->offset, field.node->offset});
      else if (given->type != wanted.type)
        report(fmt::format("Interface field argument {}({}:) expects type {} but {}.{}({}:) is type {}.",
                           path, wanted.name, schema_.to_string(wanted.type), type.name, field.name,
                           wanted.name, schema_.to_string(given->type)),
               {wanted.node->type->offset, given->node->type->offset});
    }
    for (const auto& given : field.arguments)
      if (given.required() && expected.find_argument(given.name) == nullptr)
        report(
            fmt::format("Object field {}.{} includes required argument {} that is missing from the Interface "
                        "field {}.",
                        type.name, field.name, given.name, path),
            {given.node->offset, expected.node->offset});
  }

  void members(const type& type) {
    if (type.possible_types.empty())
      report(fmt::format("Union type {} must define one or more member types.", type.name), all_nodes(type));
    std::vector<type_id> seen;
    for (const auto id : type.possible_types) {
      const auto& member = schema_.type(id);
      offsets at;
      for (const auto* node : nodes_[type.id])
        for (const auto& named : node->members)
          if (named.text == member.name) at.push_back(named.offset);
      if (std::find(seen.begin(), seen.end(), id) != seen.end()) {
        report(fmt::format("Union type {} can only include type {} once.", type.name, member.name), at);
        continue;
      }
      seen.push_back(id);
      if (member.kind != type_kind::object)
        report(fmt::format("Union type {} can only include Object types, it cannot include {}.", type.name,
                           member.name),
               at);
    }
  }

  // No input object may need itself (3.10, "Circular References"). Each type is entered once.
  void input_cycles(const type& type) {
    if (!visited_.emplace(type.id, path_.size()).second) return;
    for (const auto& field : type.input_fields) {
      if (!field.type.is_non_null() || !field.type.of().is_named()) continue;
      const auto& target = schema_.named_type(field.type);
      if (target.kind != type_kind::input_object) continue;
      path_.push_back(&field);
      const auto on_path = visited_.find(target.id);
      if (on_path == visited_.end()) {
        input_cycles(target);
      } else if (on_path->second != left) {
        std::string text;
        offsets at;
        for (auto i = on_path->second; i < path_.size(); ++i) {
          if (!text.empty()) text.push_back('.');
          text += path_[i]->name;
          at.push_back(path_[i]->node->offset);
        }
        report(fmt::format(
                   "Cannot reference Input Object \"{}\" within itself through a series of non-null fields: "
                   "\"{}\".",
                   target.name, text),
               at);
      }
      path_.pop_back();
    }
    visited_[type.id] = left;
  }

  // ── literals ──
  void check_literals() {
    for (const auto& directive : schema_.directives())
      if (!directive.built_in) literals(directive.arguments);
    for (const auto& type : schema_.types()) {
      if (type.built_in) continue;
      for (const auto* node : nodes_[type.id]) uses(node->directives);
      for (const auto& value : type.values) uses(value.node->directives);
      literals(type.input_fields);
      for (const auto& field : type.fields) {
        uses(field.node->directives);
        literals(field.arguments);
      }
    }
    for (const auto& definition : sdl_.definitions)
      if (definition.kind == ast::definition_kind::schema) uses(definition.schema->directives);
  }

  void literals(const std::vector<input_value>& values) {
    for (const auto& value : values) {
      uses(value.node->directives);
      if (value.default_value != nullptr)
        check_literal(schema_, value.type, *value.default_value, errors_, "DefaultValues");
    }
  }

  void uses(const list<ast::directive>& directives) {
    for (const auto& use : directives)
      for (const auto& given : use.arguments)
        check_literal(schema_, schema_.find_directive(use.name.text)->find_argument(given.name.text)->type,
                      given.value, errors_, "DefaultValues");
  }

  // A default that, once its own absent fields have got their defaults, would contain itself.
  void check_default_cycles() {
    for (const auto& type : schema_.types())
      for (const auto& field : type.input_fields) enter_default(field);
  }

  void enter_default(const input_value& field) {
    if (field.default_value == nullptr) return;
    const auto [state, inserted] = defaults_.emplace(&field, true);
    if (!inserted) {
      if (state->second)
        report(fmt::format(
                   "The default value of input field {} contains itself through the defaults of its fields.",
                   field.name),
               {field.node->offset});
      return;
    }
    absent_fields(field.type, *field.default_value);
    defaults_[&field] = false;
  }

  void absent_fields(type_use type, const ast::value& value) {
    for (const auto& item : value.items)
      absent_fields(type.nullable().is_list() ? type.nullable().of() : type, item);
    const auto& target = schema_.named_type(type);
    if (value.kind != ast::value_kind::object || target.kind != type_kind::input_object) return;
    for (const auto& field : target.input_fields) {
      const ast::value* given = nullptr;
      for (const auto& candidate : value.fields)
        if (candidate.name.text == field.name) given = &candidate.value;
      if (given != nullptr)
        absent_fields(field.type, *given);
      else
        enter_default(field);
    }
  }

  static constexpr auto left = static_cast<std::size_t>(-1);

  const schema& schema_;
  const ast::document& sdl_;
  const schema_builder::nodes_by_type& nodes_;
  error_list& errors_;
  std::vector<const input_value*> path_;                  // of input_cycles
  std::unordered_map<type_id, std::size_t> visited_;      // where each type on the path starts, or `left`
  std::unordered_map<const input_value*, bool> defaults_; // true: being entered
};

} // namespace

void check_types(const schema& schema, const ast::document& sdl, const schema_builder::nodes_by_type& nodes,
                 error_list& errors) {
  type_check(schema, sdl, nodes, errors).run();
}

} // namespace mooring::graphql
