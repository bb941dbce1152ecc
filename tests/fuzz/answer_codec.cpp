// sync/answer_codec.hpp: a stored answer or outcome, as damaged as a disk can make it. What is read can be
// written, reads back the same, and holds only documents that may be read without checks.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "sync/answer_codec.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;

namespace {

void look_at(const document& value) {
  if (!value.absent()) MOORING_CHECK(!to_json(value).empty(), "a document that was read can be shown");
}

void look_at(const std::optional<sync::section_answer>& section) {
  if (!section) return;
  for (const auto& one : section->conflicts) {
    look_at(one.server_data);
    look_at(one.client_data);
  }
  for (const auto& one : section->errors) look_at(one.details);
  for (const auto& item : section->items)
    if (item.failure) look_at(item.failure->details);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  const std::string_view packed(reinterpret_cast<const char*>(bytes), length);
  if (const auto answer = sync::unpack_answer(packed); answer.ok()) {
    MOORING_CHECK(answer->replayed, "what is read back is a replay");
    for (const auto* section :
         {&answer->voice, &answer->behavioral, &answer->session, &answer->metrics, &answer->operations})
      look_at(*section);
    const auto again = sync::pack_answer(*answer);
    const auto back = sync::unpack_answer(again);
    MOORING_CHECK(back.ok() && sync::pack_answer(*back) == again,
                  "an answer that was read can be written and read");
  } else {
    MOORING_CHECK(answer.failure().code == error_code::internal, "damage is ours, not the client's");
  }
  if (const auto item = sync::unpack_item(packed); item.ok()) {
    const auto again = sync::pack_item(*item);
    const auto back = sync::unpack_item(again);
    MOORING_CHECK(back.ok() && *back == *item, "an outcome that was read can be written and read");
  }
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [add](const std::string& packed) {
    add(reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size());
  };
  sync::item_result stored, failed, contested;
  stored.item_id = "v1";
  stored.duplicate = true;
  failed.item_id = "t2";
  failed.operation_id = "op2";
  failed.success = false;
  failed.failure =
      sync::item_error{error_code::validation_error, "baseVersion is newer than the stored version",
                       "baseVersion", "t2", *document_from_json(R"({"currentVersion":1})")};
  contested.item_id = "t3";
  contested.version = 300;
  contested.conflict_detected = true;
  contested.conflict_id = "c77";
  sync::conflict open;
  open.id = "c77";
  open.first_at = open.at = 77;
  open.entity_id = "t3";
  open.fields = {"state", "title"};
  open.server_data = *document_from_json(R"({"state":"done","title":"dig","tags":[1,2.5,null]})");
  open.client_data = *document_from_json(R"({"state":"open"})");
  open.device_id = "phone";
  open.created_at = {1'759'060'800'000};
  sync::section_answer section;
  section.items = {stored, failed, contested};
  section.errors = {*failed.failure};
  section.conflicts = {open};
  section.metrics = {3, 2, 1, 1, 0.5, 1200, 0.25};
  sync::upload_answer answer;
  answer.server_timestamp = {1'759'060'800'000};
  answer.idempotency_key = "key-1";
  give(sync::pack_answer(answer));
  answer.operations = section;
  give(sync::pack_answer(answer));
  answer.voice = section;
  answer.warnings = {"Is the device's clock right?"};
  answer.overall = section.metrics;
  give(sync::pack_answer(answer));
  for (const auto& item : section.items) give(sync::pack_item(item));
}
