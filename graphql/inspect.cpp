#include "graphql/inspect.hpp"

#include <charconv>
#include <cmath>

#include "base/json_writer.hpp"

namespace mooring::graphql {

namespace {

constexpr std::size_t array_items_max = 10;
constexpr int levels_max = 2;

void write(std::string& out, const json_value& is, int level) {
  if (out.size() > inspect_bytes_max) return; // what follows would be cut off anyway
  switch (is.kind()) {
  case json_kind::null: out.append("null"); return;
  case json_kind::boolean: append_json_boolean(out, is.boolean()); return;
  case json_kind::integer:
  case json_kind::unsigned_integer:
  case json_kind::number: append_js_number(out, is); return;
  case json_kind::string: append_json_string(out, is.string().substr(0, inspect_bytes_max + 4)); return;
  case json_kind::array: {
    const auto items = is.size();
    if (items == 0) {
      out.append("[]");
      return;
    }
    if (level >= levels_max) {
      out.append("[Array]");
      return;
    }
    out.push_back('[');
    std::size_t at = 0;
    is.for_each_element([&](json_value item) {
      if (at < array_items_max) {
        if (at != 0) out.append(", ");
        write(out, item, level + 1);
      }
      ++at;
    });
    if (items == array_items_max + 1) out.append(", ... 1 more item");
    if (items > array_items_max + 1) {
      out.append(", ... ");
      append_json_integer(out, static_cast<std::int64_t>(items - array_items_max));
      out.append(" more items");
    }
    out.push_back(']');
    return;
  }
  case json_kind::object: {
    if (is.size() == 0) {
      out.append("{}");
      return;
    }
    if (level >= levels_max) {
      out.append("[Object]");
      return;
    }
    out.append("{ ");
    bool first = true;
    is.for_each_member([&](std::string_view name, json_value member) {
      if (out.size() > inspect_bytes_max) return;
      if (!first) out.append(", ");
      first = false;
      out.append(name.substr(0, inspect_bytes_max));
      out.append(": ");
      write(out, member, level + 1);
    });
    out.append(" }");
    return;
  }
  }
}

} // namespace

void append_js_number(std::string& out, const json_value& is) {
  if (is.kind() == json_kind::integer) {
    append_json_integer(out, is.integer());
    return;
  }
  if (is.kind() == json_kind::unsigned_integer) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, is.unsigned_integer()).ptr);
    return;
  }
  const auto number = is.number();
  if (number == 0) {
    out.push_back('0'); // JavaScript prints -0 as 0
    return;
  }
  // JavaScript writes 1e-6 … 1e21 without an exponent (ECMA-262, Number::toString).
  char digits[64];
  const auto magnitude = std::fabs(number);
  const auto form =
      magnitude >= 1e-6 && magnitude < 1e21 ? std::chars_format::fixed : std::chars_format::scientific;
  auto text = std::string_view(
      digits,
      static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, number, form).ptr - digits));
  const auto e = text.find('e');
  out.append(text.substr(0, e));
  if (e == std::string_view::npos) return;
  out.append(text.substr(e, 2)); // "e+" or "e-"
  text.remove_prefix(e + 2);
  while (text.size() > 1 && text.front() == '0') text.remove_prefix(1);
  out.append(text);
}

std::string shortened(std::string_view text) {
  if (text.size() <= inspect_bytes_max) return std::string(text);
  auto end = inspect_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string inspect(const json_value& is) {
  std::string out;
  write(out, is, 0);
  return shortened(out);
}

} // namespace mooring::graphql
