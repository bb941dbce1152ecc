// Each strategy by tables.
#include "sync/strategies.hpp"

#include "sync/escalation.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

TEST_CASE("judge: who wins by each strategy") {
  struct row {
    strategy by;
    std::int64_t client_ms, server_ms;
    std::int32_t client_priority, server_priority;
    conflict_side winner;
  };
  const auto client = conflict_side::client, server = conflict_side::server;
  const row table[] = {
      {strategy::client_wins, 1, 2, 40, 100, client},
      {strategy::server_wins, 2, 1, 100, 40, server},
      {strategy::most_recent_wins, 2, 1, 40, 100, client},
      {strategy::most_recent_wins, 1, 2, 100, 40, server},
      {strategy::most_recent_wins, 2, 2, 100, 40, server}, // a tie: the stored entity stays
      {strategy::device_priority, 1, 2, 100, 40, client},
      {strategy::device_priority, 2, 1, 40, 100, server},
      {strategy::device_priority, 2, 1, 50, 50, client},
      {strategy::device_priority, 1, 2, 50, 50, server},
      {strategy::device_priority, 1, 1, 50, 50, server},
      {strategy::merge, 1, 2, 40, 100, conflict_side::merged},
      {strategy::preserve_escalation, 1, 2, 40, 100, conflict_side::merged},
      {strategy::manual, 2, 1, 100, 40, conflict_side::none},
  };
  for (const auto& row : table) {
    CAPTURE(to_string(row.by));
    CHECK(judge(row.by, {false, {row.client_ms}, row.client_priority},
                {false, {row.server_ms}, row.server_priority}) == row.winner);
  }
}

TEST_CASE(
    "MERGE: one side's fields stay its own, a common field goes to the later edit, a tie to the stored one") {
  struct row {
    std::int64_t client_ms;
    std::string_view expected;
    conflict_side winner;
  };
  const row table[] = {
      {10, R"({"both":"client","mine":"client","theirs":"server"})", conflict_side::merged},
      {0, R"({"both":"server","mine":"client","theirs":"server"})", conflict_side::merged},
      {-10, R"({"both":"server","mine":"client","theirs":"server"})", conflict_side::merged},
  };
  for (const auto& row : table) {
    scenario s;
    s.set_policy(domain::task, strategy::merge);
    s.edit("ann", "phone", create("t1", R"({"both":"base","mine":"base","theirs":"base"})"));
    s.edit("ann", "phone", update("t1", R"({"both":"server","theirs":"server"})").base(1).when(s.now));
    const auto done =
        s.edit("bob", "tablet",
               update("t1", R"({"both":"client","mine":"client"})").base(1).when(s.now + row.client_ms));
    CHECK(done.version == 3);
    CHECK(s.data_is("t1", row.expected));
    const auto& c = s.recorded(*done.conflict_id);
    CHECK(c.winner == row.winner);
    CHECK(c.fields == std::vector<std::string>{"both"});
  }
}

TEST_CASE("MERGE: when nothing of the upload remains, the server won and no version is written") {
  scenario s;
  s.set_policy(domain::task, strategy::merge);
  s.edit("ann", "phone", create("t1", R"({"a":"base"})"));
  s.edit("ann", "phone", update("t1", R"({"a":"server"})").base(1).when(s.now));
  const auto done = s.edit("bob", "tablet", update("t1", R"({"a":"client"})").base(1).when(s.now + -1));
  CHECK(done.version == 2);
  CHECK(s.recorded(*done.conflict_id).winner == conflict_side::server);
  CHECK(s.recorded(*done.conflict_id).resolved_version == 2);
}

TEST_CASE("MERGE: the time of a field is that of its own last change, back to the creation") {
  scenario s;
  s.set_policy(domain::task, strategy::merge);
  s.edit("ann", "phone", create("t1", R"({"x":1,"y":1})").when(s.now));
  s.edit("cho", "pad", update("t1", R"({"y":2})").base(1).when(s.now + 300));
  const auto done = s.edit("bob", "tablet", create("t1", R"({"x":5,"y":5})").when(s.now + 200));
  CHECK(done.conflict_detected);
  CHECK(s.data_is("t1", R"({"x":5,"y":2})"));
}

TEST_CASE("MERGE: a removal by the later side removes") {
  scenario s;
  s.set_policy(domain::task, strategy::merge);
  s.edit("ann", "phone", create("t1", R"({"a":1,"b":1})"));
  s.edit("ann", "phone", update("t1", R"({"a":2})").base(1).when(s.now));
  s.edit("bob", "tablet", update("t1", R"({"a":null})").base(1).when(s.now + 5));
  CHECK(s.data_is("t1", R"({"b":1})"));
}

TEST_CASE("PRESERVE_ESCALATION: an escalation is never undone, whoever is later") {
  struct row {
    std::string_view base, server, client, expected;
    bool client_is_later;
  };
  const row table[] = {
      // both changed the priority: the higher one stays
      {R"({"priority":1})", R"({"priority":3})", R"({"priority":2})", R"({"priority":3})", true},
      {R"({"priority":1})", R"({"priority":2})", R"({"priority":3})", R"({"priority":3})", false},
      {R"({"severity":"low"})", R"({"severity":"High"})", R"({"severity":"medium"})",
       R"({"severity":"High"})", true},
      {R"({"severity":"low"})", R"({"severity":"medium"})", R"({"severity":"CRITICAL"})",
       R"({"severity":"CRITICAL"})", false},
      {R"({"escalation_level":"P3"})", R"({"escalation_level":"P1"})", R"({"escalation_level":"P2"})",
       R"({"escalation_level":"P1"})", true},
      // only the client lowers it, and something else conflicts
      {R"({"priority":5,"t":0})", R"({"t":1})", R"({"t":2,"priority":1})", R"({"t":2,"priority":5})", true},
      // only the client raises it, and loses the rest
      {R"({"priority":5,"t":0})", R"({"t":1})", R"({"t":2,"priority":9})", R"({"t":1,"priority":9})", false},
      // escalated stays true
      {R"({"escalated":false,"t":0})", R"({"escalated":true,"t":1})", R"({"escalated":null,"t":2})",
       R"({"escalated":true,"t":2})", true},
      {R"({"escalated":true,"t":0})", R"({"t":1})", R"({"escalated":false,"t":2})",
       R"({"escalated":true,"t":2})", true},
      {R"({"escalated":false,"t":0})", R"({"t":1})", R"({"escalated":true,"t":2})",
       R"({"escalated":true,"t":1})", false},
      // words that cannot be compared go by time
      {R"({"priority":"a"})", R"({"priority":"blue"})", R"({"priority":"red"})", R"({"priority":"red"})",
       true},
      {R"({"priority":"a"})", R"({"priority":"blue"})", R"({"priority":3})", R"({"priority":"blue"})", false},
  };
  for (const auto& row : table) {
    CAPTURE(row.client);
    scenario s; // TICKET has the strategy by default
    s.edit("ann", "phone", create("t1", row.base, domain::ticket));
    s.edit("ann", "phone", update("t1", row.server, domain::ticket).base(1).when(s.now));
    const auto made = s.now + (row.client_is_later ? 5 : -5);
    const auto done = s.edit("bob", "tablet", update("t1", row.client, domain::ticket).base(1).when(made));
    CHECK(done.conflict_detected);
    CHECK_MESSAGE(s.data_is("t1", row.expected, domain::ticket), s.data("t1", domain::ticket));
  }
}

TEST_CASE(
    "PRESERVE_ESCALATION holds for conflicts only: an edit on the current version may lower a priority") {
  scenario s;
  s.edit("ann", "phone", create("t1", R"({"priority":5})", domain::ticket));
  s.edit("bob", "tablet", update("t1", R"({"priority":1})", domain::ticket).base(1));
  CHECK(s.data_is("t1", R"({"priority":1})", domain::ticket));
}

TEST_CASE("escalation values are compared on their own scale") {
  struct row {
    std::string_view a, b;
    std::optional<int> order;
  };
  const row table[] = {
      {"1", "2", -1},
      {"2.5", "2", 1},
      {"2", "2.0", 0},
      {"true", "false", 1},
      {"\"low\"", "\"HIGH\"", -1},
      {"\"urgent\"", "\"normal\"", 1},
      {"\"major\"", "\"high\"", 0},
      {"\"P1\"", "\"p3\"", 1},
      {"\"sev2\"", "\"SEV-1\"", -1},
      {"\"10\"", "\"9\"", 1},
      {"\"10\"", "9", 1},
      {"\"low\"", "1", {}},
      {"true", "1", {}},
      {"\"purple\"", "\"low\"", {}},
      {"null", "1", {}},
      {"[1]", "[2]", {}},
      {"\"\"", "\"low\"", {}},
      {"\"P\"", "\"P1\"", {}},
      {"\"inf\"", "1", {}},
      {"\"a word that is far too long\"", "\"low\"", {}},
  };
  for (const auto& row : table) {
    CAPTURE(row.a);
    CAPTURE(row.b);
    CHECK(compare_escalation(json(row.a).bytes, json(row.b).bytes) == row.order);
  }
}

TEST_CASE("device priorities: the type's default, unless the device has its own") {
  scenario s;
  s.set_policy(domain::task, strategy::device_priority);
  register_device phone;
  phone.device_id = "phone";
  phone.type = device_type::phone;
  phone.priority = 500;
  REQUIRE(s.enrol(person("ann"), phone).ok());
  s.enrol("bob", "desk", device_type::desktop);
  s.edit("bob", "desk", create("t1", R"({"a":0})"));
  s.edit("bob", "desk", update("t1", R"({"a":"desk"})").base(1).when(s.now + 10));
  CHECK(s.edit("ann", "phone", update("t1", R"({"a":"phone"})").base(1).when(s.now)).version == 3);
  CHECK(s.data_is("t1", R"({"a":"phone"})"));
  // A device that was never registered is of type OTHER, 50: above a phone's default, below a desktop's.
  CHECK(s.edit("cho", "unknown", update("t1", R"({"a":"?"})").base(2)).conflict_detected);
  CHECK(s.data_is("t1", R"({"a":"phone"})"));
}
