// Reading JSON: what the grammar allows and phones send, and what is refused.
#include "base/json.hpp"

#include <string>

#include <doctest/doctest.h>

#include "base/json_repair.hpp"

using namespace mooring;

TEST_CASE("half a surrogate pair is U+FFFD, in values and names; pairs and other escapes stay") {
  json_parser parser;
  const auto read = [&](const std::string& text) {
    auto parsed = parser.parse("[\"" + text + "\",{\"" + text + "\":1}]");
    REQUIRE(parsed.ok());
    std::string value, name;
    parsed->for_each_element([&](json_value one) {
      if (one.kind() == json_kind::string)
        value = one.string();
      else
        one.for_each_member([&](std::string_view key, json_value) { name = key; });
    });
    CHECK(value == name);
    return value;
  };
  const std::string lost = "\xef\xbf\xbd", smile = "\xf0\x9f\x98\x80";
  CHECK(read(R"(hello \ud83d)") == "hello " + lost);
  CHECK(read(R"(\uDE00)") == lost);
  CHECK(read(R"(\ud83d\ude00)") == smile);
  CHECK(read(R"(\ud83d\ud83d\ude00\ude00)") == lost + smile + lost);
  CHECK(read(R"(\ud83d\n)") == lost + "\n");
  CHECK(read(R"(\ud83d\u0041)") == lost + "A");
  CHECK(read(R"(\\ud83d \ud83d)") == "\\ud83d " + lost);
  CHECK(read(R"(\"\ud83d\")") == "\"" + lost + "\"");
  CHECK(read(R"(\ud83d 99999999999999999999)") == lost + " 99999999999999999999");
}

TEST_CASE(
    "numbers that JavaScript writes with all their digits are doubles; what is more than that is refused") {
  json_parser parser;
  const auto number = [&](const std::string& text) {
    auto parsed = parser.parse("{\"a\":[" + text + "]}");
    if (!parsed) return std::string("refused");
    std::string out;
    parsed->find("a").for_each_element([&](json_value one) {
      if (one.kind() == json_kind::number)
        out += "double " + std::to_string(one.number());
      else if (one.kind() == json_kind::integer)
        out += "integer " + std::to_string(one.integer());
      else
        out += "unsigned " + std::to_string(one.unsigned_integer());
    });
    return out;
  };
  CHECK(number("18446744073709551615") == "unsigned 18446744073709551615");
  CHECK(number("18446744073709551616") == "double 18446744073709551616.000000");
  CHECK(number("100000000000000000000") == "double 100000000000000000000.000000");
  CHECK(number("-9223372036854775808") == "integer -9223372036854775808");
  CHECK(number("-9223372036854775809") == "double -9223372036854775808.000000");
  CHECK(number("-100000000000000000000") == "double -100000000000000000000.000000");
  CHECK(number("99999999999999999999.5") == "double 100000000000000000000.000000");
  CHECK(number("1e-20,100000000000000000000") != "refused");
  CHECK(number("1000000000000000000000") == "refused"); // JavaScript would write 1e+21
  CHECK(number("1234567890123456789012345678901234567") == "refused");
  CHECK(number("1e400") == "refused");
  CHECK(number("00000000000000000000") == "refused");
  CHECK(number("-") == "refused");
}

TEST_CASE("what cannot be repaired stays as it is") {
  for (const auto* text :
       {"", "{}", "\"", "\"\\", "\"\\u", "\"\\ud8", "[1,2.5,\"a\"]", "\"\\ude", "nonsense 12 \"x"})
    CHECK_FALSE(repaired_json(text).has_value());
  CHECK(repaired_json("\"\\ud800") == "\"\\ufffd"); // no JSON, before and after
  json_parser parser;
  CHECK_FALSE(parser.parse("\"\\ud800").ok());
  CHECK_FALSE(parser.parse("[\"\\ud800\"").ok());
}

TEST_CASE("a large text's memory is given back after a while, and reading goes on") {
  json_parser parser;
  const std::string large = "[\"" + std::string(4 << 20, 'x') + "\"]";
  for (int round = 0; round < 3; ++round) {
    auto parsed = parser.parse(large);
    REQUIRE(parsed.ok());
    CHECK(parsed->size() == 1);
    for (int n = 0; n < 200; ++n) {
      auto small = parser.parse("[1,2,3]");
      REQUIRE(small.ok());
      CHECK(small->size() == 3);
    }
  }
}
