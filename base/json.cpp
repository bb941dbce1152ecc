#include "base/json.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <tuple>
#include <type_traits>
#include <vector>

#include <simdjson.h>

#include "base/json_repair.hpp"

namespace mooring {

// A json_value is the same two words as a simdjson element: the document (with its tape) and an index on the tape.
// Ours stays opaque so that the library's header is read here only. The friend below reaches through the element's
// public surface: element → bytes → element, which is defined for a trivially copyable type.
using simdjson::dom::element;
static_assert(std::is_trivially_copyable_v<element> && sizeof(element) == 2 * sizeof(void*),
              "json_value mirrors simdjson::dom::element; look at both when simdjson changes");

namespace {

struct raw {
  const void* tape;
  std::size_t index;
};

element to_element(const void* tape, std::size_t index) {
  const raw words{tape, index};
  element out;
  std::memcpy(static_cast<void*>(&out), &words, sizeof words);
  return out;
}

raw to_raw(const element& value) {
  raw words{};
  std::memcpy(&words, &value, sizeof words);
  return words;
}

// The tape (simdjson doc/tape.md): a word is a type letter in the top byte and a 56-bit payload.
// '[' and '{': low 32 bits of the payload are the index after the closing word; bits 32 to 55 the saturated count.
// 'l', 'u', 'd' occupy two words. '"': payload is an offset in the string buffer.
std::uint64_t word_at(const void* tape, std::size_t index) {
  return static_cast<const simdjson::dom::document*>(tape)->tape[index];
}
char letter(std::uint64_t word) {
  return static_cast<char>(word >> 56);
}
std::uint32_t matching(std::uint64_t word) {
  return static_cast<std::uint32_t>(word);
}
constexpr std::uint64_t count_saturated = 0xffffff;

} // namespace

json_value make_json_value(const void* tape, std::size_t index) {
  return {tape, index};
}

json_kind json_value::kind() const {
  switch (letter(word_at(tape_, index_))) {
  case 'n': return json_kind::null;
  case 't':
  case 'f': return json_kind::boolean;
  case 'l': return json_kind::integer;
  case 'u': return json_kind::unsigned_integer;
  case 'd': return json_kind::number;
  case '"': return json_kind::string;
  case '[': return json_kind::array;
  case '{': return json_kind::object;
  default: break;
  }
  MOORING_CHECK(false, "a value's letter on the tape");
}

bool json_value::boolean() const {
  return letter(word_at(tape_, index_)) == 't';
}

std::int64_t json_value::integer() const {
  return static_cast<std::int64_t>(word_at(tape_, index_ + 1));
}

std::uint64_t json_value::unsigned_integer() const {
  return word_at(tape_, index_ + 1);
}

double json_value::number() const {
  const auto bits = word_at(tape_, index_ + 1);
  switch (letter(word_at(tape_, index_))) {
  case 'l': return static_cast<double>(static_cast<std::int64_t>(bits));
  case 'u': return static_cast<double>(bits);
  default: break;
  }
  double out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

std::string_view json_value::string() const {
  return to_element(tape_, index_).get_string().value_unsafe();
}

std::size_t json_value::size() const {
  const auto word = word_at(tape_, index_);
  const auto count = (word >> 32) & count_saturated;
  if (count < count_saturated) return count;
  std::size_t counted = 0;
  if (letter(word) == '[')
    for_each_element([&](json_value) { ++counted; });
  else
    for_each_member([&](std::string_view, json_value) { ++counted; });
  return counted;
}

json_value::cursor json_value::first() const {
  return index_ + 1;
}

json_value::cursor json_value::end() const {
  return matching(word_at(tape_, index_)) - 1;
}

json_value::cursor json_value::next(cursor at) const {
  const auto word = word_at(tape_, at);
  switch (letter(word)) {
  case '[':
  case '{': return matching(word);
  case 'l':
  case 'u':
  case 'd': return at + 2;
  default: return at + 1;
  }
}

std::string_view json_value::key(cursor at) const {
  return child(at).string();
}

json_value json_value::find(std::string_view name) const {
  const auto last = end();
  for (auto at = first(); at != last;) {
    const auto here = key(at);
    at = next(at);
    if (here == name) return child(at);
    at = next(at);
  }
  return {};
}

struct json_parser::impl {
  simdjson::dom::parser parser;
  int small_in_a_row = 0;

  simdjson::error_code parse(const char* text, std::size_t length) {
    if (parser.max_depth() != static_cast<std::size_t>(depth_max) || parser.capacity() < length)
      if (const auto failed = parser.allocate(std::max(parser.capacity(), length), depth_max)) return failed;
    return parser.parse(reinterpret_cast<const std::uint8_t*>(text), length, false).error();
  }

  // Twelve bytes for each of the largest text so far are not kept for ever.
  void shrink_for(std::size_t length) {
    constexpr std::size_t large = 1u << 20;
    constexpr int patience = 64;
    if (length > large)
      small_in_a_row = 0;
    else if (parser.capacity() > large && ++small_in_a_row > patience)
      parser = simdjson::dom::parser();
  }
};

json_parser::json_parser()
    : impl_(std::make_unique<impl>()) {}
json_parser::~json_parser() = default;
json_parser::json_parser(json_parser&&) noexcept = default;
json_parser& json_parser::operator=(json_parser&&) noexcept = default;

namespace {

error to_error(simdjson::error_code code) {
  switch (code) {
  case simdjson::DEPTH_ERROR: return {error_code::bad_user_input, "the JSON is nested too deep"};
  case simdjson::UTF8_ERROR: return {error_code::bad_user_input, "the JSON is not valid UTF-8"};
  case simdjson::NUMBER_ERROR:
    return {error_code::bad_user_input, "the JSON holds a malformed number or one beyond a double"};
  case simdjson::MEMALLOC: return {error_code::unavailable, "out of memory"};
  case simdjson::CAPACITY: return {error_code::payload_too_large, "the JSON is too large"};
  default: return {error_code::bad_user_input, "malformed JSON"};
  }
}

} // namespace

result<json_value> json_parser::parse_padded(const char* text, std::size_t length) {
  impl_->shrink_for(length);
  auto code = impl_->parse(text, length);
  if (code == simdjson::STRING_ERROR || code == simdjson::NUMBER_ERROR) {
    if (auto again = repaired_json({text, length})) {
      const auto bytes = again->size();
      again->append(json_padding, ' ');
      code = impl_->parse(again->data(), bytes);
    }
  }
  if (code != simdjson::SUCCESS) return to_error(code);
  const auto words = to_raw(impl_->parser.doc.root());
  return make_json_value(words.tape, words.index);
}

result<json_value> json_parser::parse(std::string_view text) {
  std::string padded;
  padded.reserve(text.size() + json_padding);
  padded.append(text);
  padded.append(json_padding, ' ');
  return parse_padded(padded.data(), text.size());
}

namespace {

bool write_value(document_writer& out, const json_value& value, int depth) {
  switch (value.kind()) {
  case json_kind::null: out.null(); return true;
  case json_kind::boolean: out.boolean(value.boolean()); return true;
  case json_kind::integer: out.integer(value.integer()); return true;
  case json_kind::unsigned_integer: out.unsigned_integer(value.unsigned_integer()); return true;
  case json_kind::number: out.number(value.number()); return true;
  case json_kind::string: out.string(value.string()); return true;
  case json_kind::array: {
    if (depth == 0) return false;
    bool fits = true;
    out.begin_array(value.size());
    value.for_each_element([&](json_value element) { fits = fits && write_value(out, element, depth - 1); });
    return fits;
  }
  case json_kind::object: {
    if (depth == 0) return false;
    // Duplicate keys: the first wins, so that what is stored has each key once. Objects are small; a quadratic look
    // would be an attack on large ones, so those are looked through in sorted order.
    constexpr std::size_t small = 16;
    const auto members = value.size();
    std::array<std::string_view, small> few;
    std::vector<std::string_view> many;
    std::vector<bool> dropped; // empty: none is
    std::size_t kept = members, at = 0;
    if (members <= small) {
      value.for_each_member([&](std::string_view name, json_value) {
        if (std::find(few.begin(), few.begin() + at, name) != few.begin() + at) {
          dropped.resize(members);
          dropped[at] = true;
          --kept;
        }
        few[at++] = name;
      });
    } else {
      many.reserve(members);
      value.for_each_member([&](std::string_view name, json_value) { many.push_back(name); });
      std::vector<std::size_t> order(members);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(),
                [&](std::size_t a, std::size_t b) { return std::tie(many[a], a) < std::tie(many[b], b); });
      for (std::size_t i = 1; i < members; ++i)
        if (many[order[i]] == many[order[i - 1]]) {
          dropped.resize(members);
          dropped[order[i]] = true;
          --kept;
        }
    }
    bool fits = true;
    at = 0;
    out.begin_object(kept);
    value.for_each_member([&](std::string_view name, json_value member) {
      if (const auto here = at++; !dropped.empty() && dropped[here]) return;
      out.key(name);
      fits = fits && write_value(out, member, depth - 1);
    });
    return fits;
  }
  }
  return false;
}

} // namespace

bool write_document(document_writer& out, const json_value& value) {
  return write_value(out, value, document_depth_max);
}

result<document> to_document(const json_value& value) {
  document_writer out;
  if (!write_document(out, value))
    return error{error_code::bad_user_input, "the JSON value is nested deeper than 32"};
  return out.take();
}

result<document> document_from_json(std::string_view text) {
  static thread_local json_parser parser;
  auto parsed = parser.parse(text);
  if (!parsed) return parsed.failure();
  return to_document(*parsed);
}

} // namespace mooring
