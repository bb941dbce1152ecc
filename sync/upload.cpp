// apply_upload: one request of items, exactly once (domain.md, "Exactly once", "Validation is per item").
#include <algorithm>
#include <array>

#include "sync/answer_codec.hpp"
#include "sync/asker.hpp"
#include "sync/entities.hpp"
#include "sync/records.hpp"
#include "sync/rules.hpp"
#include "sync/staged.hpp"
#include "sync/validation.hpp"

namespace mooring::sync {

namespace {

domain domain_of(const voice_item&) {
  return domain::voice;
}
domain domain_of(const behavioral_item&) {
  return domain::behavioral;
}
domain domain_of(const session_item&) {
  return domain::session;
}
domain domain_of(const metrics_item&) {
  return domain::metrics;
}

std::string id_of(const voice_item& item, const device&) {
  return item.verification_id;
}
std::string id_of(const behavioral_item& item, const device&) {
  return item.session_id;
}
std::string id_of(const session_item& item, const device&) {
  return item.session_id;
}
std::string id_of(const metrics_item& item, const device& with) {
  // Without an instant it has no identity yet; the client still recognises it by its type.
  return item.timestamp ? metric_id(item.metric_type, *item.timestamp, with.id) : item.metric_type;
}

instant time_of(const voice_item& item, instant) {
  return *item.timestamp;
}
instant time_of(const behavioral_item&, instant now) {
  return now;
}
instant time_of(const session_item& item, instant) {
  return *item.start_time;
}
instant time_of(const metrics_item& item, instant) {
  return *item.timestamp;
}

// What the edit asks for. The order of members in its data does not count.
digest128 digest_of(const edit_item& edit) {
  std::string text;
  text.reserve(64 + edit.entity_id.size());
  const auto add = [&text](std::uint64_t word) {
    for (int i = 0; i < 8; ++i, word >>= 8) text.push_back(static_cast<char>(word));
  };
  add(static_cast<std::uint64_t>(edit.in) | static_cast<std::uint64_t>(edit.what) << 8 |
      static_cast<std::uint64_t>(edit.urgency) << 16 |
      static_cast<std::uint64_t>(edit.base_version.has_value()) << 24);
  add(static_cast<std::uint64_t>(edit.base_version.value_or(0)));
  add(static_cast<std::uint64_t>(edit.modified_at->ms));
  add(hash_document(edit.data.bytes));
  text.append(edit.entity_id);
  return hash128(text);
}

class upload_run {
 public:
  upload_run(store& base, instant now, const rule_settings& settings, std::size_t items, user_number by,
             device&& with)
      : in_(base, now, settings, items)
      , user_(by)
      , with_(std::move(with)) {}

  result<decision<upload_answer>> run(const upload& what, const caller& who) {
    if (user_ == 0) user_ = in_.new_user(who.user);
    if (with_.number == 0) {
      with_.number = in_.new_device_number();
      with_.owner = user_;
      with_.registered_at = in_.now();
    }
    decision<upload_answer> out;
    auto& answer = out.answer;
    answer.server_timestamp = in_.now();
    answer.idempotency_key = what.idempotency_key;

    if (what.has_voice || !what.voice.empty()) run_records(answer.voice, what.voice);
    if (what.has_behavioral || !what.behavioral.empty()) run_records(answer.behavioral, what.behavioral);
    if (what.has_session || !what.session.empty()) run_records(answer.session, what.session);
    if (what.has_metrics || !what.metrics.empty()) run_records(answer.metrics, what.metrics);
    if (what.has_operations || !what.operations.empty())
      if (auto done = run_edits(answer, what.operations); !done) return done.failure();

    const auto bytes = static_cast<std::int64_t>(what.payload_bytes);
    for (auto* section :
         {&answer.voice, &answer.behavioral, &answer.session, &answer.metrics, &answer.operations}) {
      if (!*section) continue;
      const auto& part = (*section)->metrics;
      answer.overall.total_items += part.total_items;
      answer.overall.synced_items += part.synced_items;
      answer.overall.failed_items += part.failed_items;
      answer.overall.conflicts_detected += part.conflicts_detected;
      if (what.kind != upload_kind::batch) (*section)->metrics.bandwidth_bytes = bytes;
    }
    answer.overall.bandwidth_bytes = bytes;

    note_domains();
    ++(answer.success() ? with_.sync_count : with_.failed_sync_count);
    with_.conflict_count += new_conflicts_;
    with_.last_sync_at = in_.now();
    in_.put(idempotency_record{user_, with_.number, what.idempotency_key, what.request, in_.now(),
                               pack_answer(answer)});
    in_.put(std::move(with_));
    in_.finish(out);
    return out;
  }

 private:
  static void begin(std::optional<section_answer>& section, std::size_t items) {
    section.emplace();
    section->items.reserve(items);
    section->metrics.total_items = static_cast<std::int32_t>(items);
  }

  static void end(section_answer& section) {
    section.synced_items = section.metrics.total_items - section.failed_items;
    section.metrics.synced_items = section.synced_items;
    section.metrics.failed_items = section.failed_items;
  }

  static void fail(section_answer& section, item_result& item, problem&& bad) {
    ++section.failed_items;
    item.success = false;
    item.failure = item_error{bad.code, std::move(bad.message), std::string(bad.field), item.item_id,
                              std::move(bad.details)};
    section.errors.push_back(*item.failure);
  }

  void accepted(domain in, const item_result& item) {
    auto& state = domains_[static_cast<std::size_t>(in)];
    state.any = true;
    if (item.duplicate) return;
    ++state.stored;
    if (item.version) state.last_version = *item.version;
  }

  // What this upload was about, into the device's row.
  void note_domains() {
    for (std::size_t i = 0; i < domains_.size(); ++i) {
      const auto& seen = domains_[i];
      if (!seen.any) continue;
      const auto in = static_cast<domain>(i);
      auto place = std::lower_bound(with_.domains.begin(), with_.domains.end(), in,
                                    [](const domain_state& one, domain d) { return one.in < d; });
      if (place == with_.domains.end() || place->in != in)
        place = with_.domains.insert(place, domain_state{in, 0, {}, 0});
      place->last_sync_at = in_.now();
      place->stored += seen.stored;
      if (seen.last_version != 0) place->last_version = seen.last_version;
    }
  }

  template<class Item>
  void run_records(std::optional<section_answer>& section, const std::vector<Item>& items) {
    begin(section, items.size());
    for (const auto& item : items) {
      auto& result = section->items.emplace_back();
      result.item_id = id_of(item, with_);
      if (auto bad = apply_record(item, result))
        fail(*section, result, std::move(*bad));
      else
        accepted(domain_of(item), result);
    }
    end(*section);
  }

  template<class Item> std::optional<problem> apply_record(const Item& item, item_result& result) {
    if (auto bad = check_item(item, in_.now(), in_.settings())) return bad;
    const auto in = domain_of(item);
    const user_number owner = in_.settings().shared[static_cast<std::size_t>(in)] ? 0 : user_;
    const auto place = in_.find(in, owner, result.item_id);
    auto data = record_document(item);
    if (place.found == nullptr) {
      entity made;
      made.in = in;
      made.owner = owner;
      made.id = result.item_id;
      made.data = std::move(data);
      write_record(made, time_of(item, in_.now()), operation::create);
      in_.keep_new(place, std::move(made));
      return {};
    }
    auto& stored = *place.found;
    auto compared = compare_records(in, stored.data, data);
    if (!compared.differs.empty())
      return problem{error_code::validation_error, compared.differs,
                     std::string(compared.differs) +
                         " differs from what is stored; a record is written once"};
    if (compared.completed.absent()) {
      result.duplicate = true;
      return {};
    }
    stored.data = std::move(compared.completed);
    ++stored.version;
    in_.vacate(stored.at);
    write_record(stored, stored.modified_at, operation::update);
    in_.keep(place);
    return {};
  }

  void write_record(entity& record, instant at, operation what) {
    record.modified_at = at;
    record.updated_at = in_.now();
    record.device = with_.number;
    record.user = user_;
    record.at = in_.add_slot({0, slot_kind::entity, record.in, record.owner, record.id, with_.number, what,
                              priority::normal, false, in_.now()});
  }

  result<void> run_edits(upload_answer& answer, const std::vector<edit_item>& edits) {
    begin(answer.operations, edits.size());
    auto& section = *answer.operations;
    std::size_t ahead = 0;
    for (const auto& edit : edits) {
      auto& result = section.items.emplace_back();
      result.item_id = edit.entity_id;
      result.operation_id = edit.operation_id;
      auto bad = check_item(edit, in_.now(), in_.settings());
      if (!bad && *edit.modified_at > in_.now() + in_.settings().clock_skew_ms) ++ahead;
      if (!bad) {
        auto done = edit.operation_id ? apply_once(edit, section, result) : apply(edit, section, result);
        if (!done) return done.failure();
        bad = std::move(*done);
      }
      if (bad)
        fail(section, result, std::move(*bad));
      else
        accepted(edit.in, result);
      if (result.conflict_detected) ++section.metrics.conflicts_detected;
    }
    end(section);
    if (ahead > 0)
      answer.warnings.push_back(
          std::to_string(ahead) +
          " edits have a modifiedAt ahead of the server's clock; where edits are compared they "
          "count as made now. Is the device's clock right?");
    return {};
  }

  result<std::optional<problem>> apply(const edit_item& edit, section_answer& section, item_result& result) {
    const auto before = section.conflicts.size();
    auto bad = apply_edit(in_, {user_, with_}, edit, result, section.conflicts);
    new_conflicts_ += static_cast<std::int64_t>(section.conflicts.size() - before);
    return bad;
  }

  // An edit with an operationId: stored once, whatever batch it travels in.
  result<std::optional<problem>> apply_once(const edit_item& edit, section_answer& section,
                                            item_result& out) {
    const auto digest = digest_of(edit);
    if (const auto* earlier = in_.find_operation(user_, with_.number, *edit.operation_id)) {
      if (earlier->edit != digest)
        return std::optional{
            problem{error_code::validation_error, "operationId", "operationId was used for another edit"}};
      auto outcome = unpack_item(earlier->outcome);
      if (!outcome) return outcome.failure();
      out = std::move(*outcome);
      out.duplicate = true;
      if (out.conflict_id) recall(*out.conflict_id, section);
      return std::optional<problem>{};
    }
    auto done = apply(edit, section, out);
    if (!done.ok() || *done)
      return done; // what was not stored is not remembered: it may be sent again, corrected
    in_.keep(operation_record{user_, with_.number, *edit.operation_id, digest, in_.now(), pack_item(out)});
    return done;
  }

  // Shows a conflict of an earlier upload again, as it is by now; the first answer may have been lost.
  void recall(const std::string& id, section_answer& section) {
    const auto same = [&](const conflict& one) { return one.id == id; };
    if (std::any_of(section.conflicts.begin(), section.conflicts.end(), same)) return;
    const auto first_at = parse_conflict_id(id);
    if (!first_at) return;
    if (auto stored = in_.base().find_conflict(*first_at)) section.conflicts.push_back(std::move(*stored));
  }

  staged in_;
  user_number user_;
  device with_;
  std::int64_t new_conflicts_ = 0;
  struct accepted_items {
    bool any = false;
    std::int32_t last_version = 0;
    std::int64_t stored = 0;
  };
  std::array<accepted_items, domain_count> domains_{};
};

} // namespace

result<decision<upload_answer>> apply_upload(store& in, const caller& who, const upload& what, instant now,
                                             const rule_settings& settings) {
  if (auto shape = check_shape(what, settings); !shape) return shape.failure();
  auto asking = identify(in, who, what.device_id);
  if (!asking) return asking.failure();

  const user_number by = asking->known_user ? asking->known_user->number : 0;
  if (asking->known_device) {
    const auto earlier = in.find_idempotency(by, asking->known_device->number, what.idempotency_key);
    if (earlier && now - earlier->committed_at < settings.idempotency_window_ms) {
      if (earlier->request != what.request)
        return error{error_code::idempotency_key_reused, "the idempotency key was used for another request",
                     "idempotencyKey"};
      auto answer = unpack_answer(earlier->answer);
      if (!answer) return answer.failure();
      return decision<upload_answer>{std::move(*answer), {}, 0, 0};
    }
  }
  device with;
  if (asking->known_device)
    with = std::move(*asking->known_device);
  else
    with.id = what.device_id;
  return upload_run(in, now, settings, items_of(what), by, std::move(with)).run(what, who);
}

} // namespace mooring::sync
