#include "graphql/responses.hpp"

#include "base/log.hpp"
#include "graphql/error_json.hpp"
#include "graphql/plan.hpp"

namespace mooring::graphql {

response refused(const std::vector<document_error>& errors, std::uint64_t request_id) {
  response out;
  out.executed = false;
  out.refused = errors.front().code;
  out.body = "{\"errors\":[";
  for (const auto& each : errors) {
    if (out.body.back() == '}') out.body.push_back(',');
    append_error(out.body, {each.message, to_string(each.code), is_retryable(each.code)}, each.locations,
                 request_id);
  }
  out.body.append("]}");
  return out;
}

response refused(const error& why, std::uint64_t request_id) {
  response out;
  out.executed = false;
  out.refused = why.code;
  out.retry_after_ms = why.retry_after_ms;
  out.body = refusal_body(why, request_id);
  return out;
}

void append_errors(std::string& out, const std::vector<execution_error>& errors,
                   const ast::document& document, std::uint64_t request_id) {
  std::vector<source_location> locations;
  for (const auto& each : errors) {
    if (out.back() == '}') out.push_back(',');
    locations.clear();
    if (each.offset)
      locations.push_back(document.locate(*each.offset));
    else
      for (const auto offset : each.field->offsets) locations.push_back(document.locate(offset));
    append_error(out,
                 {each.message, to_string(each.code), is_retryable(each.code), each.path, each.input_field,
                  each.retry_after_ms},
                 locations, request_id);
  }
}

std::string answer_body(std::string&& data, bool data_is_null, const std::vector<execution_error>& errors,
                        const ast::document& document, std::uint64_t request_id) {
  if (errors.empty()) {
    data.push_back('}');
    return std::move(data);
  }
  std::string body = "{\"errors\":[";
  append_errors(body, errors, document, request_id);
  body.append("],");
  if (data_is_null)
    body.append("\"data\":null}");
  else
    body.append(std::string_view(data).substr(1)).push_back('}');
  return body;
}

completion complete_root(completer& to, const plan_field& field, const resolved& is,
                         std::uint64_t request_id) {
  if (is.is_null()) return completion::null;
  if (is.identity() != field.root->identity) {
    log::error("request {:x}: {} was answered with another C++ type than it is bound to", request_id,
               field.declared->name);
    return to.fail(field, error_code::internal, std::string(internal_message));
  }
  return field.write(to, field, is.object());
}

void fail_null(completer& to, const plan_field& field) {
  to.fail(field, error_code::internal,
          "Cannot return null for non-nullable field " + std::string(field.parent->name) + "." +
              std::string(field.declared->name) + ".");
}

} // namespace mooring::graphql
