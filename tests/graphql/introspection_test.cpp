// Introspection (October 2021, section 4).
#include <doctest/doctest.h>

#include "execution_fixture.hpp"

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;

namespace {

// The standard query of graphql-js 16, getIntrospectionQuery() with every option.
constexpr std::string_view standard_query = R"(
  query IntrospectionQuery {
    __schema {
      description
      queryType { name } mutationType { name } subscriptionType { name }
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
    kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name } } } } } } }
  }
)";

} // namespace

TEST_CASE("the schema's roots and kinds are told") {
  harbour at;
  CHECK(
      at.run("{ __schema { queryType { name } mutationType { name } subscriptionType { name } } }") ==
      R"({"data":{"__schema":{"queryType":{"name":"Query"},"mutationType":{"name":"Mutation"},"subscriptionType":null}}})");
  CHECK(
      at.run("{ __type(name: \"Floating\") { kind name possibleTypes { name } fields { name } ofType { name "
             "} } }") ==
      R"({"data":{"__type":{"kind":"UNION","name":"Floating","possibleTypes":[{"name":"Boat"},{"name":"Buoy"}],"fields":null,"ofType":null}}})");
  CHECK(at.run("{ __type(name: \"Buoy\") { kind interfaces { name kind } fields { name type { kind name "
               "ofType { name } } } } }") ==
        R"({"data":{"__type":{"kind":"OBJECT","interfaces":[{"name":"Thing","kind":"INTERFACE"}],)"
        R"("fields":[{"name":"id","type":{"kind":"NON_NULL","name":null,"ofType":{"name":"ID"}}},)"
        R"({"name":"depth","type":{"kind":"SCALAR","name":"Float","ofType":null}}]}}})");
  CHECK(at.run("query($n: String!) { __type(name: $n) { name __typename } }", R"({"n":"Color"})") ==
        R"({"data":{"__type":{"name":"Color","__typename":"__Type"}}})");
  CHECK(at.run("{ __type(name: \"Ship\") { name } }") == R"({"data":{"__type":null}})");
}

TEST_CASE("deprecated members are told on request, defaults as GraphQL text") {
  harbour at;
  CHECK(at.run("{ __type(name: \"Color\") { enumValues { name } all: enumValues(includeDeprecated: true) "
               "{ name isDeprecated deprecationReason } } }") ==
        R"({"data":{"__type":{"enumValues":[{"name":"RED"},{"name":"GREEN"}],)"
        R"("all":[{"name":"RED","isDeprecated":false,"deprecationReason":null},)"
        R"({"name":"GREEN","isDeprecated":false,"deprecationReason":null},)"
        R"({"name":"BLUE","isDeprecated":true,"deprecationReason":"faded"}]}}})");
  CHECK(at.run("query($d: Boolean) { __type(name: \"Order\") { inputFields(includeDeprecated: $d) { name "
               "defaultValue } } }")
            .find(R"({"name":"sizes","defaultValue":"[{height: 1}]"},{"name":"tags","defaultValue":null})") !=
        std::string::npos);
}

TEST_CASE("the standard introspection query of tools passes") {
  harbour at;
  const auto body = at.run(standard_query);
  CHECK(body.find("\"errors\"") == std::string::npos);
  CHECK(body.find(R"("name":"Order")") != std::string::npos);
  CHECK(body.find(R"("name":"skip")") != std::string::npos);
}

TEST_CASE("introspection can be switched off, but __typename stays") {
  engine_options options;
  options.introspection = false;
  harbour at(std::move(options));
  for (const auto query : {"{ __schema { queryType { name } } }",
                           "{ ...F } fragment F on Query { __type(name: \"T\") { name } }"}) {
    const auto out = at.start(query);
    REQUIRE(out->answered);
    CHECK_FALSE(out->answer.executed);
    CHECK(out->answer.body.find("introspection is switched off") != std::string::npos);
  }
  CHECK(at.run("{ __typename }") == R"({"data":{"__typename":"Query"}})");
}

TEST_CASE("introspection of a schema with wide circles ends at a bound") {
  std::string sdl = "type Wide { ";
  for (int i = 0; i < 300; ++i) sdl += "f" + std::to_string(i) + ": Wide ";
  const auto in = make_schema(sdl + "} type Query { wide: Wide }");
  struct wide {};
  bindings to(*in);
  auto object = to.object<wide>("Wide");
  for (int i = 0; i < 300; ++i)
    object.field("f" + std::to_string(i), [](const wide&) -> const wide* { return nullptr; });
  to.root<wide>("Query", "wide", [](const field_call&, responder) {});
  const engine runs(*in, std::move(to));
  request what;
  what.query = "{ a: __typename __type(name: \"Wide\") { fields { type { fields { name type { name } } } } } "
               "b: __typename }";
  runs.execute(what, [](response answer) {
    CHECK(answer.executed);
    CHECK(answer.body.find("\"QUERY_TOO_COMPLEX\"") != std::string::npos);
    CHECK(answer.body.size() < 1000); // one error, not one for each field that no longer fits
    CHECK(answer.body.find(R"("path":["__type","fields",)") != std::string::npos);
    CHECK(answer.body.find(R"("data":{"a":"Query","__type":{"fields":null},"b":"Query"}})") !=
          std::string::npos);
  });
}
