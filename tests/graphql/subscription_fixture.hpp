// What the tests of subscriptions watch: a small schema with a union and an interface, bound to plain
// structs. differential/subscription/compare.mjs reads the schema from here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graphql/binding.hpp"

namespace mooring::graphql::test::watch {

inline constexpr std::string_view sdl = R"(
  scalar DateTime
  interface Sighting { id: ID! }
  type Ship implements Sighting { id: ID! name: String! cargo: [String!]! hail(words: String = "ahoy", times: Int!): String! flag: Flag }
  type Storm implements Sighting { id: ID! force: Int! near: Ship }
  enum Flag { PIRATE MERCHANT }
  union Seen = Ship | Storm
  input Area { north: Float! tags: [String!] }
  type Query { calm: Boolean! }
  type Subscription {
    seen(from: ID!, area: Area): Seen!
    sightings: Sighting
    ticks(every: Int = 5): Int!
  }
)";

enum class flag : std::uint8_t { pirate, merchant };
struct ship {
  std::string id;
  std::optional<std::string> name;
  std::vector<std::string> cargo;
  std::optional<flag> colours;
};
struct storm {
  std::string id;
  int force = 0;
  std::shared_ptr<const ship> near;
};
using sighting = std::variant<ship, storm>;

// Everything but the streams: those are Subscription's fields, whose events are sightings, and integers for
// ticks.
inline void bind_types(bindings& to) {
  to.enumeration<flag>("Flag", {{flag::pirate, "PIRATE"}, {flag::merchant, "MERCHANT"}});
  to.object<ship>("Ship")
      .field<&ship::id>("id")
      .field("name", [](const ship& x) { return x.name ? x.name->c_str() : nullptr; })
      .field<&ship::cargo>("cargo")
      .field<&ship::colours>("flag")
      .field("hail", [](const ship& x, const field_context& at) {
        std::string out;
        for (int i = 0; i < at.arguments[1].integer(); ++i)
          out.append(at.arguments[0].string()).append(" ").append(x.id).append("! ");
        return out;
      });
  to.object<storm>("Storm").field<&storm::id>("id").field<&storm::force>("force").field<&storm::near>("near");
  const auto resolve = [](const sighting& x) {
    return x.index() == 0 ? concrete::of(0, &std::get<ship>(x)) : concrete::of(1, &std::get<storm>(x));
  };
  to.abstract<sighting>("Seen", {"Ship", "Storm"}, resolve);
  to.abstract<sighting>("Sighting", {"Ship", "Storm"}, resolve);
  to.root<bool>("Query", "calm", [](const field_call&, responder answer) { answer(resolved::of(true)); });
}

} // namespace mooring::graphql::test::watch
