// document: a JSON value in its stored form, msgpack.
//
// Shapes: null, booleans, integers (int64 and uint64), doubles, UTF-8 strings, arrays, objects with string keys in
// the order they were given. A document is made only by the functions below and by json.hpp, so its bytes are always
// one well-formed msgpack value of these shapes, nested at most `stored_document_depth_max` deep. Bytes from outside
// (disk, peers) go through `validate` first.
//
// An empty document (no bytes) means "absent", which is not the same as null.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace mooring {

inline constexpr int document_depth_max = 32; // domain.md, "Validation": JSON nesting at most 32
// What is stored may be two levels deeper: a record's document holds a list of clients' JSON values (`events`).
inline constexpr int stored_document_depth_max = document_depth_max + 2;

enum class document_kind : std::uint8_t { absent, null, boolean, integer, number, string, array, object };

struct document {
  std::string bytes;

  bool absent() const { return bytes.empty(); }
  bool operator==(const document&) const = default; // byte equality; see documents_equal for the meaning
};

// Kind of the value whose first byte is at the front.
document_kind kind_of(std::string_view value);

// ── reading ── (REQUIRES in all: `value` is the bytes of a document of that kind)
struct document_field {
  std::string_view name;
  std::string_view value; // msgpack bytes of the value alone
};
std::vector<document_field> fields_of(std::string_view object);
std::vector<std::string_view> elements_of(std::string_view array);
std::optional<std::string_view> find_field(std::string_view object, std::string_view name);
std::size_t size_of(std::string_view array_or_object);
bool boolean_of(std::string_view value);
std::int64_t integer_of(std::string_view value); // values above INT64_MAX are clamped
double number_of(std::string_view value);        // integers are converted
std::string_view string_of(std::string_view value);

// ── comparing ──
// Equal as JSON: object members in any order, 1 equals 1.0. Absent equals only absent.
bool documents_equal(std::string_view a, std::string_view b);
// Equal documents (as above) have equal hashes; not stable against an attacker who wants collisions.
std::uint64_t hash_document(std::string_view value);

// ── making ──
class document_writer {
 public:
  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  void null();
  void boolean(bool value);
  void integer(std::int64_t value);
  void unsigned_integer(std::uint64_t value);
  void number(double value);
  void string(std::string_view value);
  void begin_array(std::size_t elements); // followed by that many values
  void begin_object(std::size_t members); // followed by that many key/value pairs
  void key(std::string_view name);
  void value(std::string_view document_bytes); // a whole value copied in
  void clear() { out_.clear(); }               // keeps the memory
  document take() { return document{std::move(out_)}; }
  std::string_view bytes() const { return out_; }

 private:
  void head(unsigned tag, std::uint64_t value, std::size_t width);
  void container(unsigned fixed, unsigned tag16, std::uint64_t members);

  std::string out_;
};
document empty_object();
document null_document();

// RFC 7396: `patch` applied to `target`. A null member removes; a patch that is no object replaces.
document merge_patch(std::string_view target, std::string_view patch);

// ── edges ──
// Bytes from outside: exactly one value of the shapes above, nested at most `stored_document_depth_max`
// deep, valid UTF-8.
bool is_valid_document(std::string_view bytes);
// Appends compact JSON. Doubles get the shortest text that reads back the same.
void append_json(std::string& out, std::string_view value);
std::string to_json(const document& value);
// Parses JSON text. Fails with bad_user_input on malformed text, numbers beyond 64 bits, nesting too deep.
result<document> document_from_json(std::string_view text);

} // namespace mooring
