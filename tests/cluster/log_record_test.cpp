#include <doctest/doctest.h>

#include "cluster/log_record.hpp"

using namespace mooring;
using namespace mooring::cluster;

namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const auto byte : bytes) {
    const char digits[] = "0123456789abcdef";
    out.push_back(digits[static_cast<unsigned char>(byte) >> 4]);
    out.push_back(digits[static_cast<unsigned char>(byte) & 15]);
  }
  return out;
}

// Every byte of a row matters: changing any of them must not go unseen.
template<class Decoder> void check_every_byte(std::string row, Decoder decode) {
  for (std::size_t at = 0; at < row.size(); ++at) {
    row[at] = static_cast<char>(row[at] ^ 0x40);
    CHECK_FALSE(decode(row).ok());
    row[at] = static_cast<char>(row[at] ^ 0x40);
  }
  for (std::size_t length = 0; length < row.size(); ++length) CHECK_FALSE(decode(row.substr(0, length)).ok());
  CHECK(decode(row).ok());
  CHECK_FALSE(decode(row + '\0').ok());
}

} // namespace

TEST_CASE("a log key sorts by index and gives it back") {
  CHECK(hex(log_key(1).view()) == "0f0000000000000001");
  CHECK(hex(log_key(0x0102030405060708).view()) == "0f0102030405060708");
  CHECK(log_key(255).view() < log_key(256).view());
  CHECK(index_of_log_key(log_key(77).view()) == 77);
  CHECK(index_of_log_key("\x0f") == 0);
  CHECK(index_of_log_key(hard_state_key) == 0);
  CHECK(hard_state_key < applied_key);
  CHECK(identity_key < log_key(1).view());
}

TEST_CASE("the rows of the worked example in docs/raft_log.md have its bytes") {
  CHECK(hex(encode_hard_state({3, 1})) == "0100000015f7d7ae03000000000000000100000000000000");
  CHECK(hex(encode_applied({2, 3, 3, 0x1122334455667788})) ==
        "01000000b8d97d280200000000000000030000000000000003000000000000008877665544332211");
  std::string row;
  encode_log_entry(row, 2, {3, entry_type::command, 0, "abc"});
  CHECK(hex(row) == "010100000626001203000000000000000000000000000000616263");
}

TEST_CASE("small rows come back as written, and no damage goes unseen") {
  const hard_state hard{9, 2};
  CHECK(*decode_hard_state(encode_hard_state(hard)) == hard);
  check_every_byte(encode_hard_state(hard), decode_hard_state);

  const applied_state applied{100, 9, 90, 42};
  CHECK(*decode_applied(encode_applied(applied)) == applied);
  check_every_byte(encode_applied(applied), decode_applied);
  const applied_state in_parts{100, 9, 90, 42, 120};
  CHECK(*decode_applied(encode_applied(in_parts)) == in_parts);
  check_every_byte(encode_applied(in_parts), decode_applied);

  const identity who{2, {5, 3, {{1, "a:1"}, {2, ""}, {3, std::string(255, 'x')}}}};
  CHECK(*decode_identity(encode_identity(who)) == who);
  check_every_byte(encode_identity(who), decode_identity);
}

TEST_CASE("a log entry comes back as written, and not under another index") {
  std::string row;
  for (const auto& body : {std::string(), std::string("x"), std::string(10'000, 'y')}) {
    encode_log_entry(row, 5, {7, entry_type::barrier, 99, body});
    const auto back = decode_log_entry(5, row);
    REQUIRE(back.ok());
    CHECK(back->term == 7);
    CHECK(back->type == entry_type::barrier);
    CHECK(back->previous_chain == 99);
    CHECK(back->body == body);
    CHECK_FALSE(decode_log_entry(6, row).ok());
  }
  encode_log_entry(row, 5, {7, entry_type::command, 99, "body"});
  check_every_byte(row, [](std::string_view bytes) { return decode_log_entry(5, bytes); });
}

TEST_CASE("an impossible applied row is refused although its checksum is right") {
  for (const applied_state& bad :
       {applied_state{0, 1, 1, 0}, {1, 0, 1, 0}, {1, 1, 0, 0}, {1, 1, 3, 0}, {5, 1, 5, 0, 5}})
    CHECK_FALSE(decode_applied(encode_applied(bad)).ok());
}

TEST_CASE("a row of a newer format says so") {
  auto row = encode_hard_state({1, 0});
  row[0] = 2;
  CHECK(decode_hard_state(row).failure().message.find("format version 2") != std::string::npos);
}

TEST_CASE("an entry of an unknown type is refused although its checksum is right") {
  std::string row;
  encode_log_entry(row, 5, {7, static_cast<entry_type>(3), 0, "body"});
  CHECK(decode_log_entry(5, row).failure().message.find("unknown type") != std::string::npos);
}
