// Operations that stay open: events from a scripted source to real sockets, and every way they can end.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include <sys/socket.h>

#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

class stage;

// A source that does what the test says; its thread is the network thread.
class scripted_source final : public event_source {
 public:
  scripted_source(stage& on, std::string name)
      : on_(on)
      , name_(std::move(name)) {}
  ~scripted_source() override;
  void start(event_sink& to) override;
  void resume() override;

  event_sink* to = nullptr;
  std::uint64_t sent = 0;

 private:
  stage& on_;
  const std::string name_;
};

// The gateway's script: each query begins a subscription of that name; the queries "{…}" are answered at
// once.
class stage {
 public:
  explicit stage(test_server& server)
      : server_(server) {
    server.gateway.on_execute = [this](const graphql_request& request, completion done,
                                       thread_context& thread) {
      const std::string name(request.query);
      if (name.starts_with("{")) return done(data(R"({"data":1})"));
      auto made = std::make_shared<scripted_source>(*this, name);
      {
        const std::lock_guard lock(mutex_);
        threads_[name] = &thread;
        sources_[name] = made;
      }
      graphql_answer answer;
      answer.events = std::move(made);
      if (hold_back) {
        const std::lock_guard lock(mutex_);
        held_.push_back(
            [done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
        return;
      }
      done(std::move(answer));
    };
  }
  // Before the script goes: nothing refers to it any more.
  ~stage() { server_.running->stop(); }

  // Runs it on the source's thread, with the source or, when it has ended, null; and waits.
  void with(const std::string& name, const std::function<void(scripted_source*)>& run) {
    thread_context* thread = nullptr;
    std::weak_ptr<scripted_source> source;
    {
      const std::lock_guard lock(mutex_);
      thread = threads_.at(name);
      source = sources_.at(name);
    }
    std::atomic<bool> ran{false};
    thread->post([&] {
      run(source.lock().get());
      ran = true;
    });
    REQUIRE(eventually([&] { return ran.load(); }));
  }
  // Sends these bodies in one turn.
  void send(const std::string& name, std::vector<std::string> bodies) {
    with(name, [&](scripted_source* source) {
      REQUIRE(source != nullptr);
      for (const auto& each : bodies) source->to->next(each);
    });
  }
  void answer_held(const std::string& name) {
    thread_context* thread = nullptr;
    {
      const std::lock_guard lock(mutex_);
      thread = threads_.at(name);
    }
    thread->post([this] {
      const std::lock_guard lock(mutex_);
      for (auto& each : held_) each();
      held_.clear();
    });
  }
  bool has(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return sources_.contains(name);
  }

  std::function<void(scripted_source&)> on_start = [](scripted_source&) {};
  std::function<void(scripted_source&)> on_resume = [](scripted_source&) {};
  std::function<void(scripted_source&)> on_end = [](scripted_source&) {};
  std::atomic<int> started{0}, resumed{0}, ended{0};
  std::atomic<bool> ended_elsewhere{false};
  std::atomic<bool> hold_back{false};
  std::map<std::string, std::thread::id> began_on;

 private:
  test_server& server_;
  std::mutex mutex_;
  std::map<std::string, thread_context*> threads_;
  std::map<std::string, std::weak_ptr<scripted_source>> sources_;
  std::vector<std::function<void()>> held_;
};

scripted_source::~scripted_source() {
  if (to != nullptr && on_.began_on[name_] != std::this_thread::get_id()) on_.ended_elsewhere = true;
  on_.on_end(*this);
  ++on_.ended;
}
void scripted_source::start(event_sink& sink) {
  to = &sink;
  on_.began_on[name_] = std::this_thread::get_id();
  ++on_.started;
  on_.on_start(*this);
}
void scripted_source::resume() {
  ++on_.resumed;
  on_.on_resume(*this);
}

std::string event(std::uint64_t number, std::size_t padding = 0) {
  return R"({"data":{"n":)" + std::to_string(number) + R"(,"x":")" + std::string(padding, 'x') + "\"}}";
}
std::string next_frame(const std::string& id, const std::string& body) {
  return R"({"id":")" + id + R"(","type":"next","payload":)" + body + "}";
}
std::string complete_message(const std::string& id) {
  return R"({"id":")" + id + R"(","type":"complete"})";
}

// Sends `count` events, as many as there is room for.
void pump(scripted_source& source, std::uint64_t count, std::size_t padding) {
  while (source.sent < count && source.to->has_room()) source.to->next(event(source.sent++, padding));
  if (source.sent == count) source.to->complete();
}

void sync_with(ws_client& client) {
  client.text(R"({"type":"ping"})");
  REQUIRE(client.receive().payload == R"({"type":"pong"})");
}

} // namespace

TEST_CASE("a subscription stays open: its events come in order, then its complete, and its id is free") {
  test_server server;
  stage on(server);
  auto client = server.connect();
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  auto totals = server.running->totals();
  CHECK(totals.subscriptions == 1);
  CHECK(totals.requests_in_flight == 0);
  CHECK(client.receive(50ms).opcode == -1); // nothing yet
  on.send("one", {event(1), R"({"errors":[{"message":"\u00e9"}],"data":null})"});
  CHECK(client.receive().payload == next_frame("s", event(1)));
  CHECK(client.receive().payload == next_frame("s", R"({"errors":[{"message":"\u00e9"}],"data":null})"));
  client.text(subscribe("q", "{a}")); // others go on beside it
  CHECK(client.receive().payload == next_frame("q", R"({"data":1})"));
  CHECK(client.receive().payload == complete_message("q"));
  on.send("one", {event(2)});
  CHECK(client.receive().payload == next_frame("s", event(2)));
  on.with("one", [](scripted_source* source) {
    auto& to = *source->to;
    to.complete();
    to.next(event(3)); // nothing may follow, and nothing does
    to.complete();
    to.fail(R"({"errors":[]})");
    CHECK_FALSE(to.has_room());
  });
  CHECK(client.receive().payload == complete_message("s"));
  sync_with(client);
  CHECK(on.ended == 1);
  totals = server.running->totals();
  CHECK(totals.subscriptions == 0);
  CHECK(totals.events_sent == 3);
  client.text(subscribe("s", "two"));
  REQUIRE(eventually([&] { return on.started == 2; }));
}

TEST_CASE(
    "a client's complete destroys the source at once; events that crossed it arrive, later ones do not") {
  test_server server;
  stage on(server);
  auto client = server.connect();
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  on.send("one", {event(1)}); // on its way while the client completes
  client.text(complete_message("s"));
  client.text(R"({"type":"ping"})");
  CHECK(client.receive().payload == next_frame("s", event(1)));
  CHECK(client.receive().payload == R"({"type":"pong"})"); // no complete is sent back
  CHECK(on.ended == 1);
  bool was_gone = false;
  on.with("one", [&](scripted_source* source) { was_gone = source == nullptr; });
  CHECK(was_gone);
  client.text(complete_message("s")); // again: the server's complete may have crossed this
  client.text(complete_message("never there"));
  client.text(subscribe("s", "two"));
  REQUIRE(eventually([&] { return on.started == 2; }));
  on.send("two", {event(2)});
  CHECK(client.receive().payload == next_frame("s", event(2)));
}

TEST_CASE("a subscription that is completed before it begins never starts") {
  test_server server;
  stage on(server);
  on.hold_back = true;
  auto client = server.connect();
  client.text(subscribe("s", "one"));
  client.text(complete_message("s"));
  sync_with(client);
  REQUIRE(on.has("one"));
  on.answer_held("one");
  REQUIRE(eventually([&] { return on.ended == 1; }));
  CHECK(on.started == 0);
  sync_with(client); // and nothing was said of it
  CHECK(server.running->totals().subscriptions == 0);
}

TEST_CASE("a source may end its operation in any call") {
  test_server server;
  stage on(server);
  auto client = server.connect();
  SUBCASE("in start") {
    on.on_start = [](scripted_source& source) {
      source.to->next(event(1));
      source.to->complete();
      source.sent = 7; // it is still there
    };
    client.text(subscribe("s", "one"));
    CHECK(client.receive().payload == next_frame("s", event(1)));
    CHECK(client.receive().payload == complete_message("s"));
  }
  SUBCASE("with errors") {
    on.on_start = [](scripted_source& source) {
      source.to->fail(R"({"errors":[{"message":"gone","extensions":{"code":"NOT_FOUND"}}]})");
      source.to->next(event(1));
    };
    client.text(subscribe("s", "one"));
    CHECK(client.receive().payload ==
          R"({"id":"s","type":"error","payload":[{"message":"gone","extensions":{"code":"NOT_FOUND"}}]})");
  }
  SUBCASE("as it is destroyed") {
    on.on_end = [](scripted_source& source) { source.to->complete(); };
    client.text(subscribe("s", "one"));
    REQUIRE(eventually([&] { return on.started == 1; }));
    client.text(complete_message("s"));
  }
  sync_with(client);
  CHECK(eventually([&] { return on.ended == 1; }));
  CHECK(server.running->totals().subscriptions == 0);
  on.on_end = [](scripted_source&) {};
}

TEST_CASE("a thousand events arrive in order, those of one turn in one piece") {
  test_server server;
  stage on(server);
  auto client = server.connect();
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  std::uint64_t number = 0;
  for (int turn = 0; turn < 20; ++turn)
    on.with("one", [&](scripted_source* source) {
      for (int i = 0; i < 50; ++i) source->to->next(event(number++));
    });
  for (std::uint64_t i = 0; i < 1000; ++i) REQUIRE(client.receive().payload == next_frame("s", event(i)));
  CHECK(server.running->totals().events_sent == 1000);
  // One turn is one write.
  on.with("one", [&](scripted_source* source) {
    for (int i = 0; i < 50; ++i) source->to->next(event(number++));
  });
  const auto piece = client.wire.receive();
  CHECK(piece.size() == 50 * (2 + next_frame("s", event(1000)).size()));
}

TEST_CASE("two subscriptions of one socket do not mix, and neither starves the other") {
  test_server server;
  stage on(server);
  constexpr std::uint64_t count = 12'000; // far more than the sockets take at once
  on.on_start = on.on_resume = [](scripted_source& source) { pump(source, count, 1'000); };
  auto client = server.connect(with_receive_buffer(256 << 10));
  client.text(subscribe("a", "one"));
  client.text(subscribe("b", "two"));
  REQUIRE(eventually([&] { return on.started == 2; }));
  std::map<std::string, std::uint64_t> seen{{"a", 0}, {"b", 0}};
  std::uint64_t apart_max = 0;
  std::set<std::string> done;
  while (done.size() < 2) {
    const auto message = client.receive().payload;
    REQUIRE(message.size() > 8);
    const auto id = message.substr(7, 1);
    if (message == complete_message(id)) {
      CHECK(seen[id] == count);
      done.insert(id);
      continue;
    }
    REQUIRE(message == next_frame(id, event(seen[id], 1'000)));
    ++seen[id];
    apart_max = std::max(apart_max, std::max(seen["a"], seen["b"]) - std::min(seen["a"], seen["b"]));
  }
  CHECK(apart_max < count / 2); // they took turns
  CHECK(on.resumed > 4);
}

TEST_CASE("a slow reader holds its source back, at the cost of a bounded queue, and then gets everything") {
  server_options options;
  options.stream_queued_bytes_max = 16 << 10;
  test_server server(options);
  stage on(server);
  constexpr std::uint64_t count = 20'000;
  std::atomic<std::uint64_t> sent{0};
  on.on_start = on.on_resume = [&](scripted_source& source) {
    pump(source, count, 1'000);
    sent = source.sent;
  };
  auto client = server.connect(with_receive_buffer(256 << 10));
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  std::this_thread::sleep_for(300ms);
  const auto waiting = sent.load();
  CHECK(waiting < 4'000); // what the sockets' buffers take of the 20 MB, and 16 KiB
  std::this_thread::sleep_for(200ms);
  CHECK(sent == waiting);
  // Meanwhile the connection serves what else it is asked.
  client.text(subscribe("q", "{a}"));
  bool answered = false;
  for (std::uint64_t next = 0; next < count;) {
    const auto message = client.receive().payload;
    if (message == next_frame("q", R"({"data":1})") || message == complete_message("q")) {
      answered = true;
      continue;
    }
    REQUIRE(message == next_frame("s", event(next, 1'000)));
    ++next;
  }
  CHECK(answered);
  CHECK(client.receive().payload == complete_message("s"));
  CHECK(on.resumed > 10);
  CHECK(server.running->totals().closes[close_code_index(1013)] == 0);
}

TEST_CASE("a client that reads nothing is cut after the write deadline, and its source ends") {
  server_options options;
  options.write_timeout_ms = 500;
  test_server server(options);
  stage on(server);
  on.on_start = on.on_resume = [](scripted_source& source) { pump(source, 1'000'000, 1'000); };
  auto client = server.connect(with_receive_buffer(256 << 10));
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  CHECK(eventually([&] { return on.ended == 1; }));
  CHECK(eventually([&] { return server.running->totals().websocket_connections == 0; }));
  CHECK(server.running->totals().deadline_closes == 1);
  CHECK(server.running->totals().subscriptions == 0);
}

TEST_CASE("a source that never asks for room is stopped with 1013") {
  server_options options;
  options.queued_bytes_max = 64 << 10;
  test_server server(options);
  stage on(server);
  auto client = server.connect(with_receive_buffer(256 << 10));
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  std::uint64_t bytes = 0;
  on.with("one", [&](scripted_source* source) {
    const auto one = event(1, 10'000);
    for (int i = 0; i < 5'000; ++i, bytes += one.size()) source->to->next(one);
  });
  CHECK(bytes > (40 << 20));
  CHECK(client.receive_close().close_code() == 1013);
  CHECK(eventually([&] { return on.ended == 1; }));
  CHECK(server.running->totals().queue_overflows == 1);
}

TEST_CASE("an id that a subscription has cannot be used again: 4409") {
  test_server server;
  stage on(server);
  auto client = server.connect();
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  client.text(subscribe("s", "two"));
  const auto close = client.receive_close();
  CHECK(close.close_code() == 4409);
  CHECK(close.close_reason() == "Subscriber for s already exists");
  CHECK(eventually([&] { return on.ended == 1; }));
  CHECK(on.started == 1);
}

TEST_CASE("whatever ends the connection ends its subscriptions, on their thread") {
  server_options options;
  options.threads = 2;
  test_server server(options);
  stage on(server);
  const auto begin = [&](ws_client& client) {
    client.text(subscribe("a", "one"));
    client.text(subscribe("b", "two"));
    REQUIRE(eventually([&] { return on.started == 2; }));
  };
  SUBCASE("the client goes without a word") {
    auto client = server.connect();
    begin(client);
    const wire_client gone(std::move(client.wire));
  }
  SUBCASE("the client closes") {
    auto client = server.connect();
    begin(client);
    client.frame(8, std::string("\x03\xe8", 2));
    CHECK(client.receive().close_code() == 1000);
  }
  SUBCASE("the token expires") {
    ws_client client(server.port);
    REQUIRE(client.initialise(token_for("u1", 1'200)));
    begin(client);
    CHECK(client.receive_close().close_code() == 4403);
  }
  SUBCASE("the gateway closes") {
    auto client = server.connect();
    begin(client);
    server.gateway.handles.at(0).lock()->close(4403, "deactivated");
    CHECK(client.receive_close().close_code() == 4403);
  }
  SUBCASE("the source's own event finds the socket gone") {
    auto client = server.connect();
    begin(client);
    const linger off{1, 0};
    ::setsockopt(client.wire.descriptor(), SOL_SOCKET, SO_LINGER, &off, sizeof off);
    on.with("one", [&](scripted_source* source) {
      { const wire_client gone(std::move(client.wire)); } // a reset, while the source is about to send
      std::this_thread::sleep_for(50ms);
      const auto one = event(1, 10'000);
      for (int i = 0; i < 500; ++i) source->to->next(one);
      source->sent = 1; // it is still there
    });
  }
  CHECK(eventually([&] { return on.ended == 2; }));
  CHECK_FALSE(on.ended_elsewhere);
  CHECK(eventually([&] { return server.running->totals().subscriptions == 0; }));
}

TEST_CASE("a stop ends subscriptions at once and closes with 1001") {
  test_server server;
  stage on(server);
  auto client = server.connect();
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  std::thread stopping([&] { server.running->stop(); });
  CHECK(client.receive_close(2s).close_code() == 1001);
  stopping.join();
  CHECK(on.ended == 1);
  CHECK_FALSE(on.ended_elsewhere);
  CHECK(server.gateway.gateways == 0);
}

TEST_CASE("sources end on their thread before the gateway, also when the stop runs out of time") {
  server_options options;
  options.stop_timeout_ms = 300;
  options.close_timeout_ms = 10'000;
  test_server server(options);
  stage on(server);
  std::atomic<int> gateways_at_end{-1};
  on.on_end = [&](scripted_source&) { gateways_at_end = server.gateway.gateways.load(); };
  on.on_start = on.on_resume = [](scripted_source& source) { pump(source, 1'000'000, 1'000); };
  auto client = server.connect(with_receive_buffer(256 << 10));
  client.text(subscribe("s", "one"));
  REQUIRE(eventually([&] { return on.started == 1; }));
  server.running->stop();
  CHECK(on.ended == 1);
  CHECK(gateways_at_end == 1);
  CHECK_FALSE(on.ended_elsewhere);
}

TEST_CASE(
    "a connection holds so many subscriptions; a further one is refused, and has its place when one ends") {
  server_options options;
  options.subscriptions_max = 2;
  test_server server(options);
  stage on(server);
  auto client = server.connect();
  client.text(subscribe("1", "a"));
  client.text(subscribe("2", "b"));
  client.text(subscribe("3", "c"));
  const auto refusal = client.receive().payload;
  CHECK(refusal.starts_with(R"({"id":"3","type":"error","payload":[{"message":")"));
  CHECK(refusal.find(R"("code":"RATE_LIMITED","retryable":true,"requestId":")") != std::string::npos);
  CHECK(on.started == 2);
  CHECK(eventually([&] { return on.ended == 1; })); // the third's source
  on.send("a", {event(1)});
  CHECK(client.receive().payload == next_frame("1", event(1)));
  client.text(complete_message("2"));
  client.text(subscribe("3", "d"));
  REQUIRE(eventually([&] { return on.started == 3; }));
  on.send("d", {event(2)});
  CHECK(client.receive().payload == next_frame("3", event(2)));
}

TEST_CASE("subscriptions that have begun take nothing of what requests may be in flight") {
  server_options options;
  options.requests_in_flight_max = 2;
  test_server server(options);
  stage on(server);
  auto client = server.connect();
  for (int i = 0; i < 8; ++i) client.text(subscribe(std::to_string(i), "s" + std::to_string(i)));
  REQUIRE(eventually([&] { return on.started == 8; }));
  CHECK(server.running->totals().requests_in_flight == 0);
  CHECK(server.running->totals().subscriptions == 8);
  for (int i = 0; i < 20; ++i) {
    client.text(subscribe("q", "{a}"));
    CHECK(client.receive().payload == next_frame("q", R"({"data":1})"));
    CHECK(client.receive().payload == complete_message("q"));
  }
}
