#include "graphql/directive_rules.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "base/text_map.hpp"
#include "graphql/print.hpp"
#include "graphql/suggestions.hpp"

namespace mooring::graphql {

namespace {

constexpr std::uint32_t bit(directive_location location) {
  return 1u << static_cast<unsigned>(location);
}

void check_arguments(const known_directive& known, const ast::directive& use, error_list& errors) {
  const auto& arguments = known.arguments;
  for (const auto& given : use.arguments) {
    const auto named = [&](const known_argument& argument) { return argument.name == given.name.text; };
    if (std::any_of(arguments.begin(), arguments.end(), named)) continue;
    std::vector<std::string_view> names;
    for (const auto& argument : arguments) names.push_back(argument.name);
    errors.add("KnownArgumentNames",
               fmt::format("Unknown argument \"{}\" on directive \"@{}\".{}", given.name.text, use.name.text,
                           did_you_mean(suggestions(given.name.text, names))),
               {given.name.offset});
  }
  for (const auto& argument : arguments) {
    if (!argument.required) continue;
    const auto named = [&](const ast::argument& given) { return given.name.text == argument.name; };
    if (std::any_of(use.arguments.begin(), use.arguments.end(), named)) continue;
    errors.add(
        "ProvidedRequiredArguments",
        fmt::format("Directive \"@{}\" argument \"{}\" of type \"{}\" is required, but it was not provided.",
                    use.name.text, argument.name, argument.type),
        {use.offset});
  }
}

} // namespace

void known_directives::add(const schema& of, const directive& directive) {
  known_directive known;
  for (const auto location : directive.locations) known.locations |= bit(location);
  known.repeatable = directive.repeatable;
  for (const auto& argument : directive.arguments)
    known.arguments.push_back({argument.name, argument.required(), of.to_string(argument.type)});
  directives_[directive.name] = std::move(known);
}

void known_directives::add(const ast::directive_definition& definition) {
  known_directive known;
  for (const auto& location : definition.locations)
    known.locations |= bit(*directive_location_named(location.text));
  known.repeatable = definition.repeatable;
  for (const auto& argument : definition.arguments)
    known.arguments.push_back(
        {argument.name.text,
         argument.type->kind == ast::type_kind::non_null && argument.default_value == nullptr,
         to_string(*argument.type)});
  directives_[definition.name.text] = std::move(known);
}

const known_directive* known_directives::find(std::string_view name) const {
  const auto found = directives_.find(name);
  return found == directives_.end() ? nullptr : &found->second;
}

void check_directives(const known_directives& known, const list<ast::directive>& uses,
                      directive_location location, seen_directives& seen, error_list& errors) {
  for (const auto& use : uses) {
    check_argument_names_unique(use.arguments, errors);
    for (const auto& argument : use.arguments) check_input_field_names_unique(argument.value, errors);
    const auto* definition = known.find(use.name.text);
    if (definition == nullptr) {
      errors.add("KnownDirectives", fmt::format("Unknown directive \"@{}\".", use.name.text), {use.offset});
      continue;
    }
    if ((definition->locations & bit(location)) == 0)
      errors.add("KnownDirectives",
                 fmt::format("Directive \"@{}\" may not be used on {}.", use.name.text, to_string(location)),
                 {use.offset});
    if (!definition->repeatable) {
      const auto [first, inserted] = seen.emplace(use.name.text, use.offset);
      if (!inserted)
        errors.add(
            "UniqueDirectivesPerLocation",
            fmt::format("The directive \"@{}\" can only be used once at this location.", use.name.text),
            {first->second, use.offset});
    }
    check_arguments(*definition, use, errors);
  }
}

void check_argument_names_unique(const list<ast::argument>& arguments, error_list& errors) {
  if (arguments.size() < 2) return;
  text_map<std::string_view, std::vector<std::uint32_t>> offsets;
  for (const auto& argument : arguments) offsets[argument.name.text].push_back(argument.name.offset);
  if (offsets.size() == arguments.size()) return;
  for (const auto& argument : arguments) {
    const auto found = offsets.find(argument.name.text);
    if (found == offsets.end() || found->second.size() < 2) continue;
    errors.add("UniqueArgumentNames",
               fmt::format("There can be only one argument named \"{}\".", argument.name.text),
               found->second);
    offsets.erase(found);
  }
}

void check_input_field_names_unique(const ast::value& value, error_list& errors) {
  for (const auto& item : value.items) check_input_field_names_unique(item, errors);
  text_map<std::string_view, std::uint32_t> seen;
  for (const auto& field : value.fields) {
    if (value.fields.size() > 1) {
      const auto [first, inserted] = seen.emplace(field.name.text, field.name.offset);
      if (!inserted)
        errors.add("UniqueInputFieldNames",
                   fmt::format("There can be only one input field named \"{}\".", field.name.text),
                   {first->second, field.name.offset});
    }
    check_input_field_names_unique(field.value, errors);
  }
}

} // namespace mooring::graphql
