// What was answered: requests by their idempotency key, edits by their operation id.
#include "storage/codec.hpp"

#include "storage/row_value.hpp"

namespace mooring::storage {

namespace {

void write_digest(packer& out, const digest128& digest) {
  out.byte(0xc4); // bin 8
  out.byte(16);
  out.big64(digest.high);
  out.big64(digest.low);
}
digest128 read_digest(unpacker& from) {
  const auto bytes = from.bin();
  if (bytes.size() != 16) return from.fail(), digest128{};
  const auto big = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  };
  return {.low = big(8), .high = big(0)};
}

void encode_remembered(packer& out, std::string_view key, instant committed_at, const digest128& digest,
                       std::string_view answer) {
  sealed_value seal(out, key, 1 + number_bytes + 18 + head_bytes + answer.size());
  out.array(3);
  out.integer(committed_at.ms); // first, so that a sweep can read it without the rest
  write_digest(out, digest);
  out.bin(answer);
}

} // namespace

void encode_idempotency(packer& out, std::string_view key, const sync::idempotency_record& record) {
  encode_remembered(out, key, record.committed_at, record.request, record.answer);
}

result<sync::idempotency_record> decode_idempotency(std::string_view key, std::string_view value) {
  return decode<sync::idempotency_record>(
      key, value, table::idempotency,
      [](unpacker& from, const key_parts& parts, sync::idempotency_record& record) {
        expect_array(from, 3);
        record.user = parts.user;
        record.device = parts.device;
        record.key = parts.id;
        record.committed_at = {from.integer()};
        record.request = read_digest(from);
        record.answer = from.bin();
      });
}

void encode_operation(packer& out, std::string_view key, const sync::operation_record& record) {
  encode_remembered(out, key, record.committed_at, record.edit, record.outcome);
}

result<sync::operation_record> decode_operation(std::string_view key, std::string_view value) {
  return decode<sync::operation_record>(
      key, value, table::operation,
      [](unpacker& from, const key_parts& parts, sync::operation_record& record) {
        expect_array(from, 3);
        record.user = parts.user;
        record.device = parts.device;
        record.operation_id = parts.id;
        record.committed_at = {from.integer()};
        record.edit = read_digest(from);
        record.outcome = from.bin();
      });
}

result<instant> decode_committed_at(std::string_view key, std::string_view value) {
  const auto opened = open_value(key, value, table::idempotency); // or operation: one format
  if (!opened) return opened.failure();
  unpacker from(opened->body);
  expect_array(from, 3);
  const instant at{from.integer()};
  if (!from.ok()) return row_error(key, "the value has another shape than its version");
  return at;
}

} // namespace mooring::storage
