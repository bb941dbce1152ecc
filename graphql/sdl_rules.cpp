#include "graphql/sdl_rules.hpp"

#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "base/text_map.hpp"
#include "graphql/directive_rules.hpp"
#include "graphql/introspection_sdl.hpp"
#include "graphql/suggestions.hpp"

namespace mooring::graphql {

namespace {

using offsets_by_name = text_map<std::string_view, std::uint32_t>;

std::string_view kind_name(ast::type_definition_kind kind) {
  switch (kind) {
  case ast::type_definition_kind::scalar: return "scalar";
  case ast::type_definition_kind::object: return "object";
  case ast::type_definition_kind::interface: return "interface";
  case ast::type_definition_kind::union_type: return "union";
  case ast::type_definition_kind::enumeration: return "enum";
  case ast::type_definition_kind::input_object: return "input object";
  }
  return "";
}

directive_location location_of(ast::type_definition_kind kind) {
  switch (kind) {
  case ast::type_definition_kind::scalar: return directive_location::scalar;
  case ast::type_definition_kind::object: return directive_location::object;
  case ast::type_definition_kind::interface: return directive_location::interface;
  case ast::type_definition_kind::union_type: return directive_location::union_type;
  case ast::type_definition_kind::enumeration: return directive_location::enumeration;
  case ast::type_definition_kind::input_object: return directive_location::input_object;
  }
  return directive_location::scalar;
}

std::string_view operation_name(ast::operation_kind kind) {
  switch (kind) {
  case ast::operation_kind::query: return "query";
  case ast::operation_kind::mutation: return "mutation";
  case ast::operation_kind::subscription: return "subscription";
  }
  return "";
}

class sdl_check {
 public:
  sdl_check(const ast::document& document, const ast::document& built_in, error_list& errors)
      : document_(document)
      , errors_(errors) {
    for (const auto& definition : built_in.definitions) {
      if (definition.kind == ast::definition_kind::type && definition.type->name.text != meta_fields_type)
        built_in_types_.emplace(definition.type->name.text, definition.type);
      if (definition.kind == ast::definition_kind::directive) directives_.add(*definition.directive);
    }
  }

  void run() {
    for (const auto& definition : document_.definitions) collect(definition);
    for (const auto& definition : document_.definitions) {
      switch (definition.kind) {
      case ast::definition_kind::schema: schema(*definition.schema); break;
      case ast::definition_kind::type: type(*definition.type); break;
      case ast::definition_kind::directive: directive(*definition.directive); break;
      case ast::definition_kind::operation: executable(definition.operation->offset); break;
      case ast::definition_kind::fragment: executable(definition.fragment->offset); break;
      }
    }
  }

 private:
  // What the checks of one definition need to know of the others.
  void collect(const ast::definition& definition) {
    if (definition.kind == ast::definition_kind::directive) directives_.add(*definition.directive);
    if (definition.kind != ast::definition_kind::type || definition.type->extension) return;
    types_.insert_or_assign(definition.type->name.text, definition.type);
    type_names_.push_back(definition.type->name.text);
  }

  void executable(std::uint32_t offset) {
    errors_.add("TypeSystemDefinitions", "An operation or fragment cannot be part of a schema.", {offset});
  }

  void schema(const ast::schema_definition& node) {
    if (!node.extension && schema_definitions_++ > 0)
      errors_.add("LoneSchemaDefinition", "Must provide only one schema definition.", {node.offset});
    for (const auto& operation : node.operations) {
      const auto [first, inserted] = operations_.emplace(operation_name(operation.kind), operation.offset);
      if (!inserted)
        errors_.add("UniqueOperationTypes",
                    fmt::format("There can be only one {} type in schema.", operation_name(operation.kind)),
                    {first->second, operation.offset});
      known_type(operation.type);
    }
    check_directives(directives_, node.directives, directive_location::schema, schema_directives_, errors_);
  }

  void type(const ast::type_definition& node) {
    const auto name = node.name.text;
    if (node.extension)
      extension(node);
    else
      definition_name(node);
    check_directives(directives_, node.directives, location_of(node.kind), type_directives_[name], errors_);
    for (const auto& implemented : node.interfaces) known_type(implemented);
    for (const auto& member : node.members) known_type(member);
    for (const auto& value : node.values) {
      unique(values_[name], value.name, "UniqueEnumValueNames", [&] {
        return fmt::format("Enum value \"{}.{}\" can only be defined once.", name, value.name.text);
      });
      location(value.directives, directive_location::enum_value);
    }
    for (const auto& field : node.fields) {
      field_name(name, field.name);
      arguments(fmt::format("{}.{}", name, field.name.text), field.arguments);
      known_type(*field.type);
      location(field.directives, directive_location::field_definition);
    }
    for (const auto& field : node.input_fields) {
      field_name(name, field.name);
      input_value(field, directive_location::input_field_definition);
    }
  }

  void directive(const ast::directive_definition& node) {
    unique(directive_names_, node.name, "UniqueDirectiveNames",
           [&] { return fmt::format("There can be only one directive named \"@{}\".", node.name.text); });
    arguments(fmt::format("@{}", node.name.text), node.arguments);
  }

  void definition_name(const ast::type_definition& node) {
    const auto built_in = built_in_types_.find(node.name.text);
    const bool scalar = node.kind == ast::type_definition_kind::scalar;
    if (built_in != built_in_types_.end() && !(scalar && built_in->second->kind == node.kind))
      errors_.add("BuiltInTypes",
                  fmt::format("Type \"{}\" is built in. It cannot be redefined.", node.name.text),
                  {node.name.offset});
    unique(defined_, node.name, "UniqueTypeNames",
           [&] { return fmt::format("There can be only one type named \"{}\".", node.name.text); });
  }

  void extension(const ast::type_definition& node) {
    const auto defined = types_.find(node.name.text);
    if (defined == types_.end()) {
      errors_.add("PossibleTypeExtensions",
                  fmt::format("Cannot extend type \"{}\" because it is not defined.{}", node.name.text,
                              did_you_mean(suggestions(node.name.text, type_names_))),
                  {node.name.offset});
    } else if (defined->second->kind != node.kind) {
      errors_.add("PossibleTypeExtensions",
                  fmt::format("Cannot extend non-{} type \"{}\".", kind_name(node.kind), node.name.text),
                  {defined->second->offset, node.offset});
    }
  }

  void field_name(std::string_view type, const ast::name& field) {
    unique(fields_[type], field, "UniqueFieldDefinitionNames",
           [&] { return fmt::format("Field \"{}.{}\" can only be defined once.", type, field.text); });
  }

  void arguments(const std::string& parent, const list<ast::input_value_definition>& nodes) {
    text_map<std::string_view, std::vector<std::uint32_t>> seen;
    for (const auto& node : nodes) {
      seen[node.name.text].push_back(node.name.offset);
      input_value(node, directive_location::argument_definition);
    }
    for (const auto& [name, offsets] : seen)
      if (offsets.size() > 1)
        errors_.add("UniqueArgumentDefinitionNames",
                    fmt::format("Argument \"{}({}:)\" can only be defined once.", parent, name), offsets);
  }

  void input_value(const ast::input_value_definition& node, directive_location at) {
    known_type(*node.type);
    if (node.default_value != nullptr) check_input_field_names_unique(*node.default_value, errors_);
    location(node.directives, at);
  }

  void location(const list<ast::directive>& uses, directive_location at) {
    seen_directives seen;
    check_directives(directives_, uses, at, seen, errors_);
  }

  template<class Message>
  void unique(offsets_by_name& seen, const ast::name& name, std::string_view rule, Message&& message) {
    const auto [first, inserted] = seen.emplace(name.text, name.offset);
    if (!inserted) errors_.add(rule, message(), {first->second, name.offset});
  }

  void known_type(const ast::type& node) {
    const auto* innermost = &node;
    while (innermost->of != nullptr) innermost = innermost->of;
    known_type(ast::name{innermost->named, innermost->offset});
  }

  void known_type(const ast::name& name) {
    if (types_.contains(name.text) || built_in_types_.contains(name.text)) return;
    auto names = type_names_;
    for (const auto& entry : built_in_types_) names.push_back(entry.first);
    errors_.add("KnownTypeNames",
                fmt::format("Unknown type \"{}\".{}", name.text, did_you_mean(suggestions(name.text, names))),
                {name.offset});
  }

  const ast::document& document_;
  error_list& errors_;
  known_directives directives_;
  text_map<std::string_view, const ast::type_definition*> built_in_types_;
  text_map<std::string_view, const ast::type_definition*> types_;
  std::vector<std::string_view> type_names_;
  int schema_definitions_ = 0;
  offsets_by_name operations_;
  offsets_by_name defined_;
  offsets_by_name directive_names_;
  text_map<std::string_view, offsets_by_name> fields_;
  text_map<std::string_view, offsets_by_name> values_;
  seen_directives schema_directives_;
  text_map<std::string_view, seen_directives> type_directives_;
};

} // namespace

void check_sdl(const ast::document& document, const ast::document& built_in, error_list& errors) {
  sdl_check(document, built_in, errors).run();
}

} // namespace mooring::graphql
