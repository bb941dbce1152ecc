// Push settings, calls to sync, messages and events: the way in and the way out.
#include <doctest/doctest.h>

#include <deque>
#include <fstream>
#include <iterator>

#include "api/events.hpp"
#include "api/service.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "sync/changes.hpp"
#include "tests/api/recording_backend.hpp"

using namespace mooring;
using api::test::recording_backend;

namespace {

constexpr instant noon{1'759'060'800'000}; // 2025-09-28T12:00:00Z

struct asked {
  std::string answer;
  api::service service{{}};
  recording_backend backend; // goes first: what was not answered is given up

  void ask(std::string_view query, std::string_view variables = "{}") {
    json_parser parser;
    const auto none = parser.parse(variables);
    REQUIRE(none.ok());
    api::service_request request;
    request.from.who = {"acme", "root", {}, true, false};
    request.backend = &backend;
    request.query = query;
    request.variables = *none;
    request.bytes = query.size();
    request.may_stream = true;
    answer.clear();
    service.execute(request, [this](api::service_answer made) { answer = made.response.body; });
  }
  template<class T> const T& command() {
    REQUIRE(backend.commands.size() == 1);
    REQUIRE(std::holds_alternative<T>(backend.commands.front()));
    return std::get<T>(backend.commands.front());
  }
  template<class T> const T& query() {
    REQUIRE(!backend.queries.empty());
    REQUIRE(std::holds_alternative<T>(backend.queries.back()));
    return std::get<T>(backend.queries.back());
  }
};

sync::feed_slot slot(sync::position at, sync::slot_kind kind, sync::priority urgency) {
  sync::feed_slot made;
  made.at = at;
  made.kind = kind;
  made.urgency = urgency;
  return made;
}

std::string text_of(const char* file) {
  std::ifstream in(std::string(MOORING_SOURCE_DIR) + "/tests/api/same_hash/" + file, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("nobody can write a document that decides what subscriptions of another one are sent") {
  // The second selects other fields under the same names, and was found in a minute.
  const auto of_a_client = text_of("of_a_client.txt"), made_to_collide = text_of("made_to_collide.txt");
  REQUIRE(hash128(of_a_client) == hash128(made_to_collide));
  asked is;
  is.ask(of_a_client, R"({"device":"d"})");
  is.ask(made_to_collide);
  is.ask(of_a_client, R"({"device":"e"})");
  REQUIRE(is.backend.opened.size() == 3);
  CHECK_FALSE(is.backend.opened[0].writer->shape() == is.backend.opened[1].writer->shape());
  CHECK(is.backend.opened[0].writer->shape() == is.backend.opened[2].writer->shape());
}

TEST_CASE("a push setting goes in as it was said, with the schema's defaults, and comes out again") {
  asked is;
  is.ask("mutation { setPushSubscription(subscription: {deviceId: \"phone\"}) { deviceId domain active "
         "batterySaverMode priorityFilter } }");
  CHECK(is.command<sync::set_push_subscription>().device_id == "phone");
  CHECK(is.command<sync::set_push_subscription>().setting == sync::push_setting{});
  is.backend.dones[0](api::command_answer{sync::push_answer{"phone", {}}});
  CHECK(is.answer == R"({"data":{"setPushSubscription":{"deviceId":"phone","domain":null,"active":true,)"
                     R"("batterySaverMode":false,"priorityFilter":"NORMAL"}}})");
  is.backend.commands.clear();
  is.ask("mutation { setPushSubscription(subscription: {deviceId: \"phone\", domain: TICKET, active: false, "
         "batterySaverMode: true, priorityFilter: CRITICAL}) { domain } }");
  CHECK(is.command<sync::set_push_subscription>().setting ==
        sync::push_setting{sync::domain::ticket, false, true, sync::priority::critical});
}

TEST_CASE("push settings and sync state are read out") {
  asked is;
  is.ask("{ pushSubscriptions(deviceId: \"phone\") { deviceId domain priorityFilter } }");
  CHECK(is.query<sync::list_push_subscriptions>().device_id == "phone");
  is.backend.reads.back()(sync::query_answer{
      sync::push_subscriptions{"phone", {{}, {sync::domain::task, true, false, sync::priority::high}}}});
  CHECK(is.answer ==
        R"({"data":{"pushSubscriptions":[{"deviceId":"phone","domain":null,"priorityFilter":"NORMAL"},)"
        R"({"deviceId":"phone","domain":"TASK","priorityFilter":"HIGH"}]}})");
  is.ask("{ deviceSyncState(deviceId: \"phone\") { deviceId domains { domain lastVersion lastSyncAt entities "
         "pending } } }");
  CHECK(is.query<sync::get_device_sync_state>().device_id == "phone");
  is.backend.reads.back()(
      sync::query_answer{sync::device_sync_state{"phone",
                                                 {{{sync::domain::voice, 0, noon, 4}, 0},
                                                  {{sync::domain::task, 7, noon, 2}, 3},
                                                  {{sync::domain::ticket, 0, {}, 0}, 1}}}});
  CHECK(
      is.answer ==
      R"({"data":{"deviceSyncState":{"deviceId":"phone","domains":[)"
      R"({"domain":"VOICE","lastVersion":null,"lastSyncAt":"2025-09-28T12:00:00.000Z","entities":4,"pending":0},)"
      R"({"domain":"TASK","lastVersion":7,"lastSyncAt":"2025-09-28T12:00:00.000Z","entities":2,"pending":3},)"
      R"({"domain":"TICKET","lastVersion":null,"lastSyncAt":null,"entities":0,"pending":1}]}}})");
  is.ask("{ pushSubscriptions(deviceId: \"x\") { domain } }");
  is.backend.reads.back()(error{error_code::not_found, "there is no such device", "deviceId"});
  CHECK(is.answer.find("\"NOT_FOUND\"") != std::string::npos);
}

TEST_CASE("a call to sync counts its devices first, and answers their number") {
  asked is;
  is.ask("mutation { triggerSync(domains: [TASK, VOICE], userId: \"ann\") }");
  CHECK(is.backend.commands.empty());
  CHECK(is.query<sync::count_devices>().user_id == "ann");
  CHECK(!is.query<sync::count_devices>().device_id);
  is.backend.reads.back()(sync::query_answer{std::int64_t{3}});
  const auto& what = is.command<sync::trigger_sync>();
  CHECK(what.domains ==
        (1u << static_cast<int>(sync::domain::task) | 1u << static_cast<int>(sync::domain::voice)));
  CHECK(what.user_id == "ann");
  CHECK(what.reason == "server_update");
  CHECK(what.devices == 3);
  CHECK(is.answer.empty());
  is.backend.dones[0](api::command_answer{std::int32_t{3}});
  CHECK(is.answer == R"({"data":{"triggerSync":3}})");
  // Who may not count is not heard.
  is.ask("mutation { triggerSync(domains: []) }");
  is.backend.reads.back()(error{error_code::forbidden, "only an administrator of the tenant may do this"});
  CHECK(is.backend.commands.size() == 1);
  CHECK(is.answer.find("\"FORBIDDEN\"") != std::string::npos);
}

TEST_CASE("a message goes in with its data, priority and address") {
  asked is;
  is.ask("mutation { broadcast(message: \"tea\", data: {room: [7]}, priority: HIGH, deviceId: \"tablet\") }");
  CHECK(is.query<sync::count_devices>().device_id == "tablet");
  is.backend.reads.back()(sync::query_answer{std::int64_t{1}});
  const auto& what = is.command<sync::broadcast>();
  CHECK(what.message == "tea");
  CHECK(to_json(what.data) == R"({"room":[7]})");
  CHECK(what.urgency == sync::priority::high);
  CHECK(!what.user_id);
  CHECK(what.device_id == "tablet");
  CHECK(what.devices == 1);
  is.backend.commands.clear();
  is.ask("mutation { broadcast(message: \"tea\") }");
  is.backend.reads.back()(sync::query_answer{std::int64_t{5'000'000'000}});
  CHECK(is.command<sync::broadcast>().devices == INT32_MAX);
  CHECK(is.command<sync::broadcast>().urgency == sync::priority::normal);
  CHECK(is.command<sync::broadcast>().data.absent());
  is.backend.commands.clear();
  std::string deep = "1";
  for (int i = 0; i < 33; ++i) deep = "[" + deep + "]";
  is.ask("mutation { broadcast(message: \"tea\", data: " + deep + ") }");
  CHECK(is.answer.find("\"BAD_USER_INPUT\"") != std::string::npos);
}

TEST_CASE("health, queue, advice and hours are read out") {
  asked is;
  is.ask("{ syncHealth { status successRate avgLatencyMs p95LatencyMs conflictRate lastSyncAt activeDevices "
         "{ deviceId } } }");
  CHECK(std::holds_alternative<sync::get_sync_health>(is.backend.queries.back()));
  sync::sync_health health;
  health.of = {"degraded", 0.9, 0.25, noon};
  health.average_ms = 1.5;
  is.backend.reads.back()(sync::query_answer{health});
  CHECK(
      is.answer ==
      R"({"data":{"syncHealth":{"status":"degraded","successRate":0.9,"avgLatencyMs":1.5,"p95LatencyMs":null,)"
      R"("conflictRate":0.25,"lastSyncAt":"2025-09-28T12:00:00.000Z","activeDevices":[]}}})");
  is.ask("{ queueStatus(deviceId: \"p\") { deviceId pending highPriority estimatedSeconds healthy } }");
  CHECK(is.query<sync::get_queue_status>().device_id == "p");
  is.backend.reads.back()(sync::query_answer{sync::queue_status{"p", 5, 2, 0.5, true}});
  CHECK(
      is.answer ==
      R"({"data":{"queueStatus":{"deviceId":"p","pending":5,"highPriority":2,"estimatedSeconds":0.5,"healthy":true}}})");
  is.ask("{ optimalSyncTime { syncNow waitSeconds load reason } }");
  is.backend.reads.back()(sync::query_answer{sync::sync_advice{false, 30, 1, "busy"}});
  CHECK(is.answer ==
        R"({"data":{"optimalSyncTime":{"syncNow":false,"waitSeconds":30,"load":1,"reason":"busy"}}})");
  is.ask("{ syncAnalytics(from: \"2025-09-28T00:00:00Z\", to: \"2025-09-28T15:00:00+03:00\") { hour requests "
         "successfulRequests replayedRequests avgLatencyMs p95LatencyMs conflictsAutoResolved "
         "conflictsOpened bytes devices "
         "domains { domain items failedItems duplicateItems conflicts } } }");
  CHECK(is.query<sync::get_analytics>().to == noon);
  sync::analytics_hour hour;
  hour.hour = sync::hour_of(noon);
  hour.requests = 4;
  hour.succeeded = 3;
  hour.replayed = 2;
  hour.bytes = 5'000'000'000;
  hour.duration_sum_us = 300;
  hour.durations[0] = 2;
  hour.devices.add("p");
  hour.domains[6] = {4, 1, 2, 3};
  is.backend.reads.back()(sync::query_answer{std::vector{hour}});
  CHECK(
      is.answer ==
      R"({"data":{"syncAnalytics":[{"hour":"2025-09-28T12:00:00.000Z","requests":4,"successfulRequests":3,"replayedRequests":2,)"
      R"("avgLatencyMs":0.15,"p95LatencyMs":0.1,"conflictsAutoResolved":0,"conflictsOpened":0,"bytes":5e+09,"devices":1,)"
      R"("domains":[{"domain":"TASK","items":4,"failedItems":1,"duplicateItems":2,"conflicts":3}]}]}})");
  is.ask("{ syncAnalytics(from: \"yesterday\", to: \"2025-09-28T15:00:00Z\") { hour } }");
  CHECK(is.answer.find("\"BAD_USER_INPUT\"") != std::string::npos);
}

TEST_CASE("each place of the feed is the event of its kind, with the cursor behind it") {
  sync::entity_answer entity;
  entity.in = sync::domain::ticket;
  entity.id = "k1";
  auto at = slot(7, sync::slot_kind::entity, sync::priority::high);
  at.what = sync::operation::remove;
  const auto cursor = sync::encode_cursor("acme", 7);
  const auto update = std::get<api::data_update_event>(api::to_event("acme", {at, entity}, 0, noon));
  CHECK(update.cursor == cursor);
  CHECK(std::get<api::data_update_event>(api::to_event("acme", {at, entity}, 12, noon)).cursor ==
        sync::encode_cursor("acme", {7, 12}));
  CHECK(update.what == sync::operation::remove);
  CHECK(update.urgency == sync::priority::high);
  CHECK(update.entity.id == "k1");
  CHECK(update.server_timestamp == noon);

  for (const auto status : {sync::conflict_status::open, sync::conflict_status::resolved}) {
    sync::conflict about;
    about.id = "c7";
    about.status = status;
    const auto alert = std::get<api::conflict_alert_event>(api::to_event(
        "acme", {slot(7, sync::slot_kind::conflict, sync::priority::critical), about}, 0, noon));
    CHECK(alert.cursor == cursor);
    CHECK(alert.action_required == (status == sync::conflict_status::open));
    CHECK(alert.urgency == sync::priority::critical);
    CHECK(alert.about.id == "c7");
  }

  sync::notification told;
  told.kind = sync::notification_kind::trigger;
  told.domains =
      1u << static_cast<int>(sync::domain::voice) | 1u << static_cast<int>(sync::domain::work_order);
  told.text = "shift";
  told.urgency = sync::priority::high;
  const auto trigger = std::get<api::sync_trigger_event>(
      api::to_event("acme", {slot(7, sync::slot_kind::notification, told.urgency), told}, 0, noon));
  CHECK(trigger.cursor == cursor);
  CHECK(trigger.domains == std::vector{sync::domain::voice, sync::domain::work_order});
  CHECK(trigger.reason == "shift");
  CHECK(trigger.urgency == sync::priority::high);

  told.kind = sync::notification_kind::message;
  told.data = *document_from_json("{\"a\":1}");
  const auto message = std::get<api::system_notification_event>(
      api::to_event("acme", {slot(7, sync::slot_kind::notification, told.urgency), told}, 0, noon));
  CHECK(message.message == "shift");
  CHECK(message.data == told.data);

  CHECK(std::get<api::resync_required_event>(api::resync_required("acme", 7, noon)).cursor == cursor);
  CHECK(std::get<api::caught_up_event>(api::caught_up("acme", 7, noon)).cursor == cursor);
  CHECK(*sync::decode_cursor("acme", cursor) == 7);
}
