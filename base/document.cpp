#include "base/document.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "base/hash.hpp"
#include "base/json_writer.hpp"

// msgpack, https://github.com/msgpack/msgpack/blob/master/spec.md: nil, false, true, int and uint of every width,
// float 64 (float 32 is read, never written), str, array, map with str keys. No bin, no ext: JSON has none.

namespace mooring {

namespace {

using byte = unsigned char;

std::uint64_t big_endian(const char* at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = (value << 8) | static_cast<byte>(at[i]);
  return value;
}

// What a value's first byte says. `head` bytes come before the payload; `length` is the payload's bytes for strings
// and numbers, the number of members for containers.
struct head {
  document_kind kind = document_kind::absent;
  std::size_t head_bytes = 0;
  std::uint64_t length = 0;
};

// kind absent: cut off, or a shape that documents do not have.
head read_head(std::string_view in) {
  if (in.empty()) return {};
  const auto first = static_cast<byte>(in[0]);
  const auto sized = [&](document_kind kind, std::size_t width) -> head {
    if (in.size() < 1 + width) return {};
    return {kind, 1 + width, big_endian(in.data() + 1, width)};
  };
  if (first <= 0x7f || first >= 0xe0) return {document_kind::integer, 1, 0};
  if (first <= 0x8f) return {document_kind::object, 1, first & 0x0fu};
  if (first <= 0x9f) return {document_kind::array, 1, first & 0x0fu};
  if (first <= 0xbf) return {document_kind::string, 1, first & 0x1fu};
  switch (first) {
  case 0xc0: return {document_kind::null, 1, 0};
  case 0xc2:
  case 0xc3: return {document_kind::boolean, 1, 0};
  case 0xca: return {document_kind::number, 1, 4};
  case 0xcb: return {document_kind::number, 1, 8};
  case 0xcc:
  case 0xd0: return {document_kind::integer, 1, 1};
  case 0xcd:
  case 0xd1: return {document_kind::integer, 1, 2};
  case 0xce:
  case 0xd2: return {document_kind::integer, 1, 4};
  case 0xcf:
  case 0xd3: return {document_kind::integer, 1, 8};
  case 0xd9: return sized(document_kind::string, 1);
  case 0xda: return sized(document_kind::string, 2);
  case 0xdb: return sized(document_kind::string, 4);
  case 0xdc: return sized(document_kind::array, 2);
  case 0xdd: return sized(document_kind::array, 4);
  case 0xde: return sized(document_kind::object, 2);
  case 0xdf: return sized(document_kind::object, 4);
  default: return {};
  }
}

// Bytes of the whole value at the front. REQUIRES: a well-formed document.
std::size_t value_bytes(std::string_view in) {
  const auto at = read_head(in);
  switch (at.kind) {
  case document_kind::array:
  case document_kind::object: {
    std::size_t used = at.head_bytes;
    const auto values = at.kind == document_kind::object ? at.length * 2 : at.length;
    for (std::uint64_t i = 0; i < values; ++i) used += value_bytes(in.substr(used));
    return used;
  }
  default: return at.head_bytes + at.length;
  }
}

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const byte*>(text.data());
  const auto* end = at + text.size();
  while (at < end) {
    if (*at < 0x80) {
      ++at;
      continue;
    }
    const auto more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
    if (*at < 0xc2 || *at > 0xf4 || end - at <= more) return false;
    const std::uint32_t first = *at;
    std::uint32_t code = first & (0x3fu >> more);
    for (int i = 1; i <= more; ++i) {
      if ((at[i] & 0xc0) != 0x80) return false;
      code = (code << 6) | (at[i] & 0x3fu);
    }
    constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    at += more + 1;
  }
  return true;
}

// Bytes of the valid value at the front, 0 when it is none.
std::size_t valid_bytes(std::string_view in, int depth) {
  const auto at = read_head(in);
  switch (at.kind) {
  case document_kind::absent: return 0;
  case document_kind::array:
  case document_kind::object: {
    if (depth == 0) return 0;
    std::size_t used = at.head_bytes;
    const bool object = at.kind == document_kind::object;
    for (std::uint64_t i = 0; i < at.length; ++i) {
      if (object) {
        if (read_head(in.substr(used)).kind != document_kind::string) return 0;
        const auto key = valid_bytes(in.substr(used), 0);
        if (key == 0) return 0;
        used += key;
      }
      const auto member = valid_bytes(in.substr(used), depth - 1);
      if (member == 0) return 0;
      used += member;
    }
    return used;
  }
  case document_kind::string: {
    if (in.size() - at.head_bytes < at.length) return 0;
    return is_utf8(in.substr(at.head_bytes, at.length)) ? at.head_bytes + at.length : 0;
  }
  default: return in.size() - at.head_bytes < at.length ? 0 : at.head_bytes + at.length;
  }
}

struct any_number {
  enum { negative, positive, real } is = positive;
  std::uint64_t bits = 0; // two's complement when negative, the value when positive
  double value = 0;       // when real
};

any_number number_at(std::string_view in) {
  const auto first = static_cast<byte>(in[0]);
  const auto at_signed = [](std::int64_t value) -> any_number {
    return {value < 0 ? any_number::negative : any_number::positive, static_cast<std::uint64_t>(value), 0};
  };
  if (first <= 0x7f) return {any_number::positive, first, 0};
  if (first >= 0xe0) return at_signed(static_cast<signed char>(first));
  const char* payload = in.data() + 1;
  switch (first) {
  case 0xcc: return {any_number::positive, big_endian(payload, 1), 0};
  case 0xcd: return {any_number::positive, big_endian(payload, 2), 0};
  case 0xce: return {any_number::positive, big_endian(payload, 4), 0};
  case 0xcf: return {any_number::positive, big_endian(payload, 8), 0};
  case 0xd0: return at_signed(static_cast<std::int8_t>(big_endian(payload, 1)));
  case 0xd1: return at_signed(static_cast<std::int16_t>(big_endian(payload, 2)));
  case 0xd2: return at_signed(static_cast<std::int32_t>(big_endian(payload, 4)));
  case 0xd3: return at_signed(static_cast<std::int64_t>(big_endian(payload, 8)));
  case 0xca:
    return {any_number::real, 0, std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(payload, 4)))};
  default: return {any_number::real, 0, std::bit_cast<double>(big_endian(payload, 8))};
  }
}

double as_double(const any_number& n) {
  if (n.is == any_number::real) return n.value;
  return n.is == any_number::negative ? static_cast<double>(static_cast<std::int64_t>(n.bits))
                                      : static_cast<double>(n.bits);
}

// A real that is a whole number in 64-bit range becomes that integer, so that 1 and 1.0 are one value.
any_number normal(any_number n) {
  if (n.is != any_number::real || n.value != std::floor(n.value)) return n;
  if (n.value >= -9223372036854775808.0 && n.value < 0)
    return {any_number::negative, static_cast<std::uint64_t>(static_cast<std::int64_t>(n.value)), 0};
  if (n.value >= 0 && n.value < 18446744073709551616.0)
    return {any_number::positive, static_cast<std::uint64_t>(n.value), 0};
  return n;
}

bool numbers_equal(any_number a, any_number b) {
  a = normal(a);
  b = normal(b);
  if (a.is != b.is) return false;
  return a.is == any_number::real ? a.value == b.value : a.bits == b.bits;
}

bool is_numeric(document_kind kind) {
  return kind == document_kind::integer || kind == document_kind::number;
}

} // namespace

document_kind kind_of(std::string_view value) {
  return read_head(value).kind;
}

std::size_t size_of(std::string_view value) {
  return read_head(value).length;
}

std::string_view string_of(std::string_view value) {
  const auto at = read_head(value);
  return value.substr(at.head_bytes, at.length);
}

bool boolean_of(std::string_view value) {
  return static_cast<byte>(value[0]) == 0xc3;
}

double number_of(std::string_view value) {
  return as_double(number_at(value));
}

std::int64_t integer_of(std::string_view value) {
  const auto n = number_at(value);
  if (n.is == any_number::positive)
    return static_cast<std::int64_t>(std::min<std::uint64_t>(n.bits, INT64_MAX));
  return n.is == any_number::negative ? static_cast<std::int64_t>(n.bits)
                                      : static_cast<std::int64_t>(n.value);
}

std::vector<document_field> fields_of(std::string_view object) {
  const auto at = read_head(object);
  std::vector<document_field> out;
  out.reserve(at.length);
  std::size_t used = at.head_bytes;
  for (std::uint64_t i = 0; i < at.length; ++i) {
    const auto key = read_head(object.substr(used));
    const auto name = object.substr(used + key.head_bytes, key.length);
    used += key.head_bytes + key.length;
    const auto bytes = value_bytes(object.substr(used));
    out.push_back({name, object.substr(used, bytes)});
    used += bytes;
  }
  return out;
}

std::vector<std::string_view> elements_of(std::string_view array) {
  const auto at = read_head(array);
  std::vector<std::string_view> out;
  out.reserve(at.length);
  std::size_t used = at.head_bytes;
  for (std::uint64_t i = 0; i < at.length; ++i) {
    const auto bytes = value_bytes(array.substr(used));
    out.push_back(array.substr(used, bytes));
    used += bytes;
  }
  return out;
}

std::optional<std::string_view> find_field(std::string_view object, std::string_view name) {
  const auto at = read_head(object);
  std::size_t used = at.head_bytes;
  for (std::uint64_t i = 0; i < at.length; ++i) {
    const auto key = read_head(object.substr(used));
    const bool found = object.substr(used + key.head_bytes, key.length) == name;
    used += key.head_bytes + key.length;
    const auto bytes = value_bytes(object.substr(used));
    if (found) return object.substr(used, bytes);
    used += bytes;
  }
  return std::nullopt;
}

bool documents_equal(std::string_view a, std::string_view b) {
  if (a == b) return true;
  if (a.empty() || b.empty()) return false;
  const auto head_a = read_head(a), head_b = read_head(b);
  if (is_numeric(head_a.kind) && is_numeric(head_b.kind)) return numbers_equal(number_at(a), number_at(b));
  if (head_a.kind != head_b.kind || head_a.length != head_b.length) return false;
  switch (head_a.kind) {
  case document_kind::string: return string_of(a) == string_of(b);
  case document_kind::boolean: return a[0] == b[0];
  case document_kind::null: return true;
  case document_kind::array: {
    const auto in_a = elements_of(a), in_b = elements_of(b);
    return std::equal(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), documents_equal);
  }
  case document_kind::object: {
    auto in_a = fields_of(a), in_b = fields_of(b);
    const auto same = [](const document_field& x, const document_field& y) {
      return x.name == y.name && documents_equal(x.value, y.value);
    };
    if (std::equal(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), same)) return true;
    const auto by_name = [](const document_field& x, const document_field& y) { return x.name < y.name; };
    std::sort(in_a.begin(), in_a.end(), by_name);
    std::sort(in_b.begin(), in_b.end(), by_name);
    return std::equal(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), same);
  }
  default: return false;
  }
}

namespace {

// Of the value at the front; `used` grows by its bytes.
std::uint64_t hash_front(std::string_view in, std::size_t& used) {
  const auto at = read_head(in);
  const auto kind = static_cast<std::uint64_t>(at.kind);
  std::size_t here = at.head_bytes;
  switch (at.kind) {
  case document_kind::absent: return 0;
  case document_kind::array: {
    std::uint64_t mixed = kind;
    for (std::uint64_t i = 0; i < at.length; ++i) {
      const std::uint64_t words[2] = {mixed, hash_front(in.substr(here), here)};
      mixed = hash64({reinterpret_cast<const char*>(words), sizeof words}, kind);
    }
    used += here;
    return mixed;
  }
  case document_kind::object: {
    std::uint64_t sum = kind; // a sum, so that the members' order does not count
    for (std::uint64_t i = 0; i < at.length; ++i) {
      const auto key = read_head(in.substr(here));
      const auto name = in.substr(here + key.head_bytes, key.length);
      here += key.head_bytes + key.length;
      sum += hash64(name, hash_front(in.substr(here), here));
    }
    used += here;
    return hash64({reinterpret_cast<const char*>(&sum), sizeof sum}, kind);
  }
  default: break;
  }
  used += at.head_bytes + at.length;
  switch (at.kind) {
  case document_kind::integer:
  case document_kind::number: {
    const auto n = normal(number_at(in));
    const std::uint64_t words[2] = {static_cast<std::uint64_t>(n.is),
                                    n.is == any_number::real ? std::bit_cast<std::uint64_t>(n.value)
                                                             : n.bits};
    return hash64({reinterpret_cast<const char*>(words), sizeof words}, 1);
  }
  case document_kind::string: return hash64(in.substr(at.head_bytes, at.length), kind);
  default: return hash64(in.substr(0, 1), kind);
  }
}

} // namespace

std::uint64_t hash_document(std::string_view value) {
  std::size_t used = 0;
  return hash_front(value, used);
}

// A tag and `width` bytes of `value`, big-endian.
void document_writer::head(unsigned tag, std::uint64_t value, std::size_t width) {
  char bytes[1 + sizeof value];
  bytes[0] = static_cast<char>(tag);
  std::uint64_t payload = width == 0 ? 0 : value << (64 - 8 * width);
  if constexpr (std::endian::native == std::endian::little) payload = __builtin_bswap64(payload);
  std::memcpy(bytes + 1, &payload, sizeof payload);
  out_.append(bytes, 1 + width);
}

// The head of an array or object: in the tag itself up to 15, then in 2 bytes under `tag16`, in 4 under the next tag.
void document_writer::container(unsigned fixed, unsigned tag16, std::uint64_t members) {
  if (members <= 15) return head(fixed | static_cast<unsigned>(members), 0, 0);
  if (members <= 0xffff) return head(tag16, members, 2);
  head(tag16 + 1, members, 4);
}

void document_writer::null() {
  head(0xc0, 0, 0);
}
void document_writer::boolean(bool value) {
  head(value ? 0xc3 : 0xc2, 0, 0);
}
void document_writer::number(double value) {
  head(0xcb, std::bit_cast<std::uint64_t>(value), 8);
}
void document_writer::begin_array(std::size_t elements) {
  container(0x90, 0xdc, elements);
}
void document_writer::begin_object(std::size_t members) {
  container(0x80, 0xde, members);
}
void document_writer::key(std::string_view name) {
  string(name);
}

void document_writer::unsigned_integer(std::uint64_t value) {
  if (value <= 0x7f) return head(static_cast<unsigned>(value), 0, 0);
  if (value <= 0xff) return head(0xcc, value, 1);
  if (value <= 0xffff) return head(0xcd, value, 2);
  if (value <= 0xffffffff) return head(0xce, value, 4);
  head(0xcf, value, 8);
}

void document_writer::integer(std::int64_t value) {
  if (value >= 0) return unsigned_integer(static_cast<std::uint64_t>(value));
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= -32) return head(static_cast<unsigned char>(value), 0, 0);
  if (value >= INT8_MIN) return head(0xd0, bits, 1);
  if (value >= INT16_MIN) return head(0xd1, bits, 2);
  if (value >= INT32_MIN) return head(0xd2, bits, 4);
  head(0xd3, bits, 8);
}

void document_writer::string(std::string_view value) {
  constexpr std::size_t short_max = 31;
  if (value.size() <= short_max) { // most of them: one append
    char bytes[1 + short_max];
    bytes[0] = static_cast<char>(0xa0 | value.size());
    if (!value.empty()) std::memcpy(bytes + 1, value.data(), value.size());
    out_.append(bytes, 1 + value.size());
    return;
  }
  if (value.size() <= 0xff)
    head(0xd9, value.size(), 1);
  else if (value.size() <= 0xffff)
    head(0xda, value.size(), 2);
  else
    head(0xdb, value.size(), 4);
  out_.append(value);
}

void document_writer::value(std::string_view document_bytes) {
  out_.append(document_bytes);
}

document empty_object() {
  return document{std::string(1, static_cast<char>(0x80))};
}

document null_document() {
  return document{std::string(1, static_cast<char>(0xc0))};
}

document merge_patch(std::string_view target, std::string_view patch) {
  if (kind_of(patch) != document_kind::object) return document{std::string(patch)};
  std::vector<document_field> kept; // a member that was removed has no value
  if (kind_of(target) == document_kind::object) kept = fields_of(target);
  // Members that were there keep their place; new ones follow in the patch's order.
  std::vector<document> made; // owns merged members while they are collected
  const auto changes = fields_of(patch);
  made.reserve(changes.size());
  kept.reserve(kept.size() + changes.size());
  // A few members are found fastest by looking at each; with thousands that would take a time of their square.
  std::map<std::string_view, std::size_t> places;
  const bool many = kept.size() + changes.size() > 64;
  if (many)
    for (std::size_t i = 0; i < kept.size(); ++i) places.try_emplace(kept[i].name, i);
  const auto find = [&](std::string_view name) -> document_field* {
    if (many) {
      const auto at = places.find(name);
      return at == places.end() ? nullptr : &kept[at->second];
    }
    for (auto& field : kept)
      if (field.name == name && !field.value.empty()) return &field;
    return nullptr;
  };
  std::size_t members = kept.size();
  for (const auto& change : changes) {
    auto* there = find(change.name);
    if (kind_of(change.value) == document_kind::null) {
      if (there == nullptr) continue;
      there->value = {};
      --members;
      if (many) places.erase(change.name);
      continue;
    }
    std::string_view value = change.value;
    if (kind_of(value) == document_kind::object) { // merged even when new: nested nulls must go
      made.push_back(merge_patch(there != nullptr ? there->value : std::string_view{}, value));
      value = made.back().bytes;
    }
    if (there != nullptr) {
      there->value = value;
    } else {
      kept.push_back({change.name, value});
      if (many) places.emplace(change.name, kept.size() - 1);
      ++members;
    }
  }
  document_writer out;
  out.begin_object(members);
  for (const auto& field : kept) {
    if (field.value.empty()) continue;
    out.key(field.name);
    out.value(field.value);
  }
  return out.take();
}

bool is_valid_document(std::string_view bytes) {
  return !bytes.empty() && valid_bytes(bytes, stored_document_depth_max) == bytes.size();
}

namespace {

std::size_t append_value(std::string& out, std::string_view in) {
  const auto at = read_head(in);
  switch (at.kind) {
  case document_kind::null: out.append("null"); return 1;
  case document_kind::boolean: append_json_boolean(out, boolean_of(in)); return 1;
  case document_kind::integer: {
    const auto n = number_at(in);
    if (n.is == any_number::negative || n.bits <= INT64_MAX)
      append_json_integer(out, static_cast<std::int64_t>(n.bits));
    else
      out.append(std::to_string(n.bits));
    return at.head_bytes + at.length;
  }
  case document_kind::number: append_json_number(out, number_of(in)); return at.head_bytes + at.length;
  case document_kind::string:
    append_json_string(out, in.substr(at.head_bytes, at.length));
    return at.head_bytes + at.length;
  case document_kind::array:
  case document_kind::object: {
    const bool object = at.kind == document_kind::object;
    std::size_t used = at.head_bytes;
    out.push_back(object ? '{' : '[');
    for (std::uint64_t i = 0; i < at.length; ++i) {
      if (i > 0) out.push_back(',');
      if (object) {
        used += append_value(out, in.substr(used));
        out.push_back(':');
      }
      used += append_value(out, in.substr(used));
    }
    out.push_back(object ? '}' : ']');
    return used;
  }
  case document_kind::absent: break;
  }
  MOORING_CHECK(false, "a well-formed document");
}

} // namespace

void append_json(std::string& out, std::string_view value) {
  append_value(out, value);
}

std::string to_json(const document& value) {
  std::string out;
  append_value(out, value.bytes);
  return out;
}

} // namespace mooring
