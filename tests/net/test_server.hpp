// A server on a port of the system's choice, with a gateway that the test scripts.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "net/server.hpp"
#include "tests/net/test_client.hpp"

namespace mooring::net::test {

using namespace std::chrono_literals;

inline const std::string secret(32, 's');

inline std::string token_for(const std::string& user = "u1", std::int64_t ttl_ms = 3'600'000,
                             std::optional<std::string> device = std::nullopt,
                             const std::string& tenant = "t1") {
  token_claims claims;
  claims.tenant = tenant;
  claims.user = user;
  claims.device = std::move(device);
  claims.issued = system_clock().now();
  claims.ttl_ms = ttl_ms;
  auto made = make_token(claims, secret);
  REQUIRE(made.ok());
  return *made;
}

inline std::shared_ptr<const jwt_verifier> verifier() {
  jwt_options options;
  options.keys.push_back({"", jwt_algorithm::hs256, secret});
  auto made = jwt_verifier::create(std::move(options));
  REQUIRE(made.ok());
  return *made;
}

inline graphql_answer data(std::string body) {
  graphql_answer out;
  out.body = std::move(body);
  return out;
}

inline graphql_answer refusal(error_code code) {
  graphql_answer out;
  out.body =
      R"({"errors":[{"message":"no","extensions":{"code":")" + std::string(to_string(code)) + R"("}}]})";
  out.executed = false;
  out.refused = code;
  return out;
}

inline ws_client::options with_headers(std::map<std::string, std::string> headers) {
  ws_client::options out;
  out.headers = std::move(headers);
  return out;
}
inline ws_client::options with_subprotocol(std::string name) {
  ws_client::options out;
  out.subprotocol = std::move(name);
  return out;
}
inline ws_client::options with_receive_buffer(int bytes) {
  ws_client::options out;
  out.receive_buffer = bytes;
  return out;
}

// What the gateways of all threads share. `on_execute` runs on network threads.
struct script {
  std::function<void(const graphql_request&, completion, thread_context&)> on_execute =
      [](const graphql_request& request, completion done, thread_context&) {
        if (!request.who) return done(refusal(error_code::unauthenticated));
        done(data(R"({"data":{"echo":")" + std::string(request.query) + R"("}})"));
      };
  std::mutex mutex;
  std::vector<std::pair<std::uint64_t, std::shared_ptr<const identity>>> opened;
  std::vector<std::uint64_t> closed;
  std::vector<std::weak_ptr<connection_handle>> handles;
  std::atomic<int> executed{0};
  std::atomic<int> gateways{0};

  std::size_t opened_count() {
    const std::lock_guard lock(mutex);
    return opened.size();
  }
  std::size_t closed_count() {
    const std::lock_guard lock(mutex);
    return closed.size();
  }
};

class scripted_gateway final : public gateway {
 public:
  scripted_gateway(script& by, thread_context& thread)
      : script_(by)
      , thread_(thread) {
    ++script_.gateways;
  }
  ~scripted_gateway() override { --script_.gateways; }
  void execute(const graphql_request& request, completion done) override {
    ++script_.executed;
    script_.on_execute(request, std::move(done), thread_);
  }
  void connection_opened(std::uint64_t id, std::shared_ptr<const identity> who,
                         std::weak_ptr<connection_handle> handle) override {
    const std::lock_guard lock(script_.mutex);
    script_.opened.emplace_back(id, std::move(who));
    script_.handles.push_back(std::move(handle));
  }
  void connection_closed(std::uint64_t id) override {
    const std::lock_guard lock(script_.mutex);
    script_.closed.push_back(id);
  }

 private:
  script& script_;
  thread_context& thread_;
};

struct test_server {
  explicit test_server(server_options with = {}, status_source* status = nullptr) {
    with.listen = {{"127.0.0.1", 0}};
    // Most tests' clients answer no close at their end; who tests just that sets a time of its own.
    if (with.close_timeout_ms == server_options{}.close_timeout_ms) with.close_timeout_ms = 500;
    running = std::make_unique<server>(
        std::move(with), verifier(),
        [this](thread_context& thread) { return std::make_unique<scripted_gateway>(gateway, thread); },
        status);
    const auto started = running->start();
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? std::string() : started.failure().message));
    port = running->ports().at(0);
  }
  // An acknowledged WebSocket.
  ws_client connect(const ws_client::options& with = {}) {
    ws_client out(port, with);
    REQUIRE(out.upgrade_status == 101);
    REQUIRE(out.initialise(token_for()));
    return out;
  }

  script gateway;
  std::unique_ptr<server> running; // ends before the script
  std::uint16_t port = 0;
};

inline std::int64_t elapsed_ms(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since)
      .count();
}

// Waits until the condition holds; false after five seconds.
template<class F> bool eventually(F&& holds) {
  for (int i = 0; i < 500; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

inline std::string subscribe(std::string_view id, std::string_view query) {
  return R"({"id":")" + std::string(id) + R"(","type":"subscribe","payload":{"query":")" +
         std::string(query) + R"("}})";
}

} // namespace mooring::net::test
