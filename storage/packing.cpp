#include "storage/packing.hpp"

#include <array>

namespace mooring::storage {

namespace {

// What a first byte says: bytes before the payload (0: no value of a document), how many of them at the end
// tell a length, and what that length counts.
struct shape {
  std::uint8_t head = 0;
  std::uint8_t length_bytes = 0;
  std::uint8_t payload = 0; // bytes behind the head, when there is no length
  std::uint8_t values = 0;  // values behind the head: 0 none, else `payload` or the length, times this
};

constexpr std::array<shape, 256> make_shapes() {
  std::array<shape, 256> all{};
  for (unsigned b = 0; b < 256; ++b) {
    auto& s = all[b];
    if (b <= 0x7f || b >= 0xe0)
      s = {1, 0, 0, 0};
    else if (b <= 0x8f)
      s = {1, 0, static_cast<std::uint8_t>(b & 15), 2};
    else if (b <= 0x9f)
      s = {1, 0, static_cast<std::uint8_t>(b & 15), 1};
    else if (b <= 0xbf)
      s = {1, 0, static_cast<std::uint8_t>(b & 31), 0};
  }
  all[0xc0] = all[0xc2] = all[0xc3] = {1, 0, 0, 0};
  all[0xca] = {1, 0, 4, 0};
  all[0xcb] = {1, 0, 8, 0};
  for (unsigned n = 0; n < 4; ++n)
    all[0xcc + n] = all[0xd0 + n] = {1, 0, static_cast<std::uint8_t>(1u << n), 0};
  for (unsigned n = 0; n < 3; ++n)
    all[0xd9 + n] = {static_cast<std::uint8_t>(1 + (1u << n)), static_cast<std::uint8_t>(1u << n), 0, 0};
  for (unsigned n = 0; n < 2; ++n) {
    const auto width = static_cast<std::uint8_t>(2u << n);
    all[0xdc + n] = {static_cast<std::uint8_t>(1 + width), width, 0, 1};
    all[0xde + n] = {static_cast<std::uint8_t>(1 + width), width, 0, 2};
  }
  return all;
}
constexpr auto shapes = make_shapes();

constexpr bool is_string(unsigned char first) {
  return (first >= 0xa0 && first <= 0xbf) || (first >= 0xd9 && first <= 0xdb);
}

constexpr int depth_max = 64; // more than documents have; the walk needs no stack of its own beyond it

} // namespace

bool is_whole_document(std::string_view bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto* const end = at + bytes.size();
  // Values still to come, at each depth; in objects every second one, counted down from an even number, is a
  // key.
  std::uint64_t left[depth_max];
  bool object[depth_max];
  int depth = 0;
  left[0] = 1;
  object[0] = false;
  for (;;) {
    while (left[depth] == 0) {
      if (depth == 0) return at == end;
      --depth;
    }
    if (at == end) return false;
    const auto first = *at;
    const auto& s = shapes[first];
    if (s.head == 0 || (object[depth] && left[depth] % 2 == 0 && !is_string(first))) return false;
    --left[depth];
    if (static_cast<std::size_t>(end - at) < s.head) return false;
    std::uint64_t length = s.payload;
    for (unsigned i = 1; i <= s.length_bytes; ++i) length = length << 8 | at[i];
    at += s.head;
    const auto room = static_cast<std::uint64_t>(end - at);
    if (s.values == 0) {
      if (room < length) return false;
      at += length;
    } else {
      length *= s.values;
      if (room < length || ++depth == depth_max) return false;
      left[depth] = length;
      object[depth] = s.values == 2;
    }
  }
}

} // namespace mooring::storage
