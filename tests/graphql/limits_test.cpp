#include "graphql/limits.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "graphql/parser.hpp"
#include "graphql/validation.hpp"

namespace mooring::graphql {
namespace {

document_measure measure_of(const std::string& source) {
  const auto parsed = parse(source, parse_options::trusted());
  REQUIRE_MESSAGE(parsed, parsed.error.message);
  return measure(*parsed.document, *parsed.document->operations[0]);
}

// "" when the document is within the limits.
std::string error_of(const std::string& source, const document_limits& limits = {}) {
  const auto parsed = parse(source, parse_options::trusted());
  REQUIRE_MESSAGE(parsed, parsed.error.message);
  const auto error = check_limits(*parsed.document, *parsed.document->operations[0], limits);
  if (!error) return "";
  CHECK(error->code == error_code::query_too_complex);
  CHECK(error->locations.size() == 1);
  return error->message;
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// The query that GraphiQL and Apollo's tools send, with deprecated input values and everything else they may
// ask for.
constexpr const char* introspection = R"(query IntrospectionQuery {
  __schema {
    description
    queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL
  fields(includeDeprecated: true) {
    name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
  }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type {
  kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
})";

} // namespace

TEST_CASE("everything is counted as if fragments were written out") {
  const auto counts = measure_of(R"(query ($v: Int @d) @d {
    a { b: c @d ...f }
    ... on Q @d { x: a { ...f @d } }
    ...g
  }
  fragment f on T { c { d: e @d } ...h }
  fragment g on Q { a { ...f } }
  fragment h on T { c })");
  CHECK(counts.root_fields == 3);
  CHECK(counts.depth == 3);
  CHECK(counts.complexity == 3 + 1 + 3 * 3);
  CHECK(counts.aliases == 1 + 1 + 3);
  CHECK(counts.directives == 2 + 1 + 1 + 1 + 3);
  CHECK(counts.introspection_depth == 0);
  CHECK(counts.levels == 5);
}

TEST_CASE("each limit refuses one more than it allows, by name") {
  document_limits some;
  some.depth = 2;
  CHECK(error_of("{ a { b } }", some) == "");
  CHECK(error_of("{ a { b { c } } }", some) == "Query depth is 3, which exceeds the limit of 2.");
  some = {};
  some.complexity = 3;
  CHECK(error_of("{ a b c }", some) == "");
  CHECK(error_of("{ a b c d }", some) == "Query complexity is 4, which exceeds the limit of 3.");
  some = {};
  some.aliases = 1;
  CHECK(error_of("{ x: a b }", some) == "");
  CHECK(error_of("{ x: a y: b }", some) == "Query number of aliases is 2, which exceeds the limit of 1.");
  some = {};
  some.root_fields = 1;
  CHECK(error_of("{ a { b c } }", some) == "");
  CHECK(error_of("{ a ... { b } }", some) ==
        "Query number of root fields is 2, which exceeds the limit of 1.");
  some = {};
  some.directives = 1;
  CHECK(error_of("{ a @d }", some) == "");
  CHECK(error_of("query @d { a @d }", some) ==
        "Query number of directives is 2, which exceeds the limit of 1.");
  some = {};
  some.levels = 2;
  CHECK(error_of("{ a { b } }", some) == "");
  CHECK(error_of("{ ... { ... { a } } }", some) == "Query nesting is 3, which exceeds the limit of 2.");
}

TEST_CASE("the defaults are those of the product") {
  CHECK(error_of(repeated("{ a ", 12) + repeated("}", 12)) == "");
  CHECK(error_of(repeated("{ a ", 13) + repeated("}", 13)) ==
        "Query depth is 13, which exceeds the limit of 12.");
  CHECK(error_of("{ a {" + repeated(" b", 999) + "} }") == "");
  CHECK(error_of("{ a {" + repeated(" b", 1000) + "} }") ==
        "Query complexity is 1001, which exceeds the limit of 1000.");
  CHECK(error_of("{ a {" + repeated(" x: b", 31) + "} }") ==
        "Query number of aliases is 31, which exceeds the limit of 30.");
  CHECK(error_of("{" + repeated(" a", 11) + "}") ==
        "Query number of root fields is 11, which exceeds the limit of 10.");
  CHECK(error_of("{ a" + repeated(" @d", 51) + "}") ==
        "Query number of directives is 51, which exceeds the limit of 50.");
}

TEST_CASE("the introspection query of tools passes, and is bounded in itself") {
  const auto counts = measure_of(introspection);
  CHECK(counts.depth == 1);
  CHECK(counts.complexity == 1);
  CHECK(counts.introspection_depth == 15);
  CHECK(error_of(introspection) == "");
  CHECK(error_of("{ __schema { types " + repeated("{ ofType ", 19) + "{ name }" + repeated("}", 19) +
                 " } }") == "Query introspection depth is 22, which exceeds the limit of 20.");
  CHECK(error_of("{ __type(name: \"a\") { ...f } } fragment f on __Type { name }") == "");

  std::ifstream file(MOORING_SOURCE_DIR "/tests/graphql/schemas/mooring.graphql", std::ios::binary);
  const auto built = build_schema(std::string{std::istreambuf_iterator<char>(file), {}});
  REQUIRE_MESSAGE(built, built.failure().message);
  const auto parsed = parse(introspection);
  REQUIRE(parsed);
  CHECK(validate(**built, *parsed.document).empty());
}

TEST_CASE("a fragment bomb is counted without being set off") {
  std::string source = "{ ...f0 }";
  for (int i = 0; i < 60; ++i)
    source += " fragment f" + std::to_string(i) + " on T { ...f" + std::to_string(i + 1) + " ...f" +
              std::to_string(i + 1) + " }";
  source += " fragment f60 on T { x: a @d }";
  const auto counts = measure_of(source);
  CHECK(counts.complexity == 0xffffffff);
  CHECK(counts.aliases == 0xffffffff);
  CHECK(counts.directives == 0xffffffff);
  CHECK(counts.depth == 1);
  CHECK(error_of(source) == "Query complexity exceeds the limit of 1000.");
}

TEST_CASE("cycles and unknown fragments count nothing: validation names them") {
  const auto counts =
      measure_of("{ ...a ...nope } fragment a on T { b { ...a ...c } } fragment c on T { ...a d }");
  CHECK(counts.depth == 2);
  CHECK(counts.complexity == 2);
}

TEST_CASE("a long chain of fragments is refused, in whatever order it is met") {
  std::string chain;
  for (int i = 0; i < 5'000; ++i)
    chain += " fragment f" + std::to_string(i) + " on T { ...f" + std::to_string(i + 1) + " }";
  chain += " fragment f5000 on T { a }";
  CHECK(error_of("{ ...f0 }" + chain) == "Query nesting exceeds the limit of 100.");
  std::string spreads;
  for (int i = 5'000; i >= 0; --i) spreads += " ...f" + std::to_string(i);
  CHECK(error_of("{" + spreads + "}" + chain) == "Query nesting is 5002, which exceeds the limit of 100.");
}

} // namespace mooring::graphql
