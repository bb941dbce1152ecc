// GraphQL over HTTP, the status endpoints, and HTTP itself, through real sockets.
#include <doctest/doctest.h>

#include "net/gzip.hpp"
#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

using headers = std::map<std::string, std::string>;

headers json_post(headers more = {}) {
  headers out = {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token_for()}};
  for (auto& [name, value] : more) {
    if (value.empty())
      out.erase(name);
    else
      out[name] = value;
  }
  return out;
}

class fake_status final : public status_source {
 public:
  bool is_ready(std::string& why_not) override {
    if (!ready) why_not = "shard 2 has no leader";
    return ready;
  }
  std::string metrics_text() override { return "mooring_up 1\n"; }
  std::atomic<bool> ready{true};
};

} // namespace

TEST_CASE("a POST is answered in the media type that was asked for") {
  test_server server;
  http_client client(server.port);
  auto got = client.request("POST", "/graphql", json_post(), R"({"query":"{a}"})");
  CHECK(got.status == 200);
  CHECK(got.headers["content-type"] == "application/json; charset=utf-8");
  CHECK(got.body == R"({"data":{"echo":"{a}"}})");
  CHECK(got.headers["cache-control"] == "no-store");
  CHECK(got.headers.contains("date"));
  // On the same connection.
  got = client.request("POST", "/graphql", json_post({{"Accept", "application/graphql-response+json"}}),
                       R"({"query":"{b}"})");
  CHECK(got.status == 200);
  CHECK(got.headers["content-type"] == "application/graphql-response+json; charset=utf-8");
  CHECK(got.body == R"({"data":{"echo":"{b}"}})");
  CHECK(server.running->totals().connections_accepted == 1);
  CHECK(server.running->totals().http_requests == 2);
}

TEST_CASE("requests that are wrong before they are GraphQL get the status that says how") {
  test_server server;
  const struct {
    const char* what;
    int status;
    headers change;
    std::string body;
  } cases[] = {
      {"no content type", 415, {{"Content-Type", ""}}, R"({"query":"{a}"})"},
      {"a form", 415, {{"Content-Type", "application/x-www-form-urlencoded"}}, "query={a}"},
      {"text, which needs no preflight", 415, {{"Content-Type", "text/plain"}}, R"({"query":"{a}"})"},
      {"another charset", 415, {{"Content-Type", "application/json; charset=utf-16"}}, R"({"query":"{a}"})"},
      {"another encoding", 415, {{"Content-Encoding", "br"}}, R"({"query":"{a}"})"},
      {"another media type", 406, {{"Accept", "text/html"}}, R"({"query":"{a}"})"},
      {"no body", 400, {}, ""},
      {"no JSON", 400, {}, "{"},
      {"no object", 400, {}, "[]"},
      {"a batch", 400, {}, R"([{"query":"{a}"}])"},
      {"no query", 400, {}, "{}"},
      {"a query that is no string", 400, {}, R"({"query":1})"},
      {"variables that are no object", 400, {}, R"({"query":"{a}","variables":[]})"},
      {"an operation name that is no string", 400, {}, R"({"query":"{a}","operationName":1})"},
      {"extensions that are no object", 400, {}, R"({"query":"{a}","extensions":"x"})"},
      {"text that is not UTF-8", 400, {}, "{\"query\":\"\xff\"}"},
      {"nested without end",
       400,
       {},
       R"({"query":"{a}","variables":{"x":)" + std::string(10'000, '[') + std::string(10'000, ']') + "}}"},
      {"a token that does not verify", 401, {{"Authorization", "Bearer x"}}, R"({"query":"{a}"})"},
      {"a second token", 401, {{"authorization", "Bearer x"}}, R"({"query":"{a}"})"},
      {"an expectation we do not know", 417, {{"Expect", "200-ok"}}, R"({"query":"{a}"})"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.what);
    http_client client(server.port);
    const auto got = client.request("POST", "/graphql", json_post(one.change), one.body);
    CHECK(got.status == one.status);
    CHECK(got.body.starts_with(R"({"errors":[{"message":")"));
    CHECK(got.body.find(R"("code":")") != std::string::npos);
  }
  CHECK(server.gateway.executed == 0);
}

TEST_CASE("no token is the gateway's to refuse: 401 with the challenge") {
  test_server server;
  http_client client(server.port);
  auto got = client.request("POST", "/graphql", json_post({{"Authorization", ""}}), R"({"query":"{a}"})");
  CHECK(got.status == 401);
  CHECK(got.headers["www-authenticate"] == "Bearer");
  got = client.request("POST", "/graphql", json_post({{"Authorization", "Bearer x"}}), R"({"query":"{a}"})");
  CHECK(got.status == 401);
  CHECK(got.headers["www-authenticate"] == "Bearer error=\"invalid_token\"");
  CHECK(got.body.find("UNAUTHENTICATED") != std::string::npos);
  // Before anything is done with the body.
  CHECK(client
            .request("POST", "/graphql", json_post({{"Authorization", ""}, {"Content-Encoding", "gzip"}}),
                     "no gzip")
            .status == 401);
  CHECK(server.gateway.executed == 0);
}

TEST_CASE("nothing of one request is left in the answer to the next") {
  test_server server;
  http_client client(server.port);
  client.wire.send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n");
  std::string all;
  while (!client.wire.is_at_end()) all += client.wire.receive(std::chrono::milliseconds(2'000));
  CHECK(all.find("HTTP/1.1 400") != std::string::npos);
  CHECK(all.find("BAD_USER_INPUT") != std::string::npos); // the method of the one before was HEAD
  CHECK(all.find(R"("requestId":"0")") == std::string::npos);

  http_client another(server.port);
  another.wire.send("GARBAGE\r\n\r\n");
  CHECK(another.read_response().body.find(R"("requestId":"0")") == std::string::npos);
}

TEST_CASE("refusals of the gateway have their status, and say when to come back") {
  test_server server;
  const struct {
    error_code code;
    int json;
    int graphql_response;
  } cases[] = {{error_code::bad_user_input, 200, 400},    {error_code::query_too_complex, 200, 400},
               {error_code::rate_limited, 429, 429},      {error_code::unavailable, 503, 503},
               {error_code::payload_too_large, 413, 413}, {error_code::forbidden, 403, 403}};
  http_client client(server.port);
  for (const auto& one : cases) {
    server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context&) {
      auto answer = refusal(one.code);
      answer.retry_after_ms = 1'200;
      done(std::move(answer));
    };
    auto got = client.request("POST", "/graphql", json_post(), R"({"query":"{a}"})");
    CHECK(got.status == one.json);
    CHECK(got.headers.contains("retry-after") == (one.json == 429 || one.json == 503));
    if (got.headers.contains("retry-after")) CHECK(got.headers["retry-after"] == "2");
    got = client.request("POST", "/graphql", json_post({{"Accept", "application/graphql-response+json"}}),
                         R"({"query":"{a}"})");
    CHECK(got.status == one.graphql_response);
  }
}

TEST_CASE("a GET asks with parameters; mutations by GET are not allowed") {
  test_server server;
  server.gateway.on_execute = [](const graphql_request& request, completion done, thread_context&) {
    CHECK(request.via == transport::http_get);
    graphql_answer answer;
    if (request.query.starts_with("mutation")) {
      answer = refusal(error_code::bad_user_input);
      answer.method_not_allowed = true;
    } else {
      CHECK(request.operation_name == "O p");
      CHECK(request.variables.find("x").string() == "ü");
      CHECK(request.extensions.find("y").integer() == 2);
      answer = data("{}");
    }
    done(std::move(answer));
  };
  http_client client(server.port);
  const headers with = {{"Authorization", "Bearer " + token_for()}};
  auto got = client.request("GET",
                            "/graphql?query=%7Ba%7D&operationName=O+p&variables=%7B%22x%22%3A%22%C3%BC%22%7D&"
                            "extensions=%7B%22y%22:2%7D",
                            with);
  CHECK(got.status == 200);
  got = client.request("GET", "/graphql?query=mutation%7Ba%7D", with);
  CHECK(got.status == 405);
  CHECK(got.headers["allow"] == "POST");
  for (const auto* bad : {"", "?query=", "?query=%7Ba%7D&variables=1", "?query=%7Ba%7D&variables=%7B",
                          "?query=%ff", "?query=%7Ba%7D&extensions=[]", "?query=%zz"}) {
    CAPTURE(bad);
    CHECK(client.request("GET", std::string("/graphql") + bad, with).status == 400);
  }
}

TEST_CASE("other methods and paths are told what there is") {
  test_server server;
  http_client client(server.port);
  auto got = client.request("PUT", "/graphql", json_post(), "{}");
  CHECK(got.status == 405);
  CHECK(got.headers["allow"] == "GET, POST, OPTIONS");
  CHECK(client.request("DELETE", "/graphql", json_post()).status == 405);
  CHECK(client.request("GET", "/").status == 404);
  CHECK(client.request("GET", "/graphql/").status == 404);
  CHECK(client.request("GET", "/graphqlx").status == 404);
  CHECK(client.request("POST", "/healthz", {}, "x").status == 405);
  CHECK(client.request("GET", "http://localhost/healthz").status == 200);
}

TEST_CASE("the status endpoints say how the node is") {
  fake_status status;
  test_server server({}, &status);
  http_client client(server.port);
  CHECK(client.request("GET", "/healthz").body == "ok\n");
  CHECK(client.request("GET", "/readyz").status == 200);
  status.ready = false;
  auto got = client.request("GET", "/readyz");
  CHECK(got.status == 503);
  CHECK(got.body == "shard 2 has no leader\n");
  got = client.request("GET", "/metrics");
  CHECK(got.body == "mooring_up 1\n");
  CHECK(got.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8");
  client.wire.send(http_client::text_of("HEAD", "/healthz") + http_client::text_of("GET", "/healthz"));
  const auto both = client.wire.receive_all(200ms);
  CHECK(both.find("Content-Length: 3") != std::string::npos);
  CHECK(both.ends_with("\r\n\r\nok\n"));
  CHECK(both.find("ok\n") == both.size() - 3); // the HEAD has no body

  server_options without;
  without.serve_metrics = false;
  test_server quiet(without, &status);
  CHECK(http_client(quiet.port).request("GET", "/metrics").status == 404);
}

TEST_CASE("bodies have a limit, also when they are compressed") {
  server_options options;
  options.message_bytes_max = 128 << 10;
  test_server server(options);
  gzip_codec codec;
  const auto packed =
      codec.compress(R"({"query":"{a}","variables":{"x":")" + std::string(100'000, 'x') + R"("}})");
  REQUIRE(packed.size() < 10'000);
  std::size_t seen = 0;
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context&) {
    seen = request.variables.find("x").string().size();
    done(data("{}"));
  };
  http_client client(server.port);
  CHECK(client.request("POST", "/graphql", json_post({{"Content-Encoding", "gzip"}}), packed).status == 200);
  CHECK(seen == 100'000);
  const auto bomb = codec.compress(R"({"query":"{a}")" + std::string(10 << 20, ' ') + "}");
  REQUIRE(bomb.size() < 64 << 10);
  auto got = client.request("POST", "/graphql", json_post({{"Content-Encoding", "gzip"}}), bomb);
  CHECK(got.status == 413);
  CHECK(got.body.find(R"("code":"PAYLOAD_TOO_LARGE")") != std::string::npos);
  CHECK(client.request("POST", "/graphql", json_post({{"Content-Encoding", "gzip"}}), "no gzip").status ==
        400);

  http_client large(server.port);
  large.wire.send(http_client::text_of("POST", "/graphql", json_post({{"Content-Length", "131073"}})));
  got = large.read_response();
  CHECK(got.status == 413);
  CHECK(got.body.find(R"("code":"PAYLOAD_TOO_LARGE")") != std::string::npos);
  CHECK(got.headers["connection"] == "close");
  http_client whole(server.port);
  CHECK(whole.request("POST", "/graphql", json_post(), std::string(131'073, ' ')).status ==
        413); // is read, though we were sending
}

TEST_CASE("large responses are compressed for those who accept it") {
  test_server server;
  const std::string large = R"({"data":")" + std::string(50'000, 'x') + R"("})";
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context&) {
    done(data(request.query == "{large}" ? large : "{}"));
  };
  http_client client(server.port);
  auto got = client.request("POST", "/graphql", json_post({{"Accept-Encoding", "gzip, br"}}),
                            R"({"query":"{large}"})");
  CHECK(got.headers["content-encoding"] == "gzip");
  CHECK(got.headers["vary"].find("Accept-Encoding") != std::string::npos);
  gzip_codec codec;
  CHECK(codec.inflate(got.body, 1 << 20, 0).value() == large);
  got =
      client.request("POST", "/graphql", json_post({{"Accept-Encoding", "gzip"}}), R"({"query":"{small}"})");
  CHECK_FALSE(got.headers.contains("content-encoding"));
  got = client.request("POST", "/graphql", json_post(), R"({"query":"{large}"})");
  CHECK_FALSE(got.headers.contains("content-encoding"));
  CHECK(got.body == large);
}

TEST_CASE("pipelined requests are answered in their order, also when the gateway answers late") {
  test_server server;
  server.gateway.on_execute = [](const graphql_request& request, completion done, thread_context& thread) {
    std::string body = R"({"data":")" + std::string(request.query) + R"("})";
    if (request.query.find("late") == std::string_view::npos) return done(data(body));
    thread.post([done = std::move(done), body] { done(data(body)); });
  };
  http_client client(server.port);
  std::string all;
  constexpr int count = 200;
  for (int i = 0; i < count; ++i)
    all += http_client::text_of("POST", "/graphql", json_post(),
                                R"({"query":"{)" + std::string(i % 3 == 0 ? "late" : "now") +
                                    std::to_string(i) + R"(}"})");
  client.wire.send(all);
  for (int i = 0; i < count; ++i) {
    const auto got = client.read_response();
    REQUIRE(got.status == 200);
    REQUIRE(got.body ==
            R"({"data":"{)" + std::string(i % 3 == 0 ? "late" : "now") + std::to_string(i) + R"(}"})");
  }
}

TEST_CASE("a request that arrives byte by byte is read like any other") {
  test_server server;
  http_client client(server.port);
  for (const char byte : http_client::text_of("POST", "/graphql", json_post(), R"({"query":"{a}"})"))
    client.wire.send({&byte, 1});
  CHECK(client.read_response().status == 200);
}

TEST_CASE("who expects 100-continue is told to go on, or is refused before the body") {
  test_server server;
  http_client client(server.port);
  const std::string body = R"({"query":"{a}"})";
  client.wire.send(http_client::text_of(
      "POST", "/graphql",
      json_post({{"Expect", "100-continue"}, {"Content-Length", std::to_string(body.size())}})));
  CHECK(client.wire.receive() == "HTTP/1.1 100 Continue\r\n\r\n");
  client.wire.send(body);
  CHECK(client.read_response().status == 200);
  http_client large(server.port);
  large.wire.send(http_client::text_of(
      "POST", "/graphql", json_post({{"Expect", "100-continue"}, {"Content-Length", "99999999999"}})));
  CHECK(large.read_response().status == 413);
  http_client stranger(server.port);
  stranger.wire.send(http_client::text_of(
      "POST", "/graphql",
      json_post({{"Authorization", ""}, {"Expect", "100-continue"}, {"Content-Length", "1000000"}})));
  CHECK(stranger.read_response().status == 401); // nobody unknown sends a megabyte
}

TEST_CASE("connections are kept or closed as HTTP says") {
  test_server server;
  http_client polite(server.port);
  auto got = polite.request("GET", "/healthz", {{"Connection", "close"}});
  CHECK(got.headers["connection"] == "close");
  CHECK(polite.wire.receive(1s).empty());
  CHECK(polite.wire.is_at_end());
  http_client old(server.port);
  old.wire.send("GET /healthz HTTP/1.0\r\n\r\n");
  CHECK(old.read_response().status == 200);
  CHECK(old.wire.is_closed_within(1s));
  http_client old_kept(server.port);
  old_kept.wire.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(old_kept.read_response().headers["connection"] == "keep-alive");
  CHECK(old_kept.request("GET", "/healthz").status == 200);
}

TEST_CASE("what is not HTTP/1.1, or could be read in two ways, is refused and the connection closed") {
  test_server server;
  const struct {
    const char* what;
    std::string text;
    int status;
  } cases[] = {
      {"nonsense", "hello there\r\n\r\n", 400},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"chunked", "POST /graphql HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
      {"both lengths",
       "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"two lengths",
       "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {"a negative length", "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"a length beyond 64 bits",
       "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
      {"a folded header", "GET /healthz HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", -1},
      {"a blank before the colon", "GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"headers too large", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n",
       431},
      {"a line too long", "GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
      {"too many headers",
       [] {
         std::string text = "GET /healthz HTTP/1.1\r\nHost: a\r\n";
         for (int i = 0; i < 2'000; ++i) text += "a: b\r\n";
         return text + "\r\n";
       }(),
       431},
  };
  for (const auto& one : cases) {
    CAPTURE(one.what);
    http_client client(server.port);
    client.wire.send(one.text);
    client.wire.shut_down();
    const auto got = client.read_response();
    if (one.status > 0) CHECK(got.status == one.status);
    if (one.status > 0) CHECK(got.headers.at("connection") == "close");
    CHECK(client.wire.is_closed_within(2s));
  }
  CHECK(http_client(server.port).request("GET", "/healthz").status == 200);
}

TEST_CASE("origins: allowed ones are answered with CORS headers, others are refused, none is no browser") {
  server_options options;
  options.allowed_origins = {"https://app.example.com"};
  test_server server(options);
  http_client client(server.port);
  const std::string good = "https://app.example.com";
  auto got = client.request("OPTIONS", "/graphql",
                            {{"Origin", good},
                             {"Access-Control-Request-Method", "POST"},
                             {"Access-Control-Request-Headers", "authorization"}});
  CHECK(got.status == 204);
  CHECK(got.headers["access-control-allow-origin"] == good);
  CHECK(got.headers["access-control-allow-methods"] == "GET, POST, OPTIONS");
  CHECK(got.headers["access-control-allow-headers"].find("authorization") != std::string::npos);
  CHECK_FALSE(got.headers.contains("access-control-allow-credentials"));
  got = client.request("POST", "/graphql", json_post({{"Origin", good}}), R"({"query":"{a}"})");
  CHECK(got.status == 200);
  CHECK(got.headers["access-control-allow-origin"] == good);
  CHECK(got.headers["vary"].find("Origin") != std::string::npos);
  for (const auto* method : {"OPTIONS", "POST", "GET"}) {
    got = client.request(method, "/graphql?query=%7Ba%7D",
                         json_post({{"Origin", "https://evil.example.com"}}), "");
    CHECK(got.status == 403);
    CHECK_FALSE(got.headers.contains("access-control-allow-origin"));
  }
  const headers with = {{"Authorization", "Bearer " + token_for()}};
  const auto get_from = [&](const char* site) {
    auto more = with;
    more["Sec-Fetch-Site"] = site;
    return client.request("GET", "/graphql?query=%7Ba%7D", more).status;
  };
  CHECK(get_from("none") == 200);
  CHECK(get_from("same-origin") == 200);
  CHECK(get_from("same-site") == 403);
  CHECK(get_from("cross-site") == 403);
  CHECK(client.request("GET", "/graphql?query=%7Ba%7D", with).status == 200);
}
