// graphql/parser.hpp, limits.hpp, validation.hpp, schema.hpp: any bytes end in a document or in errors,
// within the limits of an untrusted document; what is printed can be read again; what reads as a schema can
// be used as one.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "graphql/limits.hpp"
#include "graphql/parser.hpp"
#include "graphql/print.hpp"
#include "graphql/schema.hpp"
#include "graphql/validation.hpp"

namespace {

using namespace mooring;
using namespace mooring::graphql;

// Something of every kind, with names short enough for a mutator to hit.
constexpr std::string_view sdl = R"(
  directive @d(x: Int! = 1, y: N) repeatable on QUERY | FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT | VARIABLE_DEFINITION
  interface I { a: Int i: I }
  type A implements I { a: Int i: A b(x: Int!, y: [[String!]] = [], z: N): [B!]! u: U e: E }
  type B implements I { a: Int i: I c(n: N = {r: 1}): J }
  union U = A | B
  enum E { P Q @deprecated }
  input N { r: Int! n: N l: [N!] e: E = P j: J f: Float s: String b: Boolean i: ID }
  scalar J
  type Query { a: A b: B i: I u: U s(n: N!): String }
  type Mutation { a(n: [N!]!): A }
  type Subscription { u: U a: A }
)";

const schema& test_schema() {
  static const auto built = [] {
    auto outcome = build_schema(std::string(sdl));
    MOORING_CHECK(outcome.ok(), "the schema of this target is valid");
    return std::move(*outcome);
  }();
  return *built;
}

void check_error(const document_error& error) {
  MOORING_CHECK(!error.message.empty(), "an error has a message");
  MOORING_CHECK(error.message.size() < 4'000, "messages are bounded");
  MOORING_CHECK(error.locations.size() <= 100, "locations are bounded");
  for (const auto& at : error.locations)
    MOORING_CHECK(at.line > 0 && at.column > 0, "lines and columns start at 1");
}

void check_printing(const ast::selection_set& set) {
  for (const auto& selection : set.items) {
    for (const auto& argument : selection.arguments) {
      const auto text = to_string(argument.value);
      const auto again = parse("{ a(b: " + text + ") }", parse_options::trusted());
      MOORING_CHECK(again, "what we print is GraphQL");
      MOORING_CHECK(to_string(again.document->operations[0]->selections.items[0].arguments[0].value) == text,
                    "one value has one text");
    }
    check_printing(selection.selections);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  std::string text(reinterpret_cast<const char*>(bytes), length);
  const auto parsed = parse(text);
  if (!parsed) {
    check_error(parsed.error);
    return 0;
  }
  const auto& document = *parsed.document;
  MOORING_CHECK(document.token_count <= length + 1, "a document has no more tokens than bytes");
  const auto errors = validate(test_schema(), document);
  MOORING_CHECK(errors.size() <= 101, "the limit on errors holds");
  for (const auto& error : errors) check_error(error);
  for (const auto* operation : document.operations) {
    if (const auto error = check_limits(document, *operation)) check_error(*error);
    check_printing(operation->selections);
  }
  if (!document.operations.empty() || !document.fragments.empty()) return 0;
  const auto outcome = check_schema(std::move(text));
  for (const auto& error : outcome.errors) check_error(error);
  if (!outcome) return 0;
  const auto query = parse("{ __typename __schema { types { name fields { args { type { name } } } } } }");
  MOORING_CHECK(validate(*outcome.schema, *query.document).empty(), "every schema can be introspected");
  return 0;
}
