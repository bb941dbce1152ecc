// Peers that ask for much and read little: what waits for them is bounded, nothing that they asked for is
// lost while they read at all, and who reads nothing is cut.
#include <doctest/doctest.h>

#include <sys/socket.h>

#include "net/send_queue.hpp"
#include "tests/net/certificate_files.hpp"
#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

constexpr std::size_t bound = 256 << 10;

server_options bounded() {
  server_options options;
  options.queued_bytes_max = bound;
  return options;
}

std::string answer_of(std::size_t bytes) {
  return R"({"data":")" + std::string(bytes, 'y') + R"("})";
}

// Each query is answered in a later turn, `{small}` with a few bytes, others with so many.
void answer_later(test_server& server, std::size_t bytes) {
  server.gateway.on_execute = [bytes](const graphql_request& request, completion done,
                                      thread_context& thread) {
    thread.post([done = std::move(done), body = request.query == "{small}" ? "{}" : answer_of(bytes)] {
      done(data(body));
    });
  };
}

std::uint64_t queued(const test_server& server) {
  return server.running->totals().queued_bytes;
}

// Waits until nothing moves any more; the most that was queued meanwhile.
std::uint64_t settle(const test_server& server) {
  std::uint64_t peak = 0;
  std::uint64_t last = ~std::uint64_t{0};
  for (int still = 0; still < 20;) {
    const auto now = queued(server);
    peak = std::max(peak, now);
    still = now == last ? still + 1 : 0;
    last = now;
    std::this_thread::sleep_for(10ms);
  }
  return peak;
}

class long_metrics final : public status_source {
 public:
  explicit long_metrics(std::size_t bytes)
      : text_(bytes, 'm') {}
  bool is_ready(std::string&) override { return true; }
  std::string metrics_text() override { return text_; }

 private:
  const std::string text_;
};

} // namespace

TEST_CASE("a queue gives bytes back in their order, and holds the memory of what waits only") {
  send_queue queue;
  CHECK(queue.empty());
  std::string expected;
  std::string got;
  std::uint32_t random = 1;
  const auto next = [&](std::uint32_t below) {
    return ((random = random * 1'664'525 + 1'013'904'223) >> 8) % below;
  };
  for (int round = 0; round < 20'000; ++round) {
    const auto piece = std::string(next(900), static_cast<char>('a' + round % 26));
    queue.tail() += piece;
    expected += piece;
    REQUIRE(queue.bytes() == expected.size() - got.size());
    if (queue.bytes() < 300'000) continue;
    for (auto left = next(400'000); left > 0 && !queue.empty();) {
      const auto front = queue.front();
      REQUIRE_FALSE(front.empty());
      const auto taken = std::min<std::size_t>(front.size(), std::min<std::size_t>(left, 1 + next(70'000)));
      got += front.substr(0, taken);
      queue.take(taken);
      left -= static_cast<std::uint32_t>(taken);
    }
  }
  while (!queue.empty()) {
    const auto front = queue.front();
    got += front;
    queue.take(front.size());
  }
  CHECK(got == expected);
  CHECK(queue.front().empty());
  queue.tail() += "x";
  queue.clear();
  CHECK(queue.empty());
}

TEST_CASE(
    "a client that asks for much and does not read is not read from, and gets everything when it reads") {
  certificate_files files;
  auto options = bounded();
  ws_client::options with = with_receive_buffer(128 << 10);
  SUBCASE("plain") {}
  SUBCASE("over TLS") {
    files.write("one.example.com");
    options.tls_certificate_file = files.certificate;
    options.tls_key_file = files.key;
    with.is_tls = true;
  }
  test_server server(options);
  constexpr std::size_t each = 50'000;
  constexpr int count = 200;
  answer_later(server, each);
  auto client = server.connect(with);
  std::string all;
  for (int i = 0; i < count; ++i) all += ws_client::frame_bytes(1, subscribe(std::to_string(i), "{a}"));
  REQUIRE(client.wire.send(all));
  const auto peak = settle(server);
  CHECK(peak > bound / 4);
  CHECK(peak < bound + 2 * each);
  CHECK(server.gateway.executed < count);
  CHECK(server.running->totals().requests_in_flight == 0);
  const auto executed = server.gateway.executed.load();
  for (int i = 0; i < count; ++i) {
    const auto message = client.receive().payload;
    REQUIRE(message ==
            R"({"id":")" + std::to_string(i) + R"(","type":"next","payload":)" + answer_of(each) + "}");
    REQUIRE(client.receive().payload == R"({"id":")" + std::to_string(i) + R"(","type":"complete"})");
  }
  CHECK(executed < count);
  CHECK(server.gateway.executed == count);
  const auto totals = server.running->totals();
  CHECK(totals.read_pauses > 0);
  CHECK(totals.queue_overflows == 0);
  CHECK(totals.closes[close_code_index(1013)] == 0);
  CHECK(eventually([&] { return queued(server) == 0; }));
}

TEST_CASE("answers larger than the whole bound are given one at a time") {
  test_server server(bounded());
  answer_later(server, 3 * bound);
  auto client = server.connect(with_receive_buffer(16 << 10));
  const auto expect = [&](int i) {
    const auto message = client.receive().payload;
    CHECK(message.starts_with(R"({"id":")" + std::to_string(i) + R"(","type":"next")"));
    CHECK(message.size() > 3 * bound);
    CHECK(client.receive().payload == R"({"id":")" + std::to_string(i) + R"(","type":"complete"})");
  };
  client.text(subscribe("0", "{a}")); // tells how large they are
  expect(0);
  for (int i = 1; i < 6; ++i) client.text(subscribe(std::to_string(i), "{a}"));
  CHECK(settle(server) < 4 * bound);
  for (int i = 1; i < 6; ++i) expect(i);
  CHECK(server.running->totals().queue_overflows == 0);
}

TEST_CASE("small answers are not held back: as many requests run at a time as may") {
  auto options = bounded();
  options.requests_in_flight_max = 50;
  test_server server(options);
  std::mutex mutex;
  std::vector<completion> waiting;
  thread_context* thread = nullptr;
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context& on) {
    if (request.query == "{small}") return done(data("{}"));
    const std::lock_guard lock(mutex);
    waiting.push_back(std::move(done));
    thread = &on;
  };
  const auto waits = [&] {
    const std::lock_guard lock(mutex);
    return waiting.size();
  };
  auto client = server.connect();
  // The first answers tell how large they are.
  for (int i = 0; i < 30; ++i) client.text(subscribe("s" + std::to_string(i), "{small}"));
  for (int i = 0; i < 60; ++i) REQUIRE(client.receive().opcode == 1);
  for (int i = 0; i < 80; ++i) client.text(subscribe(std::to_string(i), "{a}"));
  REQUIRE(eventually([&] { return waits() == 50; }));
  thread->post([&] {
    std::vector<completion> all;
    {
      const std::lock_guard lock(mutex);
      all.swap(waiting);
    }
    for (const auto& done : all) done(data("{}"));
  });
  REQUIRE(eventually([&] { return waits() == 30; }));
}

TEST_CASE("a queue of answers pauses the subscriptions of its connection too, and both go on") {
  test_server server(bounded());
  constexpr std::size_t each = 50'000;
  event_sink* sink = nullptr;
  std::atomic<int> resumed{0};
  std::atomic<bool> had_room{true};
  class source final : public event_source {
   public:
    source(event_sink*& to, std::atomic<int>& resumed)
        : to_(to)
        , resumed_(resumed) {}
    void start(event_sink& to) override { to_ = &to; }
    void resume() override {
      ++resumed_;
      to_->next(R"({"data":"event"})");
    }

   private:
    event_sink*& to_;
    std::atomic<int>& resumed_;
  };
  std::atomic<thread_context*> thread{nullptr};
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context& on) {
    thread = &on;
    if (request.query != "s") return on.post([done = std::move(done)] { done(data(answer_of(each))); });
    graphql_answer answer;
    answer.events = std::make_shared<source>(sink, resumed);
    done(std::move(answer));
  };
  auto client = server.connect(with_receive_buffer(16 << 10));
  client.text(subscribe("s", "s"));
  for (int i = 0; i < 60; ++i) client.text(subscribe(std::to_string(i), "{a}"));
  CHECK(settle(server) < bound + 2 * each);
  thread.load()->post([&] { had_room = sink->has_room(); });
  REQUIRE(eventually([&] { return !had_room.load(); }));
  CHECK(resumed == 0);
  int events = 0;
  for (int messages = 0; messages < 121; ++messages) {
    const auto message = client.receive().payload;
    REQUIRE_FALSE(message.empty());
    if (message == R"({"id":"s","type":"next","payload":{"data":"event"}})") ++events;
  }
  CHECK(events == 1);
  CHECK(resumed == 1);
}

TEST_CASE("pings are answered as fast as the answers are read, and no faster") {
  test_server server(bounded());
  auto client = server.connect(with_receive_buffer(128 << 10));
  const timeval brief{0, 300'000};
  ::setsockopt(client.wire.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
  const std::string payload(125, 'p');
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += ws_client::frame_bytes(9, payload);
  // Until the server takes no more of them.
  std::uint64_t peak = 0;
  int rounds = 0;
  for (; rounds < 1'000 && client.wire.send(many); ++rounds) peak = std::max(peak, queued(server));
  CHECK(rounds < 1'000);
  CHECK(std::max(peak, settle(server)) < bound + (64 << 10));
  CHECK(server.running->totals().websocket_connections == 1);
  // What it sent is answered when it reads.
  int pongs = 0;
  for (auto got = client.receive(1s); got.opcode == 10 && got.payload == payload; got = client.receive(1s))
    ++pongs;
  CHECK(pongs >= rounds * 1'000);
}

TEST_CASE("a slow reader is not taken for one that is gone while much is on its way to it") {
  server_options options;
  options.ping_interval_ms = 200;
  test_server server(options);
  answer_later(server, 12 << 20);
  auto client = server.connect(with_receive_buffer(16 << 10));
  client.text(subscribe("1", "{a}"));
  std::string got;
  const auto began = std::chrono::steady_clock::now();
  while (got.size() < 12 << 20) {
    const auto part = client.wire.receive(1s);
    if (part.empty()) break;
    got += part;
    if (got.size() < 6 << 20) std::this_thread::sleep_for(15ms);
  }
  CHECK(std::chrono::steady_clock::now() - began > 1s);
  CHECK(got.size() >= 12 << 20);
  CHECK(server.running->totals().deadline_closes == 0);
}

TEST_CASE("HTTP: who asks on and does not read is not read from, and gets everything when it reads") {
  long_metrics metrics(40'000);
  test_server server(bounded(), &metrics);
  http_client client(server.port);
  client.wire.set_receive_buffer(16 << 10);
  constexpr int count = 2'000;
  std::string all;
  for (int i = 0; i < count; ++i) all += http_client::text_of("GET", "/metrics");
  std::thread asking([&] { client.wire.send(all); });
  const auto peak = settle(server);
  CHECK(peak > bound / 4);
  CHECK(peak < bound + 100'000);
  CHECK(server.running->totals().http_requests < count);
  int whole = 0;
  for (; whole < count; ++whole) {
    const auto response = client.read_response();
    if (response.status != 200 || response.body.size() != 40'000) break;
  }
  asking.join();
  CHECK(whole == count);
  CHECK(server.running->totals().read_pauses > 0);
  CHECK(eventually([&] { return queued(server) == 0; }));
}

TEST_CASE("HTTP: who asks and never reads is cut") {
  long_metrics metrics(40'000);
  auto options = bounded();
  options.write_timeout_ms = 500;
  test_server server(options, &metrics);
  wire_client client(server.port);
  client.set_receive_buffer(16 << 10);
  std::string all;
  for (int i = 0; i < 500; ++i) all += http_client::text_of("GET", "/metrics");
  REQUIRE(client.send(all));
  CHECK(settle(server) < bound + 100'000);
  CHECK(eventually([&] { return server.running->totals().http_connections == 0; }));
  CHECK(server.running->totals().deadline_closes == 1);
  CHECK(queued(server) == 0);
}

TEST_CASE("HTTP: who ends its own direction after asking gets the whole answer") {
  long_metrics metrics(12 << 20);
  certificate_files files;
  server_options options;
  SUBCASE("plain") {}
  SUBCASE("over TLS") {
    files.write("one.example.com");
    options.tls_certificate_file = files.certificate;
    options.tls_key_file = files.key;
  }
  test_server server(options, &metrics);
  http_client client(server.port, options.uses_tls());
  client.wire.set_receive_buffer(128 << 10);
  client.wire.send(http_client::text_of("GET", "/metrics"));
  client.wire.shut_down();
  REQUIRE(settle(server) > 1 << 20);
  const auto response = client.read_response();
  CHECK(response.status == 200);
  CHECK(response.body.size() == 12 << 20);
  CHECK(client.wire.is_closed_within(2s));
}

TEST_CASE("HTTP: the silence between requests begins when the answer has been taken") {
  long_metrics metrics(12 << 20);
  server_options options;
  options.keep_alive_timeout_ms = 300;
  test_server server(options, &metrics);
  http_client client(server.port);
  client.wire.set_receive_buffer(128 << 10);
  client.wire.send(http_client::text_of("GET", "/metrics"));
  std::this_thread::sleep_for(1s);
  const auto response = client.read_response();
  CHECK(response.status == 200);
  CHECK(response.body.size() == 12 << 20);
  CHECK(client.request("GET", "/healthz").status == 200);
  CHECK(client.wire.is_closed_within(2s));
}

TEST_CASE("HTTP: a request that is given up cuts no earlier answer") {
  long_metrics metrics(3 << 20);
  server_options options;
  options.header_timeout_ms = 300;
  test_server server(options, &metrics);
  http_client client(server.port);
  client.wire.set_receive_buffer(128 << 10);
  client.wire.send(http_client::text_of("GET", "/metrics") + "GET /healthz HT");
  std::this_thread::sleep_for(1s);
  const auto response = client.read_response();
  CHECK(response.status == 200);
  CHECK(response.body.size() == 3 << 20);
  CHECK(client.read_response().status == 408);
  CHECK(client.wire.is_closed_within(2s));
}

TEST_CASE("HTTP: a stop lets a slow reader take what it was answered") {
  long_metrics metrics(12 << 20);
  test_server server({}, &metrics);
  http_client client(server.port);
  client.wire.set_receive_buffer(128 << 10);
  client.wire.send(http_client::text_of("GET", "/metrics"));
  REQUIRE(eventually([&] { return queued(server) > 1 << 20; }));
  std::thread stopping([&] { server.running->stop(); });
  std::this_thread::sleep_for(200ms);
  CHECK(client.read_response().body.size() == 12 << 20);
  CHECK(client.wire.is_closed_within(2s));
  stopping.join();
}

TEST_CASE("who asks, upgrades and never reads is cut like anybody else") {
  long_metrics metrics(3 << 20);
  server_options options;
  options.write_timeout_ms = 500;
  test_server server(options, &metrics);
  wire_client client(server.port);
  client.set_receive_buffer(128 << 10);
  client.send(http_client::text_of("GET", "/metrics"));
  REQUIRE(eventually([&] { return queued(server) > 1 << 20; }));
  client.send(http_client::text_of("GET", "/graphql",
                                   {{"Upgrade", "websocket"},
                                    {"Connection", "Upgrade"},
                                    {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                    {"Sec-WebSocket-Version", "13"},
                                    {"Sec-WebSocket-Protocol", "graphql-transport-ws"}}));
  REQUIRE(eventually([&] { return server.running->totals().websocket_connections == 1; }));
  CHECK(queued(server) > 1 << 20);
  CHECK(eventually([&] { return server.running->totals().websocket_connections == 0; }));
  CHECK(queued(server) == 0);
}
