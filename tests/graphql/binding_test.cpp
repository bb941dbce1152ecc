// bindings::check: every way in which C++ and the schema can disagree is found at start.
#include <doctest/doctest.h>

#include <algorithm>

#include "execution_fixture.hpp"

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;

namespace {

struct leaf {
  bool flag = false;
  std::int32_t number = 0;
  std::uint64_t large = 0;
  double real = 0;
  std::string text;
  std::optional<std::string> maybe;
  std::vector<std::string> texts;
  std::vector<std::optional<std::string>> holes;
  instant when;
  document json;
  const leaf* next = nullptr;
  color paint = color::red;
};
struct other {};
enum class second_color { red };

// What check() says of a field `x: <type>` that is bound to a member.
template<auto Member> std::string said(std::string_view type) {
  const auto in = make_schema("scalar When scalar Any enum Color { RED } type Other { y: Int } union U = T "
                              "type T { x: " +
                              std::string(type) + " } type Query { q: Int }");
  bindings to(*in);
  to.enumeration<color>("Color", {{color::red, "RED"}});
  to.object<other>("Other").field("y", [](const other&) { return 1; });
  to.object<leaf>("T").field<Member>("x");
  to.abstract<leaf>("U", {"T"}, [](const leaf& x) { return concrete::of(0, &x); });
  to.root<std::int32_t>("Query", "q", [](const field_call&, responder) {});
  std::string out;
  for (const auto& each : to.check()) out.append(out.empty() ? "" : "; ").append(each);
  return out;
}

bool has(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

} // namespace

TEST_CASE("C++ types fit the schema types that they can stand for") {
  CHECK(said<&leaf::flag>("Boolean!") == "");
  CHECK(said<&leaf::flag>("Boolean") == "");
  CHECK(said<&leaf::number>("Int!") == "");
  CHECK(said<&leaf::number>("Float!") == "");
  CHECK(said<&leaf::number>("ID!") == "");
  CHECK(said<&leaf::large>("ID") == "");
  CHECK(said<&leaf::real>("Float") == "");
  CHECK(said<&leaf::text>("String!") == "");
  CHECK(said<&leaf::text>("ID!") == "");
  CHECK(said<&leaf::text>("When!") == "");
  CHECK(said<&leaf::when>("When!") == "");
  CHECK(said<&leaf::json>("Any") == "");
  CHECK(said<&leaf::maybe>("String") == "");
  CHECK(said<&leaf::texts>("[String!]!") == "");
  CHECK(said<&leaf::texts>("[String]") == "");
  CHECK(said<&leaf::holes>("[String]!") == "");
  CHECK(said<&leaf::next>("T") == "");
  CHECK(said<&leaf::next>("T!") == "");
  CHECK(said<&leaf::next>("U") == "");
  CHECK(said<&leaf::paint>("Color!") == "");
}

TEST_CASE("C++ types that do not fit are named") {
  CHECK(said<&leaf::flag>("Int!") == "T.x is of type Int, for which bool cannot stand");
  CHECK(said<&leaf::real>("Int!") == "T.x is of type Int, for which a floating point number cannot stand");
  CHECK(said<&leaf::number>("String!") == "T.x is of type String, for which an integer cannot stand");
  CHECK(said<&leaf::number>("Boolean!") == "T.x is of type Boolean, for which an integer cannot stand");
  CHECK(said<&leaf::number>("When!") == "T.x is of type When, for which an integer cannot stand");
  CHECK(said<&leaf::text>("Float!") == "T.x is of type Float, for which text cannot stand");
  CHECK(said<&leaf::text>("Color!") == "T.x is of type Color, for which text cannot stand");
  CHECK(said<&leaf::text>("Other") == "T.x is of type Other, for which text cannot stand");
  CHECK(said<&leaf::maybe>("String!") == "T.x is never null, but an optional stands for it");
  CHECK(said<&leaf::json>("Any!") == "T.x is never null, but a document, which may be absent, stands for it");
  CHECK(said<&leaf::holes>("[String!]!") == "T.x is never null, but an optional stands for it");
  CHECK(said<&leaf::text>("[String!]!") == "T.x is a list, but text stands for it");
  CHECK(said<&leaf::texts>("String!") == "T.x is of type String, for which a list cannot stand");
  CHECK(said<&leaf::next>("Other") == "T.x is of another C++ class than Other");
  CHECK(said<&leaf::paint>("T") == "T.x is of type T, for which an enum cannot stand");
}

TEST_CASE("what is not bound, bound twice or unknown is named") {
  const auto in = make_schema(R"(
    scalar When
    enum Color { RED GREEN }
    interface I { a: Int }
    type T implements I { a: Int, b(n: Int): Int }
    type V implements I { a: Int, w: When }
    type W { w: When }
    type Query { t: T, i: I, v: [V!]!, c: Color }
    type Mutation { m: Int })");
  struct t {};
  struct v {};
  struct w {};
  bindings to(*in);
  to.enumeration<color>("Color", {{color::red, "RED"}, {color::red, "GREEN"}, {color::blue, "BLUE"}});
  to.enumeration<second_color>("Colour", {});
  to.object<t>("T").field("a", [](const t&) { return 1; }).field("b", [](const t&) { return 1; });
  to.object<t>("T").field("c", [](const t&) { return 1; });
  to.object<t>("Query");
  to.object<t>("Missing").field("x", [](const t&) { return 1; });
  to.object<w>("W").field("w", [](const w&) { return instant{}; });
  to.object<v>("V").field("w", [](const v&) { return std::string(); }).field("w", [](const v&) {
    return std::string();
  });
  to.abstract<t>("I", {"T", "W"}, [](const t& x) { return concrete::of(0, &x); });
  to.root<t>("Query", "t", [](const field_call&, responder) {});
  to.root<t>("Query", "t", [](const field_call&, responder) {});
  to.root<t>("Query", "u", [](const field_call&, responder) {});
  to.root<t>("T", "a", [](const field_call&, responder) {});
  to.root<std::vector<std::optional<v>>>("Query", "v", [](const field_call&, responder) {});
  to.root<second_color>("Query", "c", resolver());
  const auto said_here = to.check();
  for (const auto expected : {
           "Color.GREEN: enumerator 0 is bound to two names",
           "Color.BLUE is bound, but the schema does not have it",
           "\"Colour\" is bound as an enum, which the schema does not have",
           "T is bound twice",
           "T.c is bound, but the schema does not have it",
           "T.a is not bound", // the second binding of T replaced the first
           "Query is a root: its fields are bound with root()",
           "\"Missing\" is bound as an object type, which the schema does not have",
           "V.w is bound twice",
           "V.a is not bound",
           "I is bound to \"W\", which is none of its types",
           "I is not resolved to its type V",
           "Query.t has two resolvers",
           "Query.u has a resolver, but the schema does not have it",
           "\"T\" is no root of the schema",
           "Query.v is never null, but an optional stands for it",
           "Query.c has an empty resolver",
           "Query.i has no resolver",
           "Mutation.m has no resolver",
           "W.w is of type When, for which an instant stands here, but text in V.w",
       }) {
    INFO(expected);
    CHECK(has(said_here, expected));
  }
}

TEST_CASE("a binding that ignores its field's arguments is named") {
  const auto in = make_schema("type T { a(n: Int): Int } type Query { t: T }");
  struct t {};
  bindings to(*in);
  to.object<t>("T").field("a", [](const t&) { return 1; });
  to.root<t>("Query", "t", [](const field_call&, responder) {});
  CHECK(has(to.check(), "T.a takes arguments, which its binding does not look at"));
}

TEST_CASE("an argument's ordinal becomes the C++ enumerator") {
  harbour at;
  CHECK(at.engine().bound().enumerator<color>(0) == color::red);
  CHECK(at.engine().bound().enumerator<color>(2) == color::blue);
}
