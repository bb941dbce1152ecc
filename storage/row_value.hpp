// The frame of every stored value, and what the codecs of its bodies share. See storage/codec.hpp, of which this
// is the inside; nobody else includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/document.hpp"
#include "base/result.hpp"
#include "storage/codec.hpp"
#include "storage/keys.hpp"
#include "storage/packing.hpp"
#include "sync/model.hpp"

namespace mooring::storage {

inline constexpr std::size_t number_bytes = 9; // the longest msgpack number
inline constexpr std::size_t head_bytes = 5;   // the longest head of a string, bin or array
inline constexpr std::size_t table_at = 9;     // where a key says its table

// The difference of two 64-bit values, whatever they are: decoding adds it back.
inline std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}
inline std::int64_t difference(instant a, instant b) {
  return difference(static_cast<std::uint64_t>(a.ms), static_cast<std::uint64_t>(b.ms));
}
inline std::uint64_t sum(std::uint64_t a, std::int64_t b) {
  return a + static_cast<std::uint64_t>(b);
}
inline instant sum(instant a, std::int64_t ms) {
  return {static_cast<std::int64_t>(sum(static_cast<std::uint64_t>(a.ms), ms))};
}

template<class Enum> std::uint64_t number_of_enum(Enum value) {
  return static_cast<std::uint64_t>(value);
}

// The version before the body and the checksum after it.
class sealed_value {
 public:
  sealed_value(packer& out, std::string_view key, std::size_t body_bytes_max)
      : out_(out)
      , key_(key) {
    out.room(body_bytes_max + record_overhead_bytes);
    start_ = out.size();
    out.byte(record_version(static_cast<table>(key[table_at])));
  }
  ~sealed_value() { out_.little32(crc32c(out_.since(start_), crc32c(key_))); }
  sealed_value(const sealed_value&) = delete;
  sealed_value& operator=(const sealed_value&) = delete;

 private:
  packer& out_;
  std::string_view key_;
  std::size_t start_ = 0;
};

// A failure that names the row.
error row_error(std::string_view key, std::string_view what);

struct opened_value {
  std::uint8_t version;
  std::string_view body;
};

// The body of a value whose checksum is right and whose version is known. REQUIRES: the key is one of `in`.
result<opened_value> open_value(std::string_view key, std::string_view value, table in);

// Opens the value, checks that the key is one of `in`, and has `read(unpacker&, const key_parts&, T&)` read
// the body; with the record's version before them when it asks for it.
template<class T, class Read>
result<T> decode(std::string_view key, std::string_view value, table in, Read&& read) {
  const auto parts = parse_key(key);
  if (!parts || parts->in != in) return row_error(key, "not a key of this table");
  const auto opened = open_value(key, value, in);
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  result<T> out{T{}};
  if constexpr (std::is_invocable_v<Read, std::uint8_t, unpacker&, const key_parts&, T&>)
    read(opened->version, from, *parts, *out);
  else
    read(from, *parts, *out);
  if (!from.whole()) return row_error(key, "the value has another shape than its version");
  return out;
}

// Fails unless an array of so many elements is next.
inline void expect_array(unpacker& from, std::size_t elements) {
  if (from.array() != elements) from.fail();
}

// Fails when it is none.
document read_document(unpacker& from);

} // namespace mooring::storage
