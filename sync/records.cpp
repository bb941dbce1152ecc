#include "sync/records.hpp"

#include <array>
#include <span>

#include "base/check.hpp"
#include "sync/rules.hpp"

namespace mooring::sync {

namespace {

constexpr std::array<std::string_view, 7> voice_fields = {
    "verificationId", "timestamp",        "verified", "confidenceScore",
    "qualityScore",   "processingTimeMs", "metadata"};
constexpr std::array<std::string_view, 6> behavioral_fields = {
    "sessionId", "events", "durationMs", "userInteractions", "screenChanges", "metadata"};
constexpr std::array<std::string_view, 6> session_fields = {"sessionId",  "startTime",  "endTime",
                                                            "durationMs", "activities", "metadata"};
constexpr std::array<std::string_view, 5> metrics_fields = {"metricType", "value", "unit", "timestamp",
                                                            "tags"};

std::span<const std::string_view> fields_of_domain(domain in) {
  switch (in) {
  case domain::voice: return voice_fields;
  case domain::behavioral: return behavioral_fields;
  case domain::session: return session_fields;
  case domain::metrics: return metrics_fields;
  default: break;
  }
  MOORING_CHECK(false, "a record domain");
}

bool is_present(const document& value) {
  return !value.absent() && kind_of(value.bytes) != document_kind::null;
}

// Writes members whose number is known only afterwards: the head of an object of up to 15 members is one
// byte.
class record_writer {
 public:
  // `variable_bytes`: of the strings and documents inside.
  record_writer(std::size_t members, std::size_t variable_bytes) {
    out_.reserve(variable_bytes + 160);
    out_.begin_object(members);
  }
  void string(std::string_view name, std::string_view value) {
    out_.key(name);
    out_.string(value);
  }
  void at(std::string_view name, instant value) {
    text_.clear();
    append_instant(text_, value);
    string(name, text_);
  }
  void boolean(std::string_view name, bool value) {
    out_.key(name);
    out_.boolean(value);
  }
  void number(std::string_view name, const std::optional<double>& value) {
    if (!value) return;
    out_.key(name);
    out_.number(*value);
  }
  void integer(std::string_view name, const std::optional<std::int32_t>& value) {
    if (!value) return;
    out_.key(name);
    out_.integer(*value);
  }
  void json(std::string_view name, const document& value) {
    if (!is_present(value)) return;
    out_.key(name);
    out_.value(value.bytes);
  }
  document take() { return out_.take(); }

 private:
  document_writer out_;
  std::string text_;
};

} // namespace

document record_document(const voice_item& item) {
  record_writer out(3u + item.confidence_score.has_value() + item.quality_score.has_value() +
                        item.processing_time_ms.has_value() + is_present(item.metadata),
                    item.verification_id.size() + item.metadata.bytes.size());
  out.string("verificationId", item.verification_id);
  out.at("timestamp", *item.timestamp);
  out.boolean("verified", item.verified);
  out.number("confidenceScore", item.confidence_score);
  out.number("qualityScore", item.quality_score);
  out.integer("processingTimeMs", item.processing_time_ms);
  out.json("metadata", item.metadata);
  return out.take();
}

document record_document(const behavioral_item& item) {
  record_writer out(3u + item.user_interactions.has_value() + item.screen_changes.has_value() +
                        is_present(item.metadata),
                    item.session_id.size() + item.events.bytes.size() + item.metadata.bytes.size());
  out.string("sessionId", item.session_id);
  out.json("events", item.events);
  out.integer("durationMs", item.duration_ms);
  out.integer("userInteractions", item.user_interactions);
  out.integer("screenChanges", item.screen_changes);
  out.json("metadata", item.metadata);
  return out.take();
}

document record_document(const session_item& item) {
  record_writer out(2u + item.has_end_time + item.duration_ms.has_value() + is_present(item.activities) +
                        is_present(item.metadata),
                    item.session_id.size() + item.activities.bytes.size() + item.metadata.bytes.size());
  out.string("sessionId", item.session_id);
  out.at("startTime", *item.start_time);
  if (item.has_end_time) out.at("endTime", *item.end_time);
  out.integer("durationMs", item.duration_ms);
  out.json("activities", item.activities);
  out.json("metadata", item.metadata);
  return out.take();
}

document record_document(const metrics_item& item) {
  record_writer out(3u + item.unit.has_value() + is_present(item.tags),
                    item.metric_type.size() + item.tags.bytes.size() + (item.unit ? item.unit->size() : 0));
  out.string("metricType", item.metric_type);
  out.number("value", item.value);
  if (item.unit) out.string("unit", *item.unit);
  out.at("timestamp", *item.timestamp);
  out.json("tags", item.tags);
  return out.take();
}

record_comparison compare_records(domain in, const document& stored, const document& uploaded) {
  if (stored.bytes == uploaded.bytes) return {};
  const auto names = fields_of_domain(in);
  std::array<std::optional<std::string_view>, 7> before, after;
  std::size_t gained = 0, members = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    before[i] = find_field(stored.bytes, names[i]);
    after[i] = find_field(uploaded.bytes, names[i]);
    if (before[i] || after[i]) ++members;
    if (before[i] && after[i]) {
      if (!documents_equal(*before[i], *after[i])) return {names[i], {}};
    } else if (in != domain::session) {
      if (before[i] || after[i]) return {names[i], {}};
    } else if (after[i]) {
      ++gained;
    }
  }
  if (gained == 0) return {};
  document_writer out;
  out.reserve(stored.bytes.size() + uploaded.bytes.size());
  out.begin_object(members);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& value = before[i] ? before[i] : after[i];
    if (!value) continue;
    out.key(names[i]);
    out.value(*value);
  }
  return {{}, out.take()};
}

std::string metric_id(std::string_view metric_type, instant timestamp, std::string_view device_id) {
  std::string id;
  id.reserve(metric_type.size() + device_id.size() + 30);
  append_instant(id, timestamp);
  id.push_back('/');
  id.append(std::to_string(metric_type.size()));
  id.push_back('/');
  id.append(metric_type);
  id.push_back('/');
  id.append(device_id);
  return id;
}

} // namespace mooring::sync
