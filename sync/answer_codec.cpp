#include "sync/answer_codec.hpp"

#include <array>

#include "sync/packing.hpp"

namespace mooring::sync {

namespace {

constexpr std::int64_t flag_success = 1, flag_duplicate = 2, flag_conflict_detected = 4,
                       flag_operation_id = 8, flag_version = 16, flag_conflict_id = 32, flag_failure = 64,
                       flags_known = 127;

// ── writing ──

void pack(packer& out, const item_error& value) {
  out.array(5);
  out.integer(static_cast<std::int64_t>(value.code));
  out.text(value.message);
  value.field ? out.text(*value.field) : out.nil();
  value.item_id ? out.text(*value.item_id) : out.nil();
  out.bytes(value.details.bytes);
}

void pack(packer& out, const item_result& value) {
  const std::int64_t flags = (value.success ? flag_success : 0) | (value.duplicate ? flag_duplicate : 0) |
                             (value.conflict_detected ? flag_conflict_detected : 0) |
                             (value.operation_id ? flag_operation_id : 0) |
                             (value.version ? flag_version : 0) | (value.conflict_id ? flag_conflict_id : 0) |
                             (value.failure ? flag_failure : 0);
  out.array(2u + value.operation_id.has_value() + value.version.has_value() + value.conflict_id.has_value() +
            value.failure.has_value());
  out.integer(flags);
  out.text(value.item_id);
  if (value.operation_id) out.text(*value.operation_id);
  if (value.version) out.integer(*value.version);
  if (value.conflict_id) out.text(*value.conflict_id);
  if (value.failure) pack(out, *value.failure);
}

void pack(packer& out, const sync_metrics& value) {
  out.array(7);
  out.integer(value.total_items);
  out.integer(value.synced_items);
  out.integer(value.failed_items);
  out.integer(value.conflicts_detected);
  out.number(value.duration_ms);
  value.bandwidth_bytes ? out.integer(*value.bandwidth_bytes) : out.nil();
  value.cache_hit_rate ? out.number(*value.cache_hit_rate) : out.nil();
}

void pack(packer& out, const conflict& value) {
  out.array(26);
  out.text(value.id);
  out.integer(static_cast<std::int64_t>(value.in));
  out.integer(value.owner);
  out.text(value.entity_id);
  out.integer(value.server_version);
  out.integer(value.client_version);
  out.array(value.fields.size());
  for (const auto& field : value.fields) out.text(field);
  out.integer(static_cast<std::int64_t>(value.by));
  out.integer(static_cast<std::int64_t>(value.status));
  out.integer(static_cast<std::int64_t>(value.winner));
  out.bytes(value.server_data.bytes);
  out.bytes(value.client_data.bytes);
  out.integer(static_cast<std::int64_t>(value.client_operation));
  out.integer(value.client_modified_at.ms);
  out.integer(static_cast<std::int64_t>(value.client_priority));
  out.text(value.device_id);
  out.integer(value.device);
  out.integer(value.user);
  out.text(value.server_device_id);
  out.integer(value.created_at.ms);
  value.resolved_at ? out.integer(value.resolved_at->ms) : out.nil();
  out.text(value.resolved_by);
  out.text(value.notes);
  out.integer(value.resolved_version);
  out.unsigned_integer(value.first_at);
  out.unsigned_integer(value.at);
}

void pack(packer& out, const section_answer& value) {
  out.array(6);
  out.integer(value.synced_items);
  out.integer(value.failed_items);
  out.array(value.items.size());
  for (const auto& item : value.items) pack(out, item);
  out.array(value.conflicts.size());
  for (const auto& one : value.conflicts) pack(out, one);
  out.array(value.errors.size());
  for (const auto& one : value.errors) pack(out, one);
  pack(out, value.metrics);
}

// ── reading ──

std::uint32_t number32(unpacker& in) {
  const auto value = in.unsigned_integer();
  if (value > UINT32_MAX) in.fail();
  return in.failed() ? 0 : static_cast<std::uint32_t>(value);
}

std::optional<std::string> optional_text(unpacker& in) {
  if (in.take_nil()) return std::nullopt;
  return std::string(in.text());
}

// A document is later read without checks, so it is checked here.
document checked_document(unpacker& in) {
  const auto bytes = in.bytes();
  if (!bytes.empty() && !is_valid_document(bytes)) in.fail();
  return in.failed() ? document{} : document{std::string(bytes)};
}

item_error unpack_error(unpacker& in) {
  in.array_of(5);
  item_error value;
  value.code = in.enumerator(error_code::validation_error);
  value.message = in.text();
  value.field = optional_text(in);
  value.item_id = optional_text(in);
  value.details = checked_document(in);
  return value;
}

item_result unpack_result(unpacker& in) {
  const auto members = in.array();
  const auto flags = in.integer();
  if (flags < 0 || flags > flags_known) in.fail();
  const auto has = [flags](std::int64_t flag) { return (flags & flag) != 0; };
  if (members != 2u + has(flag_operation_id) + has(flag_version) + has(flag_conflict_id) + has(flag_failure))
    in.fail();
  item_result value;
  value.success = has(flag_success);
  value.duplicate = has(flag_duplicate);
  value.conflict_detected = has(flag_conflict_detected);
  value.item_id = in.text();
  if (has(flag_operation_id)) value.operation_id = in.text();
  if (has(flag_version)) value.version = in.integer32();
  if (has(flag_conflict_id)) value.conflict_id = in.text();
  if (has(flag_failure)) value.failure = unpack_error(in);
  return value;
}

sync_metrics unpack_metrics(unpacker& in) {
  in.array_of(7);
  sync_metrics value;
  value.total_items = in.integer32();
  value.synced_items = in.integer32();
  value.failed_items = in.integer32();
  value.conflicts_detected = in.integer32();
  value.duration_ms = in.number();
  if (!in.take_nil()) value.bandwidth_bytes = in.integer();
  if (!in.take_nil()) value.cache_hit_rate = in.number();
  return value;
}

conflict unpack_conflict(unpacker& in) {
  in.array_of(26);
  conflict value;
  value.id = in.text();
  value.in = in.enumerator(domain::work_order);
  value.owner = number32(in);
  value.entity_id = in.text();
  value.server_version = in.integer32();
  value.client_version = in.integer32();
  const auto fields = in.array();
  for (std::size_t i = 0; i < fields && !in.failed(); ++i) value.fields.emplace_back(in.text());
  value.by = in.enumerator(strategy::manual);
  value.status = in.enumerator(conflict_status::resolved);
  value.winner = in.enumerator(conflict_side::merged);
  value.server_data = checked_document(in);
  value.client_data = checked_document(in);
  value.client_operation = in.enumerator(operation::sync);
  value.client_modified_at.ms = in.integer();
  value.client_priority = in.enumerator(priority::critical);
  value.device_id = in.text();
  value.device = number32(in);
  value.user = number32(in);
  value.server_device_id = in.text();
  value.created_at.ms = in.integer();
  if (!in.take_nil()) value.resolved_at = instant{in.integer()};
  value.resolved_by = in.text();
  value.notes = in.text();
  value.resolved_version = in.integer32();
  value.first_at = in.unsigned_integer();
  value.at = in.unsigned_integer();
  return value;
}

// The unpacker refuses counts beyond the bytes that are left; a struct is larger than a byte, so a damaged
// count must not decide what is reserved.
template<class T, class Read> void unpack_list(unpacker& in, std::vector<T>& out, Read read) {
  const auto elements = in.array();
  out.reserve(std::min<std::size_t>(elements, 1000));
  for (std::size_t i = 0; i < elements && !in.failed(); ++i) out.push_back(read(in));
}

section_answer unpack_section(unpacker& in) {
  in.array_of(6);
  section_answer value;
  value.synced_items = in.integer32();
  value.failed_items = in.integer32();
  unpack_list(in, value.items, unpack_result);
  unpack_list(in, value.conflicts, unpack_conflict);
  unpack_list(in, value.errors, unpack_error);
  value.metrics = unpack_metrics(in);
  return value;
}

error damaged(std::string_view what) {
  return {error_code::internal,
          "a stored " + std::string(what) + " cannot be read: it is damaged or of another version"};
}

template<class Answer> auto sections_of(Answer& answer) {
  return std::array{&answer.voice, &answer.behavioral, &answer.session, &answer.metrics, &answer.operations};
}

} // namespace

std::string pack_answer(const upload_answer& answer) {
  const auto sections = sections_of(answer);
  std::size_t bytes = 128, present = 0;
  std::int64_t bits = 0;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    if (!*sections[i]) continue;
    ++present;
    bits |= std::int64_t{1} << i;
    bytes += 64 + 64 * (*sections[i])->items.size() + 512 * (*sections[i])->conflicts.size();
  }
  std::string packed;
  packed.reserve(bytes);
  packer out(packed);
  out.array(6 + present);
  out.integer(answer_format_version);
  out.integer(bits);
  for (const auto* section : sections)
    if (*section) pack(out, **section);
  pack(out, answer.overall);
  out.array(answer.warnings.size());
  for (const auto& warning : answer.warnings) out.text(warning);
  out.integer(answer.server_timestamp.ms);
  out.text(answer.idempotency_key);
  return packed;
}

result<upload_answer> unpack_answer(std::string_view packed) {
  unpacker in(packed);
  const auto members = in.array();
  if (in.integer() != answer_format_version) in.fail();
  const auto bits = in.integer();
  if (bits < 0 || bits > 31) in.fail();
  upload_answer answer;
  const auto sections = sections_of(answer);
  std::size_t present = 0;
  for (std::size_t i = 0; i < sections.size() && !in.failed(); ++i) {
    if (((bits >> i) & 1) == 0) continue;
    ++present;
    *sections[i] = unpack_section(in);
  }
  if (members != 6 + present) in.fail();
  answer.overall = unpack_metrics(in);
  unpack_list(in, answer.warnings, [](unpacker& from) { return std::string(from.text()); });
  answer.server_timestamp.ms = in.integer();
  answer.idempotency_key = in.text();
  answer.replayed = true;
  if (in.failed() || !in.at_end()) return damaged("answer");
  return answer;
}

std::string pack_item(const item_result& item) {
  std::string packed;
  packed.reserve(16 + item.item_id.size() + (item.operation_id ? item.operation_id->size() : 0));
  packer out(packed);
  out.array(2);
  out.integer(answer_format_version);
  pack(out, item);
  return packed;
}

result<item_result> unpack_item(std::string_view packed) {
  unpacker in(packed);
  in.array_of(2);
  if (in.integer() != answer_format_version) in.fail();
  auto item = unpack_result(in);
  if (in.failed() || !in.at_end()) return damaged("outcome");
  return item;
}

} // namespace mooring::sync
