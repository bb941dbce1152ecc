// The messages of the subprotocol graphql-transport-ws, as text to struct and as struct to text.
// Specification: PROTOCOL.md of the npm package graphql-ws.
//
// Plain functions on bytes: no socket, no state, no thread. What a message means in which state is the
// session's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace mooring::net {

inline constexpr std::string_view websocket_subprotocol = "graphql-transport-ws";

// Close codes of the protocol, and those of RFC 6455 that we send.
namespace close_code {
inline constexpr std::uint16_t normal = 1000, going_away = 1001, unsupported_data = 1003,
                               internal_error = 1011, try_again_later = 1013, bad_request = 4400,
                               unauthorized = 4401, forbidden = 4403, subprotocol_not_acceptable = 4406,
                               init_timeout = 4408, subscriber_exists = 4409, too_many_init_requests = 4429;
}

enum class client_message_type : std::uint8_t { connection_init, ping, pong, subscribe, complete };

// Views and values live as long as the parser's tape and the text.
struct client_message {
  client_message_type type = client_message_type::ping;
  std::string_view id; // subscribe, complete; 1 to operation_id_bytes_max bytes
  json_value payload;  // connection_init, ping, pong: absent or an object
  // subscribe's payload
  std::string_view query;
  std::string_view operation_name;
  json_value variables;  // absent, null or an object
  json_value extensions; // absent, null or an object
};

inline constexpr std::size_t operation_id_bytes_max = 256;

// REQUIRES: json_padding readable bytes after the text. The failure's message fits into a close frame (123
// bytes). Unknown members are ignored.
result<client_message> parse_client_message(json_parser& parser, const char* text, std::size_t length);

// The parameters of a request in any transport: an object with query, operationName, variables, extensions.
// `query` may be missing only when the extensions name a persisted query; it may be empty.
struct request_parameters {
  std::string_view query;
  bool is_persisted = false; // the extensions name a persisted query
  std::string_view operation_name;
  json_value variables;
  json_value extensions;
};
result<request_parameters> request_parameters_of(const json_value& request);

// The string member `authorization` of a payload, or empty.
std::string_view authorization_of(const json_value& payload);
// "Bearer x" or "x" → "x".
std::string_view bearer_token(std::string_view authorization);

// Appends one unmasked, unfragmented frame (RFC 6455, 5.2) with text opcode around what the caller appends.
// begin_text_frame needs the payload's size beforehand.
void append_text_frame_header(std::string& out, std::size_t payload_bytes);

// Appends whole frames. `id_json` is the operation's id as JSON, in its quotes.
void append_next_frame(std::string& out, std::string_view id_json, std::string_view result_json);
void append_error_frame(std::string& out, std::string_view id_json,
                        std::string_view errors_json); // a JSON array
void append_complete_frame(std::string& out, std::string_view id_json);
void append_connection_ack_frame(std::string& out);
void append_pong_frame(std::string& out, const json_value& payload); // payload absent: none

// An empty ping of RFC 6455.
void append_control_ping(std::string& out);

} // namespace mooring::net
