#include "base/error.hpp"

namespace mooring {

std::string_view to_string(error_code code) {
  switch (code) {
  case error_code::unauthenticated: return "UNAUTHENTICATED";
  case error_code::forbidden: return "FORBIDDEN";
  case error_code::bad_user_input: return "BAD_USER_INPUT";
  case error_code::payload_too_large: return "PAYLOAD_TOO_LARGE";
  case error_code::rate_limited: return "RATE_LIMITED";
  case error_code::query_too_complex: return "QUERY_TOO_COMPLEX";
  case error_code::idempotency_key_reused: return "IDEMPOTENCY_KEY_REUSED";
  case error_code::not_found: return "NOT_FOUND";
  case error_code::device_deactivated: return "DEVICE_DEACTIVATED";
  case error_code::unavailable: return "UNAVAILABLE";
  case error_code::storage_full: return "STORAGE_FULL";
  case error_code::internal: return "INTERNAL";
  case error_code::validation_error: return "VALIDATION_ERROR";
  }
  return "INTERNAL";
}

bool is_retryable(error_code code) {
  return code == error_code::rate_limited || code == error_code::unavailable ||
         code == error_code::storage_full;
}

} // namespace mooring
