// bench_graphql_micro: how much CPU does the GraphQL engine add to an upload? Prepared operation, JSON
// variables already parsed; the resolver answers at once with a ready struct. Prints nanoseconds of CPU.
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/json.hpp"
#include "graphql/engine.hpp"
#include "graphql/schema.hpp"

namespace {

using namespace mooring;
using namespace mooring::graphql;

constexpr std::string_view sdl = R"(
  scalar DateTime
  scalar JSON
  input VoiceDataInput {
    verificationId: ID!  timestamp: DateTime!  verified: Boolean!  confidenceScore: Float
    qualityScore: Float  processingTimeMs: Int  metadata: JSON  note: String
  }
  type SyncErrorType { code: String! message: String! field: String itemId: String details: JSON }
  type SyncItemResultType {
    itemId: String! operationId: ID success: Boolean! version: Int duplicate: Boolean! conflictDetected: Boolean!
    conflictId: ID error: SyncErrorType
  }
  type SyncResponseType {
    success: Boolean! syncedItems: Int! failedItems: Int! items: [SyncItemResultType!]! errors: [SyncErrorType!]!
    serverTimestamp: DateTime! idempotencyKey: String! replayed: Boolean!
  }
  type Query { a: Int }
  type Mutation {
    syncVoiceData(data: [VoiceDataInput!]!, idempotencyKey: String!, deviceId: String!): SyncResponseType!
  }
)";

constexpr std::string_view mutation =
    R"(mutation Upload($data: [VoiceDataInput!]!, $key: String!, $device: String!) {
  syncVoiceData(data: $data, idempotencyKey: $key, deviceId: $device) {
    success syncedItems failedItems serverTimestamp idempotencyKey replayed
    items { itemId success version duplicate conflictDetected }
    errors { code message field itemId }
  }
})";

struct item_error {
  std::string code, message;
  std::optional<std::string> field, item_id;
  document details;
};
struct item_result {
  std::string item_id;
  std::optional<std::string> operation_id;
  bool success = true;
  std::optional<std::int32_t> version;
  bool duplicate = false;
  bool conflict_detected = false;
  std::optional<std::string> conflict_id;
  std::optional<item_error> failure;
};
struct answer {
  std::int32_t synced = 0, failed = 0;
  std::vector<item_result> items;
  std::vector<item_error> errors;
  instant at;
  std::string key;
  bool replayed = false;
  bool success() const { return failed == 0; }
};

std::string variables(int items, bool metadata) {
  std::string out = R"({"data":[)";
  for (int i = 0; i < items; ++i) {
    out += i == 0 ? "" : ",";
    out +=
        R"({"verificationId":"ver-2025-09-28-)" + std::to_string(100000 + i) +
        R"(","timestamp":"2025-09-28T12:00:00.123Z","verified":true,"confidenceScore":0.91,"qualityScore":0.85,)"
        R"("processingTimeMs":1500,)";
    out += metadata ? R"("metadata":{"model":"v3","lang":"en"},)" : "";
    out += R"("note":"none"})";
  }
  return out + R"(],"key":"5b0c-voice-000001","device":"phone-1"})";
}

// Of this thread, so that the figure holds on a machine that does other things too.
double cpu_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double nanoseconds(int rounds, const auto& work) {
  for (int i = 0; i < rounds / 10 + 1; ++i) work();
  const auto begin = cpu_nanoseconds();
  for (int i = 0; i < rounds; ++i) work();
  return (cpu_nanoseconds() - begin) / rounds;
}

} // namespace

int main() {
  auto made = build_schema(std::string(sdl));
  MOORING_CHECK(made.ok(), "the schema is valid");
  const auto in = std::move(made).value();
  bindings to(*in);
  to.object<item_error>("SyncErrorType")
      .field<&item_error::code>("code")
      .field<&item_error::message>("message")
      .field<&item_error::field>("field")
      .field<&item_error::item_id>("itemId")
      .field<&item_error::details>("details");
  to.object<item_result>("SyncItemResultType")
      .field<&item_result::item_id>("itemId")
      .field<&item_result::operation_id>("operationId")
      .field<&item_result::success>("success")
      .field<&item_result::version>("version")
      .field<&item_result::duplicate>("duplicate")
      .field<&item_result::conflict_detected>("conflictDetected")
      .field<&item_result::conflict_id>("conflictId")
      .field<&item_result::failure>("error");
  to.object<answer>("SyncResponseType")
      .field<&answer::success>("success")
      .field<&answer::synced>("syncedItems")
      .field<&answer::failed>("failedItems")
      .field<&answer::items>("items")
      .field<&answer::errors>("errors")
      .field<&answer::at>("serverTimestamp")
      .field<&answer::key>("idempotencyKey")
      .field<&answer::replayed>("replayed");
  to.root<std::int32_t>("Query", "a",
                        [](const field_call&, responder done) { done(resolved::of(std::int32_t{1})); });
  std::shared_ptr<const answer> ready;
  to.root<answer>("Mutation", "syncVoiceData",
                  [&](const field_call&, responder done) { done(resolved::shared(ready)); });
  engine_options options;
  options.scalars = {{"JSON", custom_scalar::json_document}};
  const engine runs(*in, std::move(to), options);

  std::size_t bytes = 0;
  const auto count = [&](response out) { bytes += out.body.size(); };
  std::printf("%-44s %10.0f ns\n", "query { a }", nanoseconds(200'000, [&] {
                request what;
                what.query = "{ a }";
                runs.execute(what, count);
              }));
  for (const bool metadata : {false, true})
    for (const int items : {1, 50}) {
      auto full = std::make_shared<answer>();
      full->synced = items;
      full->at = instant{1759060800123};
      full->key = "5b0c-voice-000001";
      for (int i = 0; i < items; ++i)
        full->items.push_back(
            {"ver-2025-09-28-" + std::to_string(100000 + i), {}, true, 1, false, false, {}, {}});
      json_parser parser;
      const auto parsed = parser.parse(variables(items, metadata));
      MOORING_CHECK(parsed.ok(), "the variables are JSON");
      request what;
      what.query = mutation;
      what.variables = *parsed;
      const auto run = [&] { runs.execute(what, count); };
      const int rounds = items == 1 ? 200'000 : 10'000;
      ready = full;
      const auto whole = nanoseconds(rounds, run);
      ready = std::make_shared<answer>();
      const auto without_items = nanoseconds(rounds, run);
      std::printf("%2d items%-36s %10.0f ns, %6.0f ns an item\n", items, metadata ? " with metadata" : "",
                  whole, whole / items);
      std::printf("%-44s %10.0f ns\n", "   the same, an answer without items", without_items);
    }
  std::printf("%zu bytes written\n", bytes);
}
