#include "graphql/parser.hpp"

#include <string>

#include <doctest/doctest.h>

#include "graphql/print.hpp"
#include "graphql/utf8.hpp"

namespace mooring::graphql {
namespace {

// "line:column message", or "" when the text is a document.
std::string error_of(std::string source, const parse_options& options = {}) {
  const auto parsed = parse(std::move(source), options);
  if (parsed) return "";
  std::string out;
  for (const auto& at : parsed.error.locations)
    out += std::to_string(at.line) + ":" + std::to_string(at.column) + " ";
  return out + parsed.error.message;
}

std::string repeated(const char* text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

} // namespace

TEST_CASE("an operation is parsed with all its parts") {
  const auto parsed = parse(R"(query Q($a: [Int!]! = [1, 2], $b: T @d) @on(x: 1) {
  alias: field(arg: {k: $a, l: ["s", null, true, E, 1.5]}) @skip(if: $b) { leaf }
  ...F @d
  ... on T { x }
  ... @d { y }
  ... { z }
}
fragment F on T @d { x })");
  REQUIRE(parsed);
  const auto& document = *parsed.document;
  REQUIRE(document.operations.size() == 1);
  REQUIRE(document.fragments.size() == 1);
  CHECK(document.selection_count == 10);
  CHECK(document.token_count == 94);
  const auto& operation = *document.operations[0];
  CHECK(operation.kind == ast::operation_kind::query);
  CHECK(operation.name.text == "Q");
  REQUIRE(operation.variables.size() == 2);
  CHECK(operation.variables[0].name.text == "a");
  CHECK(to_string(*operation.variables[0].type) == "[Int!]!");
  CHECK(to_string(*operation.variables[0].default_value) == "[1, 2]");
  CHECK(operation.variables[1].default_value == nullptr);
  CHECK(operation.variables[1].directives[0].name.text == "d");
  CHECK(operation.directives[0].arguments[0].name.text == "x");
  REQUIRE(operation.selections.items.size() == 5);
  const auto& field = operation.selections.items[0];
  CHECK(field.kind == ast::selection_kind::field);
  CHECK(field.response_name() == "alias");
  CHECK(field.name.text == "field");
  CHECK(to_string(field.arguments[0].value) == R"({k: $a, l: ["s", null, true, E, 1.5]})");
  CHECK(field.selections.items[0].response_name() == "leaf");
  CHECK_FALSE(field.selections.items[0].selections.present);
  CHECK(document.locate(field.offset) == source_location{2, 3});
  CHECK(operation.selections.items[1].kind == ast::selection_kind::fragment_spread);
  CHECK(operation.selections.items[2].type_condition.text == "T");
  CHECK(operation.selections.items[3].directives.size() == 1);
  CHECK_FALSE(operation.selections.items[4].type_condition.present());
  CHECK(document.fragments[0]->type_condition.text == "T");
  CHECK(document.find_fragment("F") == document.fragments[0]);
  CHECK(document.find_fragment("G") == nullptr);
}

TEST_CASE("the operation to run is the named one, or the only one") {
  const auto one = parse("{ a }");
  CHECK(one.document->find_operation("") == one.document->operations[0]);
  CHECK(one.document->find_operation("A") == nullptr);
  const auto two = parse("query A { a } mutation B { b }");
  CHECK(two.document->find_operation("") == nullptr);
  CHECK(two.document->find_operation("B")->kind == ast::operation_kind::mutation);
  CHECK(parse("fragment F on T { a }").document->find_operation("") == nullptr);
}

TEST_CASE("keywords are names wherever a name may stand") {
  for (const auto* word :
       {"on", "fragment", "query", "mutation", "subscription", "true", "false", "null", "type"}) {
    const std::string name = word;
    const std::string fragment = name == "on" ? "a" : name;
    CHECK(error_of("query " + name + " { ..." + fragment + " ... on " + name + " { " + name + ": " + name +
                   "(" + name + ": $" + name + ") @" + name + "(" + name + ": 1) } } fragment " + fragment +
                   " on " + name + " { a }") == "");
  }
}

TEST_CASE("syntax errors name what was expected, what was found, and where") {
  struct {
    const char* source;
    const char* error;
  } const cases[] = {
      {"", "1:1 Syntax Error: Unexpected <EOF>."},
      {"{", "1:2 Syntax Error: Expected Name, found <EOF>."},
      {"{}", "1:2 Syntax Error: Expected Name, found \"}\"."},
      {"}", "1:1 Syntax Error: Unexpected \"}\"."},
      {"{ a } }", "1:7 Syntax Error: Unexpected \"}\"."},
      {"\n { ...MissingOn }\nfragment MissingOn Type",
       "3:20 Syntax Error: Expected \"on\", found Name \"Type\"."},
      {"{ field: {} }", "1:10 Syntax Error: Expected Name, found \"{\"."},
      {"notAnOperation Foo { field }", "1:1 Syntax Error: Unexpected Name \"notAnOperation\"."},
      {"...", "1:1 Syntax Error: Unexpected \"...\"."},
      {"{ \"\" ", "1:3 Syntax Error: Expected Name, found String \"\"."},
      {"query ($a: Int = $b) { c }", "1:18 Syntax Error: Unexpected variable \"$b\" in constant value."},
      {"query ($a: [Int] = [1, $]) { c }", "1:24 Syntax Error: Unexpected \"$\"."},
      {"query ($a Int) { c }", "1:11 Syntax Error: Expected \":\", found Name \"Int\"."},
      {"fragment on on on { on }", "1:10 Syntax Error: Unexpected Name \"on\"."},
      {"{ ...on }", "1:9 Syntax Error: Expected Name, found \"}\"."},
      {"{ a(b: ) }", "1:8 Syntax Error: Unexpected \")\"."},
      {"{ a() }", "1:5 Syntax Error: Expected Name, found \")\"."},
      {"{ a(b: {c 1}) }", "1:11 Syntax Error: Expected \":\", found Int \"1\"."},
      {"\"a\" { b }", "1:5 Syntax Error: Unexpected \"{\"."},
      {"\"a\" query { b }",
       "1:1 Syntax Error: Unexpected description, descriptions are supported only on type definitions."},
      {"query Q", "1:8 Syntax Error: Expected \"{\", found <EOF>."},
      {"extend { a }", "1:8 Syntax Error: Unexpected \"{\"."},
      {"extend directive @a on FIELD", "1:8 Syntax Error: Unexpected Name \"directive\"."},
      {"extend type A", "1:14 Syntax Error: Unexpected <EOF>."},
      {"extend schema", "1:14 Syntax Error: Unexpected <EOF>."},
      {"enum E { true }",
       "1:10 Syntax Error: Name \"true\" is reserved and cannot be used for an enum value."},
      {"directive @a on B", "1:17 Syntax Error: Unexpected Name \"B\"."},
      {"schema { foo: A }", "1:10 Syntax Error: Unexpected Name \"foo\"."},
      {"{ a(b: ?) }", "1:8 Syntax Error: Unexpected character: \"?\"."},
      {"\"a\" ?", "1:5 Syntax Error: Unexpected character: \"?\"."},
      {"extend ?", "1:8 Syntax Error: Unexpected character: \"?\"."},
  };
  for (const auto& [source, error] : cases) CHECK(error_of(source) == error);
}

TEST_CASE("columns count UTF-16 code units, and every line terminator ends a line once") {
  CHECK(error_of("{ a(b: \"é😀\", c: ?) }") == "1:18 Syntax Error: Unexpected character: \"?\".");
  CHECK(error_of("\r\n\n\r ?") == "4:2 Syntax Error: Unexpected character: \"?\".");
  CHECK(error_of("\xef\xbb\xbf ?") == "1:3 Syntax Error: Unexpected character: \"?\".");
}

TEST_CASE("text that is no UTF-8 is refused at its first bad byte") {
  for (const auto* bytes : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                            "\xf0\x80\x80\x80", "\xf8", "\xe2\x82", "\xff"})
    CHECK(error_of(std::string("{ a # ") + bytes) == "1:7 Syntax Error: Invalid UTF-8.");
  CHECK(error_of("{ a # \xf4\x8f\xbf\xbf \xed\x9f\xbf \xee\x80\x80\n}") == "");
}

TEST_CASE("documents over the limits are refused as too complex") {
  parse_options options;
  options.tokens_max = 4;
  CHECK(error_of("{ a b }", options) == "");
  CHECK(error_of("{ a b c }", options) == "1:9 Document contains more than 4 tokens. Parsing aborted.");
  CHECK(parse("{ a b c }", options).error.code == error_code::query_too_complex);
  options = {};
  options.source_bytes_max = 5;
  CHECK(error_of("{ a }", options) == "");
  CHECK(error_of("{ a b }", options) == "Document has 7 bytes, which exceeds the limit of 5.");
  CHECK(parse("{ a b }", options).error.rule == "Limit");
}

TEST_CASE("the default limits are 64 KiB and 2,000 tokens") {
  CHECK(error_of("{ a }" + std::string(64 * 1024 - 5, ' ')) == "");
  CHECK(error_of("{ a }" + std::string(64 * 1024 - 4, ' ')) ==
        "Document has 65537 bytes, which exceeds the limit of 65536.");
  CHECK(error_of("{" + repeated(" a", 1998) + "}") == "");
  CHECK(error_of("{" + repeated(" a", 1999) + "}") ==
        "1:4000 Document contains more than 2000 tokens. Parsing aborted.");
}

TEST_CASE("what stands in values is bounded by the document's length alone: an upload may be written into "
          "its document") {
  CHECK(error_of("{ f(a: [" + repeated("{b: 1, c: \"x\"} ", 2'000) + "]) }") == "");
  CHECK(error_of("{ f(a: [1 2 3])" + repeated(" a", 1990) + "}") == "");
  CHECK(error_of("{ f(a: [1 2 3])" + repeated(" a", 2000) + "}").ends_with("Parsing aborted."));
  const auto parsed = parse("{ f(a: [" + repeated("1 ", 3'000) + "]) }");
  REQUIRE(parsed.document);
  CHECK(parsed.document->token_count > 3'000); // what it costs to keep it
}

TEST_CASE("ten thousand levels of anything end in an error, not in a stack overflow") {
  const auto options = parse_options::trusted();
  constexpr int deep = 10'000;
  for (const auto& source : {
           repeated("{ a ", deep) + repeated("}", deep),
           "{ a(b: " + repeated("[", deep) + repeated("]", deep) + ") }",
           "{ a(b: " + repeated("{c: ", deep) + "1" + repeated("}", deep) + ") }",
           "{ " + repeated("... { ", deep) + "a" + repeated("}", deep) + "}",
           "query ($a: Int = " + repeated("[", deep) + ") { b }",
       })
    CHECK(error_of(source, options).ends_with("Document is nested more than 200 levels deep."));
  for (const auto& source :
       {"query ($a: " + repeated("[", deep) + "Int", "type A { a: " + repeated("[", deep)})
    CHECK(error_of(source, options).ends_with("Type is wrapped more than 32 times."));
  CHECK(error_of("query ($a: " + repeated("[", 17) + "Int" + repeated("!]", 17) + ") { a }", options)
            .ends_with("Type is wrapped more than 32 times."));
  CHECK(error_of("query ($a: " + repeated("[", 16) + "Int" + repeated("!]", 16) + ") { a }", options) == "");
  CHECK(error_of("query ($a: [Int) { a }").ends_with("Expected \"]\", found \")\"."));
  CHECK(error_of(repeated("{ a ", 200) + repeated("}", 200), options) == "");
}

TEST_CASE("messages stay short however long the text is") {
  const auto error = error_of("{ a \"" + std::string(10'000, 'x') + "é\" }");
  CHECK(error.size() < 600);
  CHECK(error.ends_with("…"));
}

TEST_CASE("type system definitions can be switched off") {
  parse_options options;
  options.type_system = false;
  CHECK(error_of("{ a } type A { a: Int }", options) == "1:7 Syntax Error: Unexpected Name \"type\".");
  CHECK(error_of("extend type A { a: Int }", options) == "1:1 Syntax Error: Unexpected Name \"extend\".");
  CHECK(error_of("{ a } fragment type on B { a }", options) == "");
}

TEST_CASE("type system definitions are parsed with all their parts") {
  const auto parsed = parse(R"("the schema" schema @d { query: Q mutation: M subscription: S }
"s" scalar S @specifiedBy(url: "u")
"""
  t
"""
type T implements & I & J @d { "f" a("x" x: Int = 1 @d, y: [S!]): T! @d }
interface I implements J
union U @d = | A | B
enum E { "v" A @d B }
input N { "i" a: Int = 3 @d }
"d" directive @d(a: Int) repeatable on | FIELD | OBJECT
extend type T { b: Int }
extend union U = C
extend schema @d)");
  REQUIRE_MESSAGE(parsed, parsed.error.message);
  const auto& definitions = parsed.document->definitions;
  REQUIRE(definitions.size() == 11);
  CHECK(definitions[0].schema->description.text == "the schema");
  CHECK(definitions[0].schema->operations.size() == 3);
  CHECK(definitions[0].schema->operations[1].kind == ast::operation_kind::mutation);
  const auto& type = *definitions[2].type;
  CHECK(type.kind == ast::type_definition_kind::object);
  CHECK(type.description.text == "t");
  CHECK(type.interfaces.size() == 2);
  CHECK(type.fields[0].description.text == "f");
  CHECK(type.fields[0].arguments[0].description.text == "x");
  CHECK(to_string(*type.fields[0].arguments[0].default_value) == "1");
  CHECK(to_string(*type.fields[0].type) == "T!");
  CHECK(definitions[3].type->fields.empty());
  CHECK(definitions[4].type->members.size() == 2);
  CHECK(definitions[5].type->values[0].description.present);
  CHECK_FALSE(definitions[5].type->values[1].description.present);
  CHECK(definitions[6].type->input_fields[0].default_value->text == "3");
  CHECK(definitions[7].directive->repeatable);
  CHECK(definitions[7].directive->locations[1].text == "OBJECT");
  CHECK(definitions[8].type->extension);
  CHECK(definitions[9].type->members[0].text == "C");
  CHECK(definitions[10].schema->extension);
}

TEST_CASE("values are printed as GraphQL text") {
  const auto printed = [](const std::string& value) {
    const auto parsed = parse("{ a(b: " + value + ") }");
    REQUIRE_MESSAGE(parsed, parsed.error.message);
    return to_string(parsed.document->operations[0]->selections.items[0].arguments[0].value);
  };
  for (const auto* text : {"1", "-1.5e3", "\"s\"", "true", "false", "null", "E", "$v", "[]", "{}", "[1, [2]]",
                           "{a: {b: 1}, c: 2}"})
    CHECK(printed(text) == text);
  CHECK(printed(R"("\" \\ \b\f\n\r\t \u0001 \u007f \u0085 \u00e9 😀")") ==
        R"("\" \\ \b\f\n\r\t \u0001 \u007F \u0085 é 😀")");
  CHECK(printed(R"("""x""")") == R"("""x""")");
  CHECK(printed("\"\"\"a\nb\"\"\"") == "\"\"\"\na\nb\n\"\"\"");
  CHECK(printed(R"("""ends \""" """)") == R"("""ends \""" """)");
  CHECK(printed("\"\"\"back slash \\\n\"\"\"") == "\"\"\"\nback slash \\\n\"\"\"");
  CHECK(printed("\"\"\" " + std::string(80, 'x') + "\"\"\"") ==
        "\"\"\" " + std::string(80, 'x') + "\n\"\"\"");
}

TEST_CASE("text is cut at a character") {
  std::string text = "aé€😀";
  truncate(text, 100);
  CHECK(text == "aé€😀");
  for (const auto& [bytes, cut] : {std::pair(9, "aé€…"), {6, "aé€…"}, {5, "aé…"}, {2, "a…"}, {0, "…"}}) {
    std::string copy = "aé€😀";
    truncate(copy, static_cast<std::size_t>(bytes));
    CHECK(copy == cut);
  }
}

} // namespace mooring::graphql
