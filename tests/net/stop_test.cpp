// Start and stop: in an orderly way, within the time, whatever the peers do.
#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {
// A gateway's script that holds every request until `answer_all`.
struct held {
  std::mutex mutex;
  std::vector<std::pair<completion, thread_context*>> waiting;
  void hold(script& by) {
    by.on_execute = [this](const graphql_request&, completion done, thread_context& thread) {
      const std::lock_guard lock(mutex);
      waiting.emplace_back(std::move(done), &thread);
    };
  }
  std::size_t size() {
    const std::lock_guard lock(mutex);
    return waiting.size();
  }
  void answer_all() {
    const std::lock_guard lock(mutex);
    for (auto& [done, thread] : waiting)
      thread->post([done = std::move(done)] { done(data(R"({"data":1})")); });
    waiting.clear();
  }
};
} // namespace

TEST_CASE("a stop answers what is in flight, closes WebSockets with 1001 and accepts nobody new") {
  server_options options;
  options.threads = 2;
  test_server server(options);
  held requests;
  requests.hold(server.gateway);
  auto idle = server.connect();
  auto busy = server.connect();
  busy.text(subscribe("1", "{a}"));
  http_client posting(server.port);
  posting.wire.send(http_client::text_of(
      "POST", "/graphql", {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token_for()}},
      R"({"query":"{a}"})"));
  http_client kept(server.port);
  CHECK(kept.request("GET", "/healthz").status == 200);
  REQUIRE(eventually([&] { return requests.size() == 2; }));

  const auto start = std::chrono::steady_clock::now();
  std::thread stopping([&] { server.running->stop(); });
  CHECK(idle.receive_close(2s).close_code() == 1001);
  CHECK(kept.wire.is_closed_within(2s));
  CHECK(eventually([&] { return !wire_client(server.port).is_connected(); }));
  CHECK(busy.receive(300ms).opcode == -1); // not closed: its answer is owed
  requests.answer_all();
  CHECK(busy.receive().payload == R"({"id":"1","type":"next","payload":{"data":1}})");
  CHECK(busy.receive().payload == R"({"id":"1","type":"complete"})");
  CHECK(busy.receive_close().close_code() == 1001);
  const auto got = posting.read_response();
  CHECK(got.status == 200);
  CHECK(got.headers.at("connection") == "close");
  { wire_client end(std::move(posting.wire)); }
  stopping.join();
  CHECK(elapsed_ms(start) < 4'000);
  CHECK(server.gateway.gateways == 0);
  CHECK(server.gateway.closed_count() == server.gateway.opened_count());
  server.running->stop(); // again does nothing
}

TEST_CASE("a stop does not wait longer than it may for answers, nor for peers that do not listen") {
  server_options options;
  options.stop_timeout_ms = 2'000;
  test_server server(options);
  held requests;
  requests.hold(server.gateway);
  auto stuck = server.connect();
  stuck.text(subscribe("1", "{a}"));
  auto deaf = server.connect(); // answers no close
  http_client posting(server.port);
  posting.wire.send(http_client::text_of(
      "POST", "/graphql", {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token_for()}},
      R"({"query":"{a}"})"));
  http_client half(server.port);
  half.wire.send("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
  REQUIRE(eventually([&] { return requests.size() == 2; }));
  const auto start = std::chrono::steady_clock::now();
  server.running->stop();
  CHECK(elapsed_ms(start) < 2'500);
  CHECK(stuck.receive_close().close_code() == 1001);
  CHECK(posting.read_response().status == 503);
  CHECK(half.wire.is_closed_within(1s));
  CHECK(server.gateway.closed_count() == server.gateway.opened_count());
  requests.answer_all(); // too late, and harmless
}

TEST_CASE("a server that is destroyed while peers connect, ask and leave ends cleanly") {
  for (int round = 0; round < 5; ++round) {
    server_options options;
    options.threads = 2;
    options.stop_timeout_ms = 1'000;
    auto server = std::make_unique<test_server>(options);
    std::atomic<bool> enough{false};
    std::vector<std::thread> crowd;
    for (int i = 0; i < 4; ++i) {
      crowd.emplace_back([&, i, port = server->port] {
        const auto token = token_for();
        while (!enough) {
          ws_client client(port);
          if (client.upgrade_status != 101 || !client.initialise(token)) continue;
          for (int j = 0; j < 20; ++j) client.text(subscribe(std::to_string(j), "{a}"));
          if (i % 2 == 0) client.receive(5ms);
        }
      });
    }
    std::this_thread::sleep_for(150ms);
    server->running->stop();
    CHECK(server->gateway.closed_count() == server->gateway.opened_count());
    enough = true;
    for (auto& one : crowd) one.join();
    server.reset();
  }
}

TEST_CASE("an address in use is said so, and a port is chosen when none is given") {
  test_server first;
  CHECK(first.port != 0);
  server_options options;
  options.listen = {{"127.0.0.1", first.port}};
  server second(
      options, verifier(), [](thread_context&) { return std::unique_ptr<gateway>(); }, nullptr);
  const auto started = second.start();
  REQUIRE_FALSE(started.ok());
  CHECK(started.failure().message.find("Address already in use") != std::string::npos);
}

TEST_CASE("a server listens on several addresses, IPv6 too, and knows its peers by address") {
  server_options options;
  options.listen = {{"127.0.0.1", 0}, {"::1", 0}};
  script gateway_script;
  std::string seen;
  gateway_script.on_execute = [&](const graphql_request& request, completion done, thread_context&) {
    seen = request.remote_address;
    done(data("{}"));
  };
  server both(
      options, verifier(),
      [&](thread_context& thread) { return std::make_unique<scripted_gateway>(gateway_script, thread); },
      nullptr);
  REQUIRE(both.start().ok());
  REQUIRE(both.ports().size() == 2);
  const int v6 = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_addr = in6addr_loopback;
  to.sin6_port = htons(both.ports()[1]);
  REQUIRE(::connect(v6, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  const auto text = http_client::text_of("POST", "/graphql",
                                         {{"Content-Type", "application/json"},
                                          {"Authorization", "Bearer " + token_for()},
                                          {"Connection", "close"}},
                                         R"({"query":"{a}"})");
  REQUIRE(::send(v6, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  char answer[16] = {};
  REQUIRE(::recv(v6, answer, 12, MSG_WAITALL) == 12);
  CHECK(std::string(answer) == "HTTP/1.1 200");
  CHECK(seen == "::1");
  ::close(v6);
  CHECK(http_client(both.ports()[0]).request("GET", "/healthz").status == 200);
}

TEST_CASE("posts to a thread run in their order, and none runs after the stop") {
  test_server server;
  thread_context* thread = nullptr;
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context& on) {
    thread = &on;
    done(data("{}"));
  };
  auto client = server.connect();
  client.text(subscribe("1", "{a}"));
  client.receive();
  REQUIRE(thread != nullptr);
  std::vector<int> order;
  std::atomic<int> ran{0};
  for (int i = 0; i < 10'000; ++i)
    thread->post([&, i] {
      order.push_back(i);
      ++ran;
    });
  REQUIRE(eventually([&] { return ran == 10'000; }));
  for (int i = 0; i < 10'000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  client.frame(8, std::string("\x03\xe8", 2));
  server.running->stop();
  thread->post([&] { ++ran; });
  std::this_thread::sleep_for(50ms);
  CHECK(ran == 10'000);
}
