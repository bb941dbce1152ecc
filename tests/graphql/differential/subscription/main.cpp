// graphql_subscription_differential QUESTIONS: begins each subscription of a JSON file and writes the file's
// events by it, one line of output for each: {"shape":…,"bodies":[…]}, or {"refusal":{…}}. compare.mjs holds
// them against graphql-js. Ends with 1 when two of equal shape wrote an event differently.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <fmt/core.h>

#include "graphql/engine.hpp"
#include "graphql/schema.hpp"
#include "subscription_fixture.hpp"

namespace {

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;

std::string text_of(json_value from) {
  return from.absent() || from.kind() != json_kind::string ? std::string() : std::string(from.string());
}

watch::ship ship_of(json_value from) {
  watch::ship out;
  out.id = text_of(from.find("id"));
  if (from.find("name").kind() == json_kind::string) out.name = text_of(from.find("name"));
  from.find("cargo").for_each_element([&](json_value each) { out.cargo.push_back(text_of(each)); });
  if (const auto is = text_of(from.find("flag")); !is.empty())
    out.colours = is == "PIRATE" ? watch::flag::pirate : watch::flag::merchant;
  return out;
}

watch::storm storm_of(json_value from) {
  watch::storm out;
  out.id = text_of(from.find("id"));
  out.force = static_cast<int>(from.find("force").integer());
  if (from.find("near").kind() == json_kind::object)
    out.near = std::make_shared<const watch::ship>(ship_of(from.find("near")));
  return out;
}

resolved sighting_of(json_value from) {
  if (from.kind() != json_kind::object) return resolved::null();
  if (text_of(from.find("__typename")) == "Ship") return resolved::of(watch::sighting(ship_of(from)));
  return resolved::of(watch::sighting(storm_of(from)));
}

} // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s QUESTIONS\n", arguments[0]);
    return 2;
  }
  std::ifstream file(arguments[1], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  json_parser parser;
  const auto asked = parser.parse(text);
  if (!asked) {
    std::fprintf(stderr, "%s: %s\n", arguments[1], asked.failure().message.c_str());
    return 1;
  }
  auto made = check_schema(std::string(watch::sdl));
  if (!made) {
    std::fprintf(stderr, "the schema does not hold\n");
    return 1;
  }
  std::shared_ptr<const event_writer> writer;
  const stream_resolver begin = [&](const field_call&, std::shared_ptr<const event_writer> with,
                                    stream_responder answer) {
    writer = std::move(with);
    answer(std::shared_ptr<void>(std::make_shared<int>(0)));
  };
  bindings to(*made.schema);
  watch::bind_types(to);
  to.stream<watch::sighting>("seen", begin);
  to.stream<watch::sighting>("sightings", begin);
  to.stream<std::int32_t>("ticks", begin);
  engine_options options;
  options.limits.depth = options.limits.levels = 1000;
  options.limits.complexity = 100'000;
  options.limits.aliases = options.limits.directives = 1000;
  options.subscribed_bytes_max = SIZE_MAX;
  const engine runs(*made.schema, std::move(to), std::move(options));

  std::vector<resolved> sightings;
  std::vector<resolved> ticks;
  asked->find("events").for_each_element([&](json_value each) {
    sightings.push_back(sighting_of(each.find("seen")));
    ticks.push_back(resolved::of(static_cast<std::int32_t>(each.find("ticks").integer())));
  });

  std::map<std::string, std::string> by_shape;
  std::string out;
  bool same = true;
  asked->find("questions").for_each_element([&](json_value question) {
    writer.reset();
    std::string refusal;
    {
      // The buffers go before the first event.
      const auto query = text_of(question.find("query"));
      const auto variables = text_of(question.find("variables"));
      json_parser of_variables;
      request what;
      what.query = query;
      what.variables = *of_variables.parse(variables);
      what.may_stream = true;
      runs.execute(what, [&](response answer) { refusal = std::move(answer.body); });
    }
    if (!refusal.empty() || writer == nullptr) {
      out.append("{\"refusal\":").append(refusal.empty() ? "null" : refusal).append("}\n");
      return;
    }
    std::string bodies = "[";
    for (const auto& event : text_of(question.find("field")) == "ticks" ? ticks : sightings) {
      if (bodies.size() > 1) bodies.push_back(',');
      bodies.append(writer->write(event));
    }
    bodies.push_back(']');
    const auto shape = fmt::format("{:016x}{:016x}", writer->shape().high, writer->shape().low);
    const auto [known, is_new] = by_shape.emplace(shape, bodies);
    if (!is_new && known->second != bodies) {
      std::fprintf(stderr, "one shape, two answers:\n%s\n%s\n", known->second.c_str(), bodies.c_str());
      same = false;
    }
    out.append(fmt::format("{{\"shape\":\"{}\",\"bodies\":{}}}\n", shape, bodies));
  });
  std::fwrite(out.data(), 1, out.size(), stdout);
  return same ? 0 : 1;
}
