// A use of a type: a named type and the lists and non-nulls around it, as one small value.
//
// The wrappers are codes of two bits, the outermost in the lowest bits: `[Int!]!` is non_null, list,
// non_null. At most `wrappers_max` fit; the parser refuses deeper ones.
#pragma once

#include <cstdint>

namespace mooring::graphql {

using type_id = std::uint32_t; // dense in a schema: 0 … schema.types().size() - 1
inline constexpr type_id no_type = 0xffffffff;

class type_use {
 public:
  static constexpr int wrappers_max = 32;

  type_use() = default;
  explicit type_use(type_id named)
      : named_(named) {}

  type_id named() const { return named_; } // the innermost type
  bool is_non_null() const { return (wrappers_ & 3) == code_non_null; }
  bool is_list() const { return (wrappers_ & 3) == code_list; }
  bool is_named() const { return wrappers_ == 0; } // no wrapper left
  bool valid() const { return named_ != no_type; }

  // What the outermost wrapper wraps. REQUIRES: !is_named()
  type_use of() const { return {named_, wrappers_ >> 2}; }
  // Without the outermost non-null, when there is one.
  type_use nullable() const { return is_non_null() ? of() : *this; }

  // REQUIRES: fewer than wrappers_max wrappers; non_null: !is_non_null()
  type_use in_list() const { return {named_, wrappers_ << 2 | code_list}; }
  type_use as_non_null() const { return {named_, wrappers_ << 2 | code_non_null}; }

  bool operator==(const type_use&) const = default;

 private:
  static constexpr std::uint64_t code_list = 1;
  static constexpr std::uint64_t code_non_null = 2;
  type_use(type_id named, std::uint64_t wrappers)
      : named_(named)
      , wrappers_(wrappers) {}

  type_id named_ = no_type;
  std::uint64_t wrappers_ = 0;
};

} // namespace mooring::graphql
