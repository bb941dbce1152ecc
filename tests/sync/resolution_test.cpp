// resolveConflict (domain.md, rule 8).
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

// A conflict that is open: ann's {"a":"server"} is version 2, bob's edit waits.
struct open_conflict {
  scenario s;
  std::string id;
  explicit open_conflict(edit_builder bobs, domain in = domain::task) {
    s.set_policy(in, strategy::manual);
    s.edit("ann", "phone", create("t1", R"({"a":"base","b":1})", in));
    s.edit("ann", "phone", update("t1", R"({"a":"server"})", in).base(1));
    const auto done = s.edit("bob", "tablet", bobs.base(1));
    REQUIRE(done.conflict_detected);
    id = *done.conflict_id;
    s.wait_ms(1000);
  }
  result<decision<resolution_answer>> resolve(std::string chosen, std::string_view merged = "",
                                              caller who = person("cho")) {
    return s.resolve(who, {id, strategy::manual, std::move(chosen),
                           merged.empty() ? document{} : json(merged), "because"});
  }
};

} // namespace

TEST_CASE("choosing the client's side writes it onto the entity as it is now") {
  open_conflict o(update("t1", R"({"a":"client","c":3})").urgent(priority::high));
  o.s.edit("ann", "phone", update("t1", R"({"b":2})").base(2)); // it moved on meanwhile
  const auto done = o.resolve("client");
  REQUIRE(done.ok());
  CHECK(done->answer.success);
  CHECK(done->answer.result == "resolved");
  CHECK(done->answer.winner == conflict_side::client);
  CHECK(done->answer.version == 4);
  CHECK(to_json(done->answer.merge_details) ==
        R"({"conflictFields":["a"],"changedFields":["a","c"],"previousVersion":3})");
  CHECK(o.s.data_is("t1", R"({"a":"client","b":2,"c":3})"));
  const auto& c = o.s.recorded(o.id);
  CHECK(c.status == conflict_status::resolved);
  CHECK(c.winner == conflict_side::client);
  CHECK(c.resolved_by == "cho");
  CHECK(c.resolved_at == o.s.now);
  CHECK(c.notes == "because");
  CHECK(c.resolved_version == 4);
  const auto& e = o.s.stored("t1");
  CHECK(e.user == o.s.rows.users.at("cho").number);
  CHECK(e.modified_at == o.s.now);
  // The conflict moved to the end of the feed and expires there; everybody is told, the loser and the winner.
  const auto& slots = o.s.rows.feed.rbegin()->second.slots;
  REQUIRE(slots.size() == 2);
  CHECK(slots[0].kind == slot_kind::entity);
  CHECK(slots[0].device == 0);
  CHECK(slots[0].urgency == priority::high);
  CHECK(slots[1].kind == slot_kind::conflict);
  CHECK(slots[1].device == 0);
  CHECK(slots[1].expires);
  CHECK(c.at == slots[1].at);
}

TEST_CASE(
    "choosing the client's whole object writes where the two sides differed, and keeps what came since") {
  for (const auto what : {operation::sync, operation::create}) {
    open_conflict o(edit_builder(what, domain::task, "t1").data(R"({"a":"client","b":1,"c":3})"));
    const auto server = o.s.recorded(o.id).server_data;
    CHECK(server == json(R"({"a":"server","b":1})"));
    o.s.edit("cho", "desk", update("t1", R"({"b":9,"d":4})").base(2)); // somebody else goes on
    const auto done = o.resolve("client");
    REQUIRE(done.ok());
    CHECK(done->answer.success);
    CHECK(o.s.data_is("t1", R"({"a":"client","b":9,"c":3,"d":4})"));
  }
}

TEST_CASE("choosing the server's side writes no version, but the closed conflict stands in the feed") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  const auto before = o.s.stored("t1");
  const auto done = o.resolve("server");
  REQUIRE(done.ok());
  CHECK(done->answer.version == 2);
  CHECK(o.s.recorded(o.id).winner == conflict_side::server);
  CHECK(o.s.recorded(o.id).at == done->last_at);
  // The entity is as it was, and stands at the end of the feed for everybody: the device that lost is pushed it.
  auto again = before;
  again.at = done->first_at;
  CHECK(o.s.stored("t1") == again);
  const auto slots = o.s.rows.feed.at(done->last_at).slots;
  REQUIRE(slots.size() == 2);
  CHECK(slots[0].id == "t1");
  CHECK(slots[0].device == 0);
  CHECK_FALSE(slots[0].expires);
}

TEST_CASE("choosing a merged object replaces the data") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  const auto done = o.resolve("merged", R"({"a":"both"})");
  REQUIRE(done.ok());
  CHECK(done->answer.version == 3);
  CHECK(o.s.data_is("t1", R"({"a":"both"})"));
  CHECK(o.s.recorded(o.id).winner == conflict_side::merged);
}

TEST_CASE("a result equal to what is stored writes no version") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  const auto before = o.s.stored("t1");
  const auto done = o.resolve("merged", R"({"b":1.0,"a":"server"})");
  REQUIRE(done.ok());
  CHECK(done->answer.version == 2);
  auto again = before;
  again.at = done->first_at;
  CHECK(o.s.stored("t1") == again);
}

TEST_CASE("a deletion that waits deletes when it is chosen, and an edit revives what was deleted meanwhile") {
  open_conflict deletion(erase("t1"));
  REQUIRE(deletion.resolve("client").ok());
  CHECK(deletion.s.stored("t1").deleted);

  open_conflict edit(update("t1", R"({"a":"client"})"));
  edit.s.edit("ann", "phone", erase("t1").base(2));
  const auto done = edit.resolve("client");
  REQUIRE(done.ok());
  CHECK(done->answer.version == 4);
  CHECK(edit.s.data_is("t1", R"({"a":"client"})"));

  open_conflict both(erase("t1"));
  both.s.edit("ann", "phone", erase("t1").base(2));
  const auto none = both.resolve("client");
  REQUIRE(none.ok());
  CHECK(none->answer.version == 3); // it was gone already
}

TEST_CASE("an entity that was swept meanwhile begins again at version 1") {
  open_conflict o(replace("t1", R"({"a":"client"})"));
  const auto& gone = o.s.stored("t1");
  auto row = *o.s.rows.find_feed_row(gone.at);
  o.s.rows.put(delete_feed_row{row.key});
  o.s.rows.put(delete_entity{gone.in, gone.owner, gone.id});
  const auto done = o.resolve("client");
  REQUIRE(done.ok());
  CHECK(done->answer.version == 1);
  CHECK(o.s.data_is("t1", R"({"a":"client"})"));
  CHECK(find_field(done->answer.merge_details.bytes, "previousVersion").has_value());
}

TEST_CASE("a second call answers with the first outcome, also of what a policy resolved") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  REQUIRE(o.resolve("client").ok());
  const auto before = o.s.rows;
  const auto again = o.resolve("server", "", person("dan"));
  REQUIRE(again.ok());
  CHECK(again->answer.success);
  CHECK(again->answer.result == "already_resolved");
  CHECK(again->answer.winner == conflict_side::client);
  CHECK(again->answer.version == 3);
  CHECK(again->writes.empty());
  CHECK(o.s.rows == before);

  scenario s;
  s.edit("ann", "phone", create("t1", R"({"a":0})"));
  s.edit("ann", "phone", update("t1", R"({"a":1})").base(1));
  const auto lost = s.edit("bob", "tablet", update("t1", R"({"a":2})").base(1).when(s.now + -1));
  const auto done = s.resolve(person("bob"), {*lost.conflict_id, strategy::manual, "client", {}, {}});
  REQUIRE(done.ok());
  CHECK(done->answer.result == "already_resolved");
  CHECK(done->answer.winner == conflict_side::server);
}

TEST_CASE("a conflict that the caller may not see is NOT_FOUND, like one that is not there") {
  scenario s;
  s.set_policy(domain::journal, strategy::manual);
  s.edit("ann", "phone", create("j", R"({"a":0})", domain::journal));
  s.edit("ann", "phone", update("j", R"({"a":1})", domain::journal).base(1));
  const auto done = s.edit("ann", "laptop", update("j", R"({"a":2})", domain::journal).base(1));
  REQUIRE(done.conflict_detected);
  for (const auto& who : {person("bob"), admin()}) {
    const auto refused = s.resolve(who, {*done.conflict_id, strategy::manual, "client", {}, {}});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().code == error_code::not_found);
  }
  for (const auto* id : {"c999", "", "c", "x1", "c01", "c1x", "c-1", "c99999999999999999999999"}) {
    const auto refused = s.resolve(person("ann"), {id, strategy::manual, "client", {}, {}});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().code == error_code::not_found);
  }
  CHECK(s.resolve(person("ann"), {*done.conflict_id, strategy::manual, "client", {}, {}}).ok());
}

TEST_CASE("a resolution of a wrong shape is BAD_USER_INPUT, and one that would be too large fails") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  for (const auto* chosen : {"", "Client", "both"}) {
    const auto refused = o.resolve(chosen);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().code == error_code::bad_user_input);
    CHECK(refused.failure().field == "chosenVersion");
  }
  for (const auto* merged : {"", "[1]", "null"}) {
    const auto refused = o.resolve("merged", merged);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failure().field == "mergeData");
  }
  const auto wordy =
      o.s.resolve(person("cho"), {o.id, strategy::manual, "server", {}, std::string(4097, 'n')});
  REQUIRE_FALSE(wordy.ok());
  CHECK(wordy.failure().field == "notes");
  o.s.settings.entity_data_bytes_max = 100;
  const auto before = o.s.rows;
  const auto failed = o.resolve("merged", "{\"a\":\"" + std::string(200, 'x') + "\"}");
  REQUIRE(failed.ok());
  CHECK_FALSE(failed->answer.success);
  CHECK(failed->answer.result == "failed");
  CHECK(failed->answer.failure->field == "mergeData");
  CHECK(failed->writes.empty());
  CHECK(o.s.rows == before);
}

TEST_CASE(
    "a person's decision is nobody's run: a stale edit of the resolver's own device meets it as a conflict") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  o.s.edit("cho", "desk", create("other", "{}"));
  auto who = person("cho");
  who.device = "desk";
  REQUIRE(o.resolve("client", "", who).ok());
  CHECK(o.s.stored("t1").device == o.s.rows.devices.at("desk").number);
  CHECK(o.s.edit("cho", "desk", update("t1", R"({"a":"stale"})").base(2)).conflict_detected);
  CHECK(o.s.data_is("t1", R"({"a":"client","b":1})"));
  // On the resolved version it continues as usual, and then has a run of its own.
  CHECK(o.s.edit("cho", "desk", update("t1", R"({"a":"x"})").base(3)).version == 4);
  CHECK(o.s.edit("cho", "desk", update("t1", R"({"a":"y"})").base(3)).version == 5);
  CHECK(o.s.rows.conflicts.size() == 2);
}

TEST_CASE("two open conflicts of one entity are resolved one after the other") {
  open_conflict o(update("t1", R"({"a":"client"})"));
  const auto second = o.s.edit("dan", "pad", update("t1", R"({"a":"dan"})").base(1));
  REQUIRE(second.conflict_detected);
  REQUIRE(o.resolve("client").ok());
  const auto done = o.s.resolve(person("cho"), {*second.conflict_id, strategy::manual, "client", {}, {}});
  REQUIRE(done.ok());
  CHECK(done->answer.version == 4);
  CHECK(o.s.data_is("t1", R"({"a":"dan","b":1})"));
}

TEST_CASE("a deletion that a person chose is not the resolver's own: its stale edit conflicts") {
  open_conflict o(erase("t1"));
  o.s.edit("cho", "desk", create("other", "{}"));
  auto who = person("cho");
  who.device = "desk";
  REQUIRE(o.resolve("client", "", who).ok());
  REQUIRE(o.s.stored("t1").deleted);
  CHECK(o.s.stored("t1").device == o.s.rows.devices.at("desk").number);
  CHECK(o.s.edit("cho", "desk", replace("t1", R"({"a":"stale"})").base(2)).conflict_detected);
  CHECK(o.s.stored("t1").deleted);
}
