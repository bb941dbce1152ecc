#include "graphql/error_json.hpp"

#include <charconv>

#include "base/json_writer.hpp"

namespace mooring::graphql {

void append_error(std::string& out, const error_view& is, std::span<const source_location> locations,
                  std::uint64_t request_id) {
  out.append("{\"message\":");
  append_json_string(out, is.message);
  if (!locations.empty()) {
    out.append(",\"locations\":[");
    for (std::size_t i = 0; i < locations.size(); ++i) {
      if (i != 0) out.push_back(',');
      out.append("{\"line\":");
      append_json_integer(out, locations[i].line);
      out.append(",\"column\":");
      append_json_integer(out, locations[i].column);
      out.push_back('}');
    }
    out.push_back(']');
  }
  if (!is.path.empty()) out.append(",\"path\":").append(is.path);
  out.append(",\"extensions\":{\"code\":\"").append(is.code).append("\",\"retryable\":");
  append_json_boolean(out, is.retryable);
  if (request_id != 0) {
    char digits[16];
    const char* end = std::to_chars(digits, digits + sizeof digits, request_id, 16).ptr;
    out.append(",\"requestId\":\"")
        .append(std::string_view(digits, static_cast<std::size_t>(end - digits)))
        .append("\"");
  }
  if (is.retry_after_ms) {
    out.append(",\"retryAfterMs\":");
    append_json_integer(out, *is.retry_after_ms);
  }
  if (!is.field.empty()) {
    out.append(",\"field\":");
    append_json_string(out, is.field);
  }
  out.append("}}");
}

std::string refusal_body(const error& failure, std::uint64_t request_id) {
  std::string out = "{\"errors\":[";
  const bool internal = failure.code == error_code::internal;
  append_error(out,
               {internal ? internal_message : std::string_view(failure.message),
                to_string(failure.code),
                is_retryable(failure.code),
                {},
                failure.field,
                failure.retry_after_ms},
               {}, request_id);
  out.append("]}");
  return out;
}

} // namespace mooring::graphql
