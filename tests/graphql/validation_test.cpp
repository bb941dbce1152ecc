#include "graphql/validation.hpp"

#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "graphql/parser.hpp"
#include "graphql/suggestions.hpp"

namespace mooring::graphql {
namespace {

const schema& pets() {
  static const auto built = [] {
    std::ifstream file(MOORING_SOURCE_DIR "/tests/graphql/schemas/pets.graphql", std::ios::binary);
    return build_schema(std::string{std::istreambuf_iterator<char>(file), {}});
  }();
  REQUIRE_MESSAGE(built, built.failure().message);
  return **built;
}

std::vector<document_error> errors_of(const schema& schema, const std::string& source,
                                      const validation_options& options = {}) {
  const auto parsed = parse(source, parse_options::trusted());
  REQUIRE_MESSAGE(parsed, parsed.error.message);
  return validate(schema, *parsed.document, options);
}

// "line:column … rule: message"
std::string to_text(const document_error& error) {
  std::string out;
  for (const auto& at : error.locations)
    out += std::to_string(at.line) + ":" + std::to_string(at.column) + " ";
  return out + std::string(error.rule) + ": " + error.message;
}

std::vector<std::string> texts_of(const std::string& source) {
  std::vector<std::string> out;
  for (const auto& error : errors_of(pets(), source)) out.push_back(to_text(error));
  return out;
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// What must be fast must be fast by orders of magnitude: a second is never reached unless work has exploded.
template<class Work> void check_quick(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

} // namespace

// The messages and places are graphql-js's; the differential test holds every one of these documents against
// it.
TEST_CASE("each rule reports what breaks it, in words and with places") {
  const struct {
    const char* source;
    std::vector<std::string> errors;
  } cases[] =
      {
          {R"({ dog { name } } type T { a: Int } extend schema @x directive @d on FIELD)",
           {R"x(1:18 ExecutableDefinitions: The "T" definition is not executable.)x",
            R"x(1:36 ExecutableDefinitions: The schema definition is not executable.)x",
            R"x(1:53 ExecutableDefinitions: The "d" definition is not executable.)x"}},
          {R"(query A { dog { name } } mutation A { rename(id: 1, name: "x") { iq } })",
           {R"x(1:7 1:35 UniqueOperationNames: There can be only one operation named "A".)x"}},
          {R"({ dog { name } } query A { dog { name } })",
           {R"x(1:1 LoneAnonymousOperation: This anonymous operation must be the only defined operation.)x"}},
          {R"(subscription { importantEmails notImportantEmails })",
           {R"x(1:32 SingleFieldSubscriptions: Anonymous Subscription must select only one top level field.)x"}},
          {R"(subscription S { importantEmails ...f ... on Dog { x: importantEmails } } fragment f on SubscriptionRoot { notImportantEmails ...f })",
           {R"x(1:39 PossibleFragmentSpreads: Fragment cannot be spread here as objects of type "SubscriptionRoot" can never be of type "Dog".)x",
            R"x(1:52 FieldsOnCorrectType: Cannot query field "importantEmails" on type "Dog".)x",
            R"x(1:127 NoFragmentCycles: Cannot spread fragment "f" within itself.)x",
            R"x(1:108 SingleFieldSubscriptions: Subscription "S" must select only one top level field.)x"}},
          {R"(subscription { __typename })",
           {R"x(1:16 SingleFieldSubscriptions: Anonymous Subscription must not select an introspection top level field.)x"}},
          {R"(subscription { importantEmails @skip(if: true) notImportantEmails newMessage @include(if: false) { body } })",
           {}},
          {R"(query ($a: Strin) { dog { ... on Dgo { name } ...f isAtLocation(x: $a) } } fragment f on Nowhere { a })",
           {R"x(1:12 KnownTypeNames: Unknown type "Strin". Did you mean "String"?)x",
            R"x(1:34 KnownTypeNames: Unknown type "Dgo". Did you mean "Dog" or "Edge"?)x",
            R"x(1:90 KnownTypeNames: Unknown type "Nowhere".)x"}},
          {R"({ dog { ... on FurColor { a } ...f } } fragment f on Boolean { a })",
           {R"x(1:16 FragmentsOnCompositeTypes: Fragment cannot condition on non composite type "FurColor".)x",
            R"x(1:54 FragmentsOnCompositeTypes: Fragment "f" cannot condition on non composite type "Boolean".)x"}},
          {R"(query ($a: Dog, $b: [CatOrDog!]) { complicatedArgs { anyArg(arg: [$a, $b]) } })",
           {R"x(1:12 VariablesAreInputTypes: Variable "$a" cannot be non-input type "Dog".)x",
            R"x(1:21 VariablesAreInputTypes: Variable "$b" cannot be non-input type "[CatOrDog!]".)x",
            R"x(1:8 1:67 VariablesInAllowedPosition: Variable "$a" of type "Dog" used in position expecting type "Any".)x",
            R"x(1:17 1:71 VariablesInAllowedPosition: Variable "$b" of type "[CatOrDog!]" used in position expecting type "Any".)x"}},
          {R"({ dog human { name { a } relatives } })",
           {R"x(1:3 ScalarLeafs: Field "dog" of type "Dog" must have a selection of subfields. Did you mean "dog { ... }"?)x",
            R"x(1:20 ScalarLeafs: Field "name" must not have a selection since type "String" has no subfields.)x",
            R"x(1:26 ScalarLeafs: Field "relatives" of type "[Human]!" must have a selection of subfields. Did you mean "relatives { ... }"?)x"}},
          {R"({ dog { nam } pet { nickname barkVolume } catOrDog { iq name } someBox { scalar } cat { __schema { types { name } } } })",
           {R"x(1:9 FieldsOnCorrectType: Cannot query field "nam" on type "Dog". Did you mean "name"?)x",
            R"x(1:21 FieldsOnCorrectType: Cannot query field "nickname" on type "Pet". Did you mean to use an inline fragment on "Cat" or "Dog"?)x",
            R"x(1:30 FieldsOnCorrectType: Cannot query field "barkVolume" on type "Pet". Did you mean to use an inline fragment on "Dog"?)x",
            R"x(1:54 FieldsOnCorrectType: Cannot query field "iq" on type "CatOrDog".)x",
            R"x(1:57 FieldsOnCorrectType: Cannot query field "name" on type "CatOrDog". Did you mean to use an inline fragment on "Pet", "Canine", "Cat", or "Dog"?)x",
            R"x(1:74 FieldsOnCorrectType: Cannot query field "scalar" on type "SomeBox". Did you mean to use an inline fragment on "IntBox", "NonNullStringBox1", "NonNullStringBox1Impl", "NonNullStringBox2", or "NonNullStringBox2Impl"?)x",
            R"x(1:89 FieldsOnCorrectType: Cannot query field "__schema" on type "Cat".)x"}},
          {R"({ dog { ...f } } fragment f on Dog { name } fragment f on Dog { nickname })",
           {R"x(1:27 1:54 UniqueFragmentNames: There can be only one fragment named "f".)x"}},
          {R"({ dog { ...nope } })", {R"x(1:12 KnownFragmentNames: Unknown fragment "nope".)x"}},
          {R"({ dog { name } } fragment a on Dog { ...b } fragment b on Dog { name })",
           {R"x(1:18 NoUnusedFragments: Fragment "a" is never used.)x",
            R"x(1:45 NoUnusedFragments: Fragment "b" is never used.)x"}},
          {R"({ dog { ... on Cat { meows } ...h ... on Pet { name } } } fragment h on HumanOrAlien { __typename })",
           {R"x(1:9 PossibleFragmentSpreads: Fragment cannot be spread here as objects of type "Dog" can never be of type "Cat".)x",
            R"x(1:30 PossibleFragmentSpreads: Fragment "h" cannot be spread here as objects of type "Dog" can never be of type "HumanOrAlien".)x"}},
          {R"({ dog { ...a } } fragment a on Dog { mother { ...b } } fragment b on Dog { ...c } fragment c on Dog { ...a ...c name })",
           {R"x(1:47 1:76 1:103 NoFragmentCycles: Cannot spread fragment "a" within itself via "b", "c".)x",
            R"x(1:108 NoFragmentCycles: Cannot spread fragment "c" within itself.)x"}},
          {R"(query ($a: Int, $a: Int) { dog { isAtLocation(x: $a) } })",
           {R"x(1:9 1:18 UniqueVariableNames: There can be only one variable named "$a".)x"}},
          {R"({ dog { isAtLocation(x: $a) } })",
           {R"x(1:25 1:1 NoUndefinedVariables: Variable "$a" is not defined.)x"}},
          {R"(query Q { dog { ...f } } fragment f on Dog { isAtLocation(x: $a) })",
           {R"x(1:62 1:1 NoUndefinedVariables: Variable "$a" is not defined by operation "Q".)x"}},
          {R"(query ($a: Int) { dog { name } })",
           {R"x(1:8 NoUnusedVariables: Variable "$a" is never used.)x"}},
          {R"(query Q($a: Int) { dog { name } })",
           {R"x(1:9 NoUnusedVariables: Variable "$a" is never used in operation "Q".)x"}},
          {R"(query @nope { dog @onQuery { name } })",
           {R"x(1:7 KnownDirectives: Unknown directive "@nope".)x",
            R"x(1:19 KnownDirectives: Directive "@onQuery" may not be used on FIELD.)x"}},
          {R"(mutation @onQuery { adopt(pet: {requiredField: true}) { name } } fragment f on Dog @onField { name } subscription S($a: Int @onField) @onField { importantEmails })",
           {R"x(1:1 LoneAnonymousOperation: This anonymous operation must be the only defined operation.)x",
            R"x(1:10 KnownDirectives: Directive "@onQuery" may not be used on MUTATION.)x",
            R"x(1:125 KnownDirectives: Directive "@onField" may not be used on VARIABLE_DEFINITION.)x",
            R"x(1:135 KnownDirectives: Directive "@onField" may not be used on SUBSCRIPTION.)x",
            R"x(1:84 KnownDirectives: Directive "@onField" may not be used on FRAGMENT_DEFINITION.)x",
            R"x(1:66 NoUnusedFragments: Fragment "f" is never used.)x",
            R"x(1:117 NoUnusedVariables: Variable "$a" is never used in operation "S".)x"}},
          {R"({ dog @onField @onField @tag(name: "a") @tag(name: "b") { name } })",
           {R"x(1:7 1:16 UniqueDirectivesPerLocation: The directive "@onField" can only be used once at this location.)x"}},
          {R"({ dog { isAtLocation(z: 1, somewhere: 2) name @skip(iff: true, if: true) } })",
           {R"x(1:22 KnownArgumentNames: Unknown argument "z" on field "Dog.isAtLocation". Did you mean "x" or "y"?)x",
            R"x(1:28 KnownArgumentNames: Unknown argument "somewhere" on field "Dog.isAtLocation".)x",
            R"x(1:53 KnownArgumentNames: Unknown argument "iff" on directive "@skip". Did you mean "if"?)x"}},
          {R"({ dog { isAtLocation(x: 1, x: 2, x: 3) name @tag(name: "a", name: "b") } })",
           {R"x(1:22 1:28 1:34 UniqueArgumentNames: There can be only one argument named "x".)x",
            R"x(1:50 1:61 UniqueArgumentNames: There can be only one argument named "name".)x"}},
          {R"({ complicatedArgs { intArgField(intArg: "3") a: intArgField(intArg: 2147483648) b: stringArgField(stringArg: 1) c: booleanArgField(booleanArg: 2) d: floatArgField(floatArg: "x") e: idArgField(idArg: 1.5) f: enumArgField(enumArg: TANN) g: enumArgField(enumArg: "TAN") h: anyArg(arg: {a: [1]}) } })",
           {R"x(1:41 ValuesOfCorrectType: Int cannot represent non-integer value: "3")x",
            R"x(1:69 ValuesOfCorrectType: Int cannot represent non 32-bit signed integer value: 2147483648)x",
            R"x(1:110 ValuesOfCorrectType: String cannot represent a non string value: 1)x",
            R"x(1:144 ValuesOfCorrectType: Boolean cannot represent a non boolean value: 2)x",
            R"x(1:174 ValuesOfCorrectType: Float cannot represent non numeric value: "x")x",
            R"x(1:200 ValuesOfCorrectType: ID cannot represent a non-string and non-integer value: 1.5)x",
            R"x(1:230 ValuesOfCorrectType: Value "TANN" does not exist in "FurColor" enum. Did you mean the enum value "TAN"?)x",
            R"x(1:261 ValuesOfCorrectType: Enum "FurColor" cannot represent non-enum value: "TAN". Did you mean the enum value "TAN"?)x"}},
          {R"({ complicatedArgs { nonNullIntArgField(nonNullIntArg: null) stringListArgField(stringListArg: ["a", 1]) a: stringListArgField(stringListArg: 1) matrix(rows: [1, [2, null], [[3]]]) intArgField(intArg: [1]) complexArgField(complexArg: {intField: "x", unknown: 1, booleanFeld: 2}) b: complexArgField(complexArg: 1) c: complexArgField(complexArg: [{requiredField: true}]) d: intArgField(intArg: {a: 1}) } })",
           {R"x(1:55 ValuesOfCorrectType: Expected value of type "Int!", found null.)x",
            R"x(1:101 ValuesOfCorrectType: String cannot represent a non string value: 1)x",
            R"x(1:142 ValuesOfCorrectType: String cannot represent a non string value: 1)x",
            R"x(1:166 ValuesOfCorrectType: Expected value of type "Int!", found null.)x",
            R"x(1:174 ValuesOfCorrectType: Int cannot represent non-integer value: [3])x",
            R"x(1:201 ValuesOfCorrectType: Int cannot represent non-integer value: [1])x",
            R"x(1:234 ValuesOfCorrectType: Field "ComplexInput.requiredField" of required type "Boolean!" was not provided.)x",
            R"x(1:245 ValuesOfCorrectType: Int cannot represent non-integer value: "x")x",
            R"x(1:250 ValuesOfCorrectType: Field "unknown" is not defined by type "ComplexInput".)x",
            R"x(1:262 ValuesOfCorrectType: Field "booleanFeld" is not defined by type "ComplexInput". Did you mean "booleanField"?)x",
            R"x(1:310 ValuesOfCorrectType: Expected value of type "ComplexInput", found 1.)x",
            R"x(1:344 ValuesOfCorrectType: Expected value of type "ComplexInput", found [{requiredField: true}].)x",
            R"x(1:392 ValuesOfCorrectType: Int cannot represent non-integer value: {a: 1})x"}},
          {R"(query ($a: Int! = null, $b: ComplexInput = {requiredField: 1}) { complicatedArgs { nonNullIntArgField(nonNullIntArg: $a) complexArgField(complexArg: $b) } })",
           {R"x(1:19 ValuesOfCorrectType: Expected value of type "Int!", found null.)x",
            R"x(1:60 ValuesOfCorrectType: Boolean cannot represent a non boolean value: 1)x"}},
          {R"({ complicatedArgs { multipleReqs(req1: 1) } dog @tag { name @skip } })",
           {R"x(1:21 ProvidedRequiredArguments: Field "multipleReqs" argument "req2" of type "Int!" is required, but it was not provided.)x",
            R"x(1:49 ProvidedRequiredArguments: Directive "@tag" argument "name" of type "String!" is required, but it was not provided.)x",
            R"x(1:61 ProvidedRequiredArguments: Directive "@skip" argument "if" of type "Boolean!" is required, but it was not provided.)x"}},
          {R"(query ($a: Int, $b: String, $c: [String], $d: Boolean, $e: Int = 1, $f: Int = null) { complicatedArgs { nonNullIntArgField(nonNullIntArg: $a) intArgField(intArg: $b) stringListNonNullArgField(stringListNonNullArg: $c) complexArgField(complexArg: {requiredField: $d, nonNullField: $d, stringListField: [$c]}) x: nonNullIntArgField(nonNullIntArg: $e) y: nonNullIntArgField(nonNullIntArg: $f) nonNullFieldWithDefault(arg: $a) } dog { name @skip(if: $d) } })",
           {R"x(1:8 1:139 VariablesInAllowedPosition: Variable "$a" of type "Int" used in position expecting type "Int!".)x",
            R"x(1:17 1:163 VariablesInAllowedPosition: Variable "$b" of type "String" used in position expecting type "Int".)x",
            R"x(1:29 1:215 VariablesInAllowedPosition: Variable "$c" of type "[String]" used in position expecting type "[String!]".)x", R"x(1:43 1:263 VariablesInAllowedPosition: Variable "$d" of type "Boolean" used in position expecting type "Boolean!".)x", R"x(1:29 1:303 VariablesInAllowedPosition: Variable "$c" of type "[String]" used in position expecting type "String".)x", R"x(1:69 1:387 VariablesInAllowedPosition: Variable "$f" of type "Int" used in position expecting type "Int!".)x", R"x(1:43 1:447 VariablesInAllowedPosition: Variable "$d" of type "Boolean" used in position expecting type "Boolean!".)x"}},
          {R"({ dog { name: nickname name } })",
           {R"x(1:9 1:24 OverlappingFieldsCanBeMerged: Fields "name" conflict because "nickname" and "name" are different fields. Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ dog { isAtLocation(x: 1) isAtLocation(x: 2) isAtLocation(y: 1) } })", {R"x(1:9 1:28 OverlappingFieldsCanBeMerged: Fields "isAtLocation" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.)x", R"x(1:9 1:47 OverlappingFieldsCanBeMerged: Fields "isAtLocation" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.)x", R"x(1:28 1:47 OverlappingFieldsCanBeMerged: Fields "isAtLocation" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ pet { ... on Dog { x: barkVolume } ... on Cat { x: name } } })",
           {R"x(1:22 1:51 OverlappingFieldsCanBeMerged: Fields "x" conflict because they return conflicting types "Int" and "String". Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ someBox { ... on IntBox { scalar } ... on StringBox { scalar } ... on NonNullStringBox1 { scalar } } })",
           {R"x(1:29 1:57 OverlappingFieldsCanBeMerged: Fields "scalar" conflict because they return conflicting types "Int" and "String". Use different aliases on the fields to fetch both if this was intentional.)x", R"x(1:29 1:93 OverlappingFieldsCanBeMerged: Fields "scalar" conflict because they return conflicting types "Int" and "String!". Use different aliases on the fields to fetch both if this was intentional.)x", R"x(1:57 1:93 OverlappingFieldsCanBeMerged: Fields "scalar" conflict because they return conflicting types "String" and "String!". Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ f: dog { x: name } f: dog { x: nickname } })",
           {R"x(1:3 1:12 1:22 1:31 OverlappingFieldsCanBeMerged: Fields "f" conflict because subfields "x" conflict because "name" and "nickname" are different fields. Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ human { ...a ...b } } fragment a on Human { x: name relatives { ...b } } fragment b on Human { x: iq relatives { ...a } })",
           {R"x(1:67 1:116 NoFragmentCycles: Cannot spread fragment "a" within itself via "b".)x",
            R"x(1:47 1:98 OverlappingFieldsCanBeMerged: Fields "x" conflict because "name" and "iq" are different fields. Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ complicatedArgs { x: anyArg(arg: {a: 1, b: [true, null]}) x: anyArg(arg: {b: [true, null], a: 1}) y: anyArg(arg: {a: 1}) y: anyArg(arg: {a: 1, b: 2}) z: anyArg(arg: {a: 1}) z: anyArg(arg: {b: 1}) w: anyArg(arg: false) w: anyArg(arg: true) } })",
           {R"x(1:101 1:124 OverlappingFieldsCanBeMerged: Fields "y" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.)x",
            R"x(1:153 1:176 OverlappingFieldsCanBeMerged: Fields "z" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.)x",
            R"x(1:199 1:221 OverlappingFieldsCanBeMerged: Fields "w" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ pet { ... on Dog { x: __typename } ... on Cat { x: meowsVolume } } })", {R"x(1:22 1:51 OverlappingFieldsCanBeMerged: Fields "x" conflict because they return conflicting types "String!" and "Int". Use different aliases on the fields to fetch both if this was intentional.)x"}},
          {R"({ complicatedArgs { anyArg(arg: [{a: 1, a: 2, b: {c: 1, c: 2}}]) } })",
           {R"x(1:35 1:41 UniqueInputFieldNames: There can be only one input field named "a".)x",
            R"x(1:51 1:57 UniqueInputFieldNames: There can be only one input field named "c".)x"}},
          {R"({ __schema { types { fields { type { interfaces { possibleTypes { name } } } } } } })",
           {R"x(1:3 MaxIntrospectionDepth: Maximum introspection depth exceeded)x"}},
          {R"({ __type(name: "a") { ...f } } fragment f on __Type { fields { type { ...g } } } fragment g on __Type { inputFields { type { fields { name } } } ...g })",
           {R"x(1:3 MaxIntrospectionDepth: Maximum introspection depth exceeded)x",
            R"x(1:146 NoFragmentCycles: Cannot spread fragment "g" within itself.)x"}},
      };
  for (const auto& [source, errors] : cases) {
    CAPTURE(source);
    CHECK(texts_of(source) == errors);
  }
}

TEST_CASE("valid documents pass") {
  for (const auto* source : {
           "{ dog { name } }",
           "{ dog { ...f ... on Pet { name } ... { barks } ... @skip(if: true) { barks } } } fragment f on "
           "Canine { mother { name } }",
           "query ($a: Int!, $c: ComplexInput = {requiredField: true}) @tag(name: \"q\") { complicatedArgs { "
           "intArgField(intArg: $a) "
           "complexArgField(complexArg: $c) nonNullFieldWithDefault floatArgField(floatArg: 1) "
           "idArgField(idArg: 1) } }",
           "subscription { births { __typename ... on Cat { furColor } } }",
           "{ __schema { types { name } } __type(name: \"Dog\") { name } __typename }",
           "query A { dog { name } } mutation B { rename(id: 1, name: \"a\") { name } }",
           "query ($a: Int = 1, $b: Boolean = true) { complicatedArgs { nonNullIntArgField(nonNullIntArg: "
           "$a) nonNullFieldWithDefault(arg: $a) } dog @include(if: $b) { name } }",
       }) {
    CAPTURE(source);
    CHECK(texts_of(source).empty());
  }
}

TEST_CASE("an operation of a kind that the schema does not have is refused") {
  const auto built = build_schema("type Query { a: Int }");
  REQUIRE(built);
  for (const auto& [source, message] :
       {std::pair("mutation { a }", "1:1 KnownOperationTypes: Schema is not configured for mutations."),
        {"subscription { a }", "1:1 KnownOperationTypes: Schema is not configured for subscriptions."}}) {
    const auto errors = errors_of(**built, source);
    REQUIRE(errors.size() == 1);
    CHECK(to_text(errors[0]) == message);
  }
}

TEST_CASE("errors stop at the limit, and say so") {
  validation_options options;
  options.errors_max = 3;
  const auto errors = errors_of(pets(), "{ dog { a b c d e } }", options);
  REQUIRE(errors.size() == 4);
  CHECK(errors[3].message == "Too many validation errors, error limit reached. Validation aborted.");
  CHECK(errors_of(pets(), "{ dog {" + repeated(" x", 500) + " } }").size() == 101);
  CHECK(errors_of(pets(), "{ dog { a b c } }", options).size() == 3);
}

TEST_CASE("one error's size is bounded, whatever the document") {
  const auto errors = errors_of(pets(), "{ dog { isAtLocation(" + repeated("x: 1 ", 500) + ") " +
                                            std::string(50'000, 'n') + " } }");
  REQUIRE(errors.size() == 2);
  for (const auto& error : errors) {
    CHECK(error.locations.size() <= 100);
    CHECK(error.message.size() < 2'100);
  }
}

TEST_CASE("fragments that spread each other twice, twenty deep, are validated at once") {
  std::string source = "{ human { ...f0 } }";
  for (int i = 0; i < 40; ++i)
    source += " fragment f" + std::to_string(i) + " on Human { a: relatives { ...f" + std::to_string(i + 1) +
              " } b: relatives { ...f" + std::to_string(i + 1) + " } ...f" + std::to_string(i + 1) + " }";
  source += " fragment f40 on Human { name }";
  check_quick([&] { CHECK(errors_of(pets(), source).empty()); });
}

TEST_CASE("fields that share a response name are compared within a budget") {
  const auto source = "{ dog {" + repeated(" name", 1'900) + " } }";
  const auto errors = errors_of(pets(), source);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].code == error_code::query_too_complex);
  validation_options options;
  options.comparisons_max = 10'000'000;
  CHECK(errors_of(pets(), source, options).empty());
  check_quick([&] { CHECK(errors_of(pets(), "{" + repeated(" dog { name }", 400) + " }").empty()); });
}

TEST_CASE("ever more conflicts cost no more than the errors that are reported") {
  std::string source = "{ dog {";
  for (int i = 0; i < 500; ++i) source += " x: isAtLocation(x: " + std::to_string(i) + ")";
  check_quick([&] { CHECK(errors_of(pets(), source + " } }").size() == 101); });
}

TEST_CASE("a chain of thousands of fragments overflows no stack") {
  std::string chain = "{ human { ...f0 ...f1 } }";
  for (int i = 0; i < 5'000; ++i)
    chain += " fragment f" + std::to_string(i) + " on Human { name ...f" + std::to_string(i + 1) + " }";
  const auto errors = errors_of(pets(), chain + " fragment f5000 on Human { ...f0 }");
  CHECK(errors.size() == 2); // the cycle, and the limit on comparing fragments in each other
  CHECK(errors.back().code == error_code::query_too_complex);
  std::string subscription = "subscription { ...f0 }";
  for (int i = 0; i < 5'000; ++i)
    subscription +=
        " fragment f" + std::to_string(i) + " on SubscriptionRoot { ...f" + std::to_string(i + 1) + " }";
  CHECK(errors_of(pets(), subscription + " fragment f5000 on SubscriptionRoot { importantEmails }").size() ==
        1);
  std::string introspection = "{ __schema { types { ...f0 } } }";
  for (int i = 0; i < 5'000; ++i)
    introspection +=
        " fragment f" + std::to_string(i) + " on __Type { ofType { ...f" + std::to_string(i + 1) + " } }";
  CHECK(errors_of(pets(), introspection + " fragment f5000 on __Type { name }")[0].rule ==
        "MaxIntrospectionDepth");
}

TEST_CASE("deep nesting within the parser's limit is validated") {
  CHECK(errors_of(pets(), "{ dog " + repeated("{ mother ", 198) + "{ name }" + repeated("}", 198) + " }")
            .empty());
  CHECK(errors_of(pets(), "{ dog " + repeated("{ a: mother { name } a: mother ", 60) + "{ name }" +
                              repeated("}", 60) + " }")
            .empty());
  CHECK(errors_of(pets(), "{ complicatedArgs { anyArg(arg: " + repeated("[{a: ", 90) + "$v" +
                              repeated("}]", 90) + ") } }")
            .size() == 1);
}

TEST_CASE("names within reach are suggested, the nearest first") {
  using names = std::vector<std::string_view>;
  CHECK(suggestions("", {"a"}) == names{"a"});
  CHECK(suggestions("input", {}).empty());
  CHECK(suggestions("greenish", {"green"}) == names{"green"});
  CHECK(suggestions("green", {"greenishly"}).empty());
  CHECK(suggestions("verylongstring", {"VERYLONGSTRING", "verylongstrin", "verylongstring"}) ==
        names{"verylongstring", "VERYLONGSTRING", "verylongstrin"});
  CHECK(suggestions("abc", {"a", "ab", "abc", "abc"}) == names{"abc", "ab", "a"});
  CHECK(suggestions("agr", {"arg"}) == names{"arg"});
  CHECK(suggestions("a", {"a10", "a2", "a1", "z"}) == names{"a1", "a2", "z"});
  CHECK(suggestions("ab", {"ab10", "ab2", "ab02"}) == names{"ab2"});
  CHECK(suggestions(std::string(300, 'a'), {std::string_view("aaa")}).empty());
  CHECK(did_you_mean({}) == "");
  CHECK(did_you_mean({"a"}) == " Did you mean \"a\"?");
  CHECK(did_you_mean({"a", "b"}, "the") == " Did you mean the \"a\" or \"b\"?");
  CHECK(did_you_mean({"a", "b", "c"}) == " Did you mean \"a\", \"b\", or \"c\"?");
  CHECK(did_you_mean({"a", "b", "c", "d", "e", "f"}) ==
        " Did you mean \"a\", \"b\", \"c\", \"d\", or \"e\"?");
}

TEST_CASE("names are ordered as people expect, numbers by their value") {
  CHECK(natural_compare("a", "b") < 0);
  CHECK(natural_compare("b", "a") > 0);
  CHECK(natural_compare("a", "a") == 0);
  CHECK(natural_compare("a2", "a10") < 0);
  CHECK(natural_compare("a10", "a9") > 0);
  CHECK(natural_compare("a12", "a13") < 0);
  CHECK(natural_compare("a1b", "a1c") < 0);
  CHECK(natural_compare("a", "a1") < 0);
  CHECK(natural_compare("a1", "a") > 0);
}

} // namespace mooring::graphql
