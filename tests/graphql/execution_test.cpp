// Execution (October 2021, section 6): tables of operations and the exact answers.
#include <doctest/doctest.h>

#include <thread>

#include "execution_fixture.hpp"

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;

namespace {

bool holds(const std::string& body, std::string_view part) {
  return body.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("fields are written from structs in the order of the selection") {
  harbour at;
  struct {
    std::string_view query, expected;
  } table[] = {
      {"{ number }", R"({"data":{"number":42}})"},
      {"{ boat { name id } }", R"({"data":{"boat":{"name":"Erna","id":"b1"}}})"},
      {"{ boat { paint length afloat tonnage launched } }",
       R"({"data":{"boat":{"paint":"RED","length":7.5,"afloat":true,"tonnage":3,"launched":"2025-09-28T12:00:00.123Z"}}})"},
      {"{ boat { log } }", R"({"data":{"boat":{"log":{"miles":[1,2.5,"x"]}}}})"},
      {"{ boat { owner tender { id } mast { name } } }",
       R"({"data":{"boat":{"owner":null,"tender":null,"mast":null}}})"},
      {"{ boat { parts { name weight } crew } }",
       R"({"data":{"boat":{"parts":[{"name":"hull","weight":900},{"name":"keel","weight":null}],"crew":["Ann",null,"Bo"]}}})"},
      {"{ a: boat { n: name } number b: number }", R"({"data":{"a":{"n":"Erna"},"number":42,"b":42}})"},
      {"{ __typename boat { __typename } }",
       R"({"data":{"__typename":"Query","boat":{"__typename":"Boat"}}})"},
      {"{ boats { id } }", R"({"data":{"boats":[{"id":"b1"}]}})"},
      {"{ boat(id: \"other\") { id } }", R"({"data":{"boat":null}})"},
      {"{ sum(a: 1) }", R"({"data":{"sum":11}})"},
      {"{ sum(a: 1, b: null) }", R"({"data":{"sum":1}})"},
  };
  for (const auto& [query, expected] : table) {
    INFO(query);
    CHECK(at.run(query) == expected);
  }
}

TEST_CASE("selections of one response name are merged, at the place of the first") {
  harbour at;
  CHECK(at.run("{ boat { id } number boat { name id } ...F } fragment F on Query { boat { tonnage } }") ==
        R"({"data":{"boat":{"id":"b1","name":"Erna","tonnage":3},"number":42}})");
}

TEST_CASE("fragments apply by the concrete type") {
  harbour at;
  CHECK(at.run("{ things { id __typename ... on Boat { name } ... on Buoy { depth } ... on Thing { again: id "
               "} } }") == R"({"data":{"things":[{"id":"b1","__typename":"Boat","name":"Erna","again":"b1"},)"
                           R"({"id":"y1","__typename":"Buoy","depth":null,"again":"y1"}]}})");
  CHECK(at.run("{ floating(which: \"buoy\") { ... on Boat { name } ... on Thing { id } ...B } } "
               "fragment B on Buoy { __typename }") ==
        R"({"data":{"floating":{"id":"y1","__typename":"Buoy"}}})");
  CHECK(at.run("{ floating { ... on Buoy { id } } }") == R"({"data":{"floating":{}}})");
}

TEST_CASE("an abstract value that resolves to no object is null") {
  harbour at;
  CHECK(at.run("{ floating(which: \"none\") { __typename } }") == R"({"data":{"floating":null}})");
}

TEST_CASE("skip and include decide by literals and by variables") {
  harbour at;
  CHECK(at.run("{ number @skip(if: true) a: number @include(if: true) b: number @include(if: false) }") ==
        R"({"data":{"a":42}})");
  const auto query = "query Q($x: Boolean!, $y: Boolean = true) { a: number @include(if: $x) "
                     "... @skip(if: $y) { b: number } c: number @skip(if: $x) @include(if: $y) }";
  CHECK(at.run(query, R"({"x":true})") == R"({"data":{"a":42}})");
  CHECK(at.run(query, R"({"x":false})") == R"({"data":{"c":42}})");
  CHECK(at.run(query, R"({"x":true,"y":false})") == R"({"data":{"a":42,"b":42}})");
  // The first selection that is included decides the place.
  CHECK(at.run("query Q($x: Boolean!) { a: number @include(if: $x) b: number a: number }",
               R"({"x":false})") == R"({"data":{"b":42,"a":42}})");
  CHECK(holds(at.run("query Q($y: Boolean = true) { number @skip(if: $y) }", R"({"y":null})"),
              R"(Argument \"if\" of non-null type \"Boolean!\" must not be null)"));
}

TEST_CASE("an error in a nullable field leaves the rest of the answer") {
  harbour at;
  CHECK(
      at.run("{ fail number }") ==
      R"({"errors":[{"message":"no such boat","locations":[{"line":1,"column":3}],"path":["fail"],)"
      R"("extensions":{"code":"NOT_FOUND","retryable":false,"field":"id"}}],"data":{"fail":null,"number":42}})");
  CHECK(holds(at.run("{ x: fail(code: \"RATE_LIMITED\") }"),
              R"("path":["x"],"extensions":{"code":"RATE_LIMITED","retryable":true,"retryAfterMs":1500}}])"));
}

TEST_CASE("an error in a field that may not be null takes the nearest nullable parent with it") {
  harbour at;
  at.boat.tender = std::make_shared<const boat>(at.boat);
  struct {
    std::string_view query, data, path, message;
  } table[] = {
      {"{ failHard number }", R"("data":null)", R"("path":["failHard"])", "gone"},
      {"{ boat { id ownerOrFail } number }", R"("data":{"boat":null,"number":42})",
       R"("path":["boat","ownerOrFail"])", "Cannot return null for non-nullable field Boat.ownerOrFail."},
      {"{ boatOrFail { ownerOrFail } number }", R"("data":null)", R"("path":["boatOrFail","ownerOrFail"])",
       "Cannot return null for non-nullable field Boat.ownerOrFail."},
      {"{ boat { name tender { id o: ownerOrFail } afloat } }",
       R"("data":{"boat":{"name":"Erna","tender":null,"afloat":true}})", R"("path":["boat","tender","o"])",
       "Cannot return null for non-nullable field Boat.ownerOrFail."},
      {"{ boat { tender { tenderOrFail { id } } id } }", R"("data":{"boat":{"tender":null,"id":"b1"}})",
       R"("path":["boat","tender","tenderOrFail"])",
       "Cannot return null for non-nullable field Boat.tenderOrFail."},
      {"{ boat { name hands id } }", R"("data":{"boat":{"name":"Erna","hands":null,"id":"b1"}})",
       R"("path":["boat","hands",1])", "Cannot return null for non-nullable field Boat.hands."},
      {"{ boats { ownerOrFail } }", R"("data":null)", R"("path":["boats",0,"ownerOrFail"])",
       "Cannot return null for non-nullable field Boat.ownerOrFail."},
  };
  for (const auto& [query, data, path, message] : table) {
    INFO(query);
    const auto body = at.run(query);
    INFO(body);
    CHECK(holds(body, data));
    CHECK(body.find(data) == body.size() - data.size() - 1);
    CHECK(holds(body, path));
    CHECK(holds(body, message));
  }
}

TEST_CASE("a value outside its type's range is an error of its field") {
  harbour at;
  at.boat.tonnage = 2147483648;
  CHECK(holds(at.run("{ boat { id tonnage } }"),
              R"(Int cannot represent non 32-bit signed integer value: 2147483648)"));
  CHECK(holds(at.run("{ boat { id tonnage } }"), R"("data":{"boat":{"id":"b1","tonnage":null}})"));
  at.boat.tonnage = -2147483648;
  CHECK(at.run("{ boat { tonnage } }") == R"({"data":{"boat":{"tonnage":-2147483648}}})");
  at.boat.length = 1.0 / 0.0;
  CHECK(holds(at.run("{ boat { length } }"), R"("path":["boat","length"])"));
  at.boat.paint = static_cast<color>(3);
  CHECK(holds(at.run("{ boat { paint } }"), R"("data":{"boat":null}})"));
}

TEST_CASE("the detail of an internal error stays inside") {
  harbour at;
  const auto body = at.run("{ fail(code: \"INTERNAL\") }");
  CHECK_FALSE(holds(body, "password"));
  CHECK(holds(body, R"("code":"INTERNAL")"));
  CHECK(holds(at.run("{ fail(code: \"TYPE\") }"), R"("code":"INTERNAL")"));
}

TEST_CASE("queries are answered in the order of the document, whichever resolver is first") {
  harbour at;
  const auto out = at.start("{ a: later number b: later }");
  CHECK_FALSE(out->answered);
  REQUIRE(at.waiting.size() == 2);
  at.waiting[1]();
  CHECK_FALSE(out->answered);
  at.waiting[0]();
  REQUIRE(out->answered);
  CHECK(out->answer.body == R"({"data":{"a":7,"number":42,"b":7}})");
  at.waiting[0](); // a second answer is ignored (the handler checks that it is called once)
}

TEST_CASE("root fields may be answered from several threads at once") {
  harbour at;
  for (int round = 0; round < 200; ++round) {
    at.waiting.clear();
    const auto out = at.start("{ a: later b: later c: later number }");
    std::vector<std::thread> threads;
    for (const auto& each : at.waiting) threads.emplace_back(each);
    for (auto& each : threads) each.join();
    REQUIRE(out->answered);
    CHECK(out->answer.body == R"({"data":{"a":7,"b":7,"c":7,"number":42}})");
  }
}

TEST_CASE("mutations run one after the other, and their arguments outlive the request's buffers") {
  harbour at;
  const auto out =
      at.start("mutation($n: Int!) { a: addLater(by: 1) b: add(by: $n) c: addLater(by: 3) }", R"({"n":2})");
  CHECK(at.calls == std::vector<std::string>{"addLater 1"});
  at.waiting[0]();
  CHECK(at.calls == std::vector<std::string>{"addLater 1", "add 2", "addLater 3"});
  CHECK_FALSE(out->answered);
  at.waiting[1]();
  REQUIRE(out->answered);
  CHECK(out->answer.body == R"({"data":{"a":1,"b":3,"c":6}})");
}

TEST_CASE("a failed nullable mutation lets the next one run; a failed non-null one does not") {
  harbour at;
  auto body = at.run("mutation { failSoft add(by: 1) }");
  CHECK(holds(body, R"("data":{"failSoft":null,"add":1}})"));
  CHECK(holds(body, R"("code":"UNAVAILABLE","retryable":true)"));
  at.calls.clear();
  body = at.run("mutation { failHard add(by: 1) }");
  CHECK(holds(body, R"("data":null})"));
  CHECK(at.calls == std::vector<std::string>{"failHard"});
}

TEST_CASE("a resolver that drops its responder fails its field, and the client is answered") {
  harbour at;
  auto out = at.start("{ number later }");
  CHECK_FALSE(out->answered);
  at.waiting.clear();
  REQUIRE(out->answered);
  CHECK(holds(out->answer.body, R"("data":{"number":42,"later":null}})"));
  out = at.start("mutation { add(by: 1) b: addLater(by: 1) c: add(by: 1) }");
  at.waiting.clear();
  REQUIRE(out->answered);
  CHECK(holds(out->answer.body, R"("data":null})"));
}

TEST_CASE("nested fields get their arguments, also from variables") {
  harbour at;
  CHECK(at.run("{ boat { greeting } }") == R"({"data":{"boat":{"greeting":"Erna greets you. "}}})");
  CHECK(at.run("query($t: String!, $n: Int) { boats { greeting(to: $t, times: $n) } }",
               R"({"t":"a name long enough to need memory of its own","n":2})") ==
        R"({"data":{"boats":[{"greeting":"Erna greets a name long enough to need memory of its own. )"
        R"(Erna greets a name long enough to need memory of its own. "}]}})");
  const auto out = at.start("query($t: String!) { later boat { greeting(to: $t) } }",
                            R"({"t":"a name long enough to need memory of its own"})");
  at.waiting[0]();
  REQUIRE(out->answered);
  CHECK(holds(out->answer.body, "Erna greets a name long enough to need memory of its own. "));
  const auto body = at.run("query($t: String = \"x\") { boat { greeting(to: $t) } number }", R"({"t":null})");
  CHECK(holds(body, R"(Argument \"to\" of non-null type \"String!\" must not be null.)"));
  CHECK(holds(body, R"("path":["boat","greeting"])"));
  CHECK(holds(body, R"("data":{"boat":null,"number":42}})"));
}

TEST_CASE("what is wrong with a request is answered without data") {
  harbour at;
  struct {
    std::string_view query, operation, message, code;
  } table[] = {
      {"{ boat { id }", "", "Syntax Error: Expected Name, found <EOF>.", "BAD_USER_INPUT"},
      {"{ ship }", "", "Cannot query field \\\"ship\\\" on type \\\"Query\\\".", "BAD_USER_INPUT"},
      {"query A { number } query B { number }", "",
       "Must provide operation name if query contains multiple operations.", "BAD_USER_INPUT"},
      {"query A { number } query B { number }", "C", "Unknown operation named \\\"C\\\".", "BAD_USER_INPUT"},
      {"fragment F on Query { number }", "", "Must provide an operation.", "BAD_USER_INPUT"},
      {"", "", "GraphQL operations must contain a non-empty `query`", "BAD_USER_INPUT"},
      {"subscription { number }", "", "", "BAD_USER_INPUT"},
      {"{ a:number b:number c:number d:number e:number f:number g:number h:number i:number j:number k:number "
       "}",
       "", "", "QUERY_TOO_COMPLEX"},
  };
  for (const auto& [query, operation, message, code] : table) {
    INFO(query);
    const auto out = at.start(query, {}, operation);
    REQUIRE(out->answered);
    INFO(out->answer.body);
    CHECK_FALSE(out->answer.executed);
    CHECK(holds(out->answer.body, message));
    CHECK(holds(out->answer.body, "\"code\":\"" + std::string(code) + "\""));
    CHECK_FALSE(holds(out->answer.body, "\"data\""));
    REQUIRE(out->answer.refused);
    CHECK(to_string(*out->answer.refused) == code);
  }
  CHECK(at.run("query A { number } query B { b: number }", {}, "B") == R"({"data":{"b":42}})");
}

TEST_CASE("admission sees the kind and every root field, and may refuse") {
  std::vector<std::string> seen;
  bool refuse = false;
  engine_options options;
  options.admit = [&](const admission& what) -> std::optional<error> {
    seen.push_back(std::to_string(static_cast<int>(what.kind)) + std::string(what.operation_name));
    for (const auto name : what.root_fields) seen.emplace_back(name);
    if (refuse) return error{error_code::rate_limited, "too fast", {}, 250};
    return std::nullopt;
  };
  harbour at(std::move(options));
  CHECK(at.run("mutation M { a: add(by: 1) ...F } fragment F on Mutation { b: add(by: 1) failSoft @skip(if: "
               "true) }") == R"({"data":{"a":1,"b":2}})");
  CHECK(seen == std::vector<std::string>{"1M", "add", "add", "failSoft"});
  refuse = true;
  const auto out = at.start("mutation { add(by: 1) }");
  REQUIRE(out->answered);
  CHECK(at.total == 2);
  CHECK(out->answer.refused == error_code::rate_limited);
  CHECK(out->answer.retry_after_ms == 250);
  CHECK(
      out->answer.body ==
      R"({"errors":[{"message":"too fast","extensions":{"code":"RATE_LIMITED","retryable":true,"retryAfterMs":250}}]})");
}

TEST_CASE("errors carry the request id in hexadecimal") {
  CHECK(
      engine::error_body(error{error_code::unauthenticated, "no token"}, 0xbeef) ==
      R"({"errors":[{"message":"no token","extensions":{"code":"UNAUTHENTICATED","retryable":false,"requestId":"beef"}}]})");
}
