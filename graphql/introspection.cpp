#include "graphql/introspection.hpp"

#include "graphql/binding.hpp"
#include "graphql/plan.hpp"
#include "graphql/print.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

namespace {

// What stands for the introspection types: small views of the schema, made while they are written.
enum class introspected_kind : std::uint8_t {
  scalar,
  object,
  interface,
  union_type,
  enumeration,
  input_object,
  list,
  non_null
};

struct introspected_type {
  const schema* in;
  type_use use;

  bool wrapped() const { return !use.is_named(); }
  const type& named() const { return in->named_type(use); }
};
struct introspected_field {
  const schema* in;
  const field* is;
};
struct introspected_input {
  const schema* in;
  const input_value* is;
};
struct introspected_directive {
  const schema* in;
  const directive* is;
};

using text = std::optional<std::string_view>;

text text_of(const description& is) {
  return is.present ? text(is.text) : text();
}
text reason_of(const deprecation& is) {
  return is.deprecated ? text(is.reason) : text();
}

// includeDeprecated is the only argument of the fields that have one.
bool include_deprecated(const field_context& at) {
  return !at.arguments.empty() && at.arguments[0].given() && at.arguments[0].boolean();
}

template<class Out, class In> std::vector<Out> listed(const schema* in, const In& all, bool deprecated_too) {
  std::vector<Out> out;
  out.reserve(all.size());
  for (const auto& each : all)
    if (deprecated_too || !each.deprecation.deprecated) out.push_back({in, &each});
  return out;
}

std::vector<introspected_type> types_of(const schema* in, const std::vector<type_id>& ids) {
  std::vector<introspected_type> out;
  out.reserve(ids.size());
  for (const auto id : ids) out.push_back({in, type_use(id)});
  return out;
}

introspected_kind kind_of_type(const introspected_type& x) {
  if (x.use.is_non_null()) return introspected_kind::non_null;
  if (x.use.is_list()) return introspected_kind::list;
  switch (x.named().kind) {
  case type_kind::scalar: return introspected_kind::scalar;
  case type_kind::object: return introspected_kind::object;
  case type_kind::interface: return introspected_kind::interface;
  case type_kind::union_type: return introspected_kind::union_type;
  case type_kind::enumeration: return introspected_kind::enumeration;
  case type_kind::input_object: return introspected_kind::input_object;
  }
  return introspected_kind::scalar;
}

std::optional<introspected_type> root_of(const schema& in, ast::operation_kind kind) {
  const auto id = in.root(kind);
  if (id == no_type) return std::nullopt;
  return introspected_type{&in, type_use(id)};
}

void bind_schema(bindings& to) {
  to.object<schema>("__Schema")
      .field("description", [](const schema& x) { return text_of(x.description()); })
      .field("types",
             [](const schema& x) {
               std::vector<introspected_type> out;
               for (const auto& each : x.types()) out.push_back({&x, type_use(each.id)});
               return out;
             })
      .field("queryType",
             [](const schema& x) {
               return introspected_type{&x, type_use(x.root(ast::operation_kind::query))};
             })
      .field("mutationType", [](const schema& x) { return root_of(x, ast::operation_kind::mutation); })
      .field("subscriptionType",
             [](const schema& x) { return root_of(x, ast::operation_kind::subscription); })
      .field("directives", [](const schema& x) {
        std::vector<introspected_directive> out;
        for (const auto& each : x.directives()) out.push_back({&x, &each});
        return out;
      });
}

void bind_type(bindings& to) {
  using x_type = introspected_type;
  to.object<x_type>("__Type")
      .field("kind", [](const x_type& x) { return kind_of_type(x); })
      .field("name", [](const x_type& x) { return x.wrapped() ? text() : text(x.named().name); })
      .field("description",
             [](const x_type& x) { return x.wrapped() ? text() : text_of(x.named().description); })
      .field("specifiedByURL",
             [](const x_type& x) {
               return x.wrapped() || x.named().specified_by_url.empty() ? text()
                                                                        : text(x.named().specified_by_url);
             })
      .field("fields",
             [](const x_type& x, const field_context& at) -> std::optional<std::vector<introspected_field>> {
               if (x.wrapped() ||
                   (x.named().kind != type_kind::object && x.named().kind != type_kind::interface))
                 return std::nullopt;
               return listed<introspected_field>(x.in, x.named().fields, include_deprecated(at));
             })
      .field("interfaces",
             [](const x_type& x) -> std::optional<std::vector<x_type>> {
               if (x.wrapped() ||
                   (x.named().kind != type_kind::object && x.named().kind != type_kind::interface))
                 return std::nullopt;
               return types_of(x.in, x.named().interfaces);
             })
      .field("possibleTypes",
             [](const x_type& x) -> std::optional<std::vector<x_type>> {
               if (x.wrapped() || !x.named().is_abstract()) return std::nullopt;
               return types_of(x.in, x.named().possible_types);
             })
      .field("enumValues",
             [](const x_type& x, const field_context& at) -> std::optional<std::vector<const enum_value*>> {
               if (x.wrapped() || x.named().kind != type_kind::enumeration) return std::nullopt;
               std::vector<const enum_value*> out;
               for (const auto& each : x.named().values)
                 if (include_deprecated(at) || !each.deprecation.deprecated) out.push_back(&each);
               return out;
             })
      .field("inputFields",
             [](const x_type& x, const field_context& at) -> std::optional<std::vector<introspected_input>> {
               if (x.wrapped() || x.named().kind != type_kind::input_object) return std::nullopt;
               return listed<introspected_input>(x.in, x.named().input_fields, include_deprecated(at));
             })
      .field("ofType", [](const x_type& x) -> std::optional<x_type> {
        if (!x.wrapped()) return std::nullopt;
        return x_type{x.in, x.use.of()};
      });
}

void bind_members(bindings& to) {
  to.object<introspected_field>("__Field")
      .field("name", [](const introspected_field& x) { return x.is->name; })
      .field("description", [](const introspected_field& x) { return text_of(x.is->description); })
      .field("args",
             [](const introspected_field& x, const field_context& at) {
               return listed<introspected_input>(x.in, x.is->arguments, include_deprecated(at));
             })
      .field("type",
             [](const introspected_field& x) {
               return introspected_type{x.in, x.is->type};
             })
      .field("isDeprecated", [](const introspected_field& x) { return x.is->deprecation.deprecated; })
      .field("deprecationReason", [](const introspected_field& x) { return reason_of(x.is->deprecation); });
  to.object<introspected_input>("__InputValue")
      .field("name", [](const introspected_input& x) { return x.is->name; })
      .field("description", [](const introspected_input& x) { return text_of(x.is->description); })
      .field("type",
             [](const introspected_input& x) {
               return introspected_type{x.in, x.is->type};
             })
      .field("defaultValue",
             [](const introspected_input& x) -> std::optional<std::string> {
               if (x.is->default_value == nullptr) return std::nullopt;
               return to_string(*x.is->default_value);
             })
      .field("isDeprecated", [](const introspected_input& x) { return x.is->deprecation.deprecated; })
      .field("deprecationReason", [](const introspected_input& x) { return reason_of(x.is->deprecation); });
  to.object<enum_value>("__EnumValue")
      .field<&enum_value::name>("name")
      .field("description", [](const enum_value& x) { return text_of(x.description); })
      .field("isDeprecated", [](const enum_value& x) { return x.deprecation.deprecated; })
      .field("deprecationReason", [](const enum_value& x) { return reason_of(x.deprecation); });
}

void bind_directive(bindings& to) {
  to.object<introspected_directive>("__Directive")
      .field("name", [](const introspected_directive& x) { return x.is->name; })
      .field("description", [](const introspected_directive& x) { return text_of(x.is->description); })
      .field("isRepeatable", [](const introspected_directive& x) { return x.is->repeatable; })
      .field("locations",
             [](const introspected_directive& x) -> const std::vector<directive_location>& {
               return x.is->locations;
             })
      .field("args", [](const introspected_directive& x, const field_context& at) {
        return listed<introspected_input>(x.in, x.is->arguments, include_deprecated(at));
      });
}

} // namespace

void bind_introspection(bindings& to) {
  bind_schema(to);
  bind_type(to);
  bind_members(to);
  bind_directive(to);
  to.enumeration<introspected_kind>("__TypeKind", {{introspected_kind::scalar, "SCALAR"},
                                                   {introspected_kind::object, "OBJECT"},
                                                   {introspected_kind::interface, "INTERFACE"},
                                                   {introspected_kind::union_type, "UNION"},
                                                   {introspected_kind::enumeration, "ENUM"},
                                                   {introspected_kind::input_object, "INPUT_OBJECT"},
                                                   {introspected_kind::list, "LIST"},
                                                   {introspected_kind::non_null, "NON_NULL"}});
  using location = directive_location;
  to.enumeration<location>("__DirectiveLocation",
                           {{location::query, "QUERY"},
                            {location::mutation, "MUTATION"},
                            {location::subscription, "SUBSCRIPTION"},
                            {location::field, "FIELD"},
                            {location::fragment_definition, "FRAGMENT_DEFINITION"},
                            {location::fragment_spread, "FRAGMENT_SPREAD"},
                            {location::inline_fragment, "INLINE_FRAGMENT"},
                            {location::variable_definition, "VARIABLE_DEFINITION"},
                            {location::schema, "SCHEMA"},
                            {location::scalar, "SCALAR"},
                            {location::object, "OBJECT"},
                            {location::field_definition, "FIELD_DEFINITION"},
                            {location::argument_definition, "ARGUMENT_DEFINITION"},
                            {location::interface, "INTERFACE"},
                            {location::union_type, "UNION"},
                            {location::enumeration, "ENUM"},
                            {location::enum_value, "ENUM_VALUE"},
                            {location::input_object, "INPUT_OBJECT"},
                            {location::input_field_definition, "INPUT_FIELD_DEFINITION"}});
}

completion write_introspected_schema(completer& to, const plan_field& field, const void* of) {
  return to.object(field, of);
}

completion write_introspected_type(completer& to, const plan_field& field, const void* of) {
  const auto& in = *static_cast<const schema*>(of);
  const auto* named = in.find_type(to.arguments(field)[0].string());
  if (named == nullptr) return completion::null;
  const introspected_type is{&in, type_use(named->id)};
  return to.object(field, &is);
}

} // namespace mooring::graphql
