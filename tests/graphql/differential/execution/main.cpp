// graphql_execution_differential QUESTIONS: runs each question of a JSON file on the harbour of the execution
// tests and prints each answer on a line of its own. compare.mjs holds them against graphql-js.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "execution_fixture.hpp"

namespace {

using namespace mooring;
using namespace mooring::graphql;

// What the harbour holds here: world() in compare.mjs says the same.
void fill(test::harbour& at) {
  auto tender = at.boat;
  tender.id = "b2";
  tender.name = "Tönder \"2\"";
  tender.tonnage = 2147483648;
  tender.log = {};
  tender.crew = {};
  tender.paint = test::color::blue;
  tender.length = 1e21;
  at.boat.tender = std::make_shared<const test::boat>(tender);
  at.boat.owner = "Ada";
  at.boat.tonnage = -7;
  static const test::part mast{"mast", -1};
  at.boat.mast = &mast;
}

std::string text_of(json_value from) {
  return from.absent() || from.kind() != json_kind::string ? std::string() : std::string(from.string());
}

} // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s QUESTIONS\n", arguments[0]);
    return 2;
  }
  doctest::Context context; // the fixture's own checks end the program
  context.setAsDefaultForAssertsOutOfTestCases();
  context.setAssertHandler([](const doctest::AssertData& is) {
    if (!is.m_failed) return;
    std::fprintf(stderr, "%s:%d: %s\n", is.m_file, is.m_line, is.m_expr);
    std::exit(1);
  });
  std::ifstream file(arguments[1], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  json_parser parser;
  const auto questions = parser.parse(text);
  if (!questions) {
    std::fprintf(stderr, "%s: %s\n", arguments[1], questions.failure().message.c_str());
    return 1;
  }
  engine_options options;
  options.limits.depth = options.limits.introspection_depth = options.limits.levels = 1000;
  options.limits.complexity = 100'000;
  options.limits.aliases = options.limits.root_fields = options.limits.directives = 1000;
  test::harbour at(std::move(options));
  fill(at);
  std::string out;
  questions->for_each_element([&](json_value question) {
    at.total = 0;
    const auto query = text_of(question.find("query"));
    const auto name = text_of(question.find("operationName"));
    const auto variables =
        text_of(question.find("variables")); // as text: each question has buffers of its own
    const auto run = at.start(query, variables, name);
    while (!run->answered && !at.waiting.empty()) {
      auto waiting = std::move(at.waiting);
      at.waiting.clear();
      for (const auto& each : waiting) each();
    }
    out.append(run->answered ? run->answer.body : "null").push_back('\n');
  });
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}
