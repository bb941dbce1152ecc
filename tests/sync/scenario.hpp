// A tenant in memory that tests talk to: it runs commands, makes their writes durable and checks the
// invariants.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "sync/entities.hpp"
#include "sync/rules.hpp"
#include "tests/sync/invariants.hpp"
#include "tests/sync/memory_store.hpp"

namespace mooring::sync::testing {

inline document json(std::string_view text) {
  auto parsed = document_from_json(text);
  REQUIRE_MESSAGE(parsed.ok(), std::string(text));
  return *parsed;
}

inline instant at(std::string_view text) {
  const auto parsed = parse_instant(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

inline caller person(std::string user) {
  return {"acme", std::move(user), {}, false, false};
}
inline caller admin(std::string user = "root") {
  return {"acme", std::move(user), {}, true, false};
}

// ── items ──
struct edit_builder {
  edit_item item;
  edit_builder(operation what, domain in, std::string id) {
    item.what = what;
    item.in = in;
    item.entity_id = std::move(id);
  }
  edit_builder& data(std::string_view text) { return item.data = json(text), *this; }
  edit_builder& base(std::int32_t version) { return item.base_version = version, *this; }
  edit_builder& when(instant modified_at) { return item.modified_at = modified_at, *this; }
  edit_builder& named(std::string operation_id) { return item.operation_id = std::move(operation_id), *this; }
  edit_builder& urgent(priority p) { return item.urgency = p, *this; }
  operator edit_item() const { return item; }
};

inline edit_builder create(std::string id, std::string_view data, domain in = domain::task) {
  return edit_builder(operation::create, in, std::move(id)).data(data);
}
inline edit_builder replace(std::string id, std::string_view data, domain in = domain::task) {
  return edit_builder(operation::sync, in, std::move(id)).data(data);
}
inline edit_builder update(std::string id, std::string_view patch, domain in = domain::task) {
  return edit_builder(operation::update, in, std::move(id)).data(patch);
}
inline edit_builder erase(std::string id, domain in = domain::task) {
  return edit_builder(operation::remove, in, std::move(id));
}

class scenario {
 public:
  memory_store rows;
  rule_settings settings;
  instant now = {1'759'060'800'000}; // 2025-09-28T12:00:00Z
  int keys = 0;

  void wait_ms(std::int64_t ms) { now = now + ms; }

  upload empty_upload(const std::string& device) {
    upload made;
    made.idempotency_key = "key-" + std::to_string(++keys);
    made.device_id = device;
    made.request = {static_cast<std::uint64_t>(keys), 7};
    return made;
  }

  // Runs a command and, when it was not refused, commits.
  result<decision<upload_answer>> run(const caller& who, const upload& what) {
    return commit(apply_upload(rows, who, what, now, settings));
  }
  // An upload of edits that is not refused. Edits without a modifiedAt are made now.
  section_answer edits(const std::string& user, const std::string& device, std::vector<edit_item> items) {
    auto what = empty_upload(device);
    what.kind = upload_kind::operations;
    what.has_operations = true;
    for (auto& item : items)
      if (!item.modified_at) item.modified_at = now;
    what.operations = std::move(items);
    auto decided = run(person(user), what);
    REQUIRE(decided.ok());
    return *decided->answer.operations;
  }
  item_result edit(const std::string& user, const std::string& device, const edit_item& item) {
    return edits(user, device, {item}).items.at(0);
  }
  result<decision<resolution_answer>> resolve(const caller& who, const resolve_conflict& what) {
    return commit(apply_resolution(rows, who, what, now, settings));
  }
  result<decision<device>> enrol(const caller& who, const register_device& what) {
    return commit(apply_registration(rows, who, what, now, settings));
  }
  // Registers a phone, a laptop… for a user.
  void enrol(const std::string& user, const std::string& id, device_type type) {
    register_device what;
    what.device_id = id;
    what.type = type;
    REQUIRE(enrol(person(user), what).ok());
  }
  result<decision<bool>> deactivate(const caller& who, const std::string& id) {
    return commit(apply_deactivation(rows, who, {id}, now, settings));
  }
  result<decision<bool>> acknowledge_upto(const caller& who, const std::string& id, cursor upto) {
    return commit(apply_acknowledgement(rows, who, {id, upto}, now, settings));
  }
  result<decision<push_answer>> subscribe(const caller& who, const std::string& id,
                                          const push_setting& what) {
    return commit(apply_push_subscription(rows, who, {id, what}, now, settings));
  }
  result<decision<std::int32_t>> trigger(const caller& who, const trigger_sync& what) {
    return commit(apply_trigger(rows, who, what, now, settings));
  }
  result<decision<std::int32_t>> tell_all(const caller& who, const broadcast& what) {
    return commit(apply_broadcast(rows, who, what, now, settings));
  }
  void set_policy(domain in, strategy by, bool auto_resolve = true) {
    REQUIRE(commit(apply_policy(rows, admin(), {{in, by, auto_resolve, true}}, now, settings)).ok());
  }

  const entity& stored(const std::string& id, domain in = domain::task, user_number owner = 0) {
    const auto found = rows.entities.find({in, owner, id});
    REQUIRE(found != rows.entities.end());
    return found->second;
  }
  std::string data(const std::string& id, domain in = domain::task, user_number owner = 0) {
    const auto& of = stored(id, in, owner);
    return of.data.absent() ? "deleted" : to_json(of.data);
  }
  bool data_is(const std::string& id, std::string_view expected, domain in = domain::task,
               user_number owner = 0) {
    return documents_equal(stored(id, in, owner).data.bytes, json(expected).bytes);
  }
  const conflict& recorded(const std::string& id) {
    const auto first_at = parse_conflict_id(id);
    REQUIRE(first_at.has_value());
    const auto found = rows.conflicts.find(*first_at);
    REQUIRE(found != rows.conflicts.end());
    return found->second;
  }

  template<class Answer> result<decision<Answer>> commit(result<decision<Answer>> decided) {
    if (!decided.ok()) return decided;
    const auto before = rows.counts.last_position;
    rows.apply(decided->writes);
    // Positions are given densely.
    const auto made = rows.counts.last_position - before;
    CHECK((made == 0 ? decided->last_at == 0 : decided->first_at == before + 1));
    CHECK((made == 0 || decided->last_at == rows.counts.last_position));
    const auto broken = broken_invariant(rows);
    CHECK_MESSAGE(broken.empty(), broken);
    return decided;
  }
};

} // namespace mooring::sync::testing
