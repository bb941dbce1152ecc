// The errors a client can meet, and the value that carries one.
//
// Source of the codes: domain.md, "Errors". They are part of the public API: names never change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mooring {

enum class error_code : std::uint8_t {
  unauthenticated,        // no token, or one that does not verify
  forbidden,              // a valid token that may not do this
  bad_user_input,         // the request's shape is wrong
  payload_too_large,      // empty or over a limit of size or number
  rate_limited,           // over a token bucket; `retry_after_ms` says when to come back
  query_too_complex,      // over a limit of the GraphQL document
  idempotency_key_reused, // the key was used for another request
  not_found,              // absent, or not for the caller to see
  device_deactivated,     // the device was deactivated
  unavailable,            // no leader, overload or a timeout: retry with the same key
  storage_full,           // the disk's reserve is reached; reads go on
  internal,               // ours; the log has the detail under the same request id
  // The codes below appear only inside an item's error, never as a request's.
  validation_error,
};
inline constexpr std::size_t error_code_count = static_cast<std::size_t>(error_code::validation_error) + 1;

// The name clients see, for example "BAD_USER_INPUT".
std::string_view to_string(error_code code);

// True when a retry of the same request can succeed without anybody changing it.
bool is_retryable(error_code code);

// A failure that was expected. `message` is for people and never holds secrets or entity data.
struct error {
  error_code code = error_code::internal;
  std::string message;
  std::string field = {};                          // the argument or item field at fault, when there is one
  std::optional<std::int64_t> retry_after_ms = {}; // rate_limited, unavailable, storage_full
};

} // namespace mooring
