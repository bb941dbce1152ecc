#include "graphql/print.hpp"

#include <fmt/core.h>

namespace mooring::graphql {

void print_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
    case '"': out += "\\\""; continue;
    case '\\': out += "\\\\"; continue;
    case '\b': out += "\\b"; continue;
    case '\f': out += "\\f"; continue;
    case '\n': out += "\\n"; continue;
    case '\r': out += "\\r"; continue;
    case '\t': out += "\\t"; continue;
    default: break;
    }
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04X}", byte);
    } else if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(text[++i])); // U+0080 to U+009F
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

namespace {

// As graphql-js writes a block string: on lines of its own when that reads better, and always when the first
// or last line would otherwise not survive.
void print_block_string(std::string& out, std::string_view text) {
  constexpr std::size_t single_line_max = 70; // characters, in UTF-16
  std::size_t units = 0;
  bool single_line = true;
  bool indented = true; // every line but the first is empty or starts with a blank
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) units += byte >= 0xf0 ? 2 : 1;
    if (text[i] != '\n') continue;
    single_line = false;
    if (i + 1 < text.size() && text[i + 1] != '\n' && text[i + 1] != ' ' && text[i + 1] != '\t')
      indented = false;
  }
  const bool triple_quotes_last = text.ends_with("\"\"\"");
  const bool line_after = (text.ends_with('"') && !triple_quotes_last) || text.ends_with('\\');
  const bool line_before = !single_line && indented;
  const bool lines =
      !single_line || units > single_line_max || line_after || line_before || triple_quotes_last;
  const bool blank_first = single_line && (text.starts_with(' ') || text.starts_with('\t'));
  out += "\"\"\"";
  if ((lines && !blank_first) || line_before) out.push_back('\n');
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with("\"\"\"")) {
      out += "\\\"\"\"";
      i += 3;
    } else {
      out.push_back(text[i++]);
    }
  }
  if (lines || line_after) out.push_back('\n');
  out += "\"\"\"";
}

} // namespace

void print(std::string& out, const ast::value& value) {
  const char* separator = "";
  switch (value.kind) {
  case ast::value_kind::variable:
    out.push_back('$');
    out += value.text;
    break;
  case ast::value_kind::integer:
  case ast::value_kind::floating:
  case ast::value_kind::enumeration: out += value.text; break;
  case ast::value_kind::string:
    if (value.block_string)
      print_block_string(out, value.text);
    else
      print_string(out, value.text);
    break;
  case ast::value_kind::boolean: out += value.boolean ? "true" : "false"; break;
  case ast::value_kind::null: out += "null"; break;
  case ast::value_kind::list:
    out.push_back('[');
    for (const auto& item : value.items) {
      out += separator;
      print(out, item);
      separator = ", ";
    }
    out.push_back(']');
    break;
  case ast::value_kind::object:
    out.push_back('{');
    for (const auto& field : value.fields) {
      out += separator;
      out += field.name.text;
      out += ": ";
      print(out, field.value);
      separator = ", ";
    }
    out.push_back('}');
    break;
  }
}

void print(std::string& out, const ast::type& type) {
  switch (type.kind) {
  case ast::type_kind::named: out += type.named; break;
  case ast::type_kind::list:
    out.push_back('[');
    print(out, *type.of);
    out.push_back(']');
    break;
  case ast::type_kind::non_null:
    print(out, *type.of);
    out.push_back('!');
    break;
  }
}

std::string to_string(const ast::value& value) {
  std::string out;
  print(out, value);
  return out;
}

std::string to_string(const ast::type& type) {
  std::string out;
  print(out, type);
  return out;
}

} // namespace mooring::graphql
