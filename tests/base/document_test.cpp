#include "base/document.hpp"

#include <doctest/doctest.h>

#include <random>

#include "base/json.hpp"
#include "base/json_writer.hpp"

using namespace mooring;

namespace {

std::string round_trip(std::string_view json) {
  const auto made = document_from_json(json);
  REQUIRE(made.ok());
  CHECK(is_valid_document(made->bytes));
  return to_json(*made);
}

document doc(std::string_view json) {
  auto made = document_from_json(json);
  REQUIRE(made.ok());
  return std::move(made).value();
}

} // namespace

TEST_CASE("JSON goes through a document and comes back as it was") {
  for (const auto* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-1",
                           "127",
                           "128",
                           "-32",
                           "-33",
                           "-128",
                           "-129",
                           "255",
                           "256",
                           "65535",
                           "65536",
                           "4294967295",
                           "4294967296",
                           "-2147483648",
                           "-2147483649",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "18446744073709551615",
                           "0.5",
                           "1e+300",
                           "-2.5e-10",
                           "\"\"",
                           "\"ä€𐍈\"",
                           "[]",
                           "{}",
                           "[1,[2,[3]]]",
                           "{\"a\":1,\"b\":{\"c\":null},\"d\":[true,\"x\"]}"})
    CHECK(round_trip(text) == text);
}

TEST_CASE("strings of every length class keep their bytes") {
  for (const std::size_t length : {0u, 31u, 32u, 255u, 256u, 65535u, 65536u}) {
    const std::string text = '"' + std::string(length, 'x') + '"';
    CHECK(round_trip(text) == text);
  }
}

TEST_CASE("containers of every length class keep their members") {
  for (const int members : {15, 16, 65535, 65536}) {
    std::string array = "[", object = "{";
    for (int i = 0; i < members; ++i) {
      array += (i ? ",1" : "1");
      object += (i ? ",\"" : "\"") + std::to_string(i) + "\":1";
    }
    CHECK(round_trip(array + "]") == array + "]");
    CHECK(round_trip(object + "}") == object + "}");
  }
}

TEST_CASE("of duplicate keys the first wins") {
  CHECK(round_trip(R"({"a":1,"a":2,"b":3})") == R"({"a":1,"b":3})");
  std::string many = "{";
  for (int i = 0; i < 40; ++i)
    many += "\"k" + std::to_string(i % 20) + "\":" + std::to_string(i) + (i < 39 ? "," : "}");
  CHECK(fields_of(doc(many).bytes).size() == 20);
  CHECK(integer_of(*find_field(doc(many).bytes, "k3")) == 3);
}

TEST_CASE("what is no JSON, too deep or too large a number is a typed failure") {
  for (const auto* text : {"", "{", "nul", "1 2", "{\"a\":}", "\"\xff\"",
                           "1234567890123456789012345678901234567", "01", "[1,]"}) {
    const auto made = document_from_json(text);
    REQUIRE_FALSE(made.ok());
    CHECK(made.failure().code == error_code::bad_user_input);
  }
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(document_from_json(nested(32)).ok());
  CHECK_FALSE(document_from_json(nested(33)).ok());
  CHECK_FALSE(document_from_json(nested(10'000)).ok());
}

TEST_CASE("equality is JSON's: order of members and the form of a number do not count") {
  CHECK(documents_equal(doc(R"({"a":1,"b":[1.0,2]})").bytes, doc(R"({"b":[1,2.0],"a":1.0})").bytes));
  CHECK_FALSE(documents_equal(doc(R"({"a":1})").bytes, doc(R"({"a":1,"b":null})").bytes));
  CHECK_FALSE(documents_equal(doc("1").bytes, doc("\"1\"").bytes));
  CHECK_FALSE(documents_equal(doc("[1,2]").bytes, doc("[2,1]").bytes));
  CHECK_FALSE(documents_equal(doc("-1").bytes, doc("18446744073709551615").bytes));
  CHECK(hash_document(doc(R"({"a":1,"b":[1.0,2]})").bytes) ==
        hash_document(doc(R"({"b":[1,2.0],"a":1.0})").bytes));
  CHECK(hash_document(doc(R"({"z":{"a":[{}],"b":"x"},"y":null})").bytes) ==
        hash_document(doc(R"({"y":null,"z":{"b":"x","a":[{}]}})").bytes));
  CHECK(hash_document(doc(R"([{"a":1},2])").bytes) != hash_document(doc(R"([{"a":1,"b":2}])").bytes));
  CHECK(hash_document(doc("[1,2]").bytes) != hash_document(doc("[2,1]").bytes));
}

TEST_CASE("a merge patch follows the examples of RFC 7396") {
  const char* cases[][3] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", "null", "null"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {"[1,2]", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& c : cases) CHECK(to_json(merge_patch(doc(c[0]).bytes, doc(c[1]).bytes)) == c[2]);
}

TEST_CASE("damaged bytes are never taken for a document") {
  const auto good = doc(R"({"name":"Anna","scores":[1,2.5,-3],"nested":{"deep":[null,true,"€"]}})");
  CHECK(is_valid_document(good.bytes));
  for (std::size_t cut = 0; cut < good.bytes.size(); ++cut)
    CHECK_FALSE(is_valid_document(good.bytes.substr(0, cut)));
  CHECK_FALSE(is_valid_document(good.bytes + '\xc0'));
  CHECK_FALSE(is_valid_document("\xc1"));
  CHECK_FALSE(is_valid_document("\xa1\xff"));
  CHECK_FALSE(is_valid_document("\x81\x01\x01")); // a key that is no string
  std::mt19937_64 random(42);
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good.bytes;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (is_valid_document(bytes)) CHECK_FALSE(to_json(document{bytes}).empty());
  }
}

TEST_CASE("a writer escapes what JSON and JavaScript need escaped") {
  std::string out;
  append_json_string(out, "a\"b\\c\n\t\x01\x7f\xe2\x80\xa8\xe2\x82\xac");
  CHECK(out == "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\\u2028\xe2\x82\xac\"");
  out.clear();
  append_json_number(out, std::numeric_limits<double>::infinity());
  CHECK(out == "null");

  // A double from 2^63 on is never written as digits alone: they would read as an integer beyond 64 bits.
  for (const double huge : {0x1p63, -0x1p63, 0x1p64, 18446744073709551616.97, 1e19, -1e20, 1e21}) {
    document_writer writer;
    writer.number(huge);
    const auto value = writer.take();
    const auto again = document_from_json(to_json(value));
    REQUIRE(again.ok());
    CHECK(documents_equal(again->bytes, value.bytes));
  }
}

TEST_CASE("a parser's handle walks objects and arrays") {
  json_parser parser;
  const auto root =
      parser.parse(R"({"id":"1","list":[1,{"x":[]},3],"big":18446744073709551615,"f":1.5,"n":null})");
  REQUIRE(root.ok());
  CHECK(root->kind() == json_kind::object);
  CHECK(root->size() == 5);
  CHECK(root->find("id").string() == "1");
  CHECK(root->find("list").size() == 3);
  CHECK(root->find("big").kind() == json_kind::unsigned_integer);
  CHECK(root->find("f").number() == 1.5);
  CHECK(root->find("n").kind() == json_kind::null);
  CHECK(root->find("none").absent());
  int elements = 0;
  root->find("list").for_each_element([&](json_value) { ++elements; });
  CHECK(elements == 3);
}
