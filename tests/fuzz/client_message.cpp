// net/protocol_message.hpp: text of a client, as it came out of a WebSocket message or an HTTP body.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/json.hpp"
#include "net/protocol_message.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::net;

namespace {

constexpr std::size_t close_reason_bytes_max = 123;

bool absent_or_object(const json_value& value, bool may_be_null) {
  return value.absent() || value.kind() == json_kind::object ||
         (may_be_null && value.kind() == json_kind::null);
}

// One unfragmented text frame of a server around `payload`, RFC 6455, 5.2.
void check_frame(std::string_view frame, std::string_view payload) {
  std::string expected;
  append_text_frame_header(expected, payload.size());
  expected.append(payload);
  MOORING_CHECK(frame == expected, "a frame is its header and its payload");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  std::string text(reinterpret_cast<const char*>(bytes), length);
  text.append(json_padding, '\0');
  json_parser parser;
  const auto message = parse_client_message(parser, text.data(), length);
  if (!message) {
    MOORING_CHECK(message.failure().message.size() <= close_reason_bytes_max,
                  "the reason fits into a close frame");
  } else {
    MOORING_CHECK(absent_or_object(message->payload, false) ||
                      message->type == client_message_type::subscribe,
                  "a payload is an object");
    if (message->type == client_message_type::subscribe || message->type == client_message_type::complete)
      MOORING_CHECK(!message->id.empty() && message->id.size() <= operation_id_bytes_max,
                    "an id has a length");
    if (message->type == client_message_type::subscribe) {
      MOORING_CHECK(absent_or_object(message->variables, true), "variables are an object");
      MOORING_CHECK(absent_or_object(message->extensions, true), "extensions are an object");
    }
    if (message->type == client_message_type::connection_init && !message->payload.absent())
      (void)bearer_token(authorization_of(message->payload));
    if (message->type == client_message_type::ping) {
      std::string pong;
      append_pong_frame(pong, message->payload);
      const auto body = pong.find(R"({"type")"); // not '{': that may be the header's length byte, 123
      MOORING_CHECK(body != std::string::npos, "a pong is a JSON object");
      json_parser again;
      MOORING_CHECK(again.parse(std::string_view(pong).substr(body)).ok(), "a pong is JSON");
      check_frame(pong, std::string_view(pong).substr(body));
    }
  }
  json_parser body_parser;
  const auto body = body_parser.parse_padded(text.data(), length);
  if (!body) return 0;
  const auto parameters = request_parameters_of(*body);
  if (parameters)
    MOORING_CHECK(absent_or_object(parameters->variables, true) &&
                      absent_or_object(parameters->extensions, true),
                  "variables and extensions are objects");
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  for (
      const std::string_view seed : {
          R"({"type":"connection_init"})",
          R"({"type":"connection_init","payload":{"authorization":"Bearer aaa.bbb.ccc","other":[1]}})",
          R"({"type":"ping"})",
          R"({"type":"ping","payload":{"authorization":"aaa.bbb.ccc"}})",
          R"({"type":"pong","payload":{}})",
          R"({"id":"1","type":"complete"})",
          R"({"id":"a-b-c","type":"subscribe","payload":{"query":"{ serverInfo { version } }"}})",
          R"({"type":"subscribe","id":"2","payload":{"operationName":"Q","query":"query Q($a: Int) { a(b: $a) }","variables":{"a":1},"extensions":null}})",
          R"({"type":"subscribe","id":"3","payload":{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}}}})",
          R"({"id":3,"type":"subscribe","payload":[]})",
          R"({"query":"{ a }","variables":"{}","extensions":[]})",
          R"({"query":null,"operationName":7})",
      })
    add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
}
