#include "graphql/schema.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "graphql/print.hpp"

namespace mooring::graphql {
namespace {

std::unique_ptr<const schema> built(std::string sdl) {
  auto outcome = build_schema(std::move(sdl));
  REQUIRE_MESSAGE(outcome, outcome.failure().message);
  return std::move(*outcome);
}

std::unique_ptr<const schema> file(const char* name) {
  std::ifstream in(std::string(MOORING_SOURCE_DIR "/tests/graphql/schemas/") + name, std::ios::binary);
  return built(std::string{std::istreambuf_iterator<char>(in), {}});
}

std::vector<std::string> errors_of(const std::string& sdl) {
  const auto outcome = check_schema(sdl);
  CHECK(outcome.errors.empty() == static_cast<bool>(outcome));
  std::vector<std::string> out;
  for (const auto& error : outcome.errors) {
    std::string text;
    for (const auto& at : error.locations)
      text += std::to_string(at.line) + ":" + std::to_string(at.column) + " ";
    out.push_back(text + error.message);
  }
  return out;
}

constexpr auto any = "type Query { a: Int } ";

} // namespace

TEST_CASE("types, fields and their parts have dense numbers in the order of the text") {
  const auto schema = built(R"(
    "the schema" schema { query: Root mutation: Changes }
    "the root" type Root implements Node { id: ID! "all" pages(first: Int = 10, "from" after: [String!]): [Page!]! }
    interface Node { id: ID! }
    type Page implements Node { id: ID! old: String @deprecated older: String @deprecated(reason: "use new") }
    union Any = Page | Root
    enum Color { RED "g" GREEN @deprecated }
    input Filter { color: Color = RED text: String! = "x" gone: Int @deprecated }
    "when" scalar Instant @specifiedBy(url: "https://example.org")
    type Changes { paint(filter: Filter!, at: Instant): Any }
    extend type Root { more: Int }
    extend enum Color { BLUE }
    extend union Any = Changes
    extend input Filter { extra: Boolean }
    directive @mine("why" reason: String = "r") repeatable on FIELD | QUERY
  )");
  CHECK(schema->description().text == "the schema");
  for (std::size_t i = 0; i < schema->types().size(); ++i) {
    const auto& type = schema->types()[i];
    CHECK(type.id == i);
    CHECK(schema->find_type(type.name) == &type);
    for (std::size_t j = 0; j < type.fields.size(); ++j) {
      CHECK(type.fields[j].ordinal == j);
      CHECK(type.find_field(type.fields[j].name) == &type.fields[j]);
      for (std::size_t k = 0; k < type.fields[j].arguments.size(); ++k) {
        const auto& argument = type.fields[j].arguments[k];
        CHECK(argument.ordinal == k);
        CHECK(type.fields[j].find_argument(argument.name) == &argument);
      }
    }
    for (std::size_t j = 0; j < type.values.size(); ++j) {
      CHECK(type.values[j].ordinal == j);
      CHECK(type.find_value(type.values[j].name) == &type.values[j]);
    }
    for (std::size_t j = 0; j < type.input_fields.size(); ++j) {
      CHECK(type.input_fields[j].ordinal == j);
      CHECK(type.find_input_field(type.input_fields[j].name) == &type.input_fields[j]);
    }
  }
  CHECK(schema->types()[0].name == "Root");
  const auto& root = *schema->find_type("Root");
  CHECK(schema->root(ast::operation_kind::query) == root.id);
  CHECK(schema->root(ast::operation_kind::mutation) == schema->find_type("Changes")->id);
  CHECK(schema->root(ast::operation_kind::subscription) == no_type);
  CHECK(root.description.text == "the root");
  REQUIRE(root.fields.size() == 3);
  CHECK(root.fields[2].name == "more");
  const auto& pages = root.fields[1];
  CHECK(pages.description.text == "all");
  CHECK(schema->to_string(pages.type) == "[Page!]!");
  CHECK(to_string(*pages.arguments[0].default_value) == "10");
  CHECK_FALSE(pages.arguments[0].required());
  CHECK(pages.arguments[1].description.text == "from");
  CHECK(schema->to_string(pages.arguments[1].type) == "[String!]");
  CHECK(pages.find_argument("nope") == nullptr);

  const auto& page = *schema->find_type("Page");
  CHECK(page.fields[1].deprecation.deprecated);
  CHECK(page.fields[1].deprecation.reason == "No longer supported");
  CHECK(page.fields[2].deprecation.reason == "use new");
  CHECK_FALSE(page.fields[0].deprecation.deprecated);

  const auto& color = *schema->find_type("Color");
  REQUIRE(color.values.size() == 3);
  CHECK(color.values[1].description.text == "g");
  CHECK(color.values[1].deprecation.deprecated);
  CHECK(color.find_value("BLUE")->ordinal == 2);
  CHECK(color.find_value("PINK") == nullptr);
  const auto& filter = *schema->find_type("Filter");
  CHECK(filter.find_input_field("extra")->ordinal == 3);
  CHECK_FALSE(filter.find_input_field("text")->required());
  CHECK(filter.find_input_field("gone")->deprecation.deprecated);
  const auto& instant = *schema->find_type("Instant");
  CHECK(instant.specified_by_url == "https://example.org");
  CHECK(instant.scalar == scalar_kind::custom);

  const auto& any_type = *schema->find_type("Any");
  REQUIRE(any_type.possible_types.size() == 3);
  CHECK(schema->is_possible_type(any_type.id, page.id));
  CHECK_FALSE(schema->is_possible_type(any_type.id, color.id));
  const auto& node = *schema->find_type("Node");
  CHECK(node.possible_types == std::vector{root.id, page.id});
  CHECK(schema->is_possible_type(node.id, page.id));
  CHECK(schema->types_overlap(node.id, any_type.id));
  CHECK_FALSE(schema->types_overlap(node.id, schema->find_type("Changes")->id));

  const auto* mine = schema->find_directive("mine");
  REQUIRE(mine != nullptr);
  CHECK(mine->repeatable);
  CHECK(mine->allowed_at(directive_location::query));
  CHECK_FALSE(mine->allowed_at(directive_location::mutation));
  CHECK(mine->find_argument("reason")->description.text == "why");
  CHECK(mine->find_argument("nope") == nullptr);
}

TEST_CASE("the introspection types, the scalars in use and the directives of the specification are there") {
  const auto schema = built(any);
  std::string names;
  for (const auto& type : schema->types()) names += std::string(type.name) + " ";
  CHECK(names ==
        "Query String Int Boolean __Schema __Type __Field __InputValue __EnumValue __TypeKind __Directive "
        "__DirectiveLocation ");
  CHECK(schema->find_type("Float") == nullptr);
  CHECK(schema->find_type("Int")->scalar == scalar_kind::integer);
  CHECK(schema->find_type("__Type")->introspection);
  CHECK_FALSE(schema->find_type("Int")->introspection);
  CHECK(schema->find_type("Int")->built_in);
  std::string directives;
  for (const auto& directive : schema->directives()) directives += std::string(directive.name) + " ";
  CHECK(directives == "include skip deprecated specifiedBy ");
  CHECK(schema->find_type("__DirectiveLocation")->values.size() == directive_location_count);
  for (int i = 0; i < directive_location_count; ++i)
    CHECK(schema->find_type("__DirectiveLocation")->values[static_cast<std::size_t>(i)].name ==
          to_string(static_cast<directive_location>(i)));
}

TEST_CASE("meta fields belong to no type's list and are found where they may be selected") {
  const auto schema = built("type Query { a: T u: U } type T { a: Int } union U = T");
  const auto& query = *schema->find_type("Query");
  const auto& other = *schema->find_type("T");
  CHECK(schema->find_field(query, "__schema")->ordinal == ordinal_schema);
  CHECK(schema->find_field(query, "__type")->ordinal == ordinal_type);
  CHECK(schema->to_string(schema->find_field(query, "__type")->find_argument("name")->type) == "String!");
  CHECK(schema->find_field(query, "__typename")->is_meta());
  CHECK(schema->find_field(other, "__schema") == nullptr);
  CHECK(schema->find_field(other, "__type") == nullptr);
  CHECK(schema->find_field(other, "__typename")->ordinal == ordinal_typename);
  CHECK(schema->find_field(*schema->find_type("U"), "__typename") != nullptr);
  CHECK(schema->find_field(*schema->find_type("Int"), "__typename") == nullptr);
  CHECK(schema->find_field(other, "a") == &other.fields[0]);
  CHECK_FALSE(other.fields[0].is_meta());
  CHECK(schema->find_type("__MetaFields") == nullptr);
}

TEST_CASE("roots are named Query, Mutation and Subscription unless the schema says otherwise") {
  const auto schema = built("type Query { a: Int } type Mutation { a: Int } type Subscription { a: Int }");
  CHECK(schema->root(ast::operation_kind::mutation) == 1);
  CHECK(schema->root(ast::operation_kind::subscription) == 2);
  CHECK(built("schema { query: Query } type Query { a: Int } type Mutation { a: Int }")
            ->root(ast::operation_kind::mutation) == no_type);
}

TEST_CASE("sub-types follow lists, non-nulls, interfaces and unions") {
  const auto schema = built("interface A { a: Int } interface B implements A { a: Int } type Query "
                            "implements A & B { a: Int } union U = Query");
  const auto use = [&](const char* name) { return type_use(schema->find_type(name)->id); };
  const auto query = use("Query");
  CHECK(schema->is_sub_type(query, query));
  CHECK(schema->is_sub_type(query, use("A")));
  CHECK(schema->is_sub_type(use("B"), use("A")));
  CHECK_FALSE(schema->is_sub_type(use("A"), use("B")));
  CHECK(schema->is_sub_type(query, use("U")));
  CHECK_FALSE(schema->is_sub_type(use("A"), use("U")));
  CHECK_FALSE(schema->is_sub_type(use("A"), query));
  CHECK(schema->is_sub_type(query.as_non_null(), use("A")));
  CHECK_FALSE(schema->is_sub_type(query, use("A").as_non_null()));
  CHECK(schema->is_sub_type(query.as_non_null().in_list(), use("A").in_list()));
  CHECK_FALSE(schema->is_sub_type(query, use("A").in_list()));
  CHECK_FALSE(schema->is_sub_type(query.in_list(), use("A")));
  CHECK(schema->to_string(query.as_non_null().in_list().as_non_null().in_list()) == "[[Query!]!]");
}

TEST_CASE("an SDL that breaks a rule is refused with the rule's words and places") {
  struct {
    std::string sdl;
    std::vector<std::string> errors;
  } const cases[] = {
      {"type Query {", {"1:13 Syntax Error: Expected Name, found <EOF>."}},
      {"type A { a: Int }", {"Query root type must be provided."}},
      {"schema { mutation: A } type A { a: Int }", {"1:1 Query root type must be provided."}},
      {"schema { query: E mutation: I subscription: U } enum E { A } input I { a: Int } union U = T type T { "
       "a: Int }",
       {"1:17 Query root type must be Object type, it cannot be E.",
        "1:29 Mutation root type must be Object type if provided, it cannot be I.",
        "1:45 Subscription root type must be Object type if provided, it cannot be U."}},
      {"enum Query { A }", {"1:1 Query root type must be Object type, it cannot be Query."}},
      {"schema { query: Int } type A { a: String }",
       {"1:17 Query root type must be Object type, it cannot be Int."}},
      {any + std::string("schema { query: Query } schema { query: Query }"),
       {"1:47 Must provide only one schema definition.",
        "1:32 1:56 There can be only one query type in schema."}},
      {any + std::string("type Query { b: Int }"), {"1:6 1:28 There can be only one type named \"Query\"."}},
      {"type Query { a: Int a: Int } extend type Query { a: Int }",
       {"1:14 1:21 Field \"Query.a\" can only be defined once.",
        "1:14 1:50 Field \"Query.a\" can only be defined once."}},
      {any + std::string("enum E { A B A }"), {"1:32 1:36 Enum value \"E.A\" can only be defined once."}},
      {"type Query { a(x: Int, x: Int): Int }",
       {"1:16 1:24 Argument \"Query.a(x:)\" can only be defined once."}},
      {any + std::string("directive @d(x: Int, x: Int) on FIELD directive @d on FIELD"),
       {"1:36 1:44 Argument \"@d(x:)\" can only be defined once.",
        "1:34 1:72 There can be only one directive named \"@d\"."}},
      {"type Query { a: Strin b: [Quer!]! }",
       {"1:17 Unknown type \"Strin\". Did you mean \"String\"?",
        "1:27 Unknown type \"Quer\". Did you mean \"Query\"?"}},
      {"type Query @nope { a: Int @skip(if: true) }",
       {"1:12 Unknown directive \"@nope\".",
        "1:27 Directive \"@skip\" may not be used on FIELD_DEFINITION."}},
      {"type Query { a: Int @deprecated @deprecated(why: 1) }",
       {"1:21 1:33 The directive \"@deprecated\" can only be used once at this location.",
        "1:45 Unknown argument \"why\" on directive \"@deprecated\"."}},
      {any + std::string("scalar S @specifiedBy"),
       {"1:32 Directive \"@specifiedBy\" argument \"url\" of type \"String!\" is required, but it was not "
        "provided."}},
      {any + std::string("extend type Quer { b: Int } extend enum Query { A }"),
       {"1:35 Cannot extend type \"Quer\" because it is not defined. Did you mean \"Query\"?",
        "1:1 1:51 Cannot extend non-enum type \"Query\"."}},
      {any + std::string("type Int { a: Boolean } type __Type { a: Int } scalar ID"),
       {"1:28 Type \"Int\" is built in. It cannot be redefined.",
        "1:52 Type \"__Type\" is built in. It cannot be redefined."}},
      {any + std::string("{ a } fragment f on Query { a }"),
       {"1:23 An operation or fragment cannot be part of a schema.",
        "1:29 An operation or fragment cannot be part of a schema."}},
      {"type Query", {"1:1 Type Query must define one or more fields."}},
      {any + std::string("enum E input I union U interface A"),
       {"1:23 Enum type E must define one or more values.",
        "1:30 Input Object type I must define one or more fields.",
        "1:38 Union type U must define one or more member types.",
        "1:46 Type A must define one or more fields."}},
      {"type Query { __a(__b: Int): Int } directive @__d(__e: Int) on FIELD enum __E { __F } input I { __g: "
       "Int }",
       {"1:35 Name \"__d\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        "1:50 Name \"__e\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        "1:14 Name \"__a\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        "1:18 Name \"__b\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        "1:69 Name \"__E\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        "1:80 Name \"__F\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        "1:96 Name \"__g\" must not begin with \"__\", which is reserved by GraphQL introspection."}},
      {"type Query { a(x: Query): I } input I { a: Query } directive @d(x: Query) on FIELD",
       {"1:65 The type of @d(x:) must be Input Type but got: Query.",
        "1:27 The type of Query.a must be Output Type but got: I.",
        "1:19 The type of Query.a(x:) must be Input Type but got: Query.",
        "1:44 The type of I.a must be Input Type but got: Query."}},
      {"type Query { a(x: Int! @deprecated): Int } input I { a: Int! @deprecated }",
       {"1:24 1:19 Required argument Query.a(x:) cannot be deprecated.",
        "1:62 1:57 Required input field I.a cannot be deprecated."}},
      {"interface A { a(x: Int): Int b: Int } type Query implements A { a(y: Int!): String }",
       {"1:26 1:77 Interface field A.a expects type Int but Query.a is type String.",
        "1:17 1:65 Interface field argument A.a(x:) expected but Query.a does not provide it.",
        "1:67 1:15 Object field Query.a includes required argument y that is missing from the Interface "
        "field A.a.",
        "1:30 1:39 Interface field A.b expected but Query does not provide it."}},
      {"interface A { a(x: Int): Int } type Query implements A { a(x: String): Int }",
       {"1:20 1:63 Interface field argument A.a(x:) expects type Int but Query.a(x:) is type String."}},
      {"interface A { a: Int } interface B implements A { a: Int } type Query implements B { a: Int }",
       {"1:47 1:82 Type Query must implement A because it is implemented by B."}},
      {"interface A implements A { a: Int } type Query implements Query & A & A { a: Int }",
       {"1:24 Type A cannot implement itself because it would create a circular reference.",
        "1:59 Type Query must only implement Interface types, it cannot implement Query.",
        "1:67 1:71 Type Query can only implement A once."}},
      {"interface A implements B { a: Int } interface B implements A { a: Int } type Query { a: Int }",
       {"1:60 1:24 Type A cannot implement B because it would create a circular reference.",
        "1:24 1:60 Type B cannot implement A because it would create a circular reference."}},
      {any + std::string("union U = Query | Query | E enum E { A }"),
       {"1:33 1:41 Union type U can only include type Query once.",
        "1:49 Union type U can only include Object types, it cannot include E."}},
      {any + std::string("input A { b: B! } input B { a: A! c: A }"),
       {"1:33 1:51 Cannot reference Input Object \"A\" within itself through a series of non-null fields: "
        "\"b.a\"."}},
      {"type Query { a(x: Int = \"s\", y: E = B, z: [I!] = {b: 1}): Int } enum E { A } input I { a: Int! = "
       "null }",
       {"1:98 Expected value of type \"Int!\", found null.",
        "1:25 Int cannot represent non-integer value: \"s\"",
        "1:37 Value \"B\" does not exist in \"E\" enum. Did you mean the enum value \"A\"?",
        "1:51 Field \"b\" is not defined by type \"I\". Did you mean \"a\"?"}},
      {"type Query { a: Int @deprecated(reason: 1) } schema @d(x: \"s\") { query: Query } directive @d(x: "
       "Int) on SCHEMA",
       {"1:41 String cannot represent a non string value: 1",
        "1:59 Int cannot represent non-integer value: \"s\""}},
      {any + std::string("input I { a: I = {} }"),
       {"1:33 The default value of input field a contains itself through the defaults of its fields."}},
      // Once for the field that `{b: {}}` leaves out, once through the default of `i`.
      {any + std::string("input I { a: [I] = [{b: {}}] b: J } input J { i: I = {} }"),
       {"1:33 The default value of input field a contains itself through the defaults of its fields.",
        "1:33 The default value of input field a contains itself through the defaults of its fields."}},
  };
  for (const auto& [sdl, errors] : cases) {
    CAPTURE(sdl);
    auto sorted = errors_of(sdl);
    auto wanted = errors;
    std::sort(sorted.begin(), sorted.end());
    std::sort(wanted.begin(), wanted.end());
    CHECK(sorted == wanted);
  }
}

TEST_CASE("defaults that end are no cycle") {
  built("type Query { a(i: I = {}): Int } input I { a: I = null b: [I!] = [] c: J = {x: {a: null, c: null}} "
        "} input J { x: I y: Int = 1 }");
}

TEST_CASE("build_schema says the first error and its line") {
  const auto outcome = build_schema("type Query {\n  a: Nope\n}");
  REQUIRE_FALSE(outcome);
  CHECK(outcome.failure().code == error_code::bad_user_input);
  CHECK(outcome.failure().message == "line 2: Unknown type \"Nope\".");
  CHECK(build_schema("type A { a: Int }").failure().message == "Query root type must be provided.");
}

TEST_CASE("a schema may bring its own form of a built-in directive or scalar") {
  const auto schema = built("directive @skip(if: Boolean!, why: String) on FIELD scalar ID extend scalar ID "
                            "@x directive @x on SCALAR type Query { a: Int }");
  CHECK(schema->find_directive("skip")->arguments.size() == 2);
  CHECK(schema->find_type("ID") == nullptr); // nothing uses it
  CHECK(built("scalar ID type Query { a: ID }")->find_type("ID")->scalar == scalar_kind::id);
  CHECK_FALSE(built("type Query { a: Int @deprecated(reason: null) }")
                  ->find_type("Query")
                  ->fields[0]
                  .deprecation.deprecated);
}

TEST_CASE("the product's schema and the tests' schema are valid") {
  const auto mooring = file("mooring.graphql");
  CHECK(mooring->root(ast::operation_kind::subscription) != no_type);
  CHECK(mooring->find_type("SyncEvent")->possible_types.size() == 6);
  CHECK(file("pets.graphql")->find_type("Mammal")->implementations.size() == 1);
}

TEST_CASE("a name table finds what was put in, and only that") {
  name_table table;
  CHECK(table.find("a") == name_table::absent);
  std::vector<std::string> names;
  for (int i = 0; i < 1'000; ++i) names.push_back("name" + std::to_string(i));
  for (std::uint32_t i = 0; i < names.size(); ++i) CHECK(table.insert(names[i], i));
  CHECK_FALSE(table.insert("name7", 1));
  CHECK(table.size() == 1'000);
  for (std::uint32_t i = 0; i < names.size(); ++i) CHECK(table.find(names[i]) == i);
  CHECK(table.find("name1000") == name_table::absent);
}

} // namespace mooring::graphql
