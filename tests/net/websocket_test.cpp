// graphql-transport-ws through real sockets: every close code of the protocol, and what a peer may get wrong.
#include <doctest/doctest.h>

#include <set>

#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

TEST_CASE("a query is answered with next and complete") {
  test_server server;
  auto client = server.connect();
  CHECK(client.upgrade_response.find("Sec-WebSocket-Protocol: graphql-transport-ws") != std::string::npos);
  client.text(subscribe("1", "{a}"));
  CHECK(client.receive().payload == R"({"id":"1","type":"next","payload":{"data":{"echo":"{a}"}}})");
  CHECK(client.receive().payload == R"({"id":"1","type":"complete"})");
  client.text(subscribe("1", "{b}")); // the id is free again
  CHECK(client.receive().payload == R"({"id":"1","type":"next","payload":{"data":{"echo":"{b}"}}})");
}

TEST_CASE("the gateway hears what came: who, variables, address, sizes, distinct request ids") {
  test_server server;
  std::set<std::uint64_t> ids;
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context&) {
    CHECK(request.who->tenant == "t1");
    CHECK(request.who->user == "u1");
    CHECK(request.via == transport::websocket);
    CHECK(request.operation_name == "O");
    CHECK(request.variables.find("x").integer() == 1);
    CHECK(request.extensions.find("y").string() == "z");
    CHECK(request.remote_address == "127.0.0.1");
    CHECK(request.bytes > 50);
    ids.insert(request.request_id);
    done(data("{}"));
  };
  auto client = server.connect();
  for (int i = 0; i < 3; ++i) {
    client.text(
        R"({"id":"1","type":"subscribe","payload":{"query":"{a}","operationName":"O","variables":{"x":1},"extensions":{"y":"z"}}})");
    client.receive();
    client.receive();
  }
  server.running->stop();
  CHECK(ids.size() == 3);
}

TEST_CASE("a refusal before execution is one error message with the list of errors") {
  test_server server;
  server.gateway.on_execute = [](const graphql_request&, completion done, thread_context&) {
    done(refusal(error_code::query_too_complex));
  };
  auto client = server.connect();
  client.text(subscribe("x\\\"y", "{a}"));
  CHECK(
      client.receive().payload ==
      R"({"id":"x\"y","type":"error","payload":[{"message":"no","extensions":{"code":"QUERY_TOO_COMPLEX"}}]})");
  client.text(R"({"type":"ping"})");
  CHECK(client.receive().payload == R"({"type":"pong"})"); // and no complete before it
}

TEST_CASE("pings are answered, in the protocol and in RFC 6455") {
  test_server server;
  ws_client client(server.port);
  client.text(R"({"type":"ping"})"); // before the acknowledgement too
  CHECK(client.receive().payload == R"({"type":"pong"})");
  client.text(R"({"type":"ping","payload":{"a":[1,"x",null]}})");
  CHECK(client.receive().payload == R"({"type":"pong","payload":{"a":[1,"x",null]}})");
  client.text(R"({"type":"pong"})");
  client.frame(9, "hello");
  const auto pong = client.receive();
  CHECK(pong.opcode == 10);
  CHECK(pong.payload == "hello");
  client.frame(10, "unasked");
  CHECK(client.initialise(token_for()));
}

TEST_CASE("a token may come in the upgrade's header instead") {
  test_server server;
  ws_client client(server.port, with_headers({{"Authorization", "Bearer " + token_for("u9")}}));
  REQUIRE(client.upgrade_status == 101);
  client.text(R"({"type":"connection_init"})");
  CHECK(client.receive().payload == R"({"type":"connection_ack"})");
  REQUIRE(server.gateway.opened_count() == 1);
  CHECK(server.gateway.opened[0].second->user == "u9");
  ws_client refused(server.port, with_headers({{"Authorization", "Bearer nonsense"}}));
  CHECK(refused.upgrade_status == 401);
}

TEST_CASE("each violation of the protocol has its close code") {
  server_options options;
  options.init_timeout_ms = 300;
  options.first_message_bytes_max = 8 << 10;
  options.message_bytes_max = 32 << 10;
  test_server server(options);
  server.gateway.on_execute = [](const graphql_request&, completion, thread_context&) {}; // never answers
  const auto closed_with = [&](ws_client& client) { return client.receive_close().close_code(); };

  SUBCASE("no connection_init in time: 4408") {
    ws_client client(server.port);
    const auto close = client.receive_close();
    CHECK(close.close_code() == 4408);
    CHECK(close.close_reason() == "Connection initialisation timeout");
    CHECK(client.wire.is_closed_within(1s));
  }
  SUBCASE("a second connection_init: 4429") {
    auto client = server.connect();
    client.text(R"({"type":"connection_init"})");
    CHECK(closed_with(client) == 4429);
  }
  SUBCASE("subscribe before the acknowledgement: 4401") {
    ws_client client(server.port);
    client.text(subscribe("1", "{a}"));
    CHECK(closed_with(client) == 4401);
    CHECK(server.gateway.executed == 0);
  }
  SUBCASE("no token: 4401") {
    ws_client client(server.port);
    client.text(R"({"type":"connection_init","payload":{}})");
    CHECK(closed_with(client) == 4401);
  }
  SUBCASE("a token that does not verify: 4403") {
    for (const auto& bad :
         {std::string("x"), token_for("u1", 3'600'000).substr(1), std::string(5'000, 'a')}) {
      ws_client client(server.port);
      client.text(R"({"type":"connection_init","payload":{"authorization":")" + bad + R"("}})");
      const auto close = client.receive_close();
      CHECK(close.close_code() == 4403);
      CHECK(close.close_reason().starts_with("Forbidden: "));
    }
    CHECK(server.gateway.opened_count() == 0);
  }
  SUBCASE("no subprotocol, or others only: 4406") {
    for (const auto* offered : {"", "graphql-ws", "graphql-transport-wss, mqtt"}) {
      ws_client client(server.port, with_subprotocol(offered));
      CHECK(client.upgrade_status == 101);
      CHECK(client.upgrade_response.find("Sec-WebSocket-Protocol") == std::string::npos);
      CHECK(closed_with(client) == 4406);
    }
    ws_client client(server.port, with_subprotocol("mqtt, graphql-transport-ws"));
    CHECK(client.initialise(token_for()));
    ws_client twice(server.port, with_subprotocol("mqtt\r\nSec-WebSocket-Protocol: graphql-transport-ws"));
    CHECK(twice.initialise(token_for()));
  }
  SUBCASE("an id that is in use: 4409") {
    auto client = server.connect();
    client.text(subscribe("a", "{a}"));
    client.text(subscribe("b", "{a}"));
    client.text(subscribe("a", "{a}"));
    const auto close = client.receive_close();
    CHECK(close.close_code() == 4409);
    CHECK(close.close_reason() == "Subscriber for a already exists");
  }
  SUBCASE("what is no message: 4400") {
    for (const auto& text :
         {std::string("{"), std::string(""), std::string("[]"), std::string(R"({"type":"start"})"),
          std::string(R"({"id":1,"type":"subscribe","payload":{"query":"{a}"}})"),
          std::string(R"({"type":"ping","payload":)") + std::string(3'000, '[') + std::string(3'000, ']') +
              "}",
          std::string(R"({"type":"ping","payload":{"n":1234567890123456789012345678901234567}})")}) {
      CAPTURE(text);
      auto client = server.connect();
      client.text(text);
      CHECK(closed_with(client) == 4400);
    }
  }
  SUBCASE("a binary message: 1003") {
    auto client = server.connect();
    client.frame(2, R"({"type":"ping"})");
    CHECK(closed_with(client) == 1003);
  }
  SUBCASE("text that is not UTF-8: 1007") {
    auto client = server.connect();
    client.text("{\"type\":\"ping\",\"payload\":{\"a\":\"\xff\xfe\"}}");
    CHECK(closed_with(client) == 1007);
  }
  SUBCASE("a message over the limit: 1009") {
    auto client = server.connect();
    client.text(std::string(33 << 10, ' '));
    CHECK(closed_with(client) == 1009);
    CHECK(client.wire.is_closed_within(1s));
  }
  SUBCASE("a message over the limit, in fragments: 1009") {
    auto client = server.connect();
    client.frame(1, std::string(20 << 10, ' '), false);
    client.frame(0, std::string(20 << 10, ' '), true);
    CHECK(closed_with(client) == 1009);
  }
  SUBCASE("a header that claims a message of 2^62 bytes: 1009") {
    auto client = server.connect();
    client.wire.send(std::string("\x81\xff\x40\0\0\0\0\0\0\0abcd", 14));
    CHECK(closed_with(client) == 1009);
  }
  SUBCASE("a long message before the acknowledgement: 1009") {
    ws_client client(server.port);
    client.text(std::string(9 << 10, ' '));
    CHECK(closed_with(client) == 1009);
  }
  SUBCASE("broken frames: 1002") {
    const std::string cases[] = {
        ws_client::frame_bytes(1, "{}", true, false),     // not masked
        ws_client::frame_bytes(0, "{}"),                  // continues nothing
        ws_client::frame_bytes(3, "{}"),                  // reserved opcode
        ws_client::frame_bytes(9, "{}", false),           // a control frame in fragments
        ws_client::frame_bytes(9, std::string(126, 'x')), // a control frame too long
        std::string("\xf1\x82\x00\x00\x00\x00{}", 8),     // reserved bits, as compression would set
        ws_client::frame_bytes(1, "{", false) + ws_client::frame_bytes(1, "}"), // a new message inside of one
        ws_client::frame_bytes(8, "x"),                                         // half a close code
        ws_client::frame_bytes(8, std::string("\x03\xed", 2)),                  // 1005 may not be sent
        ws_client::frame_bytes(8, std::string("\x03\xe8\xff", 3)),              // a reason that is not UTF-8
    };
    for (const auto& bytes : cases) {
      auto client = server.connect();
      client.wire.send(bytes);
      const auto close = client.receive_close();
      CAPTURE(&bytes - cases);
      // Beast tells a bad reason apart from a bad frame; both say who was wrong.
      const bool is_protocol_error = close.close_code() == 1002 || close.close_code() == 1007;
      CHECK(is_protocol_error);
      CHECK(client.wire.is_closed_within(3s));
    }
  }
  // Whatever it was, others are served.
  auto after = server.connect();
  after.text(R"({"type":"ping"})");
  CHECK(after.receive().payload == R"({"type":"pong"})");
}

TEST_CASE("a message in fragments, with pings between, is one message") {
  test_server server;
  auto client = server.connect();
  const auto text = subscribe("1", "{abc}");
  for (std::size_t i = 0; i < text.size(); ++i) {
    client.frame(i == 0 ? 1 : 0, text.substr(i, 1), i + 1 == text.size());
    if (i % 10 == 0) client.frame(9, "p");
  }
  std::string next;
  for (int i = 0; i < 20 && next.empty(); ++i)
    if (const auto got = client.receive(); got.is_text()) next = got.payload;
  CHECK(next == R"({"id":"1","type":"next","payload":{"data":{"echo":"{abc}"}}})");
}

TEST_CASE("frames that arrive byte by byte are read like any other") {
  test_server server;
  auto client = server.connect();
  for (const char byte : ws_client::frame_bytes(1, subscribe("1", "{a}"))) client.wire.send({&byte, 1});
  CHECK(client.receive().payload == R"({"id":"1","type":"next","payload":{"data":{"echo":"{a}"}}})");
}

TEST_CASE("many requests in one write are all answered, in order when the gateway answers at once") {
  test_server server;
  auto client = server.connect();
  std::string bytes;
  constexpr int count = 1'000;
  for (int i = 0; i < count; ++i) bytes += ws_client::frame_bytes(1, subscribe(std::to_string(i), "{a}"));
  // Whole, and with a tail that is half a frame.
  const auto half = bytes.size() - 20;
  client.wire.send(std::string_view(bytes).substr(0, half));
  for (int i = 0; i < count - 1; ++i) {
    const auto id = std::to_string(i);
    REQUIRE(client.receive().payload ==
            R"({"id":")" + id + R"(","type":"next","payload":{"data":{"echo":"{a}"}}})");
    REQUIRE(client.receive().payload == R"({"id":")" + id + R"(","type":"complete"})");
  }
  client.wire.send(std::string_view(bytes).substr(half));
  CHECK(client.receive().payload.find("\"999\"") != std::string::npos);
  server.running->stop();
  const auto totals = server.running->totals();
  CHECK(totals.messages_received == count + 1);
  CHECK(totals.messages_sent == 2 * count + 1);
  CHECK(totals.requests_in_flight == 0);
}

TEST_CASE("a large message and a large answer pass whole") {
  test_server server;
  std::string seen;
  const std::string answer = R"({"data":")" + std::string(5 << 20, 'y') + R"("})";
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context&) {
    seen = request.variables.find("x").string();
    done(data(answer));
  };
  auto client = server.connect();
  const std::string large(3 << 20, 'x');
  client.text(R"({"id":"1","type":"subscribe","payload":{"query":"{a}","variables":{"x":")" + large +
              R"("}}})");
  const auto next = client.receive();
  CHECK(next.payload == R"({"id":"1","type":"next","payload":)" + answer + "}");
  CHECK(client.receive().payload == R"({"id":"1","type":"complete"})");
  CHECK(seen == large);
}

TEST_CASE("answers may come later, from other threads, in any order") {
  test_server server;
  std::mutex mutex;
  std::vector<std::pair<completion, thread_context*>> waiting;
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context& thread) {
    const std::lock_guard lock(mutex);
    waiting.emplace_back(std::move(done), &thread);
  };
  auto client = server.connect();
  for (const char* id : {"a", "b", "c"}) client.text(subscribe(id, "{a}"));
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return waiting.size() == 3;
  }));
  for (int i = 2; i >= 0; --i)
    waiting[static_cast<std::size_t>(i)].second->post([done = waiting[static_cast<std::size_t>(i)].first, i] {
      done(data("{\"data\":" + std::to_string(i) + "}"));
    });
  CHECK(client.receive().payload == R"({"id":"c","type":"next","payload":{"data":2}})");
  CHECK(client.receive().payload == R"({"id":"c","type":"complete"})");
  CHECK(client.receive().payload == R"({"id":"b","type":"next","payload":{"data":1}})");
  CHECK(client.receive().payload == R"({"id":"b","type":"complete"})");
  CHECK(client.receive().payload == R"({"id":"a","type":"next","payload":{"data":0}})");
}

TEST_CASE("complete from the client drops the answer and frees the id") {
  test_server server;
  std::mutex mutex;
  std::vector<std::pair<completion, thread_context*>> waiting;
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context& thread) {
    const std::lock_guard lock(mutex);
    waiting.emplace_back(std::move(done), &thread);
  };
  auto client = server.connect();
  client.text(subscribe("a", "{first}"));
  client.text(R"({"id":"a","type":"complete"})");
  client.text(R"({"id":"unknown","type":"complete"})"); // is ignored
  client.text(subscribe("a", "{second}"));
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return waiting.size() == 2;
  }));
  for (int i = 0; i < 2; ++i)
    waiting[static_cast<std::size_t>(i)].second->post([done = waiting[static_cast<std::size_t>(i)].first, i] {
      done(data("{\"data\":" + std::to_string(i) + "}"));
    });
  CHECK(client.receive().payload == R"({"id":"a","type":"next","payload":{"data":1}})");
  CHECK(client.receive().payload == R"({"id":"a","type":"complete"})");
  CHECK(client.receive(100ms).opcode == -1);
}

TEST_CASE("an answer that comes after its connection ended goes nowhere") {
  test_server server;
  std::mutex mutex;
  std::vector<std::pair<completion, thread_context*>> waiting;
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context& thread) {
    const std::lock_guard lock(mutex);
    waiting.emplace_back(std::move(done), &thread);
  };
  {
    auto client = server.connect();
    client.text(subscribe("a", "{a}"));
    REQUIRE(eventually([&] {
      const std::lock_guard lock(mutex);
      return waiting.size() == 1;
    }));
  }
  REQUIRE(eventually([&] { return server.gateway.closed_count() == 1; }));
  waiting[0].second->post([done = waiting[0].first] { done(data("{}")); });
  auto other = server.connect();
  other.text(R"({"type":"ping"})");
  CHECK(other.receive().payload == R"({"type":"pong"})");
  CHECK(eventually([&] { return server.running->totals().requests_in_flight == 0; }));
}

TEST_CASE("requests in flight are bounded by not reading on, and nothing is lost") {
  server_options options;
  options.requests_in_flight_max = 4;
  test_server server(options);
  std::mutex mutex;
  std::vector<std::pair<completion, thread_context*>> waiting;
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context& thread) {
    const std::lock_guard lock(mutex);
    waiting.emplace_back(std::move(done), &thread);
  };
  const auto waits = [&] {
    const std::lock_guard lock(mutex);
    return waiting.size();
  };
  auto client = server.connect();
  for (int i = 0; i < 12; ++i) client.text(subscribe(std::to_string(i), "{a}"));
  REQUIRE(eventually([&] { return waits() == 4; }));
  std::this_thread::sleep_for(100ms);
  CHECK(waits() == 4);
  for (std::size_t answered = 0; answered < 12; ++answered) {
    REQUIRE(eventually([&] { return waits() > answered; }));
    std::pair<completion, thread_context*> one;
    {
      const std::lock_guard lock(mutex);
      one = waiting[answered];
    }
    one.second->post([done = one.first] { done(data("{}")); });
    CHECK(client.receive().payload.find("next") != std::string::npos);
    CHECK(client.receive().payload.find("complete") != std::string::npos);
  }
}

TEST_CASE("a ping with a fresh token renews the connection, for the same user and device only") {
  test_server server;
  auto client = server.connect();
  const auto renew = [&](const std::string& token) {
    client.text(R"({"type":"ping","payload":{"authorization":"Bearer )" + token + R"("}})");
  };
  renew(token_for("u1", 7'200'000));
  CHECK(client.receive().payload == R"({"type":"pong"})"); // the token is not echoed
  REQUIRE(server.gateway.opened_count() == 2);
  CHECK(server.gateway.opened[0].first == server.gateway.opened[1].first);
  CHECK(server.gateway.opened[1].second->expires > server.gateway.opened[0].second->expires);
  SUBCASE("another user") {
    renew(token_for("u2"));
  }
  SUBCASE("another tenant") {
    renew(token_for("u1", 3'600'000, std::nullopt, "t2"));
  }
  SUBCASE("another device") {
    renew(token_for("u1", 3'600'000, "d1"));
  }
  SUBCASE("no valid token") {
    renew("x.y.z");
  }
  CHECK(client.receive_close().close_code() == 4403);
}

TEST_CASE("the connection closes with 4403 when its token expires, unless it was renewed") {
  test_server server;
  ws_client client(server.port);
  ws_client renewed(server.port);
  REQUIRE(client.initialise(token_for("u1", 1'500)));
  REQUIRE(renewed.initialise(token_for("u1", 1'500)));
  renewed.text(R"({"type":"ping","payload":{"authorization":")" + token_for() + R"("}})");
  CHECK(renewed.receive().payload == R"({"type":"pong"})");
  const auto close = client.receive_close();
  CHECK(close.close_code() == 4403);
  CHECK(close.close_reason() == "token expired");
  renewed.text(R"({"type":"ping"})");
  CHECK(renewed.receive().payload == R"({"type":"pong"})");
}

TEST_CASE("the gateway can close a connection from any thread, and hears of every end once") {
  test_server server;
  auto client = server.connect();
  {
    const std::lock_guard lock(server.gateway.mutex);
    const auto handle = server.gateway.handles.at(0).lock();
    REQUIRE(handle);
    handle->close(4403, "the device was deactivated");
  }
  const auto close = client.receive_close();
  CHECK(close.close_code() == 4403);
  CHECK(close.close_reason() == "the device was deactivated");
  CHECK(eventually([&] { return server.gateway.closed_count() == 1; }));
  CHECK(server.gateway.closed[0] == server.gateway.opened[0].first);
  CHECK(eventually([&] { return server.gateway.handles[0].expired(); }));
  {
    auto gone = server.connect(); // without a word
  }
  CHECK(eventually([&] { return server.gateway.closed_count() == 2; }));
  auto polite = server.connect();
  polite.frame(8, std::string("\x03\xe8", 2));
  CHECK(polite.receive().close_code() == 1000);
  CHECK(polite.wire.is_closed_within(1s));
  CHECK(eventually([&] { return server.gateway.closed_count() == 3; }));
  const auto totals = server.running->totals();
  CHECK(totals.closes[close_code_index(4403)] == 1);
  CHECK(totals.closes[close_code_index(1000)] == 1);
  // A session ends a moment after the gateway heard of it.
  CHECK(eventually([&] {
    const auto now = server.running->totals();
    return now.websocket_connections == 0 && now.http_connections == 0;
  }));
}

TEST_CASE("a handle outlives its server without harm") {
  std::shared_ptr<connection_handle> handle;
  {
    test_server server;
    auto client = server.connect();
    handle = server.gateway.handles.at(0).lock();
    REQUIRE(handle);
  }
  handle->close(4403, "too late");
}

TEST_CASE("only browsers of allowed origins come in") {
  server_options options;
  options.allowed_origins = {"https://app.example.com"};
  test_server server(options);
  CHECK(ws_client(server.port, with_headers({{"Origin", "https://app.example.com"}})).upgrade_status == 101);
  CHECK(ws_client(server.port).upgrade_status == 101); // no browser
  for (const auto* origin :
       {"https://evil.example.com", "null", "https://app.example.com.evil.com", "http://app.example.com"})
    CHECK(ws_client(server.port, with_headers({{"Origin", origin}})).upgrade_status == 403);
  CHECK(server.running->totals().refused_origins == 4);
}

TEST_CASE("upgrades that are none are refused as HTTP") {
  test_server server;
  const auto status = [&](std::map<std::string, std::string> change, std::string_view method = "GET",
                          std::string_view target = "/graphql") {
    std::map<std::string, std::string> headers = {{"Upgrade", "websocket"},
                                                  {"Connection", "Upgrade"},
                                                  {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                                  {"Sec-WebSocket-Version", "13"}};
    for (const auto& [name, value] : change) {
      if (value.empty())
        headers.erase(name);
      else
        headers[name] = value;
    }
    http_client client(server.port);
    return client.request(method, target, headers).status;
  };
  CHECK(status({}) == 101);
  CHECK(status({{"Sec-WebSocket-Version", "8"}}) == 426);
  CHECK(status({{"Sec-WebSocket-Key", ""}}) == 400);
  CHECK(status({{"Upgrade", "h2c"}}) == 401); // an ordinary GET without a token
  CHECK(status({{"Content-Length", "3"}}) == 400);
  CHECK(status({}, "GET", "/elsewhere") == 404);
}

TEST_CASE("sessions spread over the network threads and answer on them") {
  server_options options;
  options.threads = 3;
  test_server server(options);
  std::mutex mutex;
  std::set<unsigned> threads;
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context& thread) {
    {
      const std::lock_guard lock(mutex);
      threads.insert(thread.index());
    }
    done(data("{}"));
  };
  std::vector<ws_client> clients;
  for (int i = 0; i < 9; ++i) clients.push_back(server.connect());
  for (auto& client : clients) client.text(subscribe("1", "{a}"));
  for (auto& client : clients) CHECK(client.receive().payload == R"({"id":"1","type":"next","payload":{}})");
  CHECK(threads == std::set<unsigned>{0, 1, 2});
  CHECK(server.gateway.gateways == 3);
}
