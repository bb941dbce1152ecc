// sync/changes.hpp: a cursor as a client sends it. Whatever it is, it is a place or BAD_USER_INPUT, and there is
// only one text for each place.
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "sync/changes.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), length);
  const auto read = sync::decode_cursor("acme", text);
  if (read.ok()) {
    MOORING_CHECK(sync::encode_cursor("acme", *read) == text, "a cursor has one text");
    MOORING_CHECK(!sync::decode_cursor("other", text).ok(), "a cursor belongs to one tenant");
  } else {
    MOORING_CHECK(read.failure().code == error_code::bad_user_input, "a bad cursor is the client's error");
  }
  // The bytes as a tenant's name and two positions: what is written reads back.
  sync::position at = 0, begun = 0;
  for (std::size_t i = 0; i < length && i < 8; ++i) at = (at << 8) | bytes[i];
  for (std::size_t i = 8; i < length && i < 16; ++i) begun = (begun << 8) | bytes[i];
  const sync::cursor place{at, begun};
  const auto back = sync::decode_cursor(text, sync::encode_cursor(text, place));
  MOORING_CHECK(back.ok() && *back == place, "a cursor reads back");
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  for (const sync::cursor at : {sync::cursor{0}, {1}, {sync::position{1} << 40}, {3, 9}}) {
    const auto text = sync::encode_cursor("acme", at);
    add(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
}
