// Records: written once, never edited (domain.md, "Two kinds of domain").
#include "sync/records.hpp"

#include <functional>

#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

voice_item voice(std::string id, instant when) {
  voice_item item;
  item.verification_id = std::move(id);
  item.timestamp = when;
  item.verified = true;
  return item;
}

session_item session(std::string id, instant when) {
  session_item item;
  item.session_id = std::move(id);
  item.start_time = when;
  return item;
}

metrics_item metrics(std::string type, instant when, double value) {
  metrics_item item;
  item.metric_type = std::move(type);
  item.timestamp = when;
  item.value = value;
  return item;
}

template<class Item>
section_answer send(scenario& s, const std::string& who, const std::string& with, Item item) {
  auto what = s.empty_upload(with);
  std::optional<section_answer> upload_answer::*section = nullptr;
  if constexpr (std::is_same_v<Item, voice_item>)
    what.voice = {std::move(item)}, section = &upload_answer::voice;
  if constexpr (std::is_same_v<Item, behavioral_item>)
    what.behavioral = {std::move(item)}, section = &upload_answer::behavioral;
  if constexpr (std::is_same_v<Item, session_item>)
    what.session = {std::move(item)}, section = &upload_answer::session;
  if constexpr (std::is_same_v<Item, metrics_item>)
    what.metrics = {std::move(item)}, section = &upload_answer::metrics;
  auto decided = s.run(person(who), what);
  REQUIRE(decided.ok());
  REQUIRE((decided->answer.*section).has_value());
  return *(decided->answer.*section);
}

} // namespace

TEST_CASE("the document of a record has the API's fields, canonical instants and nothing that was absent") {
  auto v = voice("v1", at("2025-09-28T14:00:00.5+02:00"));
  CHECK(to_json(record_document(v)) ==
        R"({"verificationId":"v1","timestamp":"2025-09-28T12:00:00.500Z","verified":true})");
  v.confidence_score = 0.5;
  v.quality_score = 1;
  v.processing_time_ms = 12;
  v.metadata = json(R"({"k":[1,null]})");
  CHECK(documents_equal(record_document(v).bytes,
                        json(R"({"verificationId":"v1","timestamp":"2025-09-28T12:00:00.500Z",
    "verified":true,"confidenceScore":0.5,"qualityScore":1,"processingTimeMs":12,"metadata":{"k":[1,null]}})")
                            .bytes));
  v.metadata = null_document();
  CHECK_FALSE(find_field(record_document(v).bytes, "metadata").has_value());

  behavioral_item b{"s1", json(R"([{"tap":1}])"), 5, 2, 3, json(R"("m")"), {}};
  CHECK(
      documents_equal(record_document(b).bytes, json(R"({"sessionId":"s1","events":[{"tap":1}],"durationMs":5,
    "userInteractions":2,"screenChanges":3,"metadata":"m"})")
                                                    .bytes));

  auto se = session("s1", at("2025-09-28T12:00:00Z"));
  CHECK(to_json(record_document(se)) == R"({"sessionId":"s1","startTime":"2025-09-28T12:00:00.000Z"})");
  se.has_end_time = true;
  se.end_time = at("2025-09-28T13:00:00Z");
  se.duration_ms = 7;
  se.activities = json("[1]");
  se.metadata = json("{}");
  CHECK(documents_equal(record_document(se).bytes,
                        json(R"({"sessionId":"s1","startTime":"2025-09-28T12:00:00.000Z",
    "endTime":"2025-09-28T13:00:00.000Z","durationMs":7,"activities":[1],"metadata":{}})")
                            .bytes));

  auto m = metrics("cpu", at("2025-09-28T12:00:00Z"), 1.5);
  CHECK(to_json(record_document(m)) ==
        R"({"metricType":"cpu","value":1.5,"timestamp":"2025-09-28T12:00:00.000Z"})");
  m.unit = "%";
  m.tags = json(R"({"a":1})");
  CHECK(find_field(record_document(m).bytes, "tags").has_value());
  CHECK(is_valid_document(record_document(m).bytes));
}

TEST_CASE("a list of values that each nest as deep as they may makes a valid document") {
  document_writer events;
  events.begin_array(1);
  events.value(json(std::string(document_depth_max, '[') + std::string(document_depth_max, ']')).bytes);
  const behavioral_item deep{"s1", events.take(), 5, 2, 3, {}, {}};
  CHECK(is_valid_document(record_document(deep).bytes));
}

TEST_CASE("a record is stored with its identity, time and place in the feed") {
  scenario s;
  const auto done = send(s, "ann", "phone", voice("v1", s.now + -5000));
  CHECK(done.items[0].success);
  CHECK(done.items[0].item_id == "v1");
  CHECK_FALSE(done.items[0].duplicate);
  CHECK_FALSE(done.items[0].version.has_value());
  const auto& stored = s.stored("v1", domain::voice, 1);
  CHECK(stored.version == 1);
  CHECK(stored.modified_at == s.now + -5000);
  CHECK(stored.updated_at == s.now);
  CHECK(stored.device == 1);
  CHECK(stored.at == 1);
  behavioral_item b{"b1", json("[]"), 5, {}, {}, {}, {}};
  send(s, "ann", "phone", b);
  CHECK(s.stored("b1", domain::behavioral, 1).modified_at == s.now);
}

TEST_CASE("the same content again is a duplicate, other content the item's error with the field; what was "
          "stored stays") {
  scenario s;
  auto v = voice("v1", s.now);
  v.confidence_score = 1;
  v.metadata = json(R"({"a":1,"b":2})");
  send(s, "ann", "phone", v);
  const auto before = s.rows.entities;
  v.metadata = json(R"({"b":2,"a":1.0})"); // the same, said otherwise
  auto done = send(s, "ann", "laptop", v);
  CHECK(done.items[0].duplicate);
  CHECK(done.items[0].success);
  CHECK(done.failed_items == 0);
  CHECK(s.rows.entities == before);

  struct row {
    std::string_view field;
    std::function<void(voice_item&)> change;
  };
  const row table[] = {
      {"timestamp", [](voice_item& i) { i.timestamp = *i.timestamp + 1; }},
      {"verified", [](voice_item& i) { i.verified = false; }},
      {"confidenceScore", [](voice_item& i) { i.confidence_score = 0.5; }},
      {"confidenceScore", [](voice_item& i) { i.confidence_score.reset(); }},
      {"qualityScore", [](voice_item& i) { i.quality_score = 0.5; }},
      {"processingTimeMs", [](voice_item& i) { i.processing_time_ms = 1; }},
      {"metadata", [](voice_item& i) { i.metadata = document{}; }},
  };
  for (const auto& row : table) {
    auto changed = v;
    row.change(changed);
    done = send(s, "ann", "phone", changed);
    CHECK(done.failed_items == 1);
    REQUIRE(done.errors.size() == 1);
    CHECK(done.errors[0].code == error_code::validation_error);
    CHECK(done.errors[0].field == row.field);
    CHECK(done.errors[0].item_id == "v1");
    CHECK(s.rows.entities == before);
  }
}

TEST_CASE("another user's record of the same id is another record") {
  scenario s;
  send(s, "ann", "phone", voice("v1", s.now));
  auto other = voice("v1", s.now);
  other.verified = false;
  CHECK(send(s, "bob", "tablet", other).failed_items == 0);
  CHECK(s.rows.entities.size() == 2);
}

TEST_CASE("the same record twice in one batch is stored once") {
  scenario s;
  auto what = s.empty_upload("phone");
  what.voice = {voice("v1", s.now), voice("v1", s.now), voice("v1", s.now + 1)};
  const auto decided = s.run(person("ann"), what);
  REQUIRE(decided.ok());
  const auto& items = decided->answer.voice->items;
  CHECK_FALSE(items[0].duplicate);
  CHECK(items[1].duplicate);
  CHECK_FALSE(items[2].success);
  CHECK(s.rows.entities.size() == 1);
}

TEST_CASE(
    "a SESSION may be completed field by field, in any order, and every retry of a part is a duplicate") {
  const auto start = at("2025-09-28T11:00:00Z");
  auto first = session("s1", start);
  auto ended = first;
  ended.has_end_time = true;
  ended.end_time = start + 1000;
  auto full = ended;
  full.duration_ms = 1000;
  full.activities = json("[1]");
  full.metadata = json(R"({"m":1})");

  scenario s;
  CHECK_FALSE(send(s, "ann", "phone", first).items[0].duplicate);
  auto done = send(s, "ann", "phone", ended);
  CHECK(done.items[0].success);
  CHECK_FALSE(done.items[0].duplicate);
  CHECK(s.stored("s1", domain::session, 1).version == 2);
  CHECK(s.stored("s1", domain::session, 1).at == 2);
  send(s, "ann", "laptop", full);
  CHECK(s.stored("s1", domain::session, 1).version == 3);
  CHECK(s.stored("s1", domain::session, 1).data == record_document(full));
  const auto before = s.rows.entities;
  for (const auto& part : {first, ended, full}) {
    done = send(s, "ann", "phone", part);
    CHECK(done.items[0].success);
    CHECK(done.items[0].duplicate);
    CHECK(s.rows.entities == before);
  }
  // A value that was there does not change.
  auto wrong = first;
  wrong.duration_ms = 999;
  CHECK(send(s, "ann", "phone", wrong).errors.at(0).field == "durationMs");
  wrong = session("s1", start + 1);
  CHECK(send(s, "ann", "phone", wrong).errors.at(0).field == "startTime");
  wrong = ended;
  wrong.end_time = start + 2000;
  CHECK(send(s, "ann", "phone", wrong).errors.at(0).field == "endTime");
  CHECK(s.rows.entities == before);
}

TEST_CASE("metrics are identified by type, time and device") {
  scenario s;
  CHECK(send(s, "ann", "phone", metrics("cpu", s.now, 1)).items[0].item_id ==
        metric_id("cpu", s.now, "phone"));
  CHECK_FALSE(send(s, "ann", "laptop", metrics("cpu", s.now, 2)).items[0].duplicate);
  CHECK_FALSE(send(s, "ann", "phone", metrics("cpu", s.now + 1, 2)).items[0].duplicate);
  CHECK_FALSE(send(s, "ann", "phone", metrics("ram", s.now, 2)).items[0].duplicate);
  CHECK(send(s, "ann", "phone", metrics("cpu", s.now, 1)).items[0].duplicate);
  CHECK(send(s, "ann", "phone", metrics("cpu", s.now, 2)).errors.at(0).field == "value");
  auto with_unit = metrics("cpu", s.now, 1);
  with_unit.unit = "%";
  CHECK(send(s, "ann", "phone", with_unit).errors.at(0).field == "unit");
}

TEST_CASE("the parts of a metric's id cannot run into each other, and it stays short enough for a key") {
  const auto when = at("2025-09-28T12:00:00Z");
  CHECK(metric_id("cpu", when, "phone-1") == "2025-09-28T12:00:00.000Z/3/cpu/phone-1");
  CHECK(metric_id("a/b", when, "c") != metric_id("a", when, "b/c"));
  CHECK(metric_id("a", when, "1/b/c") != metric_id("a/1/b", when, "c"));
  CHECK(metric_id(std::string(128, '/'), when, std::string(128, '\n')).size() == 286);
}
