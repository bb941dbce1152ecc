#include "net/protocol_message.hpp"

#include "base/document.hpp"
#include "base/json_writer.hpp"
#include "net/text.hpp"

namespace mooring::net {

namespace {

error invalid(std::string message) {
  return {error_code::bad_user_input, std::move(message)};
}

bool is_object_or_null(const json_value& value) {
  return value.absent() || value.kind() == json_kind::object || value.kind() == json_kind::null;
}

result<void> read_id(const json_value& message, std::string_view& id) {
  const auto value = message.find("id");
  if (value.absent() || value.kind() != json_kind::string || value.string().empty())
    return invalid("the message needs an 'id' that is a string and not empty");
  if (value.string().size() > operation_id_bytes_max)
    return invalid("the message's 'id' is longer than 256 bytes");
  id = value.string();
  return {};
}

} // namespace

result<request_parameters> request_parameters_of(const json_value& request) {
  if (request.absent() || request.kind() != json_kind::object)
    return invalid("the request is not a JSON object");
  request_parameters out;
  json_value query;
  json_value operation_name;
  // One walk instead of four searches.
  request.for_each_member([&](std::string_view name, const json_value& value) {
    if (name == "query" && query.absent())
      query = value;
    else if (name == "variables" && out.variables.absent())
      out.variables = value;
    else if (name == "operationName" && operation_name.absent())
      operation_name = value;
    else if (name == "extensions" && out.extensions.absent())
      out.extensions = value;
  });
  if (!query.absent() && query.kind() != json_kind::null) {
    if (query.kind() != json_kind::string) return invalid("the parameter 'query' is not a string");
    out.query = query.string();
  }
  if (!operation_name.absent() && operation_name.kind() != json_kind::null) {
    if (operation_name.kind() != json_kind::string)
      return invalid("the parameter 'operationName' is not a string");
    out.operation_name = operation_name.string();
  }
  if (!is_object_or_null(out.variables)) return invalid("the parameter 'variables' is not an object");
  if (!is_object_or_null(out.extensions)) return invalid("the parameter 'extensions' is not an object");
  out.is_persisted = !out.extensions.absent() && out.extensions.kind() == json_kind::object &&
                     !out.extensions.find("persistedQuery").absent();
  if ((query.absent() || query.kind() == json_kind::null) && !out.is_persisted)
    return invalid("the parameter 'query' is missing");
  return out;
}

result<client_message> parse_client_message(json_parser& parser, const char* text, std::size_t length) {
  const auto parsed = parser.parse_padded(text, length);
  if (!parsed) return invalid(std::string(cut_utf8(parsed.failure().message, 120)));
  const auto& root = *parsed;
  if (root.kind() != json_kind::object) return invalid("the message is not a JSON object");
  const auto type = root.find("type");
  if (type.absent() || type.kind() != json_kind::string)
    return invalid("the message has no 'type' that is a string");
  const auto name = type.string();

  client_message message;
  if (name == "subscribe") {
    message.type = client_message_type::subscribe;
    if (auto id = read_id(root, message.id); !id) return id.failure();
    const auto payload = root.find("payload");
    if (payload.absent() || payload.kind() != json_kind::object)
      return invalid("the 'payload' of a subscribe message is not an object");
    auto parameters = request_parameters_of(payload);
    if (!parameters) return parameters.failure();
    message.query = parameters->query;
    message.operation_name = parameters->operation_name;
    message.variables = parameters->variables;
    message.extensions = parameters->extensions;
    return message;
  }
  if (name == "complete") {
    message.type = client_message_type::complete;
    if (auto id = read_id(root, message.id); !id) return id.failure();
    return message;
  }
  if (name == "connection_init")
    message.type = client_message_type::connection_init;
  else if (name == "ping")
    message.type = client_message_type::ping;
  else if (name == "pong")
    message.type = client_message_type::pong;
  else
    return invalid("the message's 'type' is unknown");

  const auto payload = root.find("payload");
  if (!is_object_or_null(payload)) return invalid("the message's 'payload' is not an object");
  if (!payload.absent() && payload.kind() == json_kind::object) message.payload = payload;
  return message;
}

std::string_view authorization_of(const json_value& payload) {
  if (payload.absent() || payload.kind() != json_kind::object) return {};
  const auto value = payload.find("authorization");
  if (!value.absent()) return value.kind() == json_kind::string ? value.string() : std::string_view{};
  const auto capitalised = payload.find("Authorization"); // as many clients copy the header's name
  return !capitalised.absent() && capitalised.kind() == json_kind::string ? capitalised.string()
                                                                          : std::string_view{};
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  auto text = trimmed(authorization);
  if (text.size() > scheme.size() && equal_ignoring_case(text.substr(0, scheme.size()), scheme))
    text = trimmed(text.substr(scheme.size()));
  return text;
}

void append_text_frame_header(std::string& out, std::size_t payload_bytes) {
  out += static_cast<char>(0x81); // final, text
  if (payload_bytes < 126) {
    out += static_cast<char>(payload_bytes);
    return;
  }
  const int bytes = payload_bytes <= 0xffff ? 2 : 8;
  out += static_cast<char>(bytes == 2 ? 126 : 127);
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out += static_cast<char>((payload_bytes >> shift) & 0xff);
}

namespace {
constexpr std::string_view before_id = R"({"id":)";
constexpr std::string_view next_middle = R"(,"type":"next","payload":)";
constexpr std::string_view error_middle = R"(,"type":"error","payload":)";
constexpr std::string_view complete_end = R"(,"type":"complete"})";

void append_payload_frame(std::string& out, std::string_view id_json, std::string_view middle,
                          std::string_view payload) {
  append_text_frame_header(out, before_id.size() + id_json.size() + middle.size() + payload.size() + 1);
  out += before_id;
  out += id_json;
  out += middle;
  out += payload;
  out += '}';
}
} // namespace

void append_next_frame(std::string& out, std::string_view id_json, std::string_view result_json) {
  append_payload_frame(out, id_json, next_middle, result_json);
}

void append_error_frame(std::string& out, std::string_view id_json, std::string_view errors_json) {
  append_payload_frame(out, id_json, error_middle, errors_json);
}

void append_complete_frame(std::string& out, std::string_view id_json) {
  append_text_frame_header(out, before_id.size() + id_json.size() + complete_end.size());
  out += before_id;
  out += id_json;
  out += complete_end;
}

void append_connection_ack_frame(std::string& out) {
  constexpr std::string_view text = R"({"type":"connection_ack"})";
  append_text_frame_header(out, text.size());
  out += text;
}

void append_pong_frame(std::string& out, const json_value& payload) {
  std::string text = R"({"type":"pong")";
  if (!payload.absent()) {
    if (const auto echoed = to_document(payload)) {
      text += R"(,"payload":)";
      append_json(text, echoed->bytes);
    }
  }
  text += '}';
  append_text_frame_header(out, text.size());
  out += text;
}

void append_control_ping(std::string& out) {
  out += static_cast<char>(0x89);
  out += '\0';
}

} // namespace mooring::net
