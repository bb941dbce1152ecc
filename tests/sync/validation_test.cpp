// Every check of one item, with the field that the client is told (domain.md, "Validation is per item").
#include "sync/validation.hpp"

#include <functional>
#include <limits>

#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

const instant now = {1'759'060'800'000};
const rule_settings settings;
const std::string long_id(129, 'x');

template<class Item> struct row {
  std::string_view field; // empty: nothing is wrong
  std::function<void(Item&)> change;
};

template<class Item> void check_table(const Item& good, const std::vector<row<Item>>& table) {
  CHECK_FALSE(check_item(good, now, settings).has_value());
  for (const auto& [field, change] : table) {
    auto item = good;
    change(item);
    const auto bad = check_item(item, now, settings);
    CAPTURE(field);
    CHECK(bad.has_value() == !field.empty());
    if (!bad) continue;
    CHECK(bad->field == field);
    CHECK(bad->code == error_code::validation_error);
    CHECK(bad->message.find(field) != std::string::npos);
  }
}

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t day = 24 * 3600 * 1000;

} // namespace

TEST_CASE("checks of a voice item") {
  voice_item good;
  good.verification_id = "v";
  good.timestamp = now;
  check_table<voice_item>(good, {
                                    {"verificationId", [](auto& i) { i.verification_id.clear(); }},
                                    {"verificationId", [](auto& i) { i.verification_id = long_id; }},
                                    {"", [](auto& i) { i.verification_id = long_id.substr(1); }},
                                    {"timestamp", [](auto& i) { i.timestamp.reset(); }},
                                    {"timestamp", [](auto& i) { i.timestamp = now + (day + 1); }},
                                    {"", [](auto& i) { i.timestamp = now + day; }},
                                    {"", [](auto& i) { i.timestamp = instant{-1}; }},
                                    {"confidenceScore", [](auto& i) { i.confidence_score = -0.001; }},
                                    {"confidenceScore", [](auto& i) { i.confidence_score = 1.001; }},
                                    {"confidenceScore", [](auto& i) { i.confidence_score = nan; }},
                                    {"", [](auto& i) { i.confidence_score = 0; }},
                                    {"", [](auto& i) { i.confidence_score = 1; }},
                                    {"qualityScore", [](auto& i) { i.quality_score = 2; }},
                                    {"processingTimeMs", [](auto& i) { i.processing_time_ms = -1; }},
                                    {"", [](auto& i) { i.processing_time_ms = 0; }},
                                    {"metadata", [](auto& i) { i.too_deep = "metadata"; }},
                                });
}

TEST_CASE("checks of a behavioral item") {
  behavioral_item good;
  good.session_id = "s";
  good.events = json("[]");
  check_table<behavioral_item>(good, {
                                         {"sessionId", [](auto& i) { i.session_id.clear(); }},
                                         {"sessionId", [](auto& i) { i.session_id = long_id; }},
                                         {"events", [](auto& i) { i.events = document{}; }},
                                         {"events", [](auto& i) { i.events = json("{}"); }},
                                         {"events",
                                          [](auto& i) {
                                            i.events = document{};
                                            i.too_deep = "events";
                                          }},
                                         {"durationMs", [](auto& i) { i.duration_ms = -1; }},
                                         {"userInteractions", [](auto& i) { i.user_interactions = -1; }},
                                         {"screenChanges", [](auto& i) { i.screen_changes = -5; }},
                                     });
}

TEST_CASE("checks of a session item") {
  session_item good;
  good.session_id = "s";
  good.start_time = now;
  check_table<session_item>(good, {
                                      {"sessionId", [](auto& i) { i.session_id.clear(); }},
                                      {"startTime", [](auto& i) { i.start_time.reset(); }},
                                      {"startTime", [](auto& i) { i.start_time = now + (day + 1); }},
                                      {"endTime", [](auto& i) { i.has_end_time = true; }},
                                      {"endTime",
                                       [](auto& i) {
                                         i.has_end_time = true;
                                         i.end_time = now + -1;
                                       }},
                                      {"",
                                       [](auto& i) {
                                         i.has_end_time = true;
                                         i.end_time = now;
                                       }},
                                      {"endTime",
                                       [](auto& i) {
                                         i.has_end_time = true;
                                         i.end_time = now + (day + 1);
                                       }},
                                      {"durationMs", [](auto& i) { i.duration_ms = -1; }},
                                      {"activities", [](auto& i) { i.activities = json("1"); }},
                                      {"", [](auto& i) { i.activities = json("null"); }},
                                      {"", [](auto& i) { i.activities = json("[1]"); }},
                                      {"metadata", [](auto& i) { i.too_deep = "metadata"; }},
                                  });
}

TEST_CASE("checks of a metrics item") {
  metrics_item good;
  good.metric_type = "cpu";
  good.timestamp = now;
  check_table<metrics_item>(good, {
                                      {"metricType", [](auto& i) { i.metric_type.clear(); }},
                                      {"metricType", [](auto& i) { i.metric_type = long_id; }},
                                      {"value", [](auto& i) { i.value = nan; }},
                                      {"value", [](auto& i) { i.value = infinity; }},
                                      {"", [](auto& i) { i.value = -1e300; }},
                                      {"timestamp", [](auto& i) { i.timestamp.reset(); }},
                                      {"tags", [](auto& i) { i.too_deep = "tags"; }},
                                  });
}

TEST_CASE("checks of an edit") {
  edit_item good = update("t", "{}").when(now);
  check_table<edit_item>(
      good, {
                {"operationId", [](auto& i) { i.operation_id = ""; }},
                {"operationId", [](auto& i) { i.operation_id = long_id; }},
                {"", [](auto& i) { i.operation_id = "o"; }},
                {"domain", [](auto& i) { i.in = domain::voice; }},
                {"domain", [](auto& i) { i.in = domain::metrics; }},
                {"", [](auto& i) { i.in = domain::journal; }},
                {"entityId", [](auto& i) { i.entity_id.clear(); }},
                {"entityId", [](auto& i) { i.entity_id = long_id; }},
                {"baseVersion", [](auto& i) { i.base_version = -1; }},
                {"", [](auto& i) { i.base_version = 0; }},
                {"data", [](auto& i) { i.data = document{}; }},
                {"data", [](auto& i) { i.data = json("[]"); }},
                {"data", [](auto& i) { i.data = json("\"{\""); }},
                {"data",
                 [](auto& i) {
                   i.data = document{};
                   i.too_deep = "data";
                 }},
                {"",
                 [](auto& i) {
                   i.data = document{};
                   i.what = operation::remove;
                 }},
                {"", [](auto& i) { i.what = operation::remove; }}, // what a deletion carries is not looked at
                {"modifiedAt", [](auto& i) { i.modified_at.reset(); }},
                {"modifiedAt", [](auto& i) { i.modified_at = now + (day + 1); }},
            });
}

TEST_CASE("an entity's data may have 256 KiB of JSON text, not a byte more") {
  const auto sized = [](std::size_t bytes) { // {"a":"…"} has 8 bytes around the text
    return json("{\"a\":\"" + std::string(bytes - 8, 'x') + "\"}");
  };
  CHECK_FALSE(check_size("data", sized(256 * 1024), settings).has_value());
  CHECK(check_size("data", sized(256 * 1024 + 1), settings).has_value());
  // What is measured is JSON, not how it is stored: control characters are long, doubles are short.
  document_writer many;
  many.begin_array(1);
  many.string(std::string(50'000, '\1')); // six characters each
  CHECK(check_size("data", many.take(), settings).has_value());
  document_writer numbers;
  numbers.begin_array(100'000);
  for (int i = 0; i < 100'000; ++i) numbers.number(1.5); // nine bytes stored, four of text
  const auto stored = numbers.take();
  REQUIRE(to_json(stored).size() > settings.entity_data_bytes_max);
  CHECK(check_size("data", stored, settings).has_value());
  document_writer fewer;
  fewer.begin_array(60'000);
  for (int i = 0; i < 60'000; ++i) fewer.number(1.5);
  CHECK_FALSE(check_size("data", fewer.take(), settings).has_value());
}

TEST_CASE("a bad item does not sink its batch") {
  scenario s;
  auto what = s.empty_upload("phone");
  what.has_metrics = true; // asked for, but empty
  voice_item good, bad;
  good.verification_id = "v1";
  good.timestamp = s.now;
  bad.verification_id = "v2";
  bad.timestamp = s.now;
  bad.quality_score = 7;
  what.voice = {bad, good};
  metrics_item no_time;
  no_time.metric_type = "cpu";
  what.metrics = {no_time};
  what.operations = {create("t1", "{}").when(s.now), edit_item(erase("t9").when(s.now)),
                     edit_item(update("t1", R"({"a":1})").base(1).when(s.now))};
  const auto decided = s.run(person("ann"), what);
  REQUIRE(decided.ok());
  const auto& answer = decided->answer;
  CHECK_FALSE(answer.success());
  CHECK(answer.voice->synced_items == 1);
  CHECK(answer.voice->failed_items == 1);
  CHECK_FALSE(answer.voice->success());
  CHECK(answer.voice->items[0].failure == answer.voice->errors[0]);
  CHECK(answer.voice->errors[0].item_id == "v2");
  CHECK(answer.metrics->items[0].item_id == "cpu");
  CHECK_FALSE(answer.behavioral.has_value());
  CHECK_FALSE(answer.session.has_value());
  CHECK(answer.operations->metrics.total_items == 3);
  CHECK(answer.operations->metrics.synced_items == 2);
  CHECK(answer.overall.total_items == 6);
  CHECK(answer.overall.synced_items == 3);
  CHECK(answer.overall.failed_items == 3);
  CHECK(s.rows.entities.size() == 2);
  CHECK(s.data_is("t1", R"({"a":1})"));
  CHECK(s.rows.devices.at("phone").failed_sync_count == 1);
  CHECK(s.rows.devices.at("phone").sync_count == 0);
}

TEST_CASE("requests of a wrong shape are refused whole and not remembered") {
  scenario s;
  const auto refused = [&](upload what, error_code code) {
    const auto before = s.rows;
    const auto decided = s.run(person("ann"), what);
    REQUIRE_FALSE(decided.ok());
    CHECK(decided.failure().code == code);
    CHECK(s.rows == before);
  };
  auto good = s.empty_upload("phone");
  good.operations = {create("t1", "{}").when(s.now)};
  for (const auto& key :
       {std::string(), std::string(256, 'k'), std::string("a\tb"), std::string("ü"), std::string("a\x7f")}) {
    auto what = good;
    what.idempotency_key = key;
    refused(what, error_code::bad_user_input);
  }
  for (const auto& id : {std::string(), std::string(129, 'd')}) {
    auto what = good;
    what.device_id = id;
    refused(what, error_code::bad_user_input);
  }
  refused(s.empty_upload("phone"), error_code::payload_too_large);
  auto many = good;
  many.operations.resize(1001, many.operations[0]);
  refused(many, error_code::payload_too_large);
  auto large = good;
  large.payload_bytes = 10 * 1024 * 1024 + 1;
  refused(large, error_code::payload_too_large);
  // The limits themselves are allowed.
  good.idempotency_key = std::string(255, '~');
  good.device_id = std::string(128, 'd');
  good.payload_bytes = 10 * 1024 * 1024;
  good.operations.resize(1000, good.operations[0]);
  const auto decided = s.run(person("ann"), good);
  REQUIRE(decided.ok());
  CHECK(decided->answer.success());
  CHECK(decided->answer.overall.bandwidth_bytes == 10 * 1024 * 1024);
}
