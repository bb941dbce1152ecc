// Exactly once: idempotency keys and operation ids.
#include "sync/answer_codec.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

upload voice_upload(scenario& s, const std::string& device = "phone") {
  auto what = s.empty_upload(device);
  voice_item item;
  item.verification_id = "v" + what.idempotency_key;
  item.timestamp = s.now;
  what.kind = upload_kind::voice;
  what.has_voice = true;
  what.voice = {item};
  what.payload_bytes = 123;
  return what;
}

} // namespace

TEST_CASE("the same key with the same request is answered from the stored answer, and nothing is written") {
  scenario s;
  const auto what = voice_upload(s);
  const auto first = s.run(person("ann"), what);
  REQUIRE(first.ok());
  CHECK_FALSE(first->answer.replayed);
  CHECK(first->answer.voice->metrics.bandwidth_bytes == 123);
  const auto before = s.rows;
  s.wait_ms(3'600'000);
  const auto again = s.run(person("ann"), what);
  REQUIRE(again.ok());
  CHECK(again->writes.empty());
  CHECK(again->first_at == 0);
  CHECK(s.rows == before);
  auto expected = first->answer;
  expected.replayed = true;
  CHECK(again->answer == expected);
}

TEST_CASE("the same key with another request is refused, and nothing is written") {
  scenario s;
  auto what = voice_upload(s);
  REQUIRE(s.run(person("ann"), what).ok());
  const auto before = s.rows;
  what.request.low ^= 1;
  const auto decided = s.run(person("ann"), what);
  REQUIRE_FALSE(decided.ok());
  CHECK(decided.failure().code == error_code::idempotency_key_reused);
  CHECK(s.rows == before);
}

TEST_CASE("a key is scoped to user and device") {
  scenario s;
  auto what = voice_upload(s);
  REQUIRE(s.run(person("ann"), what).ok());
  what.device_id = "laptop";
  what.request.low ^= 1;
  auto decided = s.run(person("ann"), what);
  REQUIRE(decided.ok());
  CHECK_FALSE(decided->answer.replayed);
  what.device_id = "tablet";
  decided = s.run(person("bob"), what);
  REQUIRE(decided.ok());
  CHECK_FALSE(decided->answer.replayed);
}

TEST_CASE("a key is forgotten after the window") {
  scenario s;
  const auto what = voice_upload(s);
  REQUIRE(s.run(person("ann"), what).ok());
  s.wait_ms(s.settings.idempotency_window_ms - 1);
  auto decided = s.run(person("ann"), what);
  REQUIRE(decided.ok());
  CHECK(decided->answer.replayed);
  s.wait_ms(1);
  decided = s.run(person("ann"), what);
  REQUIRE(decided.ok());
  CHECK_FALSE(decided->answer.replayed);
  CHECK(decided->answer.voice->items[0].duplicate); // its identity still knows it
}

TEST_CASE("an answer with failures is remembered as well") {
  scenario s;
  auto what = voice_upload(s);
  what.voice[0].quality_score = 3;
  REQUIRE(s.run(person("ann"), what).ok());
  const auto again = s.run(person("ann"), what);
  REQUIRE(again.ok());
  CHECK(again->answer.replayed);
  CHECK(again->answer.voice->errors.at(0).field == "qualityScore");
}

TEST_CASE("a stored answer that is damaged is an internal error, not a second execution") {
  scenario s;
  const auto what = voice_upload(s);
  REQUIRE(s.run(person("ann"), what).ok());
  s.rows.idempotency.begin()->second.answer[0] ^= 0x55;
  const auto before = s.rows;
  const auto decided = s.run(person("ann"), what);
  REQUIRE_FALSE(decided.ok());
  CHECK(decided.failure().code == error_code::internal);
  CHECK(s.rows == before);
}

TEST_CASE("an edit with an operationId is applied once, whatever batch it travels in") {
  scenario s;
  const auto make = create("t1", R"({"a":1})").named("op1").when(s.now);
  const auto change = update("t1", R"({"a":2})").base(1).named("op2").when(s.now);
  CHECK(s.edits("ann", "phone", {make}).items[0].version == 1);
  s.edit("bob", "tablet", update("t1", R"({"b":1})").base(1));
  // The answer was lost; the outbox is regrouped.
  const auto section = s.edits("ann", "phone", {make, change});
  CHECK(section.items[0].duplicate);
  CHECK(section.items[0].success);
  CHECK(section.items[0].version == 1); // the stored outcome, not the present state
  CHECK(section.items[0].operation_id == "op1");
  CHECK_FALSE(section.items[1].duplicate);
  CHECK(section.items[1].version == 3);
  const auto before = s.rows.entities;
  CHECK(s.edit("ann", "phone", change).duplicate);
  CHECK(s.rows.entities == before);
}

TEST_CASE("an operationId with another edit is the item's error") {
  scenario s;
  const auto make = create("t1", R"({"a":1})").named("op1").when(s.now);
  s.edit("ann", "phone", make);
  std::vector<edit_item> others;
  for (int i = 0; i < 7; ++i) others.push_back(make);
  others[0].data = json(R"({"a":2})");
  others[1].entity_id = "t2";
  others[2].base_version = 0;
  others[3].modified_at = s.now + 1;
  others[4].what = operation::sync;
  others[5].urgency = priority::high;
  others[6].in = domain::ticket;
  for (const auto& other : others) {
    const auto done = s.edit("ann", "phone", other);
    CHECK_FALSE(done.success);
    CHECK(done.failure->field == "operationId");
    CHECK(done.failure->code == error_code::validation_error);
  }
  CHECK(s.rows.entities.size() == 1);
  // The order of members is no difference.
  s.edit("ann", "phone", create("t3", R"({"a":1,"b":2})").named("op3").when(s.now));
  CHECK(s.edit("ann", "phone", create("t3", R"({"b":2.0,"a":1})").named("op3").when(s.now)).duplicate);
}

TEST_CASE("an operationId twice in one batch") {
  scenario s;
  const auto make = create("t1", R"({"a":1})").named("op1").when(s.now);
  auto other = make;
  other.item.entity_id = "t2";
  const auto section = s.edits("ann", "phone", {make, make, other});
  CHECK_FALSE(section.items[0].duplicate);
  CHECK(section.items[1].duplicate);
  CHECK(section.items[1].success);
  CHECK(section.items[2].failure->field == "operationId");
  CHECK(s.rows.entities.size() == 1);
  CHECK(s.rows.operations.size() == 1);
}

TEST_CASE("an operationId is scoped to user and device, and forgotten after the window") {
  scenario s;
  const auto make = create("t1", R"({"a":1})").named("op1").when(s.now);
  s.edit("ann", "phone", make);
  CHECK_FALSE(s.edit("bob", "tablet", create("t2", R"({"a":1})").named("op1")).duplicate);
  s.wait_ms(s.settings.idempotency_window_ms);
  CHECK_FALSE(s.edit("ann", "phone", create("t9", "{}").named("op1")).duplicate);
  CHECK(s.edit("ann", "phone", create("t9", "{}").named("op1")).duplicate);
}

TEST_CASE("an edit that was not stored is not remembered by its operationId") {
  scenario s;
  CHECK_FALSE(s.edit("ann", "phone", erase("t1").named("op1")).success);
  CHECK(s.rows.operations.empty());
  const auto section = s.edits("ann", "phone", {erase("t1").named("op2"), create("t1", "{}").named("op2")});
  CHECK_FALSE(section.items[0].success);
  CHECK(section.items[1].success);
}

TEST_CASE("a conflict's outcome is repeated with its conflict, and no second conflict is made") {
  scenario s;
  s.set_policy(domain::task, strategy::manual);
  s.edit("ann", "phone", create("t1", R"({"a":1})"));
  s.edit("ann", "phone", update("t1", R"({"a":2})").base(1));
  const auto mine = update("t1", R"({"a":3})").base(1).named("op1").when(s.now);
  const auto first = s.edits("bob", "tablet", {mine, mine});
  CHECK(first.items[0].conflict_detected);
  CHECK(first.items[1].duplicate);
  CHECK(first.items[1].conflict_id == first.items[0].conflict_id);
  CHECK(first.conflicts.size() == 1);
  const auto again = s.edits("bob", "tablet", {mine});
  CHECK(again.items[0].duplicate);
  CHECK(again.items[0].conflict_id == first.items[0].conflict_id);
  REQUIRE(again.conflicts.size() == 1);
  CHECK(again.conflicts[0] == first.conflicts[0]);
  CHECK(again.metrics.conflicts_detected == 1);
  CHECK(s.rows.conflicts.size() == 1);
  CHECK(s.rows.devices.at("tablet").conflict_count == 1);
}

TEST_CASE("a damaged outcome of an operation refuses the request") {
  scenario s;
  const auto make = create("t1", "{}").named("op1").when(s.now);
  s.edit("ann", "phone", make);
  s.rows.operations.begin()->second.outcome = "x";
  auto what = s.empty_upload("phone");
  what.operations = {make};
  const auto decided = s.run(person("ann"), what);
  REQUIRE_FALSE(decided.ok());
  CHECK(decided.failure().code == error_code::internal);
}
