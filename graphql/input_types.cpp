#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "base/check.hpp"
#include "base/document.hpp"
#include "base/json.hpp"
#include "graphql/coercion.hpp"
#include "graphql/json_scalar.hpp"

namespace mooring::graphql {

namespace {

constexpr int default_depth_max = 64;

input_types::kind kind_of_scalar(const type& scalar,
                                 std::span<const std::pair<std::string, custom_scalar>> named) {
  using kind = input_types::kind;
  switch (scalar.scalar) {
  case scalar_kind::integer: return kind::integer;
  case scalar_kind::floating: return kind::number;
  case scalar_kind::string: return kind::string;
  case scalar_kind::boolean: return kind::boolean;
  case scalar_kind::id: return kind::id;
  case scalar_kind::custom: break;
  }
  for (const auto& [name, how] : named)
    if (name == scalar.name) {
      switch (how) {
      case custom_scalar::opaque_string: return kind::opaque_string;
      case custom_scalar::json_document: return kind::json_document;
      case custom_scalar::json_any_depth: return kind::json_any_depth;
      }
    }
  return kind::opaque_string;
}

} // namespace

input_types::input_types(const graphql::schema& of,
                         std::span<const std::pair<std::string, custom_scalar>> scalars)
    : schema_(of) {
  kinds_.resize(of.types().size(), kind::none);
  fields_.resize(of.types().size());
  filled_.resize(of.types().size(), 0);
  for (const auto& each : of.types()) {
    if (each.kind == type_kind::scalar) kinds_[each.id] = kind_of_scalar(each, scalars);
    if (each.kind == type_kind::enumeration) kinds_[each.id] = kind::enumeration;
    if (each.kind != type_kind::input_object) continue;
    kinds_[each.id] = kind::object;
    for (const auto& in : each.input_fields)
      fields_[each.id].push_back({in.name, in.type, value{}, in.required()});
  }
  for (const auto& each : of.types())
    if (each.kind == type_kind::input_object) fill(each.id, 0);
}

// A default may hold input objects whose own defaults must be known first.
void input_types::fill(type_id object, int depth) {
  MOORING_CHECK(depth < default_depth_max, "no input object's default contains itself");
  if (filled_[object] != 0) return;
  for (const auto& in : schema_.type(object).input_fields)
    if (in.default_value != nullptr) fill_defaults_in(*in.default_value, in.type, depth + 1);
  for (const auto& in : schema_.type(object).input_fields) {
    if (in.default_value == nullptr) continue;
    const auto fallback = coerce_literal(*this, constants_, in.type, *in.default_value, nullptr);
    MOORING_CHECK(fallback.has_value(), "a schema's default fits its type");
    fields_[object][in.ordinal].fallback = *fallback;
  }
  filled_[object] = 1;
}

void input_types::fill_defaults_in(const ast::value& literal, type_use type, int depth) {
  if (literal.kind == ast::value_kind::list)
    for (const auto& item : literal.items) fill_defaults_in(item, type, depth);
  if (literal.kind != ast::value_kind::object || kinds_[type.named()] != kind::object) return;
  fill(type.named(), depth);
  for (const auto& part : literal.fields)
    if (const auto* in = schema_.named_type(type).find_input_field(part.name.text))
      fill_defaults_in(part.value, in->type, depth);
}

bool has_variables(const ast::value& literal) {
  switch (literal.kind) {
  case ast::value_kind::variable: return true;
  case ast::value_kind::list:
    for (const auto& item : literal.items)
      if (has_variables(item)) return true;
    return false;
  case ast::value_kind::object:
    for (const auto& part : literal.fields)
      if (has_variables(part.value)) return true;
    return false;
  default: return false;
  }
}

namespace {

using kind = input_types::kind;

struct literal_coercion {
  const input_types& types;
  request_arena& to;
  const variable_scope* scope;

  std::optional<value> coerce(type_use type, const ast::value& literal) {
    if (literal.kind == ast::value_kind::variable) {
      const auto given = variable(literal.text);
      if (!given || given->absent()) return std::nullopt;
      if (given->kind() == value_kind::null && type.is_non_null()) return std::nullopt;
      return given; // validation made sure that its type fits here
    }
    if (type.is_non_null()) {
      if (literal.kind == ast::value_kind::null) return std::nullopt;
      type = type.of();
    }
    if (literal.kind == ast::value_kind::null) return value::make_null();
    if (type.is_list()) return list(type.of(), literal);
    if (types.kind_of(type.named()) == kind::object) return object(type.named(), literal);
    return leaf(type.named(), literal);
  }

  std::optional<value> list(type_use item_type, const ast::value& literal) {
    if (literal.kind != ast::value_kind::list) {
      const auto single = coerce(item_type, literal);
      if (!single) return std::nullopt;
      auto items = to.array<value>(1);
      items[0] = *single;
      return value::make_list(items);
    }
    auto items = to.array<value>(literal.items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto& item = literal.items[i];
      if (is_missing(item)) {
        if (item_type.is_non_null()) return std::nullopt;
        items[i] = value::make_null();
        continue;
      }
      const auto coerced = coerce(item_type, item);
      if (!coerced) return std::nullopt;
      items[i] = *coerced;
    }
    return value::make_list(items);
  }

  std::optional<value> object(type_id type, const ast::value& literal) {
    if (literal.kind != ast::value_kind::object) return std::nullopt;
    const auto declared = types.fields_of(type);
    auto fields = to.array<value>(declared.size());
    for (const auto& part : literal.fields) {
      const auto* in = types.schema().type(type).find_input_field(part.name.text);
      if (in == nullptr) return std::nullopt;
      if (is_missing(part.value)) continue;
      const auto coerced = coerce(in->type, part.value);
      if (!coerced) return std::nullopt;
      fields[in->ordinal] = *coerced;
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].absent()) continue;
      if (declared[i].required) return std::nullopt;
      fields[i] = declared[i].fallback;
    }
    return value::make_object(fields);
  }

  std::optional<value> leaf(type_id type, const ast::value& literal) {
    using ast_kind = ast::value_kind;
    switch (types.kind_of(type)) {
    case kind::boolean:
      if (literal.kind != ast_kind::boolean) return std::nullopt;
      return value::make_boolean(literal.boolean);
    case kind::integer: {
      std::int32_t is = 0;
      if (literal.kind != ast_kind::integer || !read(literal.text, is)) return std::nullopt;
      return value::make_integer(is);
    }
    case kind::number: {
      double is = 0;
      if (literal.kind != ast_kind::integer && literal.kind != ast_kind::floating) return std::nullopt;
      if (!read(literal.text, is) || !std::isfinite(is)) return std::nullopt;
      return value::make_number(is);
    }
    case kind::id:
      if (literal.kind != ast_kind::string && literal.kind != ast_kind::integer) return std::nullopt;
      return value::make_string(literal.text);
    case kind::string:
    case kind::opaque_string:
      if (literal.kind != ast_kind::string) return std::nullopt;
      return value::make_string(literal.text);
    case kind::enumeration: {
      if (literal.kind != ast_kind::enumeration) return std::nullopt;
      const auto* named = types.schema().type(type).find_value(literal.text);
      if (named == nullptr) return std::nullopt;
      return value::make_enumeration(named->ordinal);
    }
    case kind::json_document:
    case kind::json_any_depth: return json(type, literal);
    case kind::object:
    case kind::none: break;
    }
    return std::nullopt;
  }

  std::optional<value> json(type_id type, const ast::value& literal) {
    const bool any_depth = types.kind_of(type) == kind::json_any_depth;
    if (literal.kind == ast::value_kind::string) return json_of_text(to, literal.text, any_depth);
    document_writer out;
    bool fits = true;
    if (!write(out, literal, document_depth_max, fits)) return std::nullopt;
    if (!fits) return any_depth ? std::optional(value::make_json({})) : std::nullopt;
    return value::make_json(to.copy(out.bytes()));
  }

  // False: no JSON (a number without a finite value). `fits` goes false when it is nested too deep.
  bool write(document_writer& out, const ast::value& literal, int depth, bool& fits) {
    switch (literal.kind) {
    case ast::value_kind::null: out.null(); return true;
    case ast::value_kind::boolean: out.boolean(literal.boolean); return true;
    case ast::value_kind::integer: {
      std::int64_t is = 0;
      if (read(literal.text, is)) {
        out.integer(is);
        return true;
      }
      if (std::uint64_t large = 0; read(literal.text, large)) {
        out.unsigned_integer(large);
        return true;
      }
      [[fallthrough]];
    }
    case ast::value_kind::floating: {
      double is = 0;
      if (!read(literal.text, is))
        is = std::strtod(std::string(literal.text).c_str(), nullptr); // too small: 0
      if (!std::isfinite(is)) return false;
      out.number(is);
      return true;
    }
    case ast::value_kind::string:
    case ast::value_kind::enumeration: out.string(literal.text); return true;
    case ast::value_kind::variable: {
      const auto* declared = declaration(literal.text);
      const auto given = variable(literal.text);
      if (declared == nullptr || !given)
        out.null();
      else
        write_json(out, types, declared->type, *given, depth, fits);
      return true;
    }
    case ast::value_kind::list:
      if (depth == 0) return !(fits = false);
      out.begin_array(literal.items.size());
      for (const auto& item : literal.items)
        if (!write(out, item, depth - 1, fits)) return false;
      return true;
    case ast::value_kind::object: {
      if (depth == 0) return !(fits = false);
      std::size_t members = 0;
      for (const auto& part : literal.fields) members += is_missing(part.value) ? 0u : 1u;
      out.begin_object(members);
      for (const auto& part : literal.fields) {
        if (is_missing(part.value)) continue;
        out.key(part.name.text);
        if (!write(out, part.value, depth - 1, fits)) return false;
      }
      return true;
    }
    }
    return false;
  }

  template<class T> static bool read(std::string_view text, T& is) {
    const auto ended = std::from_chars(text.data(), text.data() + text.size(), is);
    return ended.ec == std::errc() && ended.ptr == text.data() + text.size();
  }

  const graphql::variable* declaration(std::string_view name) const {
    if (scope == nullptr) return nullptr;
    const auto number = scope->numbers->find(name);
    return number == name_table::absent ? nullptr : &scope->declared[number];
  }
  std::optional<value> variable(std::string_view name) const {
    if (scope == nullptr) return std::nullopt;
    const auto number = scope->numbers->find(name);
    if (number == name_table::absent || number >= scope->values.size()) return std::nullopt;
    return scope->values[number];
  }
  bool is_missing(const ast::value& literal) const {
    if (literal.kind != ast::value_kind::variable) return false;
    const auto given = variable(literal.text);
    return !given || given->absent();
  }
};

} // namespace

std::optional<value> coerce_literal(const input_types& types, request_arena& to, type_use type,
                                    const ast::value& literal, const variable_scope* scope) {
  return literal_coercion{types, to, scope}.coerce(type, literal);
}

} // namespace mooring::graphql
