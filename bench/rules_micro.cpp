// What the rules cost: one decision, on one core, over a store in memory whose look-ups are counted in.
//
// Question: how much of an upload's server CPU do the rules take? Prints nanoseconds per upload and per item.
// The store is a hash map made for this bench; "look-ups only" is what the same calls of the store cost
// alone.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <unordered_map>

#include "sync/answer_codec.hpp"
#include "sync/overlay.hpp"
#include "sync/rules.hpp"

using namespace mooring;
using namespace mooring::sync;

namespace {

// Only what the bench reads.
class hash_store final : public store {
 public:
  tenant_counters counts{"acme", 1, 1, 0};
  device phone;
  std::unordered_map<std::string, entity> entities;
  std::unordered_map<position, feed_row> rows;
  std::string scratch;

  hash_store() {
    phone.id = "2f6f4a52-0f0c-4b4e-9c59-6d7e8b3d2c11";
    phone.number = 1;
    phone.owner = 1;
    phone.type = device_type::phone;
  }
  void apply(const write_list& writes) {
    for (const auto& w : writes) {
      if (const auto* e = std::get_if<entity>(&w)) entities[e->id] = *e;
      if (const auto* c = std::get_if<tenant_counters>(&w)) counts = *c;
      if (const auto* d = row_in<device>(w)) phone = *d;
      if (const auto* r = std::get_if<feed_row>(&w))
        for (const auto& slot : r->slots) rows[slot.at] = *r;
    }
  }
  tenant_counters counters() override { return counts; }
  std::optional<entity> find_entity(domain, user_number, std::string_view id) override {
    scratch = id;
    const auto at = entities.find(scratch);
    return at == entities.end() ? std::nullopt : std::optional<entity>{at->second};
  }
  std::optional<conflict> find_conflict(position) override { return {}; }
  std::optional<device> find_device(std::string_view) override { return phone; }
  std::optional<device> find_device(device_number) override { return phone; }
  std::optional<user> find_user(std::string_view id) override { return user{std::string(id), 1}; }
  std::optional<user> find_user(user_number) override { return user{"ann", 1}; }
  std::optional<policy> find_policy(domain) override { return {}; }
  std::optional<idempotency_record> find_idempotency(user_number, device_number, std::string_view) override {
    return {};
  }
  std::optional<operation_record> find_operation(user_number, device_number, std::string_view) override {
    return {};
  }
  std::optional<feed_row> find_feed_row(position at) override {
    const auto found = rows.find(at);
    return found == rows.end() ? std::nullopt : std::optional<feed_row>{found->second};
  }
};

std::string uuid(unsigned n) {
  char text[40];
  std::snprintf(text, sizeof text, "%08x-0000-4000-8000-0123456789ab", n);
  return text;
}

document json(const char* text) {
  return *document_from_json(text);
}

double cpu_ns() { // of this thread, so that neighbours on the machine count little
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return static_cast<double>(at.tv_sec) * 1e9 + static_cast<double>(at.tv_nsec);
}

void measure(const char* name, int items, const std::function<void()>& run) {
  const int times = items > 10 ? 50 : 1000;
  double best = 1e18;
  for (int round = 0; round < 60; ++round) {
    const auto start = cpu_ns();
    for (int i = 0; i < times; ++i) run();
    best = std::min(best, (cpu_ns() - start) / times);
  }
  std::printf("%-58s %9.0f ns  %7.0f ns/item\n", name, best, best / items);
}

} // namespace

int main() {
  const instant now{1'759'060'800'000};
  const rule_settings settings;
  const caller who{"acme", "ann", {}, false, false};
  hash_store in;

  upload one;
  one.kind = upload_kind::voice;
  one.idempotency_key = uuid(1);
  one.device_id = in.phone.id;
  one.has_voice = true;
  voice_item v;
  v.verification_id = uuid(2);
  v.timestamp = now;
  v.verified = true;
  v.confidence_score = 0.98;
  v.quality_score = 0.87;
  v.processing_time_ms = 150;
  v.metadata = json(R"({"model":"v3","language":"en"})");
  one.voice = {v};

  upload batch = one;
  batch.kind = upload_kind::batch;
  batch.voice.clear();
  for (unsigned i = 0; i < 10; ++i) {
    v.verification_id = uuid(100 + i);
    batch.voice.push_back(v);
    batch.behavioral.push_back({uuid(200 + i),
                                json(R"([{"type":"tap","x":10,"y":20},{"type":"scroll","d":300}])"),
                                5000,
                                12,
                                3,
                                {},
                                {}});
    session_item s;
    s.session_id = uuid(300 + i);
    s.start_time = now;
    s.has_end_time = true;
    s.end_time = now + 1000;
    s.duration_ms = 1000;
    batch.session.push_back(s);
    batch.metrics.push_back({"heart_rate", 71.5, "bpm", now + i, json(R"({"zone":"rest"})"), {}});
    edit_item e;
    e.in = domain::task;
    e.what = operation::create;
    e.entity_id = uuid(400 + i);
    e.data = json(
        R"({"title":"Inspect pump 7","state":"open","priority":3,"assignee":"ann","notes":"check seals and pressure"})");
    e.modified_at = now;
    batch.operations.push_back(e);
  }

  upload updates = one;
  updates.kind = upload_kind::operations;
  updates.voice.clear();
  updates.has_voice = false;
  in.apply(apply_upload(in, who, batch, now, settings)->writes);
  for (unsigned i = 0; i < 10; ++i)
    in.entities.erase(uuid(100 + i)), in.entities.erase(uuid(200 + i)), in.entities.erase(uuid(300 + i));
  std::erase_if(in.entities, [](const auto& one_entity) { return is_record(one_entity.second.in); });
  edit_item change;
  change.in = domain::task;
  change.what = operation::update;
  change.entity_id = uuid(400);
  change.base_version = 1;
  change.data = json(R"({"state":"done","progress":100})");
  change.modified_at = now;
  updates.operations = {change};
  upload alone = updates; // an entity that came by itself, so that its feed row has one slot
  alone.operations = {batch.operations[0]};
  alone.operations[0].entity_id = uuid(600);
  in.apply(apply_upload(in, who, alone, now, settings)->writes);
  alone.operations = {change};
  alone.operations[0].entity_id = uuid(600);

  upload creations = batch;
  for (unsigned i = 0; i < 10; ++i) creations.operations[i].entity_id = uuid(500 + i);

  measure("1 voice item", 1, [&] { (void)apply_upload(in, who, one, now, settings); });
  measure("  look-ups only", 1, [&] {
    (void)in.find_user("ann"), (void)in.find_device("x"), (void)in.find_idempotency(1, 1, "k"),
        (void)in.counters();
    (void)in.find_entity(domain::voice, 1, one.voice[0].verification_id);
  });
  measure("50 mixed items, all new", 50, [&] { (void)apply_upload(in, who, creations, now, settings); });
  measure("  look-ups only", 50, [&] {
    (void)in.find_user("ann"), (void)in.find_device("x"), (void)in.find_idempotency(1, 1, "k"),
        (void)in.counters();
    for (const auto& e : creations.operations)
      for (int k = 0; k < 5; ++k) (void)in.find_entity(e.in, 0, e.entity_id);
  });
  measure("1 UPDATE of a task, alone in its feed row", 1,
          [&] { (void)apply_upload(in, who, alone, now, settings); });
  measure("1 UPDATE of a task that came in a batch of 50", 1,
          [&] { (void)apply_upload(in, who, updates, now, settings); });
  const auto answer = apply_upload(in, who, creations, now, settings)->answer;
  const auto packed = pack_answer(answer);
  measure("packing the answer of 50 items", 50, [&] { (void)pack_answer(answer); });
  measure("unpacking it (a replay)", 50, [&] { (void)unpack_answer(packed); });

  const auto writes =
      std::make_shared<const write_list>(apply_upload(in, who, creations, now, settings)->writes);
  overlay over(in);
  std::uint64_t number = 0;
  measure("adding 50 items' writes to the overlay and forgetting them", 50, [&] {
    over.add(++number, writes);
    over.forget_upto(number);
  });
}
