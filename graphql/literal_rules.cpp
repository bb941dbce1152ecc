#include "graphql/literal_rules.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>

#include <fmt/core.h>

#include "graphql/print.hpp"
#include "graphql/suggestions.hpp"

namespace mooring::graphql {

namespace {

class literal_check {
 public:
  literal_check(const schema& of, error_list& errors, std::string_view rule)
      : schema_(of)
      , errors_(errors)
      , rule_(rule) {}

  void check(type_use location, const ast::value& value) {
    if (!location.valid() || errors_.full()) return;
    switch (value.kind) {
    case ast::value_kind::variable: return;
    case ast::value_kind::null:
      if (location.is_non_null()) unexpected(location, value);
      return;
    case ast::value_kind::list:
      if (const auto type = location.nullable(); type.is_list()) {
        for (const auto& item : value.items) check(type.of(), item);
      } else {
        leaf(type, value);
      }
      return;
    case ast::value_kind::object:
      if (const auto& type = schema_.named_type(location); type.kind == type_kind::input_object)
        object(type, value);
      else
        leaf(location, value);
      return;
    default: leaf(location, value);
    }
  }

 private:
  void report(const ast::value& value, std::string message) {
    errors_.add(rule_, std::move(message), {value.offset});
  }

  void unexpected(type_use location, const ast::value& value) {
    report(value, fmt::format("Expected value of type \"{}\", found {}.", schema_.to_string(location),
                              to_string(value)));
  }

  void object(const type& type, const ast::value& value) {
    for (const auto& field : type.input_fields) {
      const auto named = [&](const ast::object_field& given) { return given.name.text == field.name; };
      if (!field.required() || std::any_of(value.fields.begin(), value.fields.end(), named)) continue;
      report(value, fmt::format("Field \"{}.{}\" of required type \"{}\" was not provided.", type.name,
                                field.name, schema_.to_string(field.type)));
    }
    for (const auto& given : value.fields) {
      if (const auto* field = type.find_input_field(given.name.text)) {
        check(field->type, given.value);
        continue;
      }
      std::vector<std::string_view> names;
      for (const auto& field : type.input_fields) names.push_back(field.name);
      errors_.add(rule_,
                  fmt::format("Field \"{}\" is not defined by type \"{}\".{}", given.name.text, type.name,
                              did_you_mean(suggestions(given.name.text, names))),
                  {given.name.offset});
    }
  }

  void leaf(type_use location, const ast::value& value) {
    const auto& type = schema_.named_type(location);
    if (type.kind == type_kind::enumeration) return enumeration(type, value);
    if (type.kind != type_kind::scalar) return unexpected(location, value);
    switch (type.scalar) {
    case scalar_kind::custom: return; // its binding decides
    case scalar_kind::integer: return integer(value);
    case scalar_kind::floating:
      if (value.kind != ast::value_kind::integer && value.kind != ast::value_kind::floating)
        report(value, "Float cannot represent non numeric value: " + to_string(value));
      return;
    case scalar_kind::string:
      if (value.kind != ast::value_kind::string)
        report(value, "String cannot represent a non string value: " + to_string(value));
      return;
    case scalar_kind::boolean:
      if (value.kind != ast::value_kind::boolean)
        report(value, "Boolean cannot represent a non boolean value: " + to_string(value));
      return;
    case scalar_kind::id:
      if (value.kind != ast::value_kind::string && value.kind != ast::value_kind::integer)
        report(value, "ID cannot represent a non-string and non-integer value: " + to_string(value));
      return;
    }
  }

  void integer(const ast::value& value) {
    if (value.kind != ast::value_kind::integer)
      return report(value, "Int cannot represent non-integer value: " + to_string(value));
    std::int32_t parsed = 0;
    const auto* end = value.text.data() + value.text.size();
    const auto [stop, failure] = std::from_chars(value.text.data(), end, parsed);
    if (failure != std::errc() || stop != end)
      report(value, fmt::format("Int cannot represent non 32-bit signed integer value: {}", value.text));
  }

  void enumeration(const type& type, const ast::value& value) {
    const bool named = value.kind == ast::value_kind::enumeration;
    if (named && type.find_value(value.text) != nullptr) return;
    const auto text = to_string(value);
    std::vector<std::string_view> names;
    for (const auto& candidate : type.values) names.push_back(candidate.name);
    const auto hint = did_you_mean(suggestions(text, names), "the enum value");
    report(value,
           named ? fmt::format("Value \"{}\" does not exist in \"{}\" enum.{}", text, type.name, hint)
                 : fmt::format("Enum \"{}\" cannot represent non-enum value: {}.{}", type.name, text, hint));
  }

  const schema& schema_;
  error_list& errors_;
  std::string_view rule_;
};

} // namespace

void check_literal(const schema& schema, type_use type, const ast::value& value, error_list& errors,
                   std::string_view rule) {
  literal_check(schema, errors, rule).check(type, value);
}

} // namespace mooring::graphql
