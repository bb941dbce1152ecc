// Reading JSON: a thin handle on simdjson's DOM, so that no other file pays for its header.
//
// A json_parser owns its tape; values it returned are valid until its next parse or its end. One parser per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/document.hpp"
#include "base/result.hpp"

namespace mooring {

enum class json_kind : std::uint8_t {
  null,
  boolean,
  integer,
  unsigned_integer,
  number,
  string,
  array,
  object
};

// One value inside a parsed text. Cheap to copy. A default-constructed handle is "absent".
class json_value {
 public:
  json_value() = default;
  bool absent() const { return tape_ == nullptr; }

  // REQUIRES in all below: !absent() and the kind that the name says.
  json_kind kind() const;
  bool boolean() const;
  std::int64_t integer() const;
  std::uint64_t unsigned_integer() const; // only for values above INT64_MAX; smaller ones are `integer`
  double number() const;                  // also for both integers
  std::string_view string() const;
  std::size_t size() const; // array: elements, object: members

  // for_each_element(f): f(json_value); for_each_member(f): f(std::string_view key, json_value). f returns void.
  template<class F> void for_each_element(F&& f) const {
    for (auto at = first(); at != end(); at = next(at)) f(child(at));
  }
  template<class F> void for_each_member(F&& f) const {
    for (auto at = first(); at != end();) {
      const auto name = key(at);
      at = next(at);
      f(name, child(at));
      at = next(at);
    }
  }
  // The first member with this name (duplicates: the first wins), or absent.
  json_value find(std::string_view name) const;

 private:
  friend class json_parser;
  friend json_value make_json_value(const void*, std::size_t);
  using cursor = std::size_t;
  json_value(const void* tape, std::size_t index)
      : tape_(tape)
      , index_(index) {}
  cursor first() const;
  cursor end() const;
  cursor next(cursor at) const;
  json_value child(cursor at) const { return {tape_, at}; }
  std::string_view key(cursor at) const;

  const void* tape_ = nullptr;
  std::size_t index_ = 0;
};

// Bytes that must follow a text that is parsed in place (they are read, never interpreted).
inline constexpr std::size_t json_padding = 64;

class json_parser {
 public:
  json_parser();
  ~json_parser();
  json_parser(json_parser&&) noexcept;
  json_parser& operator=(json_parser&&) noexcept;

  // Parses text that is followed by at least json_padding readable bytes. bad_user_input when it is not JSON, is
  // nested deeper than `depth_max`, holds invalid UTF-8 or a number that no double reaches.
  //
  // What JSON's grammar allows and every JavaScript client may send is taken: an escape of half a surrogate pair is
  // U+FFFD, an integer of up to 21 digits beyond 64 bits is a double. Such texts cost a second parse.
  result<json_value> parse_padded(const char* text, std::size_t length);
  // The same for any text; copies it first.
  result<json_value> parse(std::string_view text);

  static constexpr int depth_max =
      1'024; // documents may have 32: more is the fault of one item, not of the message

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

// The value as a document. bad_user_input when it is nested deeper than document_depth_max.
result<document> to_document(const json_value& value);
// Appends it. False when it is nested deeper than document_depth_max: what was appended is then of no use.
bool write_document(document_writer& out, const json_value& value);

} // namespace mooring
