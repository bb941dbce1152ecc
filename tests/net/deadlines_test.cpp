// Peers that are slow on purpose, and the bounds on connections and queues.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <unistd.h>

#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {
// Leaves the process without a free descriptor, but for one that `use` may take.
class descriptor_famine {
 public:
  explicit descriptor_famine(const std::function<void()>& use) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few{200, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    for (int one = 0; (one = ::dup(0)) >= 0;) taken_.push_back(one);
    ::close(taken_.back());
    taken_.pop_back();
    use();
  }
  ~descriptor_famine() { end(); }
  void end() {
    for (const int one : taken_) ::close(one);
    if (!taken_.empty()) setrlimit(RLIMIT_NOFILE, &before_);
    taken_.clear();
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};
} // namespace

TEST_CASE("headers that drip in are cut off with 408, and silence without a word") {
  server_options options;
  options.header_timeout_ms = 500;
  test_server server(options);
  wire_client silent(server.port);
  wire_client dripping(server.port);
  const auto start = std::chrono::steady_clock::now();
  dripping.send("GET /healthz HTTP/1.1\r\nX-Slow: ");
  std::string got;
  while (!dripping.is_at_end() && elapsed_ms(start) < 3'000) {
    dripping.send("x");
    got += dripping.receive(50ms);
  }
  CHECK(elapsed_ms(start) >= 300);
  CHECK(elapsed_ms(start) < 1'500);
  CHECK(got.starts_with("HTTP/1.1 408"));
  CHECK(silent.receive_all(1s) == "");
  CHECK(silent.is_at_end());
}

TEST_CASE("a body that drips in is cut off, one that makes progress is not") {
  server_options options;
  options.message_timeout_ms = 500;
  options.bytes_per_second_min = 1'000;
  test_server server(options);
  const std::string head =
      "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ";
  http_client dripping(server.port);
  const auto start = std::chrono::steady_clock::now();
  dripping.wire.send(head + "100000\r\nAuthorization: Bearer " + token_for() + "\r\n\r\n{");
  while (!dripping.wire.is_at_end() && elapsed_ms(start) < 4'000) {
    if (!dripping.wire.send(" ")) break;
    if (dripping.wire.receive(50ms).starts_with("HTTP/1.1 408")) break;
  }
  CHECK(elapsed_ms(start) < 2'000);

  // 4,000 bytes in 1.6 s: beyond the 500 ms, but at 2,500 bytes a second.
  http_client steady(server.port);
  std::string body = R"({"query":"{a}"})";
  body.append(4'000 - body.size(), ' ');
  steady.wire.send(head + "4000\r\nAuthorization: Bearer " + token_for() + "\r\n\r\n");
  for (int i = 0; i < 16; ++i) {
    steady.wire.send(std::string_view(body).substr(static_cast<std::size_t>(i) * 250, 250));
    std::this_thread::sleep_for(100ms);
  }
  const auto response = steady.read_response();
  CAPTURE(response.body);
  CHECK(response.status == 200);
}

TEST_CASE("a WebSocket message that drips in closes the socket, however many pings come between") {
  server_options options;
  options.message_timeout_ms = 500;
  test_server server(options);
  const auto start = std::chrono::steady_clock::now();
  auto client = server.connect();
  client.frame(1, "{", false);
  ws_frame close;
  while (close.opcode != 8 && elapsed_ms(start) < 4'000) {
    client.frame(9, "");
    client.frame(0, " ", false);
    std::this_thread::sleep_for(50ms);
    while ((close = client.receive(5ms)).opcode == 10) {
    }
    if (client.wire.is_at_end()) break;
  }
  CHECK(close.close_code() == 1013);
  CHECK(elapsed_ms(start) < 2'500);
}

TEST_CASE("pings and pongs between messages are no message that takes too long") {
  server_options options;
  options.message_timeout_ms = 300;
  test_server server(options);
  auto client = server.connect();
  for (int i = 0; i < 8; ++i) {
    client.frame(9, "p");
    CHECK(client.receive().opcode == 10);
    client.frame(10, "");
    std::this_thread::sleep_for(100ms);
  }
  client.text(R"({"type":"ping"})");
  CHECK(client.receive().payload == R"({"type":"pong"})");
}

TEST_CASE("a quiet client is pinged, and dropped when it does not answer") {
  server_options options;
  options.ping_interval_ms = 400;
  test_server server(options);
  auto alive = server.connect();
  auto dead = server.connect();
  CHECK(dead.receive(2s, true).opcode == 9);
  const auto start = std::chrono::steady_clock::now();
  while (elapsed_ms(start) < 2'000) {
    if (const auto got = alive.receive(50ms, true); got.opcode == 9) alive.frame(10, got.payload);
  }
  CHECK(dead.wire.is_closed_within(1s));
  alive.text(R"({"type":"ping"})");
  auto got = alive.receive();
  CHECK(got.payload == R"({"type":"pong"})");
}

TEST_CASE("a client that asks and never reads is closed, and what it holds is bounded") {
  server_options options;
  options.write_timeout_ms = 600;
  options.queued_bytes_max = 64 << 10;
  test_server server(options);
  const std::string answer = R"({"data":")" + std::string(100'000, 'y') + R"("})";
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context&) {
    done(data(answer));
  };
  ws_client client(server.port, with_receive_buffer(4096));
  REQUIRE(client.initialise(token_for()));
  for (int i = 0; i < 2'000 && server.gateway.closed_count() == 0; ++i)
    if (!client.wire.send(ws_client::frame_bytes(1, subscribe(std::to_string(i), "{a}")))) break;
  CHECK(eventually([&] { return server.gateway.closed_count() == 1; }));
  CHECK(server.running->totals().deadline_closes == 1);
  // Far fewer were executed than were asked for: reading paused.
  CHECK(server.gateway.executed < 100);
}

TEST_CASE("answers that pile up on a full queue close the socket with 1013") {
  server_options options;
  options.queued_bytes_max = 64 << 10;
  test_server server(options);
  const std::string answer = R"({"data":")" + std::string(100'000, 'y') + R"("})";
  std::mutex mutex;
  std::vector<completion> waiting;
  thread_context* thread = nullptr;
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context& on) {
    if (request.query == "{small}") return done(data("{}"));
    const std::lock_guard lock(mutex);
    waiting.push_back(std::move(done));
    thread = &on;
  };
  ws_client client(server.port, with_receive_buffer(32 << 10));
  REQUIRE(client.initialise(token_for()));
  // Answers so small let all that follow run at a time.
  for (int i = 0; i < 30; ++i) client.text(subscribe("s" + std::to_string(i), "{small}"));
  for (int i = 0; i < 60; ++i) REQUIRE(client.receive().opcode == 1);
  for (int i = 0; i < 60; ++i) client.text(subscribe(std::to_string(i), "{a}"));
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return waiting.size() == 60;
  }));
  thread->post([&] {
    for (const auto& done : waiting) done(data(answer));
  });
  CHECK(eventually([&] { return server.running->totals().queue_overflows == 1; }));
  // Now it reads: what was queued, and behind it the close.
  CHECK(client.receive_close(10s).close_code() == 1013);
  CHECK(server.running->totals().bytes_sent < 600'000);
}

TEST_CASE("a slow reader that reads gets everything") {
  server_options options;
  options.write_timeout_ms = 500;
  options.bytes_per_second_min = 100'000;
  test_server server(options);
  const std::string answer = R"({"data":")" + std::string(4 << 20, 'y') + R"("})";
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context&) {
    done(data(answer));
  };
  ws_client client(server.port, with_receive_buffer(64 << 10));
  REQUIRE(client.initialise(token_for()));
  client.text(subscribe("1", "{a}"));
  std::string got;
  while (got.size() < answer.size()) {
    const auto part = client.wire.receive(1s);
    if (part.empty()) break;
    got += part;
    std::this_thread::sleep_for(5ms);
  }
  CHECK(got.size() > answer.size());
}

TEST_CASE("a close that is not answered ends all the same") {
  server_options options;
  options.close_timeout_ms = 300;
  test_server server(options);
  auto client = server.connect();
  client.text("{");
  CHECK(client.receive().close_code() == 4400);
  CHECK(client.wire.is_closed_within(1'500ms)); // without our close frame
  // The same when Beast found the fault.
  auto other = server.connect();
  other.frame(3, "");
  CHECK(other.receive().close_code() == 1002);
  CHECK(eventually([&] { return server.running->totals().websocket_connections == 0; }));
}

TEST_CASE("connections are bounded in all: further ones wait for a place") {
  server_options options;
  options.connections_max = 2;
  test_server server(options);
  auto first = std::make_unique<http_client>(server.port);
  http_client second(server.port);
  CHECK(first->request("GET", "/healthz").status == 200);
  CHECK(second.request("GET", "/healthz").status == 200);
  http_client third(server.port); // stands in the kernel's queue
  third.wire.send(http_client::text_of("GET", "/healthz"));
  CHECK(third.read_response(300ms).status == 0);
  first.reset();
  CHECK(third.read_response(2s).status == 200);
  CHECK(server.running->totals().refused_connections_limit > 0);
}

TEST_CASE("a server without descriptors pauses and comes back") {
  test_server server;
  http_client established(server.port);
  CHECK(established.request("GET", "/healthz").status == 200);
  std::unique_ptr<http_client> late;
  descriptor_famine famine([&] { late = std::make_unique<http_client>(server.port); });
  late->wire.send(http_client::text_of("GET", "/healthz"));
  CHECK(late->read_response(300ms).status == 0);
  CHECK(established.request("GET", "/healthz").status == 200);
  famine.end();
  CHECK(late->read_response(2s).status == 200);
}
