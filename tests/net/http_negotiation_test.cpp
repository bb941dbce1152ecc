#include "net/http_negotiation.hpp"

#include <doctest/doctest.h>

#include "net/gzip.hpp"

using namespace mooring;
using namespace mooring::net;

TEST_CASE("the media type follows the client's preferences") {
  using enum answer_media;
  const struct {
    const char* accept;
    std::optional<answer_media> media;
  } cases[] = {
      {"", json},
      {"*/*", json},
      {"application/*", json},
      {"application/json", json},
      {"APPLICATION/JSON", json},
      {"application/json; charset=utf-8", json},
      {"application/json;charset=\"utf-8\"", json},
      {"application/json; charset=latin-1", std::nullopt},
      {"application/graphql-response+json", graphql_response},
      {"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", graphql_response},
      {"application/graphql-response+json;q=0.5, application/json", json},
      {"application/json;q=0.5, application/graphql-response+json;q=0.7", graphql_response},
      {"application/graphql-response+json, */*;q=0.1", graphql_response},
      {"*/*, application/graphql-response+json", graphql_response},
      {"text/html, application/xhtml+xml, */*;q=0.8", json},
      {"text/html", std::nullopt},
      {"application/json;q=0", std::nullopt},
      {"application/json;q=0, */*", graphql_response},
      {"*/*, application/json;q=0", graphql_response},
      {"application/graphql-response+json;q=0, application/*;q=0.2", json},
      {"application/json;q=nonsense", std::nullopt},
      {",,;;", std::nullopt},
  };
  for (const auto& one : cases) {
    CAPTURE(one.accept);
    CHECK(choose_media(one.accept) == one.media);
  }
}

TEST_CASE("only JSON in UTF-8 is JSON content") {
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json;charset=UTF-8", "application/json; charset=\"utf-8\"", "application/json; foo=bar"})
    CHECK(is_json_content(type));
  for (const char* type :
       {"", "text/plain", "application/json; charset=utf-16", "application/jsonx", "application/graphql",
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"})
    CHECK_FALSE(is_json_content(type));
}

TEST_CASE("gzip is used when it is asked for") {
  for (const char* accept :
       {"gzip", "deflate, gzip", "gzip;q=0.1", "*", "GZIP", "br;q=1.0, gzip;q=0.8, *;q=0.1"})
    CHECK(accepts_gzip(accept));
  for (const char* accept : {"", "identity", "gzip;q=0", "br", "*;q=1, gzip;q=0", "gzip;q=0.000"})
    CHECK_FALSE(accepts_gzip(accept));
}

TEST_CASE("a query string is decoded, and refused when it is broken") {
  const auto one = parse_query_string("query=%7Ba%7D&variables=%7B%22x%22%3A1%7D&a=b+c&empty=&flag&&");
  REQUIRE(one.has_value());
  REQUIRE(one->size() == 5);
  CHECK((*one)[0].second == "{a}");
  CHECK((*one)[1].second == R"({"x":1})");
  CHECK((*one)[2].second == "b c");
  CHECK((*one)[3].second == "");
  CHECK((*one)[4].first == "flag");
  CHECK(parse_query_string("")->empty());
  for (const char* text : {"a=%", "a=%4", "a=%zz", "a=%-1", "a=%+1", "a=%ff", "%80=a", "a=% 1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_query_string(text).has_value());
  }
}

TEST_CASE("the status tells of execution in one media type and of the transport in both") {
  graphql_answer answer;
  CHECK(status_of(answer, answer_media::json) == 200);
  CHECK(status_of(answer, answer_media::graphql_response) == 200);
  answer.executed = false;
  CHECK(status_of(answer, answer_media::json) == 200);
  CHECK(status_of(answer, answer_media::graphql_response) == 400);
  const struct {
    error_code code;
    unsigned json;
    unsigned graphql_response;
  } cases[] = {{error_code::unauthenticated, 401, 401},    {error_code::forbidden, 403, 403},
               {error_code::device_deactivated, 403, 403}, {error_code::bad_user_input, 200, 400},
               {error_code::query_too_complex, 200, 400},  {error_code::payload_too_large, 413, 413},
               {error_code::rate_limited, 429, 429},       {error_code::unavailable, 503, 503},
               {error_code::storage_full, 503, 503},       {error_code::internal, 500, 500}};
  for (const auto& one : cases) {
    answer.refused = one.code;
    CHECK(status_of(answer, answer_media::json) == one.json);
    CHECK(status_of(answer, answer_media::graphql_response) == one.graphql_response);
  }
  answer.method_not_allowed = true;
  CHECK(status_of(answer, answer_media::json) == 405);
}

TEST_CASE("gzip comes back as it was, and its bombs and ruins are told apart") {
  gzip_codec codec;
  for (const std::size_t size : {0U, 1U, 1'000U, 100'000U, 1'000'000U}) {
    std::string plain(size, 'x');
    for (std::size_t i = 0; i < size; i += 7) plain[i] = static_cast<char>('a' + i % 26);
    const auto packed = codec.compress(plain);
    const auto back = codec.inflate(packed, size, 64);
    REQUIRE(back.ok());
    CHECK(*back == plain);
    if (size > 0) CHECK(codec.inflate(packed, size - 1, 64).failure().code == error_code::payload_too_large);
    CHECK(codec.inflate(packed.substr(0, packed.size() - 1), size, 64).failure().code ==
          error_code::bad_user_input);
    CHECK(codec.inflate(packed + "x", size, 64).failure().code == error_code::bad_user_input);
    const auto twice = codec.inflate(packed + packed, 2 * size, 64);
    REQUIRE(twice.ok());
    CHECK(*twice == plain + plain);
  }
  const auto bomb = codec.compress(std::string(50 << 20, '\0'));
  CHECK(bomb.size() < 300'000);
  CHECK(codec.inflate(bomb, 1 << 20, 64).failure().code == error_code::payload_too_large);
  CHECK_FALSE(codec.inflate("", 100, 64).ok());
  CHECK_FALSE(codec.inflate("plain text", 100, 64).ok());
}

TEST_CASE("an error's body is a GraphQL error with code and request id") {
  CHECK(
      error_body(error_code::unavailable, "a \"b\"", 255) ==
      R"({"errors":[{"message":"a \"b\"","extensions":{"code":"UNAVAILABLE","retryable":true,"requestId":"ff"}}]})");
}
