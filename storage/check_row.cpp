// Any row, for tools that read them all.
#include "storage/codec.hpp"

#include "storage/row_value.hpp"

namespace mooring::storage {

result<key_parts> check_row(std::string_view key, std::string_view value) {
  const auto parts = parse_key(key);
  if (!parts) return error{error_code::internal, "row " + to_hex(key) + ": not a key of any table"};
  const auto outcome = [&]() -> result<void> {
    const auto invalid = [&](const document& one) { return !one.absent() && !is_valid_document(one.bytes); };
    const auto failed = [](const auto& read) -> result<void> {
      if (!read) return read.failure();
      return {};
    };
    switch (parts->in) {
    case table::counters: return failed(decode_counters(key, value));
    case table::swept: return failed(decode_swept(key, value));
    case table::policy: return failed(decode_policy(key, value));
    case table::user_by_name: return failed(decode_user_by_name(key, value));
    case table::user: return failed(decode_user(key, value));
    case table::device_by_name: return failed(decode_device_by_name(key, value));
    case table::device_by_owner: return decode_device_by_owner(key, value);
    case table::device: return failed(decode_device(key, value));
    case table::open_conflict: return failed(decode_open_conflict(key, value));
    case table::conflict: {
      const auto read = decode_conflict(key, value);
      if (read && (invalid(read->server_data) || invalid(read->client_data)))
        return row_error(key, "its data is no valid document");
      return failed(read);
    }
    case table::notification: {
      const auto read = decode_notification(key, value);
      if (read && invalid(read->data)) return row_error(key, "its data is no valid document");
      return failed(read);
    }
    case table::analytics: return failed(decode_analytics(key, value));
    case table::feed: return failed(decode_feed_row(key, value));
    case table::idempotency: return failed(decode_idempotency(key, value));
    case table::operation: return failed(decode_operation(key, value));
    case table::entity: {
      const auto read = decode_entity(key, value);
      if (read && invalid(read->data)) return row_error(key, "its data is no valid document");
      return failed(read);
    }
    }
    return row_error(key, "not a key of any table");
  }();
  if (!outcome) return outcome.failure();
  return *parts;
}

} // namespace mooring::storage
