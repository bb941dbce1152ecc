// GraphQL over HTTP, the parts that are questions asked of headers: which media type to answer in, what a
// request's body is, what a query string holds, which status an answer gets. Specification:
// https://graphql.github.io/graphql-over-http/draft/
//
// Plain functions on text: no socket, no state, no thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/gateway.hpp"

namespace mooring::net {

// What a GraphQL answer is labelled as.
//   graphql_response  application/graphql-response+json: the status tells whether the request was executed
//   json              application/json: 200 for every well-formed request, so that older clients read the
//   body
enum class answer_media : std::uint8_t { graphql_response, json };
std::string_view content_type_of(answer_media media);

// Nothing: 406. No Accept header, or `*/*`: json, as the draft asks for until 2025 and the audit checks.
std::optional<answer_media> choose_media(std::string_view accept);

// True for `application/json`, alone or with charset=utf-8 (the only one there is).
bool is_json_content(std::string_view content_type);

// True when the header's list names gzip (or *) with a quality above 0.
bool accepts_gzip(std::string_view accept_encoding);

// `a=1&b=%7B%7D` → pairs, decoded. Nothing when an escape is broken or a value is not UTF-8.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_query_string(std::string_view text);

// The status of an answer from the gateway. Refusals of the transport (401, 403, 413, 429, 503, 405) have
// their status in either media type; what the draft calls a GraphQL request error is 400 or, as json, 200.
unsigned status_of(const graphql_answer& answer, answer_media media);
// The status when the network layer itself refuses with this code.
unsigned status_of(error_code code);

std::string_view reason_of(unsigned status);

// {"errors":[{"message":…,"extensions":{"code":…,"retryable":…,"requestId":…}}]}
std::string error_body(error_code code, std::string_view message, std::uint64_t request_id,
                       std::optional<std::int64_t> retry_after_ms = {});

std::string hexadecimal(std::uint64_t number);

} // namespace mooring::net
