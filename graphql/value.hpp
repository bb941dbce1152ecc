// value: an argument after coercion (GraphQL October 2021, 3.x "Input Coercion" and 6.4.1), 16 bytes, in an
// arena.
//
// A tree of these is what a resolver gets. Objects are spans by input-field ordinal (the order of the SDL),
// with `absent` where the client gave nothing and there is no default. Text and children live in the
// request's buffers, the request's arena or the plan: they are valid only during the resolver's call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace mooring::graphql {

enum class value_kind : std::uint8_t {
  absent,      // not given, and no default
  null,        // given as null
  boolean,     // Boolean
  integer,     // Int
  number,      // Float (integers were converted)
  string,      // String, ID (integers were converted to text) and every scalar of kind opaque_string
  enumeration, // ordinal of the enum's value in the schema
  list,
  object,
  json, // scalars of a json kind: the bytes of a mooring::document
};

class value {
 public:
  constexpr value() = default;

  static value make_null() { return with(value_kind::null); }
  static value make_boolean(bool is) {
    auto out = with(value_kind::boolean);
    out.boolean_ = is;
    return out;
  }
  static value make_integer(std::int32_t is) {
    auto out = with(value_kind::integer);
    out.integer_ = is;
    return out;
  }
  static value make_number(double is) {
    auto out = with(value_kind::number);
    out.number_ = is;
    return out;
  }
  static value make_enumeration(std::uint32_t ordinal) {
    auto out = with(value_kind::enumeration);
    out.size_ = ordinal;
    return out;
  }
  // The bytes and the children stay where they are: they must outlive the value.
  static value make_string(std::string_view text) { return with(value_kind::string, text); }
  static value make_json(std::string_view document_bytes) { return with(value_kind::json, document_bytes); }
  static value make_list(std::span<const value> items) { return with(value_kind::list, items); }
  static value make_object(std::span<const value> fields) { return with(value_kind::object, fields); }

  value_kind kind() const { return kind_; }
  bool absent() const { return kind_ == value_kind::absent; }
  // Neither absent nor null.
  bool given() const { return kind_ > value_kind::null; }

  // REQUIRES in each: the kind that the name says. What the schema's type promises need not be asked again.
  bool boolean() const { return boolean_; }
  std::int32_t integer() const { return integer_; }
  double number() const { return number_; }
  std::string_view string() const { return {text_, size_}; }
  std::uint32_t ordinal() const { return size_; }
  std::string_view json() const { return {text_, size_}; } // empty when json_too_deep()
  // Scalars of kind json_any_depth: the client's JSON nests deeper than document_depth_max, so there is no
  // document.
  bool json_too_deep() const { return kind_ == value_kind::json && size_ == 0; }
  std::span<const value> items() const { return {children_, size_}; }
  // An object's field by ordinal.
  const value& operator[](std::size_t ordinal) const { return children_[ordinal]; }
  std::span<const value> fields() const { return {children_, size_}; }

  // For nullable types: nothing when absent or null.
  std::optional<bool> optional_boolean() const { return given() ? std::optional(boolean_) : std::nullopt; }
  std::optional<std::int32_t> optional_integer() const {
    return given() ? std::optional(integer_) : std::nullopt;
  }
  std::optional<double> optional_number() const { return given() ? std::optional(number_) : std::nullopt; }
  std::optional<std::string_view> optional_string() const {
    return given() ? std::optional(string()) : std::nullopt;
  }

 private:
  static value with(value_kind kind) {
    value out;
    out.kind_ = kind;
    return out;
  }
  static value with(value_kind kind, std::string_view text) {
    auto out = with(kind);
    out.text_ = text.data();
    out.size_ = static_cast<std::uint32_t>(text.size());
    return out;
  }
  static value with(value_kind kind, std::span<const value> children) {
    auto out = with(kind);
    out.children_ = children.data();
    out.size_ = static_cast<std::uint32_t>(children.size());
    return out;
  }

  union {
    std::int64_t nothing_ = 0;
    bool boolean_;
    std::int32_t integer_;
    double number_;
    const char* text_;
    const value* children_;
  };
  std::uint32_t size_ = 0; // bytes, items, fields, or the enum's ordinal
  value_kind kind_ = value_kind::absent;
};
static_assert(sizeof(value) == 16);

} // namespace mooring::graphql
