// The eight rules of domain.md, "Versions and conflicts".
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

// One task, created by ann's phone, version 1.
scenario with_task(std::string_view data = R"({"title":"dig","state":"new","room":1})") {
  scenario s;
  s.edit("ann", "phone", create("t1", data));
  s.wait_ms(1000);
  return s;
}

} // namespace

TEST_CASE("rule 1: a new id is stored as version 1 by CREATE, SYNC and UPDATE, whatever the base version") {
  for (const auto what : {operation::create, operation::sync, operation::update}) {
    for (const auto base :
         {std::optional<std::int32_t>{}, std::optional<std::int32_t>{0}, std::optional<std::int32_t>{7}}) {
      scenario s;
      edit_builder item(what, domain::task, "t1");
      item.data(R"({"a":1,"b":null})");
      item.item.base_version = base;
      const auto done = s.edit("ann", "phone", item);
      CHECK(done.success);
      CHECK(done.version == 1);
      CHECK_FALSE(done.conflict_detected);
      CHECK(s.data_is("t1", what == operation::update ? R"({"a":1})" : R"({"a":1,"b":null})"));
      CHECK(s.stored("t1").version == 1);
      CHECK(s.stored("t1").fields.empty());
    }
  }
}

TEST_CASE("rule 1: deleting an unknown id is NOT_FOUND and writes no entity") {
  scenario s;
  const auto done = s.edit("ann", "phone", erase("t1"));
  CHECK_FALSE(done.success);
  REQUIRE(done.failure.has_value());
  CHECK(done.failure->code == error_code::not_found);
  CHECK(done.failure->item_id == "t1");
  CHECK(s.rows.entities.empty());
  CHECK(s.rows.feed.empty());
}

TEST_CASE("rule 2: an edit on the current version is accepted, from any device") {
  auto s = with_task();
  CHECK(s.edit("bob", "tablet", update("t1", R"({"state":"done"})").base(1)).version == 2);
  CHECK(s.data_is("t1", R"({"title":"dig","state":"done","room":1})"));
  CHECK(s.edit("ann", "phone", replace("t1", R"({"title":"dig deep"})").base(2)).version == 3);
  CHECK(s.data_is("t1", R"({"title":"dig deep"})"));
  CHECK(s.edit("ann", "phone", create("t1", R"({"title":"dug"})").base(3)).version == 4);
  CHECK(s.edit("bob", "tablet", erase("t1").base(4)).version == 5);
  CHECK(s.stored("t1").deleted);
  CHECK(s.rows.conflicts.empty());
}

TEST_CASE("rule 2: an accepted edit grows the version by one even when it changes nothing") {
  auto s = with_task();
  CHECK(s.edit("bob", "tablet", update("t1", R"({"state":"new"})").base(1)).version == 2);
}

TEST_CASE("an UPDATE is a merge patch: null removes, objects are merged inside, lists are replaced") {
  auto s = with_task(R"({"a":{"x":1,"y":2},"b":[1,2],"c":3})");
  s.edit("ann", "phone",
         update("t1", R"({"a":{"x":null,"z":3},"b":[9],"c":null,"d":{"e":null,"f":1}})").base(1));
  CHECK(s.data_is("t1", R"({"a":{"y":2,"z":3},"b":[9],"d":{"f":1}})"));
}

TEST_CASE("rule 3: a device that edits twice offline does not conflict with itself") {
  auto s = with_task();
  CHECK(s.edit("bob", "tablet", update("t1", R"({"state":"a"})").base(1)).version == 2);
  CHECK(s.edit("bob", "tablet", update("t1", R"({"state":"b"})").base(1)).version == 3);
  CHECK(s.edit("bob", "tablet", replace("t1", R"({"state":"c"})").base(1)).version == 4);
  CHECK(s.edit("bob", "tablet", erase("t1").base(2)).version == 5);
  CHECK(s.rows.conflicts.empty());
  // The creator too: all versions are its own.
  CHECK(s.edit("ann", "phone", create("t2", R"({"a":1})")).version == 1);
  CHECK(s.edit("ann", "phone", update("t2", R"({"a":2})")).version == 2);
  CHECK(s.edit("ann", "phone", create("t2", R"({"a":3})")).version == 3);
  CHECK(s.data_is("t2", R"({"a":3})"));
}

TEST_CASE("rule 3: one version of another device in between ends the run") {
  auto s = with_task();
  s.edit("bob", "tablet", update("t1", R"({"state":"a"})").base(1)); // 2
  s.edit("ann", "phone", update("t1", R"({"state":"b"})").base(2));  // 3
  s.edit("bob", "tablet", update("t1", R"({"state":"c"})").base(3)); // 4, run from 4
  CHECK(s.edit("bob", "tablet", update("t1", R"({"room":2})").base(3)).version == 5);
  CHECK(s.rows.conflicts.empty());
  s.set_policy(domain::task, strategy::server_wins);
  const auto lost = s.edit("ann", "phone", update("t1", R"({"state":"d"})").base(2));
  CHECK(lost.conflict_detected);
}

TEST_CASE("rule 3: the same device sending the same again under a new key writes nothing") {
  auto s = with_task();
  s.edit("bob", "tablet", update("t1", R"({"state":"a"})").base(1));
  const auto before = s.stored("t1");
  const auto again = s.edit("bob", "tablet", update("t1", R"({"state":"a"})").base(1));
  CHECK(again.success);
  CHECK(again.version == 2);
  CHECK(s.stored("t1") == before);
}

TEST_CASE("rule 4: a base version newer than the stored one is the item's error") {
  auto s = with_task();
  for (const auto& item :
       {update("t1", R"({"a":1})").base(2), replace("t1", R"({"a":1})").base(99), erase("t1").base(2)}) {
    const auto done = s.edit("ann", "phone", item);
    CHECK_FALSE(done.success);
    CHECK(done.failure->code == error_code::validation_error);
    CHECK(done.failure->field == "baseVersion");
    CHECK(to_json(done.failure->details) == R"({"currentVersion":1})");
  }
  CHECK(s.stored("t1").version == 1);
}

TEST_CASE("rule 5: edits of different fields are merged without a conflict") {
  auto s = with_task();
  s.edit("ann", "phone", update("t1", R"({"title":"dig deep"})").base(1));
  const auto done = s.edit("bob", "tablet", update("t1", R"({"state":"done","room":null})").base(1));
  CHECK(done.success);
  CHECK(done.version == 3);
  CHECK_FALSE(done.conflict_detected);
  CHECK(s.data_is("t1", R"({"title":"dig deep","state":"done"})"));
  CHECK(s.rows.conflicts.empty());
  // The device that merged does not hold the outcome yet, so the feed does not hide it from it.
  CHECK(s.rows.feed.rbegin()->second.slots.back().device == 0);
}

TEST_CASE("rule 5: a whole object takes part with the fields that differ from its base version") {
  auto s = with_task();
  s.edit("ann", "phone", update("t1", R"({"title":"dig deep"})").base(1));
  s.edit("ann", "phone", update("t1", R"({"room":null,"note":"x"})").base(2));
  // bob replaced the whole object, but changed only its state since version 1: title and room are carried
  // along.
  const auto done =
      s.edit("bob", "tablet", replace("t1", R"({"title":"dig","state":"done","room":1})").base(1));
  CHECK_FALSE(done.conflict_detected);
  CHECK(done.version == 4);
  CHECK(s.data_is("t1", R"({"title":"dig deep","state":"done","note":"x"})"));
}

TEST_CASE("rule 5: leaving a field out of a whole object removes it") {
  auto s = with_task();
  s.edit("ann", "phone", update("t1", R"({"title":"dig deep"})").base(1));
  s.edit("bob", "tablet", replace("t1", R"({"title":"dig","state":"new"})").base(1));
  CHECK(s.data_is("t1", R"({"title":"dig deep","state":"new"})"));
}

TEST_CASE("rule 5: both sides making the same change is no conflict and writes nothing") {
  auto s = with_task();
  s.edit("ann", "phone", update("t1", R"({"state":"done"})").base(1));
  const auto before = s.stored("t1");
  for (const auto& item : {update("t1", R"({"state":"done"})").base(1),
                           replace("t1", R"({"title":"dig","state":"done","room":1.0})").base(1)}) {
    const auto done = s.edit("bob", "tablet", item);
    CHECK(done.success);
    CHECK(done.version == 2);
    CHECK_FALSE(done.conflict_detected);
    CHECK(s.stored("t1") == before);
  }
  // The same change and another one: the other one is merged.
  CHECK(s.edit("bob", "tablet", update("t1", R"({"state":"done","room":2})").base(1)).version == 3);
  CHECK(s.rows.conflicts.empty());
}

TEST_CASE("rule 5: a device's later edit knows of its own merged one") {
  auto s = with_task();
  s.edit("ann", "phone", update("t1", R"({"title":"dig deep"})").base(1));
  // Two edits of bob, both made offline on version 1; the first one is merged, the second one is on the same
  // field.
  const auto done = s.edits(
      "bob", "tablet", {update("t1", R"({"state":"a"})").base(1), update("t1", R"({"state":"b"})").base(1)});
  CHECK(done.items[0].version == 3);
  CHECK(done.items[1].version == 4);
  CHECK(s.rows.conflicts.empty());
  CHECK(s.data_is("t1", R"({"title":"dig deep","state":"b","room":1})"));
  // And back to what it was in version 1, as a whole object: that is a change against the own edit.
  s.edit("bob", "tablet", replace("t1", R"({"title":"dig","state":"new","room":1})").base(1));
  CHECK(s.data_is("t1", R"({"title":"dig deep","state":"new","room":1})"));
  CHECK(s.rows.conflicts.empty());
}

TEST_CASE("rule 5: a CREATE that meets an entity is an edit made on nothing") {
  auto s = with_task(R"({"title":"dig"})");
  SUBCASE("other fields are added") {
    CHECK_FALSE(s.edit("bob", "tablet", create("t1", R"({"state":"x"})")).conflict_detected);
    CHECK(s.data_is("t1", R"({"title":"dig","state":"x"})"));
  }
  SUBCASE("the same object is no second version") {
    CHECK(s.edit("bob", "tablet", create("t1", R"({"title":"dig"})")).version == 1);
  }
  SUBCASE("another value of the same field is a conflict, even when later versions changed other fields") {
    s.edit("ann", "phone", update("t1", R"({"room":1})").base(1));
    const auto done = s.edit("bob", "tablet", create("t1", R"({"title":"rake"})"));
    CHECK(done.conflict_detected);
    CHECK(s.recorded(*done.conflict_id).fields == std::vector<std::string>{"title"});
    CHECK(s.recorded(*done.conflict_id).client_version == 0);
  }
}

TEST_CASE(
    "rule 6: a field that both changed is a conflict, recorded with both sides, and the policy decides") {
  auto s = with_task();
  s.set_policy(domain::task, strategy::client_wins);
  s.edit("ann", "phone", update("t1", R"({"state":"a","title":"x"})").base(1).when(s.now));
  s.wait_ms(50);
  const auto section =
      s.edits("bob", "tablet",
              {update("t1", R"({"title":"y","state":"b","room":2})").base(1).urgent(priority::high)});
  const auto& done = section.items[0];
  CHECK(done.success);
  CHECK(done.conflict_detected);
  CHECK(done.version == 3);
  CHECK(section.metrics.conflicts_detected == 1);
  REQUIRE(section.conflicts.size() == 1);
  CHECK(s.data_is("t1", R"({"title":"y","state":"b","room":2})"));
  const auto& c = s.recorded(*done.conflict_id);
  CHECK(c == section.conflicts[0]);
  CHECK(c.status == conflict_status::resolved);
  CHECK(c.winner == conflict_side::client);
  CHECK(c.by == strategy::client_wins);
  CHECK(c.fields == std::vector<std::string>{"state", "title"});
  CHECK(c.server_version == 2);
  CHECK(c.client_version == 1);
  CHECK(documents_equal(c.server_data.bytes, json(R"({"title":"x","state":"a","room":1})").bytes));
  CHECK(documents_equal(c.client_data.bytes, json(R"({"title":"y","state":"b","room":2})").bytes));
  CHECK(c.device_id == "tablet");
  CHECK(c.server_device_id == "phone");
  CHECK(c.resolved_by == "policy");
  CHECK(c.resolved_at == s.now);
  CHECK(c.resolved_version == 3);
  CHECK(s.rows.find_device("tablet")->conflict_count == 1);
  CHECK(s.rows.find_device("phone")->conflict_count == 0);
}

TEST_CASE("rule 6: the defaults of the domains") {
  struct row {
    domain in;
    strategy by;
    bool client_is_later;
    std::string_view expected;
  };
  const row table[] = {
      {domain::attendance, strategy::server_wins, true, "server"},
      {domain::task, strategy::most_recent_wins, true, "client"},
      {domain::task, strategy::most_recent_wins, false, "server"},
      {domain::work_order, strategy::most_recent_wins, true, "client"},
      {domain::ticket, strategy::preserve_escalation, true, "client"},
      {domain::ticket, strategy::preserve_escalation, false, "server"},
  };
  for (const auto& row : table) {
    scenario s;
    s.edit("ann", "phone", create("e", R"({"a":"base"})", row.in));
    s.edit("ann", "phone", update("e", R"({"a":"server"})", row.in).base(1).when(s.now));
    const auto made = row.client_is_later ? s.now + 10 : s.now + -10;
    const auto done = s.edit("bob", "tablet", update("e", R"({"a":"client"})", row.in).base(1).when(made));
    CHECK(done.conflict_detected);
    CHECK(s.recorded(*done.conflict_id).by == row.by);
    CHECK(s.data_is("e", "{\"a\":\"" + std::string(row.expected) + "\"}", row.in));
  }
  // JOURNAL is private: both devices are of one user. CLIENT_WINS stays CLIENT_WINS.
  scenario s;
  s.edit("ann", "phone", create("e", R"({"a":"base"})", domain::journal));
  s.edit("ann", "phone", update("e", R"({"a":"server"})", domain::journal).base(1));
  const auto done =
      s.edit("ann", "laptop", update("e", R"({"a":"client"})", domain::journal).base(1).when(s.now + -999));
  CHECK(s.recorded(*done.conflict_id).by == strategy::client_wins);
  CHECK(s.data_is("e", R"({"a":"client"})", domain::journal, 1));
}

TEST_CASE("rule 6: between two devices of one user MOST_RECENT_WINS gives way to DEVICE_PRIORITY") {
  scenario s;
  s.enrol("ann", "desk", device_type::desktop);
  s.enrol("ann", "phone", device_type::phone);
  s.edit("ann", "desk", create("t1", R"({"a":"base"})"));
  s.edit("ann", "desk", update("t1", R"({"a":"desk"})").base(1).when(s.now));
  const auto lost = s.edit("ann", "phone", update("t1", R"({"a":"phone"})").base(1).when(s.now + 1000));
  CHECK(s.recorded(*lost.conflict_id).by == strategy::device_priority);
  CHECK(s.recorded(*lost.conflict_id).winner == conflict_side::server);
  CHECK(s.data_is("t1", R"({"a":"desk"})"));
  // The other way round the older edit of the desktop wins.
  s.edit("ann", "phone", update("t1", R"({"a":"phone"})").base(2).when(s.now + 1000));
  const auto won = s.edit("ann", "desk", update("t1", R"({"a":"desk again"})").base(2).when(s.now));
  CHECK(s.recorded(*won.conflict_id).winner == conflict_side::client);
  // Another user's device is judged by time.
  const auto other = s.edit("bob", "bobs", update("t1", R"({"a":"bob"})").base(1).when(s.now + 2000));
  CHECK(s.recorded(*other.conflict_id).by == strategy::most_recent_wins);
  CHECK(s.data_is("t1", R"({"a":"bob"})"));
}

TEST_CASE("rule 6: deleting beats editing only where the policy makes that side win") {
  struct row {
    strategy by;
    bool client_deletes;
    bool client_is_later;
    conflict_side winner;
  };
  const auto client = conflict_side::client, server = conflict_side::server;
  const row table[] = {
      {strategy::client_wins, true, false, client},
      {strategy::client_wins, false, false, client},
      {strategy::server_wins, true, true, server},
      {strategy::server_wins, false, true, server},
      {strategy::most_recent_wins, true, true, client},
      {strategy::most_recent_wins, true, false, server},
      {strategy::most_recent_wins, false, true, client},
      {strategy::most_recent_wins, false, false, server},
      {strategy::merge, true, true, server},
      {strategy::merge, false, false, client},
      {strategy::preserve_escalation, true, true, server},
      {strategy::preserve_escalation, false, false, client},
  };
  for (const auto& row : table) {
    auto s = with_task(R"({"a":"base","b":1})");
    s.set_policy(domain::task, row.by);
    s.edit("ann", "phone",
           row.client_deletes ? update("t1", R"({"a":"server"})").base(1) : erase("t1").base(1));
    const auto made = s.now + (row.client_is_later ? 5 : -5);
    const auto done = s.edit("bob", "tablet",
                             row.client_deletes ? erase("t1").base(1).when(made)
                                                : replace("t1", R"({"a":"client"})").base(1).when(made));
    CAPTURE(to_string(row.by));
    CAPTURE(row.client_deletes);
    REQUIRE(done.conflict_detected);
    const auto& c = s.recorded(*done.conflict_id);
    CHECK(c.winner == row.winner);
    CHECK(c.fields.empty());
    CHECK(c.server_data.absent() == !row.client_deletes);
    CHECK(c.client_data.absent() == row.client_deletes);
    const bool deleted = (row.winner == client) == row.client_deletes;
    CHECK(s.stored("t1").deleted == deleted);
    if (!deleted)
      CHECK(s.data_is("t1", row.winner == client ? R"({"a":"client"})" : R"({"a":"server","b":1})"));
    CHECK(done.version == (row.winner == client ? 3 : 2));
  }
}

TEST_CASE("rule 7: MANUAL leaves an open conflict with the whole edit, and the stored entity stays") {
  for (const bool by_policy : {true, false}) {
    auto s = with_task();
    s.set_policy(domain::task, by_policy ? strategy::manual : strategy::client_wins, by_policy);
    s.edit("ann", "phone", update("t1", R"({"state":"a"})").base(1));
    const auto before = s.stored("t1");
    const auto done =
        s.edit("bob", "tablet", update("t1", R"({"state":"b","room":2})").base(1).urgent(priority::high));
    CHECK(done.success);
    CHECK(done.conflict_detected);
    CHECK(done.version == 2);
    CHECK(s.stored("t1") == before);
    const auto& c = s.recorded(*done.conflict_id);
    CHECK(c.status == conflict_status::open);
    CHECK(c.winner == conflict_side::none);
    CHECK(c.by == strategy::manual);
    CHECK(c.client_operation == operation::update);
    CHECK(c.client_priority == priority::high);
    CHECK(documents_equal(c.client_data.bytes, json(R"({"state":"b","room":2})").bytes));
    // A person is needed.
    const auto& slot = s.rows.feed.rbegin()->second.slots.back();
    CHECK(slot.kind == slot_kind::conflict);
    CHECK(slot.urgency == priority::critical);
    CHECK_FALSE(slot.expires);
  }
}

TEST_CASE("a deletion leaves a tombstone, and an edit on the tombstone's version brings the entity back") {
  auto s = with_task();
  CHECK(s.edit("ann", "phone", erase("t1").base(1)).version == 2);
  CHECK(s.stored("t1").deleted);
  CHECK(s.stored("t1").data.absent());
  CHECK(s.rows.feed.rbegin()->second.slots.back().expires);
  SUBCASE("by UPDATE, a patch of nothing") {
    CHECK(s.edit("bob", "tablet", update("t1", R"({"a":1,"b":null})").base(2)).version == 3);
    CHECK(s.data_is("t1", R"({"a":1})"));
  }
  SUBCASE("by SYNC and CREATE, with the whole object") {
    CHECK(s.edit("bob", "tablet", replace("t1", R"({"a":1})").base(2)).version == 3);
    CHECK(s.edit("bob", "tablet", erase("t1").base(3)).version == 4);
    CHECK(s.edit("bob", "tablet", create("t1", "{}").base(4)).version == 5);
    CHECK(s.data_is("t1", "{}"));
    CHECK(s.edit("ann", "phone", erase("t1").base(5)).version == 6); // an empty object is no tombstone
    CHECK(s.stored("t1").deleted);
  }
  SUBCASE("deleting it once more, on any version, writes nothing") {
    const auto before = s.stored("t1");
    for (const auto& item : {erase("t1"), erase("t1").base(1), erase("t1").base(2)}) {
      const auto done = s.edit("bob", "tablet", item);
      CHECK(done.success);
      CHECK(done.version == 2);
      CHECK(s.stored("t1") == before);
    }
    CHECK(s.rows.conflicts.empty());
  }
  SUBCASE("by the deleting device on an older version") {
    CHECK(s.edit("ann", "phone", replace("t1", R"({"a":1})").base(1)).version == 3);
    CHECK(s.rows.conflicts.empty());
  }
  SUBCASE("an edit of another device on an older version is a conflict") {
    CHECK(s.edit("bob", "tablet", replace("t1", R"({"a":1})").base(1).when(s.now + 10)).conflict_detected);
    CHECK(s.data_is("t1", R"({"a":1})"));
  }
}

TEST_CASE("after a revival an older whole object conflicts where it differs") {
  auto s = with_task(R"({"a":1,"b":2})");
  s.edit("ann", "phone", erase("t1").base(1));                 // 2
  s.edit("ann", "phone", replace("t1", R"({"a":1})").base(2)); // 3
  // bob changed nothing since version 1: both fields are as they were there.
  CHECK_FALSE(s.edit("bob", "tablet", replace("t1", R"({"a":1,"b":2})").base(1)).conflict_detected);
  CHECK(s.data_is("t1", R"({"a":1})"));
  const auto done = s.edit("bob", "tablet", replace("t1", R"({"a":1,"b":3})").base(1));
  CHECK(done.conflict_detected);
  CHECK(s.recorded(*done.conflict_id).fields == std::vector<std::string>{"b"});
}

TEST_CASE("a modifiedAt far ahead counts as the server's clock, when it comes and ever after") {
  auto s = with_task(R"({"a":"base"})");
  s.edit("ann", "phone", update("t1", R"({"a":"ahead"})").base(1).when(s.now + 3'600'000)); // one hour
  CHECK(s.stored("t1").modified_at == s.now + 3'600'000); // shown as it was said
  s.wait_ms(60'000);
  const auto done = s.edit("bob", "tablet", update("t1", R"({"a":"later"})").base(1).when(s.now));
  CHECK(done.conflict_detected);
  CHECK(s.data_is("t1", R"({"a":"later"})"));
  // Within five minutes it is believed.
  s.edit("ann", "phone", update("t1", R"({"a":"soon"})").base(3).when(s.now + 290'000));
  s.wait_ms(60'000);
  CHECK(s.edit("bob", "tablet", update("t1", R"({"a":"now"})").base(1).when(s.now)).conflict_detected);
  CHECK(s.data_is("t1", R"({"a":"soon"})"));
}

TEST_CASE("an upload with edits from the future carries a warning") {
  auto s = with_task();
  auto what = s.empty_upload("phone");
  what.has_operations = true;
  what.operations = {update("t1", R"({"a":1})").base(1).when(s.now + 400'000),
                     update("t1", R"({"a":2})").base(1).when(s.now)};
  const auto decided = s.run(person("ann"), what);
  REQUIRE(decided.ok());
  CHECK(decided->answer.warnings.size() == 1);
}

TEST_CASE("the later of two edits is found among all changes since the base, not only in the last one") {
  auto s = with_task(R"({"a":"base","b":1})");
  // ann's edit of `a` is late; bob's merge of `b` is older but became the newest version.
  s.edit("ann", "phone", update("t1", R"({"a":"ann"})").base(1).when(s.now + 1000));
  s.edit("bob", "tablet", update("t1", R"({"b":2})").base(1).when(s.now + -1000));
  const auto done = s.edit("cho", "pad", update("t1", R"({"a":"cho"})").base(1).when(s.now));
  CHECK(done.conflict_detected);
  CHECK(s.data_is("t1", R"({"a":"ann","b":2})"));
}

TEST_CASE("private domains keep the users apart, shared ones do not") {
  scenario s;
  s.edit("ann", "phone", create("x", R"({"of":"ann"})", domain::journal));
  CHECK(s.edit("bob", "tablet", create("x", R"({"of":"bob"})", domain::journal)).version == 1);
  CHECK(s.edit("cho", "pad", erase("x", domain::journal)).failure->code == error_code::not_found);
  CHECK(s.data_is("x", R"({"of":"ann"})", domain::journal, 1));
  CHECK(s.data_is("x", R"({"of":"bob"})", domain::journal, 2));
  s.settings.shared[static_cast<std::size_t>(domain::journal)] = true;
  s.edit("ann", "phone", create("y", R"({"of":"ann"})", domain::journal));
  CHECK(s.edit("bob", "tablet", update("y", R"({"of":"bob"})", domain::journal).base(1)).version == 2);
}

TEST_CASE("data that a patch makes too large is the item's error, and nothing is stored of it") {
  scenario s;
  s.settings.entity_data_bytes_max = 400;
  const auto half = "{\"a\":\"" + std::string(300, 'x') + "\"}";
  CHECK(s.edit("ann", "phone", create("t1", half)).success);
  const auto more = "{\"b\":\"" + std::string(300, 'y') + "\"}";
  auto done = s.edit("ann", "phone", update("t1", more).base(1));
  CHECK(done.failure->field == "data");
  // Merged with another device's edit.
  s.edit("ann", "phone", update("t1", R"({"c":1})").base(1));
  done = s.edit("bob", "tablet", update("t1", more).base(1));
  CHECK(done.failure->code == error_code::validation_error);
  // By a conflict's outcome.
  s.set_policy(domain::task, strategy::client_wins);
  done = s.edit("bob", "tablet", update("t1", "{\"c\":2,\"b\":\"" + std::string(300, 'y') + "\"}").base(1));
  CHECK(done.failure->field == "data");
  CHECK(s.stored("t1").version == 2);
  CHECK(s.rows.conflicts.empty());
}

TEST_CASE("an entity edited twice in one batch stands in the feed once") {
  scenario s;
  const auto done = s.edits("ann", "phone",
                            {create("t1", R"({"a":1})"), create("t2", R"({"a":1})"),
                             update("t1", R"({"a":2})").base(1), erase("t2").base(1)});
  CHECK(done.failed_items == 0);
  CHECK(s.stored("t1").version == 2);
  CHECK(s.stored("t1").at == 3);
  CHECK(s.stored("t2").at == 4);
  CHECK(s.rows.counts.last_position == 4);
  REQUIRE(s.rows.feed.size() == 1);
  CHECK(s.rows.feed.begin()->second.slots.size() == 2);
}

TEST_CASE("many slots make several rows, and moving on empties them") {
  scenario s;
  std::vector<edit_item> items;
  for (int i = 0; i < 200; ++i) items.push_back(create("t" + std::to_string(i), R"({"a":1})").when(s.now));
  const auto rows = (items.size() + feed_row_slots_max - 1) / feed_row_slots_max;
  s.edits("ann", "phone", items);
  CHECK(s.rows.feed.size() == rows);
  for (auto& item : items) item.data = json(R"({"a":2})");
  s.edits("ann", "phone", items);
  CHECK(s.rows.feed.size() == rows);
  CHECK(s.rows.feed.begin()->first > 200);
}

TEST_CASE("the stamps of removed fields are bounded, and so is a field's history") {
  scenario s;
  s.edit("ann", "phone", create("t1", R"({"keep":0})"));
  for (std::int32_t i = 1; i <= 300; i += 2) {
    const auto name = "f" + std::to_string(i);
    s.edit("ann", "phone", update("t1", "{\"" + name + "\":1,\"keep\":" + std::to_string(i) + "}").base(i));
    s.edit("ann", "phone", update("t1", "{\"" + name + "\":null}").base(i + 1));
  }
  CHECK(s.stored("t1").fields.size() == removed_stamps_max + 1);
  CHECK(s.data_is("t1", R"({"keep":299})"));
  // What is kept are the newest ones, and `keep` has a full history.
  for (const auto& stamp : s.stored("t1").fields)
    if (stamp.name == "keep")
      CHECK(stamp.history.size() == field_history_max);
    else
      CHECK(stamp.version > 100);
  // A whole object on a version that the history forgot is taken as changed: a conflict, not a silent loss.
  const auto done = s.edit("bob", "tablet", replace("t1", R"({"keep":1})").base(2));
  CHECK(done.conflict_detected);
}
