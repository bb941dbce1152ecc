// graphql_differential QUESTIONS SCHEMAS: answers each question of a JSON file on a line of its own.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/graphql/differential/answers.hpp"

namespace {

using mooring::json_value;
using answer = void (*)(std::string&, const json_value&, std::string_view);

struct kind {
  std::string_view name;
  answer give;
};

constexpr kind kinds[] = {
    {"parse", mooring::graphql::differential::answer_parse},
    {"validate", mooring::graphql::differential::answer_validate},
    {"schema", mooring::graphql::differential::answer_schema},
};

} // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: %s QUESTIONS SCHEMAS\n", arguments[0]);
    return 2;
  }
  std::ifstream file(arguments[1], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  mooring::json_parser parser;
  const auto questions = parser.parse(text);
  if (!questions) {
    std::fprintf(stderr, "%s: %s\n", arguments[1], questions.failure().message.c_str());
    return 1;
  }
  bool known = true;
  std::string out;
  questions->for_each_element([&](json_value question) {
    const auto wanted = question.find("kind").string();
    answer give = nullptr;
    for (const auto& candidate : kinds)
      if (candidate.name == wanted) give = candidate.give;
    if (give == nullptr) {
      std::fprintf(stderr, "unknown kind of question: %.*s\n", static_cast<int>(wanted.size()),
                   wanted.data());
      known = false;
      return;
    }
    give(out, question, arguments[2]);
    out.push_back('\n');
  });
  std::fwrite(out.data(), 1, out.size(), stdout);
  return known ? 0 : 1;
}
