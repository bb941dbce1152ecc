// Input coercion (October 2021, 3.x and 6.1.2), with graphql-js's messages.
#include <doctest/doctest.h>

#include "execution_fixture.hpp"

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;

namespace {

// What echo got, or the first error's message.
std::string echo(harbour& at, std::string_view query, std::string_view variables = {}) {
  json_parser parser;
  const auto body = at.run(query, variables);
  const auto parsed = parser.parse(body);
  REQUIRE(parsed);
  if (const auto errors = parsed->find("errors"); !errors.absent()) {
    std::string first;
    errors.for_each_element([&](json_value each) {
      if (first.empty()) first = each.find("message").string();
    });
    return first;
  }
  return std::string(parsed->find("data").find("echo").string());
}

struct row {
  std::string_view given, expected;
};

} // namespace

TEST_CASE("literals are coerced to their argument's type") {
  harbour at;
  const row table[] = {
      {R"(text: "a\u00e9")", "2='aé'"},
      {"order: {id: 7}", "0={0:'7' 3:[{0:2 1:1 2:#0}] 9:false}"},
      {R"(order: {id: "x", size: {height: 3}})", "0={0:'x' 2:{0:2 1:3 2:#0} 3:[{0:2 1:1 2:#0}] 9:false}"},
      {R"(order: {id: "x", sizes: null, paint: BLUE, ratio: 1, note: null})",
       "0={0:'x' 1:#2 3:null 8:1f 9:false 10:null}"},
      {R"(orders: {id: "x", sizes: [], tags: "one", grid: 5})", "1=[{0:'x' 3:[] 4:['one'] 5:[[5]] 9:false}]"},
      {"list: [[1,2],[3]]", "5=[[1 2] [3]]"},
      {"list: [1,2]", "5=[[1] [2]]"},
      {"list: 1", "5=[[1]]"},
      {"color: GREEN", "4=#1"},
      {"json: {a: [1, 2.5, \"x\", true, null, RED], b: {}}",
       R"(3=json {"a":[1,2.5,"x",true,null,"RED"],"b":{}})"},
      {R"(json: "{\"a\": 1}")", R"(3=json {"a":1})"},
      {R"(json: "{a")", R"(3=json "{a")"},
      {"json: null", "3=null"},
      {"color: null, text: null", "2=null; 4=null"},
  };
  for (const auto& [given, expected] : table) {
    INFO(given);
    CHECK(echo(at, "{ echo(" + std::string(given) + ") }") == expected);
  }
}

TEST_CASE("a literal of a custom scalar that does not fit refuses the request") {
  harbour at;
  CHECK(echo(at, R"({ echo(order: {id: "x", at: 5}) })") ==
        R"(Argument "order" has invalid value {id: "x", at: 5}.)");
  std::string deep = "1";
  for (int i = 0; i < 33; ++i) deep = "[" + deep + "]";
  CHECK(echo(at, "{ echo(json: " + deep + ") }").find("has invalid value") != std::string::npos);
  CHECK(echo(at, "{ echo(json: " + deep.substr(1, deep.size() - 2) + ") }").find("json [[[") !=
        std::string::npos);
}

TEST_CASE("variables are coerced to their declared type") {
  harbour at;
  struct {
    std::string_view type, argument, given, expected;
  } table[] = {
      {"String", "text", R"("a")", "2='a'"},
      {"String", "text", "null", "2=null"},
      {"String", "text", "1",
       R"(Variable "$v" got invalid value 1; String cannot represent a non string value: 1)"},
      {"Color", "color", R"("BLUE")", "4=#2"},
      {"Color", "color", R"("PINK")",
       R"(Variable "$v" got invalid value "PINK"; Value "PINK" does not exist in "Color" enum.)"},
      {"Color", "color", R"("BLEU")",
       R"(Variable "$v" got invalid value "BLEU"; Value "BLEU" does not exist in "Color" enum. Did you mean the enum value "BLUE"?)"},
      {"Color", "color", "2",
       R"(Variable "$v" got invalid value 2; Enum "Color" cannot represent non-string value: 2.)"},
      {"[[Int!]]", "list", "[[1],[2,3]]", "5=[[1] [2 3]]"},
      {"[[Int!]]", "list", "[1,null,2.0]", "5=[[1] null [2]]"},
      {"[[Int!]]", "list", "3", "5=[[3]]"},
      {"[[Int!]]", "list", "[[1,null]]",
       R"(Variable "$v" got invalid value null at "v[0][1]"; Expected non-nullable type "Int!" not to be null.)"},
      {"[[Int!]]", "list", "[[1.5]]",
       R"(Variable "$v" got invalid value 1.5 at "v[0][0]"; Int cannot represent non-integer value: 1.5)"},
      {"[[Int!]]", "list", "[[2147483648]]",
       R"(Variable "$v" got invalid value 2147483648 at "v[0][0]"; Int cannot represent non 32-bit signed integer value: 2147483648)"},
      {"[[Int!]]", "list", R"([["1"]])",
       R"(Variable "$v" got invalid value "1" at "v[0][0]"; Int cannot represent non-integer value: "1")"},
      {"Order", "order", R"({"id":"x"})", "0={0:'x' 3:[{0:2 1:1 2:#0}] 9:false}"},
      {"Order", "order", R"({"note":"n","urgent":true,"id":12,"sizes":[]})", "0={0:'12' 3:[] 9:true 10:'n'}"},
      {"Order", "order", R"({"id":1.0,"ratio":2,"at":"later","sizes":null})",
       "0={0:'1' 3:null 6:'later' 8:2f 9:false}"},
      {"Order", "order", R"({"id":true})",
       R"(Variable "$v" got invalid value true at "v.id"; ID cannot represent value: true)"},
      {"Order", "order", R"({"id":1.5})",
       R"(Variable "$v" got invalid value 1.5 at "v.id"; ID cannot represent value: 1.5)"},
      {"Order", "order", "{}",
       R"(Variable "$v" got invalid value {}; Field "id" of required type "ID!" was not provided.)"},
      {"Order", "order", R"({"id":null})",
       R"(Variable "$v" got invalid value null at "v.id"; Expected non-nullable type "ID!" not to be null.)"},
      {"Order", "order", R"({"id":"x","colour":1})",
       R"(Variable "$v" got invalid value { id: "x", colour: 1 }; Field "colour" is not defined by type "Order".)"},
      {"Order", "order", R"({"id":"x","urgnt":true})",
       R"(Variable "$v" got invalid value { id: "x", urgnt: true }; Field "urgnt" is not defined by type "Order". Did you mean "urgent" or "paint"?)"},
      {"Order", "order", R"("x")",
       R"(Variable "$v" got invalid value "x"; Expected type "Order" to be an object.)"},
      {"Order", "order", "[1]",
       R"(Variable "$v" got invalid value [1]; Expected type "Order" to be an object.)"},
      {"Order", "order", R"({"id":"x","size":{"width":null}})",
       R"(Variable "$v" got invalid value null at "v.size.width"; Expected non-nullable type "Int!" not to be null.)"},
      {"Order", "order", R"({"id":"x","ratio":"1"})",
       R"(Variable "$v" got invalid value "1" at "v.ratio"; Float cannot represent non numeric value: "1")"},
      {"Order", "order", R"({"id":"x","urgent":0})",
       R"(Variable "$v" got invalid value 0 at "v.urgent"; Boolean cannot represent a non boolean value: 0)"},
      {"Order", "order", R"({"id":"x","at":0})",
       R"(Variable "$v" got invalid value 0 at "v.at"; DateTime cannot represent a non string value: 0)"},
      {"[Order!]", "orders", R"([{"id":"x","sizes":[]},{"id":"y","sizes":[],"paint":7}])",
       R"(Variable "$v" got invalid value 7 at "v[1].paint"; Enum "Color" cannot represent non-string value: 7.)"},
      {"JSON", "json", R"({"a":[1,null,"x",1.5,true]})", R"(3=json {"a":[1,null,"x",1.5,true]})"},
      {"JSON", "json", R"("[1, 2]")", "3=json [1,2]"},
      {"JSON", "json", R"("  {\"a\": \"b\"} ")", R"(3=json {"a":"b"})"},
      {"JSON", "json", R"("12")", R"(3=json "12")"},
      {"JSON", "json", R"("[1,")", R"(3=json "[1,")"},
      {"JSON", "json", R"("")", R"(3=json "")"},
      {"JSON", "json", "18446744073709551615", "3=json 18446744073709551615"},
      {"JSON", "json", R"({"a":1,"a":2})", R"(3=json {"a":1})"},
      {"JSON", "json", "null", "3=null"},
  };
  for (const auto& [type, argument, given, expected] : table) {
    const auto query = "query($v: " + std::string(type) + ") { echo(" + std::string(argument) + ": $v) }";
    INFO(query);
    INFO(given);
    CHECK(echo(at, query, "{\"v\":" + std::string(given) + "}") == expected);
  }
}

TEST_CASE("variables that are not given take their default, else stay absent") {
  harbour at;
  CHECK(echo(at, "query($v: String = \"d\") { echo(text: $v) }") == "2='d'");
  CHECK(echo(at, "query($v: String = \"d\") { echo(text: $v) }", R"({"v":null})") == "2=null");
  CHECK(echo(at, "query($v: String) { echo(text: $v) }", "{}") == "");
  CHECK(echo(at, "query($v: Order = {id: 1, sizes: []}) { echo(order: $v) }") == "0={0:'1' 3:[] 9:false}");
  CHECK(at.run("query($b: Int) { sum(a: 1, b: $b) }") == R"({"data":{"sum":11}})");
  CHECK(at.run("query($b: Int) { sum(a: 1, b: $b) }", R"({"b":null})") == R"({"data":{"sum":1}})");
  CHECK(echo(at, "query($a: Int!) { sum(a: $a) }") ==
        R"(Variable "$a" of required type "Int!" was not provided.)");
  CHECK(echo(at, "query($a: Int!) { sum(a: $a) }", R"({"a":null})") ==
        R"(Variable "$a" of non-null type "Int!" must not be null.)");
  CHECK(echo(at, "query($a: Int = 1) { sum(a: $a) }", R"({"a":null})") ==
        R"(Argument "a" of non-null type "Int!" must not be null.)");
}

TEST_CASE("variables inside literals count as not given when they are absent") {
  harbour at;
  const auto query = "query($i: ID!, $n: String, $t: String!, $s: Size) "
                     "{ echo(order: {id: $i, note: $n, tags: [$t, \"b\"], size: $s, sizes: []}) }";
  CHECK(echo(at, query, R"({"i":"x","t":"a"})") == "0={0:'x' 3:[] 4:['a' 'b'] 9:false}");
  CHECK(echo(at, query, R"({"i":"x","t":"a","n":null,"s":{"height":1}})") ==
        "0={0:'x' 2:{0:2 1:1 2:#0} 3:[] 4:['a' 'b'] 9:false 10:null}");
  CHECK(echo(at, "query($n: Int) { echo(order: {id: 1, sizes: [], grid: [[1, $n], [$n]]}) }") ==
        "0={0:'1' 3:[] 5:[[1 null] [null]] 9:false}");
  CHECK(echo(at, "query($b: Boolean = true) { echo(order: {id: 1, sizes: [], urgent: $b}) }") ==
        "0={0:'1' 3:[] 9:true}");
  CHECK(echo(at, "query($w: Int = 1) { echo(order: {id: 1, size: {width: $w}}) }", R"({"w":null})") ==
        R"(Argument "order" has invalid value {id: 1, size: {width: $w}}.)");
  CHECK(
      echo(at, "query($o: Order, $c: Color, $x: Int) { echo(json: {o: $o, c: [$c, $x], x: $x}) }",
           R"({"o":{"id":1,"paint":"RED","extra":{"k":[]}},"c":"BLUE"})") ==
      R"(3=json {"o":{"id":"1","paint":"RED","sizes":[{"width":2,"height":1,"unit":"METRE"}],"extra":{"k":[]},"urgent":false},"c":["BLUE",null]})");
}

TEST_CASE("JSON that nests too deeply is a coercion error, or the caller's to judge") {
  std::string deep = "1";
  for (int i = 0; i < 33; ++i) deep = "[" + deep + "]";
  const auto fits = deep.substr(1, deep.size() - 2);
  {
    harbour at;
    CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":" + deep + "}")
              .find("nested deeper than 32") != std::string::npos);
    CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":\"" + deep + "\"}")
              .find("nested deeper than 32") != std::string::npos);
    CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":" + fits + "}") == "3=json " + fits);
    CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":\"" + fits + "\"}") == "3=json " + fits);
    CHECK(
        echo(at, "query($v: JSON) { echo(json: [$v]) }", "{\"v\":" + fits + "}").find("has invalid value") !=
        std::string::npos);
  }
  engine_options options;
  options.scalars = {{"JSON", custom_scalar::json_any_depth}};
  harbour at(std::move(options));
  CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":" + deep + "}") == "3=<too deep>");
  CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":\"" + deep + "\"}") == "3=<too deep>");
  CHECK(echo(at, "query($v: JSON) { echo(json: $v) }", "{\"v\":" + fits + "}") == "3=json " + fits);
  CHECK(echo(at, "{ echo(json: " + deep + ") }") == "3=<too deep>");
}

TEST_CASE("a message shows at most about 100 bytes of a value and ends after 50 errors") {
  harbour at;
  const auto long_text = std::string(5000, 'x');
  const auto message =
      echo(at, "query($v: [[Int!]]) { echo(list: $v) }", "{\"v\":[[\"" + long_text + "\"]]}");
  CHECK(message.size() < 400);
  std::string many = "[";
  for (int i = 0; i < 200; ++i) many += i == 0 ? "\"a\"" : ",\"a\"";
  const auto body = at.run("query($v: [[Int!]]) { echo(list: $v) }", "{\"v\":" + many + "]}");
  std::size_t errors = 0;
  for (auto at_ = body.find("\"message\""); at_ != std::string::npos; at_ = body.find("\"message\"", at_ + 1))
    ++errors;
  CHECK(errors == 51);
  CHECK(body.find("Too many errors processing variables, error limit reached. Execution aborted.") !=
        std::string::npos);
}

TEST_CASE("variables that nobody declared are ignored, and duplicates count once") {
  harbour at;
  CHECK(echo(at, "query($v: String) { echo(text: $v) }", R"({"w":1,"v":"a","v":"b"})") == "2='a'");
  CHECK(echo(at, "query($v: Order) { echo(order: $v) }", R"({"v":{"id":"a","sizes":[],"id":5}})") ==
        "0={0:'a' 3:[] 9:false}");
}

TEST_CASE("variables that are no object refuse the request") {
  harbour at;
  CHECK(at.run("query($v: String) { echo(text: $v) }", "[1]").find("must be an object") != std::string::npos);
}
