#include "graphql/schema_builder.hpp"

#include <utility>

#include "graphql/introspection_sdl.hpp"

namespace mooring::graphql {

namespace {

graphql::description to_description(const ast::description& node) {
  return {node.present, node.text};
}

type_kind to_kind(ast::type_definition_kind kind) {
  switch (kind) {
  case ast::type_definition_kind::scalar: return type_kind::scalar;
  case ast::type_definition_kind::object: return type_kind::object;
  case ast::type_definition_kind::interface: return type_kind::interface;
  case ast::type_definition_kind::union_type: return type_kind::union_type;
  case ast::type_definition_kind::enumeration: return type_kind::enumeration;
  case ast::type_definition_kind::input_object: return type_kind::input_object;
  }
  return type_kind::scalar;
}

scalar_kind to_scalar_kind(std::string_view name) {
  if (name == "Int") return scalar_kind::integer;
  if (name == "Float") return scalar_kind::floating;
  if (name == "String") return scalar_kind::string;
  if (name == "Boolean") return scalar_kind::boolean;
  if (name == "ID") return scalar_kind::id;
  return scalar_kind::custom;
}

const ast::value* argument_of(const list<ast::directive>& directives, std::string_view directive,
                              std::string_view argument) {
  for (const auto& use : directives)
    if (use.name.text == directive)
      for (const auto& given : use.arguments)
        if (given.name.text == argument) return &given.value;
  return nullptr;
}

bool has_directive(const list<ast::directive>& directives, std::string_view name) {
  for (const auto& use : directives)
    if (use.name.text == name) return true;
  return false;
}

} // namespace

std::unique_ptr<schema> schema_builder::build(std::unique_ptr<const ast::document> sdl,
                                              std::unique_ptr<const ast::document> built_in) {
  schema_.reset(new schema); // its constructor is ours alone
  const auto& text = *sdl;
  const auto& core = *built_in;
  schema_->sources_.push_back(std::move(sdl));
  schema_->sources_.push_back(std::move(built_in));

  // Ids first, so that fields can refer to types in any order.
  for (const auto& definition : text.definitions)
    if (definition.kind == ast::definition_kind::type && !definition.type->extension &&
        to_scalar_kind(definition.type->name.text) == scalar_kind::custom)
      add_type(*definition.type, false);
  collect_used_names(text);
  collect_used_names(core);
  const ast::type_definition* meta_fields = nullptr;
  for (const auto& definition : core.definitions) {
    if (definition.kind != ast::definition_kind::type) continue;
    const auto& node = *definition.type;
    if (node.name.text == meta_fields_type)
      meta_fields = &node;
    else if (node.kind != ast::type_definition_kind::scalar || used_names_.contains(node.name.text))
      add_type(node, true);
  }
  for (const auto& definition : text.definitions)
    if (definition.kind == ast::definition_kind::type && definition.type->extension)
      // Absent: a built-in scalar that nothing uses.
      if (const auto id = schema_->type_ids_.find(definition.type->name.text); id != name_table::absent)
        nodes_[id].push_back(definition.type);

  for (auto& type : schema_->types_)
    for (const auto* node : nodes_[type.id]) fill(type, *node);
  add_directives(text, false);
  add_directives(core, true);
  set_roots(text);
  set_meta_fields(*meta_fields);
  link_implementations();
  return std::move(schema_);
}

void schema_builder::collect_used_names(const ast::document& document) {
  const auto arguments = [this](const list<ast::input_value_definition>& nodes) {
    for (const auto& node : nodes) collect_used_name(*node.type);
  };
  for (const auto& definition : document.definitions) {
    if (definition.kind == ast::definition_kind::directive) arguments(definition.directive->arguments);
    if (definition.kind == ast::definition_kind::schema)
      for (const auto& operation : definition.schema->operations) used_names_.insert(operation.type.text);
    if (definition.kind != ast::definition_kind::type) continue;
    arguments(definition.type->input_fields);
    for (const auto& name : definition.type->interfaces) used_names_.insert(name.text);
    for (const auto& name : definition.type->members) used_names_.insert(name.text);
    for (const auto& field : definition.type->fields) {
      collect_used_name(*field.type);
      arguments(field.arguments);
    }
  }
}

void schema_builder::collect_used_name(const ast::type& type) {
  const auto* innermost = &type;
  while (innermost->of != nullptr) innermost = innermost->of;
  used_names_.insert(innermost->named);
}

void schema_builder::add_type(const ast::type_definition& node, bool built_in) {
  type to;
  to.id = static_cast<type_id>(schema_->types_.size());
  to.kind = to_kind(node.kind);
  to.name = node.name.text;
  to.built_in = built_in;
  to.introspection = built_in && to.kind != type_kind::scalar;
  if (to.kind == type_kind::scalar) to.scalar = to_scalar_kind(to.name);
  to.description = to_description(node.description);
  to.node = &node;
  schema_->type_ids_.insert(to.name, to.id);
  schema_->types_.push_back(std::move(to));
  nodes_.push_back({&node});
}

void schema_builder::fill(type& to, const ast::type_definition& node) {
  if (const auto* url = argument_of(node.directives, "specifiedBy", "url")) to.specified_by_url = url->text;
  for (const auto& name : node.interfaces) to.interfaces.push_back(schema_->type_ids_.find(name.text));
  for (const auto& name : node.members) to.possible_types.push_back(schema_->type_ids_.find(name.text));
  for (const auto& field : node.fields) {
    const auto ordinal = static_cast<std::uint32_t>(to.fields.size());
    to.fields.push_back(make_field(field, ordinal));
    to.member_ordinals.insert(field.name.text, ordinal);
  }
  for (auto& value : make_input_values(node.input_fields, to.input_fields.size())) {
    to.member_ordinals.insert(value.name, value.ordinal);
    to.input_fields.push_back(value);
  }
  for (const auto& value : node.values) {
    const auto ordinal = static_cast<std::uint32_t>(to.values.size());
    to.values.push_back({ordinal, value.name.text, to_description(value.description),
                         deprecation_of(value.directives), &value});
    to.member_ordinals.insert(value.name.text, ordinal);
  }
}

void schema_builder::add_directives(const ast::document& document, bool built_in) {
  for (const auto& definition : document.definitions) {
    if (definition.kind != ast::definition_kind::directive) continue;
    const auto& node = *definition.directive;
    // The SDL comes first: it may bring its own form of a built-in directive.
    if (!schema_->directive_numbers_.insert(node.name.text,
                                            static_cast<std::uint32_t>(schema_->directives_.size())))
      continue;
    directive to;
    to.name = node.name.text;
    to.description = to_description(node.description);
    to.arguments = make_input_values(node.arguments);
    for (const auto& location : node.locations)
      to.locations.push_back(*directive_location_named(location.text));
    to.repeatable = node.repeatable;
    to.built_in = built_in;
    to.node = &node;
    schema_->directives_.push_back(std::move(to));
  }
}

void schema_builder::set_roots(const ast::document& sdl) {
  const auto root = [this](ast::operation_kind kind) -> type_id& {
    return schema_->roots_[static_cast<int>(kind)];
  };
  bool defined = false;
  for (const auto& definition : sdl.definitions) {
    if (definition.kind != ast::definition_kind::schema) continue;
    const auto& node = *definition.schema;
    if (!node.extension) {
      defined = true;
      schema_->description_ = to_description(node.description);
    }
    for (const auto& operation : node.operations)
      root(operation.kind) = schema_->type_ids_.find(operation.type.text);
  }
  if (defined) return;
  const std::pair<ast::operation_kind, std::string_view> names[] = {
      {ast::operation_kind::query, "Query"},
      {ast::operation_kind::mutation, "Mutation"},
      {ast::operation_kind::subscription, "Subscription"}};
  for (const auto& [kind, name] : names)
    if (const auto id = schema_->type_ids_.find(name); id != name_table::absent) root(kind) = id;
}

void schema_builder::set_meta_fields(const ast::type_definition& node) {
  schema_->typename_field_ = make_field(node.fields[0], ordinal_typename);
  schema_->schema_field_ = make_field(node.fields[1], ordinal_schema);
  schema_->type_field_ = make_field(node.fields[2], ordinal_type);
}

void schema_builder::link_implementations() {
  auto& types = schema_->types_;
  const auto words = (types.size() + 63) / 64;
  schema_->possible_row_words_ = words;
  schema_->possible_.assign(words * types.size(), 0);
  const auto set = [&](type_id abstract, type_id object) {
    schema_->possible_[abstract * words + object / 64] |= std::uint64_t{1} << (object % 64);
  };
  for (const auto& type : types) {
    if (type.kind == type_kind::object) set(type.id, type.id);
    if (type.kind == type_kind::union_type)
      for (const auto member : type.possible_types) set(type.id, member);
    for (const auto implemented : type.interfaces) {
      auto& interface = types[implemented];
      if (interface.kind != type_kind::interface) continue; // refused by validation
      if (type.kind == type_kind::object) {
        set(implemented, type.id);
        interface.possible_types.push_back(type.id);
      } else {
        interface.implementations.push_back(type.id);
      }
    }
  }
}

field schema_builder::make_field(const ast::field_definition& node, std::uint32_t ordinal) {
  field to;
  to.ordinal = ordinal;
  to.name = node.name.text;
  to.description = to_description(node.description);
  to.arguments = make_input_values(node.arguments);
  to.type = resolve(*node.type);
  to.deprecation = deprecation_of(node.directives);
  to.node = &node;
  for (const auto& argument : to.arguments) to.argument_ordinals.insert(argument.name, argument.ordinal);
  return to;
}

std::vector<input_value> schema_builder::make_input_values(const list<ast::input_value_definition>& nodes,
                                                           std::size_t first) {
  std::vector<input_value> values;
  for (const auto& node : nodes) {
    input_value to;
    to.ordinal = static_cast<std::uint32_t>(first + values.size());
    to.name = node.name.text;
    to.description = to_description(node.description);
    to.type = resolve(*node.type);
    to.default_value = node.default_value;
    to.deprecation = deprecation_of(node.directives);
    to.node = &node;
    values.push_back(to);
  }
  return values;
}

type_use schema_builder::resolve(const ast::type& node) const {
  switch (node.kind) {
  case ast::type_kind::named: break;
  case ast::type_kind::list: return resolve(*node.of).in_list();
  case ast::type_kind::non_null: return resolve(*node.of).as_non_null();
  }
  return type_use(schema_->type_ids_.find(node.named));
}

deprecation schema_builder::deprecation_of(const list<ast::directive>& directives) {
  if (!has_directive(directives, "deprecated")) return {};
  const auto* reason = argument_of(directives, "deprecated", "reason");
  if (reason == nullptr) return {true, "No longer supported"};
  return {reason->kind == ast::value_kind::string, reason->text}; // `reason: null` deprecates nothing
}

} // namespace mooring::graphql
