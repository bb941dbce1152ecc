#include "net/protocol_message.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace mooring;
using namespace mooring::net;

namespace {
json_parser parser;

result<client_message> parse(const std::string& text) {
  static std::string padded;
  padded = text;
  padded.append(json_padding, '\0');
  return parse_client_message(parser, padded.data(), text.size());
}

std::string fault(const std::string& text) {
  const auto message = parse(text);
  if (message.ok()) return "";
  CHECK(message.failure().message.size() <= 123); // it becomes the reason of a close frame
  CHECK_FALSE(message.failure().message.empty());
  return message.failure().message;
}
} // namespace

TEST_CASE("each message of the protocol is read with what it carries") {
  auto message = parse(R"({"type":"connection_init"})");
  REQUIRE(message.ok());
  CHECK(message->type == client_message_type::connection_init);
  CHECK(message->payload.absent());

  message = parse(R"({"type":"connection_init","payload":{"authorization":"Bearer abc"}})");
  REQUIRE(message.ok());
  CHECK(bearer_token(authorization_of(message->payload)) == "abc");

  message = parse(R"({"payload":null,"type":"ping"})");
  REQUIRE(message.ok());
  CHECK(message->type == client_message_type::ping);
  CHECK(message->payload.absent());

  message = parse(R"({"type":"pong","payload":{"a":1},"extra":[1,2]})");
  REQUIRE(message.ok());
  CHECK(message->type == client_message_type::pong);

  message = parse(R"({"id":"7","type":"complete"})");
  REQUIRE(message.ok());
  CHECK(message->type == client_message_type::complete);
  CHECK(message->id == "7");

  message = parse(
      R"({"id":"a\"b","type":"subscribe","payload":{"query":"{a}","operationName":"O","variables":{"x":1},"extensions":{"y":2}}})");
  REQUIRE(message.ok());
  CHECK(message->type == client_message_type::subscribe);
  CHECK(message->id == "a\"b");
  CHECK(message->query == "{a}");
  CHECK(message->operation_name == "O");
  CHECK(message->variables.find("x").integer() == 1);
  CHECK(message->extensions.find("y").integer() == 2);

  message = parse(
      R"({"id":"1","type":"subscribe","payload":{"query":"{a}","operationName":null,"variables":null}})");
  REQUIRE(message.ok());
  CHECK(message->operation_name.empty());

  message =
      parse(R"({"id":"1","type":"subscribe","payload":{"extensions":{"persistedQuery":{"version":1}}}})");
  REQUIRE(message.ok());
  CHECK(message->query.empty());
}

TEST_CASE("what is no message of the protocol is refused with a reason") {
  for (const char* text : {
           "",
           " ",
           "null",
           "1",
           "[]",
           "\"subscribe\"",
           "{}",
           "{",
           R"({"type":1})",
           R"({"type":null})",
           R"({"type":"start"})",
           R"({"type":"SUBSCRIBE"})",
           R"({"type":"next","id":"1","payload":{}})",
           R"({"type":"connection_ack"})",
           R"({"type":"connection_init","payload":"token"})",
           R"({"type":"connection_init","payload":[]})",
           R"({"type":"ping","payload":1})",
           R"({"type":"subscribe","payload":{"query":"{a}"}})",
           R"({"id":1,"type":"subscribe","payload":{"query":"{a}"}})",
           R"({"id":"","type":"subscribe","payload":{"query":"{a}"}})",
           R"({"id":"1","type":"subscribe"})",
           R"({"id":"1","type":"subscribe","payload":"{a}"})",
           R"({"id":"1","type":"subscribe","payload":{}})",
           R"({"id":"1","type":"subscribe","payload":{"query":1}})",
           R"({"id":"1","type":"subscribe","payload":{"query":"{a}","variables":[]}})",
           R"({"id":"1","type":"subscribe","payload":{"query":"{a}","variables":"{}"}})",
           R"({"id":"1","type":"subscribe","payload":{"query":"{a}","operationName":{}}})",
           R"({"id":"1","type":"subscribe","payload":{"query":"{a}","extensions":true}})",
           R"({"type":"complete"})",
           R"({"id":"1","type":"complete"} trailing)",
           "{\"type\":\"ping\",\"payload\":{\"a\":\"\xff\"}}",
           R"({"type":"ping","payload":{"a":1234567890123456789012345678901234567}})",
       }) {
    CAPTURE(text);
    CHECK(fault(text) != "");
  }
  CHECK(fault(R"({"id":")" + std::string(257, 'i') + R"(","type":"complete"})") != "");
  CHECK(fault(R"({"id":")" + std::string(256, 'i') + R"(","type":"complete"})") == "");
  CHECK(fault(R"({"type":"ping","payload":)" + std::string(10'000, '[') + std::string(10'000, ']') + "}") !=
        "");
}

TEST_CASE("the token stands in a payload with or without its scheme") {
  CHECK(bearer_token("Bearer abc") == "abc");
  CHECK(bearer_token("bearer   abc ") == "abc");
  CHECK(bearer_token("abc") == "abc");
  CHECK(bearer_token("Bearer") == "Bearer");
  CHECK(bearer_token("") == "");
  const auto message = parse(R"({"type":"ping","payload":{"Authorization":"x"}})");
  REQUIRE(message.ok());
  CHECK(authorization_of(message->payload) == "x");
  const auto other = parse(R"({"type":"ping","payload":{"authorization":5}})");
  REQUIRE(other.ok());
  CHECK(authorization_of(other->payload).empty());
}

TEST_CASE("frames have the length that RFC 6455 gives them") {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 70'000U}) {
    CAPTURE(size);
    std::string out;
    append_text_frame_header(out, size);
    REQUIRE(out.size() == (size < 126 ? 2U : size <= 65'535 ? 4U : 10U));
    CHECK(static_cast<unsigned char>(out[0]) == 0x81);
    std::uint64_t length = static_cast<unsigned char>(out[1]);
    CHECK((length & 0x80) == 0); // a server does not mask
    if (length >= 126) {
      length = 0;
      for (std::size_t i = 2; i < out.size(); ++i)
        length = (length << 8) | static_cast<unsigned char>(out[i]);
    }
    CHECK(length == size);
  }
  std::string out;
  append_next_frame(out, R"("1")", R"({"data":{}})");
  CHECK(out.substr(2) == R"({"id":"1","type":"next","payload":{"data":{}}})");
  CHECK(static_cast<std::size_t>(out[1]) == out.size() - 2);
  out.clear();
  append_error_frame(out, R"("1")", "[]");
  CHECK(out.substr(2) == R"({"id":"1","type":"error","payload":[]})");
  CHECK(static_cast<std::size_t>(out[1]) == out.size() - 2);
  out.clear();
  append_complete_frame(out, R"("1")");
  CHECK(out.substr(2) == R"({"id":"1","type":"complete"})");
  CHECK(static_cast<std::size_t>(out[1]) == out.size() - 2);
}
