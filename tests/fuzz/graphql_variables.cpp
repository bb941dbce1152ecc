// graphql/variables.cpp and the execution behind it: any JSON as the variables of one prepared operation.
// Whatever is accepted has the shape that its type promises, whatever comes out is JSON, refused or not.
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/json.hpp"
#include "graphql/engine.hpp"
#include "graphql/schema.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::graphql;

namespace {

constexpr std::string_view sdl = R"(
  scalar DateTime  scalar JSON  scalar Deep
  enum Color { RED GREEN BLUE }
  input Size { width: Int! = 2  height: Int  color: Color = RED }
  input Order {
    id: ID!  at: DateTime  size: Size  sizes: [Size!] = [{height: 1}]  tags: [String!]  grid: [[Float]]  extra: JSON
    deep: Deep  ok: Boolean = false  next: Order  more: [Order!]
  }
  type Query { a: Int }
  type Mutation { put(order: Order, orders: [Order!], json: JSON, deep: [Deep], ids: [ID], when: DateTime = "now"): String! }
)";

constexpr std::string_view operation = "mutation($o: Order, $os: [Order!], $id: ID! = 1, $j: JSON, $d: "
                                       "[Deep], $ids: [ID], $w: Int, $b: Boolean = true) {"
                                       " a: put(order: $o, orders: $os, json: $j, deep: $d, ids: $ids)"
                                       " b: put(order: {id: $id, size: {height: $w}, ok: $b, next: $o, "
                                       "extra: [$j, {k: $os}]}, json: {o: $o, w: $w})"
                                       " c: put(order: $o) @include(if: $b) }";

// Every value is of its declared type: walks the tree as a resolver would, and reads all of it.
void look_at(const schema& in, type_use type, const value& is) {
  if (type.is_non_null()) {
    MOORING_CHECK(is.given(), "a value that may not be null is given");
    type = type.of();
  }
  if (!is.given()) return;
  if (type.is_list()) {
    MOORING_CHECK(is.kind() == value_kind::list, "a list is a list");
    for (const auto& item : is.items()) {
      MOORING_CHECK(!item.absent(), "an item is never absent");
      look_at(in, type.of(), item);
    }
    return;
  }
  const auto& named = in.named_type(type);
  switch (is.kind()) {
  case value_kind::object:
    MOORING_CHECK(named.kind == type_kind::input_object && is.fields().size() == named.input_fields.size(),
                  "an object has a place for each field");
    for (const auto& field : named.input_fields) look_at(in, field.type, is[field.ordinal]);
    return;
  case value_kind::enumeration:
    MOORING_CHECK(is.ordinal() < named.values.size(), "an enum's ordinal is one of its values'");
    return;
  case value_kind::json:
    if (is.json_too_deep())
      MOORING_CHECK(named.name == "Deep", "only Deep may nest too deeply");
    else
      MOORING_CHECK(is_valid_document(is.json()), "JSON is a document");
    return;
  case value_kind::string: {
    std::string read;
    append_json_string(read, is.string());
    MOORING_CHECK(named.scalar == scalar_kind::id || named.scalar == scalar_kind::string ||
                      named.name == "DateTime",
                  "text is for text");
    return;
  }
  case value_kind::number:
    MOORING_CHECK(named.scalar == scalar_kind::floating && std::isfinite(is.number()), "a Float is finite");
    return;
  case value_kind::integer: MOORING_CHECK(named.scalar == scalar_kind::integer, "an Int is an Int"); return;
  case value_kind::boolean:
    MOORING_CHECK(named.scalar == scalar_kind::boolean, "a Boolean is a Boolean");
    return;
  default: MOORING_CHECK(false, "no other kind is for a named type");
  }
}

const engine& served() {
  static const auto in = [] {
    auto made = build_schema(std::string(sdl));
    MOORING_CHECK(made.ok(), "the schema is valid");
    return std::move(made).value();
  }();
  static const engine runs = [] {
    enum class color { red, green, blue };
    bindings to(*in);
    to.enumeration<color>("Color", {{color::red, "RED"}, {color::green, "GREEN"}, {color::blue, "BLUE"}});
    to.root<int>("Query", "a", [](const field_call&, responder answer) { answer(resolved::null()); });
    to.root<std::string>("Mutation", "put", [](const field_call& call, responder answer) {
      const auto& put = *in->find_type("Mutation")->find_field("put");
      for (const auto& argument : put.arguments)
        look_at(*in, argument.type, call.arguments[argument.ordinal]);
      answer(resolved::of(std::string("ok")));
    });
    engine_options options;
    options.scalars = {{"JSON", custom_scalar::json_document}, {"Deep", custom_scalar::json_any_depth}};
    return engine(*in, std::move(to), std::move(options));
  }();
  return runs;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  std::string body;
  {
    json_parser parser;
    const auto variables = parser.parse({reinterpret_cast<const char*>(bytes), length});
    if (!variables) return 0;
    request what;
    what.query = operation;
    what.variables = *variables;
    served().execute(what, [&](response answer) { body = std::move(answer.body); });
  }
  json_parser parser;
  const auto answer = parser.parse(body);
  MOORING_CHECK(answer.ok(), "an answer is JSON");
  MOORING_CHECK(!answer->find("data").absent() || !answer->find("errors").absent(),
                "an answer has data or errors");
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  for (
      const std::string_view seed : {
          R"({})",
          R"({"o":{"id":"x"},"b":false})",
          R"({"o":{"id":7,"at":"2025-09-28T12:00:00Z","size":{"width":1,"color":"BLUE"},"sizes":[],"tags":"one","ok":true}})",
          R"({"os":[{"id":"a","grid":[[1,2.5,null],3],"extra":{"k":[1,"x",null]}},{"id":1.0,"next":{"id":"n"}}]})",
          R"({"id":12345678901234567890,"w":1e3,"ids":[1,"2",null],"d":["[[1]]","text",{"a":{}}]})",
          R"({"j":"{\"a\": [1, {\"b\": \"\\u00e9\"}]}","d":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"})",
          R"({"o":{"id":null},"os":{"id":"x","colour":1},"w":2147483648,"b":null})",
          R"([1])",
      })
    add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
}
