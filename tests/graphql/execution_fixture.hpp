// A small schema with every kind of type, bound to plain structs, for the execution tests.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "graphql/engine.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql::test {

enum class color : std::uint8_t { red = 0, green = 1, blue = 7 };

struct part {
  std::string name;
  std::optional<std::int64_t> weight;
};

struct boat {
  std::string id;
  std::string name;
  std::optional<std::string> owner;
  color paint = color::red;
  double length = 7.5;
  bool afloat = true;
  instant launched;
  document log;
  std::vector<part> parts;
  std::vector<std::optional<std::string>> crew;
  std::shared_ptr<const boat> tender;
  const part* mast = nullptr;
  std::int64_t tonnage = 3;
};

struct buoy {
  std::string id;
  std::optional<double> depth;
};

// A thing at sea is either of the two.
struct thing {
  const test::boat* as_boat = nullptr;
  const test::buoy* as_buoy = nullptr;
};

inline constexpr std::string_view sdl = R"(
  scalar DateTime
  scalar JSON
  scalar Cursor
  enum Color { RED GREEN BLUE @deprecated(reason: "faded") }
  interface Thing { id: ID! }
  type Part { name: String! weight: Int }
  type Boat implements Thing {
    id: ID!
    name: String!
    owner: String
    ownerOrFail: String!
    paint: Color!
    length: Float!
    afloat: Boolean!
    launched: DateTime!
    log: JSON
    parts: [Part!]!
    crew: [String]!
    hands: [String!]
    tender: Boat
    tenderOrFail: Boat!
    mast: Part
    tonnage: Int
    greeting(to: String! = "you", times: Int): String!
  }
  type Buoy implements Thing { id: ID! depth: Float }
  union Floating = Boat | Buoy

  input Size { width: Int! = 2, height: Int, unit: Unit = METRE }
  enum Unit { METRE FOOT }
  input Order {
    id: ID!
    paint: Color
    size: Size
    sizes: [Size!] = [{height: 1}]
    tags: [String!]
    grid: [[Int]]
    at: DateTime
    extra: JSON
    ratio: Float
    urgent: Boolean = false
    note: String
  }

  type Query {
    boat(id: ID): Boat
    boatOrFail: Boat!
    boats: [Boat!]!
    things: [Thing!]!
    floating(which: String = "boat"): Floating
    number: Int
    sum(a: Int!, b: Int = 10): Int!
    echo(order: Order, orders: [Order!], text: String, json: JSON, color: Color, list: [[Int!]]): String!
    fail(code: String = "NOT_FOUND"): String
    failHard: String!
    later: Int
  }
  type Mutation {
    add(by: Int!): Int!
    addLater(by: Int!): Int!
    failHard: Int!
    failSoft: Int
  }
)";

// The coerced value as text, so that a test can look at it: absent members are left out, enums by ordinal.
std::string shown(const value& is);

class harbour {
 public:
  explicit harbour(engine_options options = {});

  struct outcome {
    bool answered = false;
    response answer;
  };
  // Runs a request; what is still waiting is in `waiting`.
  std::shared_ptr<outcome> start(std::string_view query, std::string_view variables = {},
                                 std::string_view operation_name = {}, std::string_view extensions = {});
  // The body. REQUIRES: answered at once
  std::string run(std::string_view query, std::string_view variables = {},
                  std::string_view operation_name = {}, std::string_view extensions = {});
  // The body of an operation whose resolvers are checked against another schema's bindings.
  graphql::engine& engine() { return *engine_; }
  const graphql::schema& schema() const { return *schema_; }

  test::boat boat;
  test::buoy buoy;
  std::int64_t total = 0;
  std::vector<std::string> calls;
  std::vector<std::function<void()>> waiting; // answers that resolvers put off

 private:
  void bind(bindings& to);

  std::unique_ptr<const graphql::schema> schema_;
  std::unique_ptr<graphql::engine> engine_;
};

// Binds everything but the roots.
void bind_types(bindings& to);
std::unique_ptr<const graphql::schema> make_schema(std::string_view text);

} // namespace mooring::graphql::test
