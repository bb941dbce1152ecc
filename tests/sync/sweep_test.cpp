// Removing what expired.
#include "sync/sweep.hpp"

#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

sweep_candidates everything(const memory_store& in) {
  sweep_candidates seen;
  for (const auto& [id, row] : in.idempotency) seen.idempotency.push_back(row);
  for (const auto& [id, row] : in.operations) seen.operations.push_back(row);
  for (const auto& [key, row] : in.feed) seen.feed.push_back(row);
  return seen;
}

void sweep(scenario& s, const sweep_candidates& seen) {
  s.rows.apply(decide_sweep(s.rows, seen, s.rows.swept, s.now, s.settings));
  const auto broken = broken_invariant(s.rows);
  CHECK_MESSAGE(broken.empty(), broken);
}

} // namespace

TEST_CASE("idempotency and operation records go after the window, not before") {
  scenario s;
  s.edit("ann", "phone", create("t1", "{}").named("op1"));
  s.wait_ms(1000);
  s.edit("ann", "phone", create("t2", "{}").named("op2"));
  s.now = s.now + (s.settings.idempotency_window_ms - 1000);
  sweep(s, everything(s.rows));
  CHECK(s.rows.idempotency.size() == 1);
  REQUIRE(s.rows.operations.size() == 1);
  CHECK(s.rows.operations.begin()->second.operation_id == "op2");
  CHECK(s.rows.entities.size() == 2);
  CHECK(s.rows.swept == 0);
}

TEST_CASE("a record that was written anew since it was seen stays") {
  scenario s;
  s.edit("ann", "phone", create("t1", "{}").named("op1"));
  const auto seen = everything(s.rows);
  s.now = s.now + s.settings.idempotency_window_ms;
  s.keys = 0; // the same key once more
  s.edit("ann", "phone", create("t2", "{}").named("op1"));
  sweep(s, seen);
  CHECK(s.rows.idempotency.size() == 1);
  CHECK(s.rows.operations.size() == 1);
}

TEST_CASE("tombstones and closed conflicts go after the retention, with their slots; the rest stays") {
  scenario s;
  s.edits("ann", "phone", {create("t1", R"({"a":0})"), create("t2", "{}"), create("t3", "{}")}); // 1 2 3
  s.edit("ann", "phone", update("t1", R"({"a":1})").base(1));                                    // 4
  s.edit("bob", "tablet", update("t1", R"({"a":2})").base(1).when(s.now + 1)); // 5 conflict, 6 t1
  s.edit("ann", "phone", erase("t2").base(1));                                 // 7
  s.set_policy(domain::task, strategy::manual);                                // 8 notification
  s.edit("ann", "phone", update("t1", R"({"a":3})").base(1));                  // 9 open conflict
  s.wait_ms(5000);
  s.edit("ann", "phone", erase("t3").base(1)); // 10
  const auto before = s.rows;
  s.now = s.now + (s.settings.retention_ms - 5001);
  sweep(s, everything(s.rows));
  CHECK(s.rows.entities == before.entities);
  CHECK(s.rows.conflicts == before.conflicts);
  s.wait_ms(1);
  sweep(s, everything(s.rows));
  CHECK(s.rows.entities.size() == 2); // t1 and the younger tombstone t3
  CHECK(s.rows.conflicts.size() == 1);
  CHECK(s.rows.conflicts.begin()->second.status == conflict_status::open);
  CHECK(s.rows.swept == 8);
  CHECK(s.rows.notifications.empty());
  s.wait_ms(5000);
  sweep(s, everything(s.rows));
  CHECK(s.rows.entities.size() == 1);
  CHECK(s.rows.swept == 10);
  CHECK(decide_sweep(s.rows, everything(s.rows), s.rows.swept, s.now, s.settings).empty());
  // An open conflict never expires.
  s.now = s.now + s.settings.retention_ms * 10;
  sweep(s, everything(s.rows));
  CHECK(s.rows.conflicts.size() == 1);
}

TEST_CASE("an entity that was revived after its tombstone was seen stays, and so does a rewritten slot") {
  scenario s;
  s.edit("ann", "phone", create("t1", "{}"));
  s.edit("ann", "phone", erase("t1").base(1));
  const auto seen = everything(s.rows);
  s.now = s.now + s.settings.retention_ms;
  s.edit("ann", "phone", replace("t1", R"({"a":1})").base(2));
  auto before = s.rows;
  sweep(s, seen);
  CHECK(s.rows.entities == before.entities);
  CHECK(s.rows.feed == before.feed);
  // Deleted again: the new tombstone is young.
  s.edit("ann", "phone", erase("t1").base(3));
  before = s.rows;
  sweep(s, seen);
  CHECK(s.rows.entities == before.entities);
  CHECK(s.rows.swept == 0);
}

TEST_CASE("notifications go with their slot, and the swept position never goes back") {
  scenario s;
  feed_slot note;
  note.at = 1;
  note.kind = slot_kind::notification;
  note.id = "n1";
  note.expires = true;
  note.decided_at = s.now;
  feed_slot kept = note;
  kept.at = 2;
  kept.id = "n2";
  kept.decided_at = s.now + 1;
  s.rows.put(feed_row{2, {note, kept}});
  for (const auto& slot : {note, kept}) {
    notification told;
    told.id = slot.id;
    told.at = slot.at;
    s.rows.put(told);
  }
  s.rows.counts.last_position = 2;
  s.rows.swept = 40;
  s.now = s.now + s.settings.retention_ms;
  const auto seen = everything(s.rows);
  sweep(s, seen);
  REQUIRE(s.rows.feed.size() == 1);
  CHECK(s.rows.feed.at(2).slots.size() == 1);
  CHECK(s.rows.notifications.size() == 1);
  CHECK(s.rows.notifications.contains(2));
  CHECK(s.rows.swept == 40);
  s.wait_ms(1);
  sweep(s, seen);
  CHECK(s.rows.feed.empty());
  CHECK(s.rows.notifications.empty());
}

TEST_CASE("slots whose subject is gone already are cleared away") {
  scenario s;
  s.edit("ann", "phone", create("t1", "{}"));
  s.edit("ann", "phone", erase("t1").base(1));
  s.rows.entities.clear();
  s.now = s.now + s.settings.retention_ms;
  sweep(s, everything(s.rows));
  CHECK(s.rows.feed.empty());
  CHECK(s.rows.swept == 2);
}
