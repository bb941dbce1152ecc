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
  case ast::value_kind::string: print_string(out, value.text); break;
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
