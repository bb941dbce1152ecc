#include "api/service.hpp"

#include <doctest/doctest.h>

#include <deque>

#include "api/arguments.hpp"
#include "base/json.hpp"
#include "tests/api/recording_backend.hpp"

using namespace mooring;
using api::test::recording_backend;

namespace {

struct answered {
  int times = 0;
  api::service_answer last;
};

std::shared_ptr<answered> ask(const api::service& service, api::backend& backend, std::string_view query,
                              std::string_view variables = "{}", bool may_mutate = true) {
  json_parser parser;
  const auto parsed = parser.parse(variables);
  REQUIRE(parsed.ok());
  api::service_request request;
  request.from.who = {"acme", "ann", {}, false, false};
  request.backend = &backend;
  request.query = query;
  request.variables = *parsed;
  request.may_mutate = may_mutate;
  request.request_id = 0xabc;
  request.bytes = query.size() + variables.size();
  auto out = std::make_shared<answered>();
  service.execute(request, [out](api::service_answer made) {
    ++out->times;
    out->last = std::move(made);
  });
  return out;
}

} // namespace

TEST_CASE("every field of the schema is bound and every argument is read from its place") {
  for (const auto& wrong : api::service::check()) FAIL_CHECK(wrong);
}

TEST_CASE("an upload's arguments reach the rules as they were sent") {
  const api::service service({});
  recording_backend backend;
  const auto answer =
      ask(service, backend,
          "mutation($b: SyncBatchInput!) { syncBatch(batch: $b) { success operationsSyncResult { items { "
          "itemId version } } } }",
          R"({"b":{"idempotencyKey":"k","deviceId":"d","clientTimestamp":"2026-01-01T00:00:00Z",
                              "voiceData":[{"verificationId":"v","timestamp":"soon","verified":true,"confidenceScore":1,"metadata":{"a":[1]}}],
                              "operations":[{"domain":"TASK","operation":"DELETE","entityId":7,"baseVersion":3,"modifiedAt":"2026-01-01T00:00:00+02:00","priority":"HIGH"}]}})");
  REQUIRE(backend.commands.size() == 1);
  CHECK(answer->times == 0);
  const auto& upload = std::get<sync::upload>(backend.commands[0]);
  CHECK(upload.kind == sync::upload_kind::batch);
  CHECK(upload.idempotency_key == "k");
  CHECK(upload.device_id == "d");
  REQUIRE(upload.has_voice);
  CHECK_FALSE(upload.has_session);
  CHECK_FALSE(upload.voice[0].timestamp.has_value()); // a string that is no instant: the item's error, later
  CHECK(upload.voice[0].confidence_score == 1.0);
  CHECK(to_json(upload.voice[0].metadata) == R"({"a":[1]})");
  REQUIRE(upload.operations.size() == 1);
  CHECK(upload.operations[0].what == sync::operation::remove);
  CHECK(upload.operations[0].entity_id == "7");
  CHECK(upload.operations[0].base_version == 3);
  CHECK(upload.operations[0].data.absent());
  CHECK(upload.operations[0].urgency == sync::priority::high);
  CHECK(to_string(*upload.operations[0].modified_at) == "2025-12-31T22:00:00.000Z");

  sync::upload_answer made;
  made.operations.emplace();
  made.operations->items.push_back({"7", {}, true, 4, false, false, {}, {}});
  backend.dones[0](api::command_answer{made});
  CHECK(answer->times == 1);
  CHECK(
      answer->last.response.body ==
      R"({"data":{"syncBatch":{"success":true,"operationsSyncResult":{"items":[{"itemId":"7","version":4}]}}}})");
}

TEST_CASE("the digest of a request follows what it asks for and not how it is written") {
  const api::service service({});
  recording_backend backend;
  const auto digest = [&](std::string_view query, std::string_view variables) {
    ask(service, backend, query, variables);
    return std::get<sync::upload>(backend.commands.back()).request;
  };
  const auto plain = digest(
      "mutation($d:[VoiceDataInput!]!){ syncVoiceData(data:$d, idempotencyKey:\"k\", deviceId:\"d\"){ "
      "success } }",
      R"({"d":[{"verificationId":"v","timestamp":"2026-01-01T00:00:00Z","verified":true,"metadata":{"a":1,"b":2}}]})");
  CHECK(plain ==
        digest("mutation M{ x: syncVoiceData(deviceId:\"d\", idempotencyKey:\"k\", data:{verified:true, "
               "verificationId:\"v\", "
               "timestamp:\"2026-01-01T00:00:00Z\", metadata:{b:2,a:1}}){ replayed items { itemId } } }",
               "{}"));
  CHECK_FALSE(plain == digest("mutation{ syncVoiceData(deviceId:\"d\", idempotencyKey:\"k\", "
                              "data:{verified:false, verificationId:\"v\", "
                              "timestamp:\"2026-01-01T00:00:00Z\", metadata:{b:2,a:1}}){ replayed } }",
                              "{}"));
}

TEST_CASE("failures come out with their code, whether a retry helps, and the request's id") {
  const api::service service({});
  recording_backend backend;
  const auto answer = ask(service, backend, "mutation { deactivateDevice(deviceId: \"x\") }");
  backend.dones[0](error{error_code::storage_full, "the disk is full"});
  const auto& body = answer->last.response.body;
  CHECK(body.find("\"STORAGE_FULL\"") != std::string::npos);
  CHECK(body.find("\"retryable\":true") != std::string::npos);
  CHECK(body.find("abc") != std::string::npos);
}

TEST_CASE("a mutation by GET is refused before it runs") {
  const api::service service({});
  recording_backend backend;
  const auto answer = ask(service, backend, "mutation { deactivateDevice(deviceId: \"x\") }", "{}", false);
  CHECK(answer->last.method_not_allowed);
  CHECK_FALSE(answer->last.response.executed);
  CHECK(backend.commands.empty());
}

TEST_CASE("page sizes and cursors out of bounds are the request's error") {
  const api::service service({});
  recording_backend backend;
  for (const auto* query :
       {"{ changes(first: 0) { hasMore } }", "{ changes(first: 1001) { hasMore } }",
        "{ changes(since: \"nonsense\") { hasMore } }", "{ conflicts(after: \"x\") { hasMore } }",
        "mutation { acknowledge(deviceId: \"d\", cursor: \"x\") }"}) {
    const auto answer = ask(service, backend, query);
    CHECK(answer->times == 1);
    CHECK(answer->last.response.body.find("BAD_USER_INPUT") != std::string::npos);
  }
  CHECK(backend.queries.empty());
  for (const auto& [query, field] : {std::pair{"{ changes(since: \"x\") { hasMore } }", "since"},
                                     {"{ conflicts(after: \"x\") { hasMore } }", "after"},
                                     {"mutation { acknowledge(deviceId: \"d\", cursor: \"x\") }", "cursor"}})
    CHECK(ask(service, backend, query)->last.response.body.find("\"field\":\"" + std::string(field) + "\"") !=
          std::string::npos);
}

TEST_CASE("a caller over the limit is told when to come back, and others are served") {
  api::service_options options;
  options.rates.per_user = {1, 5};
  options.rates.per_tenant = options.rates.per_address = {};
  const api::service service(options);
  recording_backend backend;
  int refused = 0;
  for (int i = 0; i < 10; ++i) {
    const auto answer = ask(service, backend, "{ serverInfo { version } }");
    if (answer->last.response.refused == error_code::rate_limited) {
      ++refused;
      CHECK(answer->last.response.retry_after_ms > 0);
    }
  }
  CHECK(refused == 5);
}

TEST_CASE("documents that are new cost by their size, valid or not; known ones go on being served") {
  const api::service service({});
  recording_backend backend;
  const auto is_served = [&](std::string_view document) {
    return ask(service, backend, std::string(document))->last.response.refused != error_code::rate_limited;
  };
  constexpr std::string_view known = "{ serverInfo { version } }";
  REQUIRE(is_served(known));
  int served = 0;
  for (int i = 0; i < 100; ++i)
    if (is_served("{ serverInfo { nothing" + std::to_string(i) + std::string(60'000, ' ') + "} }")) ++served;
  CHECK(served >= 8);
  CHECK(served < 20); // half a megabyte at once, 64 KiB a second
  CHECK_FALSE(is_served("{ serverInfo { version } # new" + std::string(60'000, ' ') + "\n}"));
  CHECK(is_served(known));
}
