#include "graphql/lexer.hpp"

#include <algorithm>
#include <vector>

#include <fmt/core.h>

#include "graphql/utf8.hpp"

namespace mooring::graphql {

namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool is_name_continue(char c) {
  return is_name_start(c) || is_digit(c);
}

// -1: no hexadecimal digit
constexpr std::int32_t hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::size_t indentation(std::string_view line) {
  const auto end = line.find_first_not_of(" \t");
  return end == std::string_view::npos ? line.size() : end;
}

// BlockStringValue (October 2021, 2.9.4): lines lose the indentation that all but the first have in common,
// and blank lines at both ends go.
std::string dedent(const std::vector<std::string>& lines) {
  constexpr auto none = static_cast<std::size_t>(-1);
  auto common = none;
  auto first = none;
  std::size_t last = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto indent = indentation(lines[i]);
    if (indent == lines[i].size()) continue;
    if (first == none) first = i;
    last = i;
    if (i != 0) common = std::min(common, indent);
  }
  std::string out;
  if (first == none) return out;
  for (auto i = first; i <= last; ++i) {
    if (i != first) out.push_back('\n');
    const std::string_view line = lines[i];
    out += i == 0 ? line : line.substr(std::min(common, line.size()));
  }
  return out;
}

} // namespace

std::string_view describe(token_kind kind) {
  switch (kind) {
  case token_kind::start_of_file: return "<SOF>";
  case token_kind::end_of_file: return "<EOF>";
  case token_kind::bang: return "\"!\"";
  case token_kind::dollar: return "\"$\"";
  case token_kind::ampersand: return "\"&\"";
  case token_kind::left_parenthesis: return "\"(\"";
  case token_kind::right_parenthesis: return "\")\"";
  case token_kind::spread: return "\"...\"";
  case token_kind::colon: return "\":\"";
  case token_kind::equals: return "\"=\"";
  case token_kind::at: return "\"@\"";
  case token_kind::left_bracket: return "\"[\"";
  case token_kind::right_bracket: return "\"]\"";
  case token_kind::left_brace: return "\"{\"";
  case token_kind::pipe: return "\"|\"";
  case token_kind::right_brace: return "\"}\"";
  case token_kind::name: return "Name";
  case token_kind::integer: return "Int";
  case token_kind::floating: return "Float";
  case token_kind::string: return "String";
  case token_kind::block_string: return "BlockString";
  }
  return "";
}

token lexer::make(token_kind kind, std::size_t start, std::size_t bytes) {
  position_ = start + bytes;
  return {kind, static_cast<std::uint32_t>(start), source_.substr(start, bytes)};
}

token lexer::fail(std::size_t offset, std::string message) {
  failed_ = true;
  message_ = std::move(message);
  error_offset_ = static_cast<std::uint32_t>(std::min(offset, source_.size()));
  position_ = source_.size();
  return {token_kind::end_of_file, error_offset_, {}};
}

std::string lexer::printed_character(std::size_t offset) const {
  if (offset >= source_.size()) return "<EOF>";
  const auto value = code_point_at(source_, offset).value;
  if (value == '"') return "'\"'";
  if (value >= 0x20 && value <= 0x7e) return fmt::format("\"{}\"", static_cast<char>(value));
  return fmt::format("U+{:04X}", value);
}

std::string_view lexer::slice(std::size_t offset, std::size_t utf16_units) const {
  auto end = offset;
  for (std::size_t units = 0; units < utf16_units && end < source_.size();) {
    const auto character = code_point_at(source_, end);
    units += character.value > 0xffff ? 2 : 1;
    end += character.bytes;
  }
  return source_.substr(offset, end - offset);
}

token lexer::next() {
  while (position_ < source_.size()) {
    const auto start = position_;
    switch (source_[start]) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case ',': ++position_; continue;
    case '#': position_ = std::min(source_.find_first_of("\r\n", start), source_.size()); continue;
    case '!': return make(token_kind::bang, start, 1);
    case '$': return make(token_kind::dollar, start, 1);
    case '&': return make(token_kind::ampersand, start, 1);
    case '(': return make(token_kind::left_parenthesis, start, 1);
    case ')': return make(token_kind::right_parenthesis, start, 1);
    case ':': return make(token_kind::colon, start, 1);
    case '=': return make(token_kind::equals, start, 1);
    case '@': return make(token_kind::at, start, 1);
    case '[': return make(token_kind::left_bracket, start, 1);
    case ']': return make(token_kind::right_bracket, start, 1);
    case '{': return make(token_kind::left_brace, start, 1);
    case '|': return make(token_kind::pipe, start, 1);
    case '}': return make(token_kind::right_brace, start, 1);
    case '"': return starts_with(start, "\"\"\"") ? block_string(start) : string(start);
    default: break;
    }
    if (starts_with(start, "\xef\xbb\xbf")) { // byte order mark, anywhere
      position_ += 3;
      continue;
    }
    if (starts_with(start, "...")) return make(token_kind::spread, start, 3);
    if (is_digit(source_[start]) || source_[start] == '-') return number(start);
    if (is_name_start(source_[start])) {
      auto end = start + 1;
      while (is_name_continue(at(end))) ++end;
      return make(token_kind::name, start, end - start);
    }
    if (source_[start] == '\'')
      return fail(start, "Unexpected single quote character ('), did you mean to use a double quote (\")?");
    return fail(start, fmt::format("Unexpected character: {}.", printed_character(start)));
  }
  return {token_kind::end_of_file, static_cast<std::uint32_t>(source_.size()), {}};
}

bool lexer::digits(std::size_t& position) {
  if (!is_digit(at(position))) {
    fail(position, fmt::format("Invalid number, expected digit but got: {}.", printed_character(position)));
    return false;
  }
  while (is_digit(at(position))) ++position;
  return true;
}

token lexer::number(std::size_t start) {
  const auto failure = [this] { return token{token_kind::end_of_file, error_offset_, {}}; };
  auto kind = token_kind::integer;
  auto position = start;
  if (at(position) == '-') ++position;
  if (at(position) == '0') {
    ++position;
    if (is_digit(at(position)))
      return fail(position,
                  fmt::format("Invalid number, unexpected digit after 0: {}.", printed_character(position)));
  } else if (!digits(position)) {
    return failure();
  }
  if (at(position) == '.') {
    kind = token_kind::floating;
    ++position;
    if (!digits(position)) return failure();
  }
  if (at(position) == 'e' || at(position) == 'E') {
    kind = token_kind::floating;
    ++position;
    if (at(position) == '+' || at(position) == '-') ++position;
    if (!digits(position)) return failure();
  }
  if (at(position) == '.' || is_name_start(at(position)))
    return fail(position,
                fmt::format("Invalid number, expected digit but got: {}.", printed_character(position)));
  return make(kind, start, position - start);
}

token lexer::string(std::size_t start) {
  auto position = start + 1;
  auto chunk = position;
  std::string content;
  bool escaped = false;
  while (position < source_.size()) {
    const auto c = source_[position];
    if (c == '"') {
      auto result = make(token_kind::string, start, position + 1 - start);
      result.text = source_.substr(chunk, position - chunk);
      if (escaped) {
        content += result.text;
        result.text = memory_.copy(content);
      }
      return result;
    }
    if (c == '\n' || c == '\r') break;
    if (c != '\\') {
      ++position;
      continue;
    }
    escaped = true;
    content += source_.substr(chunk, position - chunk);
    const auto bytes = escape(position, content);
    if (bytes == 0) return {token_kind::end_of_file, error_offset_, {}};
    position += bytes;
    chunk = position;
  }
  return fail(position, "Unterminated string.");
}

// The escapes return how many bytes they took; 0: failed.
std::size_t lexer::escape(std::size_t position, std::string& out) {
  switch (at(position + 1)) {
  case '"': out.push_back('"'); return 2;
  case '\\': out.push_back('\\'); return 2;
  case '/': out.push_back('/'); return 2;
  case 'b': out.push_back('\b'); return 2;
  case 'f': out.push_back('\f'); return 2;
  case 'n': out.push_back('\n'); return 2;
  case 'r': out.push_back('\r'); return 2;
  case 't': out.push_back('\t'); return 2;
  case 'u': return at(position + 2) == '{' ? escape_braced(position, out) : escape_fixed(position, out);
  default: break;
  }
  fail(position, fmt::format("Invalid character escape sequence: \"{}\".", slice(position, 2)));
  return 0;
}

std::size_t lexer::escape_braced(std::size_t position, std::string& out) {
  constexpr std::size_t bytes_max = 12; // \u{00000000}
  std::uint32_t value = 0;
  std::size_t bytes = 3;
  while (bytes < bytes_max) {
    const auto c = at(position + bytes++);
    if (c == '}') {
      if (bytes < 5 || !is_scalar_value(value)) break;
      append_utf8(out, value);
      return bytes;
    }
    const auto digit = hex(c);
    if (digit < 0) break;
    value = value << 4 | static_cast<std::uint32_t>(digit);
    if (value > 0x7fffffff) break;
  }
  fail(position, fmt::format("Invalid Unicode escape sequence: \"{}\".", slice(position, bytes)));
  return 0;
}

std::int32_t lexer::hex4(std::size_t position) const {
  std::int32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto digit = hex(at(position + i));
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

std::size_t lexer::escape_fixed(std::size_t position, std::string& out) {
  const auto first = hex4(position + 2);
  if (first >= 0 && is_scalar_value(static_cast<std::uint32_t>(first))) {
    append_utf8(out, static_cast<std::uint32_t>(first));
    return 6;
  }
  if (first >= 0xd800 && first <= 0xdbff && starts_with(position + 6, "\\u")) { // JSON's surrogate pairs
    const auto second = hex4(position + 8);
    if (second >= 0xdc00 && second <= 0xdfff) {
      append_utf8(out, 0x10000 + (static_cast<std::uint32_t>(first - 0xd800) << 10) +
                           static_cast<std::uint32_t>(second - 0xdc00));
      return 12;
    }
  }
  fail(position, fmt::format("Invalid Unicode escape sequence: \"{}\".", slice(position, 6)));
  return 0;
}

token lexer::block_string(std::size_t start) {
  std::vector<std::string> lines(1);
  auto position = start + 3;
  while (position < source_.size()) {
    if (starts_with(position, "\"\"\"")) {
      auto result = make(token_kind::block_string, start, position + 3 - start);
      result.text = memory_.copy(dedent(lines));
      return result;
    }
    if (starts_with(position, "\\\"\"\"")) {
      lines.back() += "\"\"\"";
      position += 4;
      continue;
    }
    const auto c = source_[position];
    if (c == '\n' || c == '\r') {
      position += starts_with(position, "\r\n") ? 2 : 1;
      lines.emplace_back();
      continue;
    }
    lines.back().push_back(c);
    ++position;
  }
  return fail(position, "Unterminated string.");
}

} // namespace mooring::graphql
