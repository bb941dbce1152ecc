// parse, validate, schema.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>

#include "base/json_writer.hpp"
#include "graphql/parser.hpp"
#include "graphql/validation.hpp"
#include "tests/graphql/differential/answers.hpp"

namespace mooring::graphql::differential {

namespace {

std::string document_of(const json_value& question) {
  return std::string(question.find("document").string());
}

void append(std::string& out, const document_error& error) {
  out += "{\"rule\":";
  append_json_string(out, error.rule);
  out += ",\"message\":";
  append_json_string(out, error.message);
  out += ",\"locations\":[";
  for (const auto& at : error.locations) {
    if (out.back() != '[') out.push_back(',');
    out.push_back('[');
    append_json_integer(out, at.line);
    out.push_back(',');
    append_json_integer(out, at.column);
    out.push_back(']');
  }
  out += "]}";
}

void append(std::string& out, const std::vector<document_error>& errors) {
  out += "{\"errors\":[";
  for (const auto& error : errors) {
    if (out.back() != '[') out.push_back(',');
    append(out, error);
  }
  out += "]}";
}

} // namespace

const schema& schema_named(std::string_view folder, std::string_view name) {
  static std::map<std::string, std::unique_ptr<const schema>, std::less<>> schemas;
  if (const auto known = schemas.find(name); known != schemas.end()) return *known->second;
  std::ifstream file(std::string(folder) + "/" + std::string(name) + ".graphql", std::ios::binary);
  auto built = build_schema(std::string{std::istreambuf_iterator<char>(file), {}});
  if (!built) {
    std::fprintf(stderr, "schema %s: %s\n", std::string(name).c_str(), built.failure().message.c_str());
    std::exit(1);
  }
  return *schemas.emplace(name, std::move(*built)).first->second;
}

void answer_parse(std::string& out, const json_value& question, std::string_view) {
  const auto parsed = parse(document_of(question), parse_options::trusted());
  if (parsed) {
    out += "{\"tree\":";
    append_json_string(out, dump(*parsed.document));
  } else {
    out += "{\"error\":";
    append(out, parsed.error);
  }
  out.push_back('}');
}

void answer_validate(std::string& out, const json_value& question, std::string_view schemas) {
  const auto parsed = parse(document_of(question), parse_options::trusted());
  if (!parsed) return append(out, std::vector{parsed.error});
  validation_options options;
  options.errors_max = options.comparisons_max = std::numeric_limits<std::uint32_t>::max();
  append(out, validate(schema_named(schemas, question.find("schema").string()), *parsed.document, options));
}

void answer_schema(std::string& out, const json_value& question, std::string_view) {
  append(out, check_schema(document_of(question)).errors);
}

} // namespace mooring::graphql::differential
