#include "graphql/json_scalar.hpp"

#include <algorithm>

namespace mooring::graphql {

namespace {

constexpr std::size_t scratch_bytes_max = 1 << 20; // one large value must not stay for ever

std::optional<value> too_deep(bool any_depth) {
  return any_depth ? std::optional(value::make_json({})) : std::nullopt;
}

// How deep the brackets of a text go, strings aside. Tells a text that is JSON but too deep from one that is
// no JSON.
int bracket_depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

value string_document(request_arena& to, std::string_view text) {
  document_writer out;
  out.reserve(text.size() + 5);
  out.string(text);
  return value::make_json(to.copy(out.bytes()));
}

// Levels of a document's nesting, found without recursion deeper than `left`.
bool fits_depth(std::string_view is, int left) {
  switch (kind_of(is)) {
  case document_kind::array:
    if (left == 0) return false;
    for (const auto element : elements_of(is))
      if (!fits_depth(element, left - 1)) return false;
    return true;
  case document_kind::object:
    if (left == 0) return false;
    for (const auto& field : fields_of(is))
      if (!fits_depth(field.value, left - 1)) return false;
    return true;
  default: return true;
  }
}

} // namespace

std::optional<value> json_of(request_arena& to, const json_value& given, bool any_depth) {
  if (given.kind() == json_kind::string) return json_of_text(to, given.string(), any_depth);
  static thread_local document_writer made;
  made.clear();
  if (!write_document(made, given)) return too_deep(any_depth);
  const auto is = value::make_json(to.copy(made.bytes()));
  if (made.bytes().size() > scratch_bytes_max) made = {};
  return is;
}

std::optional<value> json_of_text(request_arena& to, std::string_view text, bool any_depth) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] != '{' && text[first] != '['))
    return string_document(to, text);
  const auto made = document_from_json(text);
  if (made) return value::make_json(to.copy(made->bytes));
  if (bracket_depth(text) > document_depth_max) return too_deep(any_depth);
  return string_document(to, text);
}

void write_json(document_writer& out, const input_types& types, type_use type, const value& is, int depth,
                bool& fits) {
  type = type.nullable();
  switch (is.kind()) {
  case value_kind::absent:
  case value_kind::null: out.null(); return;
  case value_kind::boolean: out.boolean(is.boolean()); return;
  case value_kind::integer: out.integer(is.integer()); return;
  case value_kind::number: out.number(is.number()); return;
  case value_kind::string: out.string(is.string()); return;
  case value_kind::enumeration: out.string(types.schema().named_type(type).values[is.ordinal()].name); return;
  case value_kind::json:
    if (is.json_too_deep() || !fits_depth(is.json(), depth)) {
      fits = false;
      out.null();
    } else {
      out.value(is.json());
    }
    return;
  case value_kind::list:
    if (depth == 0) {
      fits = false;
      out.null();
      return;
    }
    out.begin_array(is.items().size());
    for (const auto& item : is.items()) write_json(out, types, type.of(), item, depth - 1, fits);
    return;
  case value_kind::object: {
    if (depth == 0) {
      fits = false;
      out.null();
      return;
    }
    const auto declared = types.fields_of(type.named());
    const auto fields = is.fields();
    out.begin_object(static_cast<std::size_t>(
        std::count_if(fields.begin(), fields.end(), [](const value& each) { return !each.absent(); })));
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].absent()) continue;
      out.key(declared[i].name);
      write_json(out, types, declared[i].type, fields[i], depth - 1, fits);
    }
    return;
  }
  }
}

} // namespace mooring::graphql
