// Cursors of the feed, and whom its places are meant for.
#include "sync/changes.hpp"

#include <doctest/doctest.h>

#include "sync/audience.hpp"

using namespace mooring;
using namespace mooring::sync;

TEST_CASE("a cursor reads back for its own tenant, and for no other") {
  for (const position at : {position{0}, position{1}, position{123456789}, ~position{0}}) {
    const auto text = encode_cursor("acme", at);
    CHECK(text.size() == 28);
    const auto back = decode_cursor("acme", text);
    REQUIRE(back.ok());
    CHECK(*back == at);
    const auto foreign = decode_cursor("other", text);
    REQUIRE_FALSE(foreign.ok());
    CHECK(foreign.failure().code == error_code::bad_user_input);
  }
}

TEST_CASE("the form of a cursor stays what it is, so that clients' cursors outlive an upgrade") {
  CHECK(encode_cursor("acme", 1) == encode_cursor("acme", 1));
  CHECK(encode_cursor("acme", 1) != encode_cursor("acme", 2));
  CHECK(encode_cursor("acme", 42) == "AeFYiF1lmK1EKgAAAAAAAAAuZYWR");
}

TEST_CASE("a cursor on the way from the beginning remembers where the head was, until it has come there") {
  const auto text = encode_cursor("acme", {7, 42});
  CHECK(text == "AgDhWIhdZZitRAcAAAAAAAAAKgAAAAAAAAB7F4mW");
  CHECK(text.size() == 40);
  CHECK(*decode_cursor("acme", text) == cursor{7, 42});
  CHECK_FALSE(decode_cursor("other", text).ok());
  CHECK(encode_cursor("acme", {42, 42}) == encode_cursor("acme", 42));
  CHECK(encode_cursor("acme", {43, 42}) == encode_cursor("acme", 43));
}

TEST_CASE("every change of a character makes a cursor invalid") {
  for (const auto& good : {encode_cursor("acme", 77), encode_cursor("acme", {77, 99})}) {
    for (std::size_t i = 0; i < good.size(); ++i)
      for (const char c : {'A', 'z', '9', '-', '_', '+', '/', '=', ' ', '\0', '\xff'}) {
        if (good[i] == c) continue;
        auto bad = good;
        bad[i] = c;
        CHECK_FALSE(decode_cursor("acme", bad).ok());
      }
    for (const auto& bad : {std::string(), good.substr(1), good.substr(0, good.size() - 4), good + "A",
                            good + "==", good + "AAAA", std::string(good.size(), 'A')})
      CHECK_FALSE(decode_cursor("acme", bad).ok());
  }
}

TEST_CASE("a reader behind the swept position must read everything again, one from the beginning need not") {
  CHECK(must_resync(3, 5));
  CHECK_FALSE(must_resync(5, 5));
  CHECK_FALSE(must_resync(6, 5));
  CHECK_FALSE(must_resync(0, 5));
  CHECK_FALSE(must_resync({3, 5}, 5)); // it came later than what was swept
  CHECK(must_resync({3, 5}, 6));
}

TEST_CASE("a reader ahead of the feed knows another life of it") {
  CHECK_FALSE(is_ahead(5, 5));
  CHECK(is_ahead(6, 5));
  CHECK(is_ahead({3, 6}, 5));
}

TEST_CASE("whom a place in the feed is meant for") {
  feed_slot slot;
  slot.kind = slot_kind::entity;
  slot.device = 4;
  CHECK(is_meant_for(slot, 7, 5)); // shared
  slot.owner = 7;
  CHECK(is_meant_for(slot, 7, 5));
  CHECK_FALSE(is_meant_for(slot, 8, 5)); // somebody else's
  CHECK_FALSE(is_meant_for(slot, 7, 4)); // its own edit
  slot.kind = slot_kind::conflict;
  CHECK(is_meant_for(slot, 7, 4)); // that its edit led to a conflict is news to it
  slot.kind = slot_kind::entity;
  slot.device = 0; // decided by nobody's device
  CHECK(is_meant_for(slot, 7, 0));
  CHECK(is_meant_for(slot, 7, 4));

  notification told;
  CHECK(is_meant_for(told, 4));
  told.only_device = 5;
  CHECK(is_meant_for(told, 5));
  CHECK_FALSE(is_meant_for(told, 4));
}
