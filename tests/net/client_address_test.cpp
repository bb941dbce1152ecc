// Behind a proxy: whose request it is, for the limits per address.
#include <doctest/doctest.h>

#include "net/client_address.hpp"
#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

std::vector<ip_network> networks(std::initializer_list<const char*> all) {
  std::vector<ip_network> out;
  for (const auto* one : all) out.push_back(*ip_network::parse(one));
  return out;
}

std::string client_of(const char* header) {
  static const auto trusted = networks({"10.0.0.0/8", "2001:db8:ffff::/48"});
  const auto found = forwarded_client(trusted, header);
  return found ? found->text() : "";
}

} // namespace

TEST_CASE("the client is the right-most address that is no trusted proxy") {
  CHECK(client_of("203.0.113.7") == "203.0.113.7");
  CHECK(client_of("203.0.113.7, 10.1.2.3") == "203.0.113.7");
  CHECK(client_of("203.0.113.7,10.1.2.3 ,\t10.9.9.9") == "203.0.113.7");
  CHECK(client_of("198.51.100.1, 203.0.113.7, 10.1.2.3") ==
        "203.0.113.7"); // what the client claims is not believed
  CHECK(client_of("10.0.0.1, 203.0.113.7") == "203.0.113.7");
  CHECK(client_of("nonsense, 203.0.113.7") == "203.0.113.7");
  CHECK(client_of("10.1.1.1, 10.2.2.2") == "10.1.1.1"); // all are trusted: the client is one of ours
}

TEST_CASE("IPv6, ports and the many ways to write an entry") {
  CHECK(client_of("2001:DB8::7") == "2001:db8::7");
  CHECK(client_of("2001:db8::7, 2001:db8:ffff:1::2") == "2001:db8::7");
  CHECK(client_of("[2001:db8::7]") == "2001:db8::7");
  CHECK(client_of("[2001:db8::7]:4711, [2001:db8:ffff::2]:80") == "2001:db8::7");
  CHECK(client_of("203.0.113.7:4711") == "203.0.113.7");
  CHECK(client_of("::ffff:203.0.113.7, ::ffff:10.0.0.1") == "203.0.113.7");
}

TEST_CASE("a header that cannot be read names nobody") {
  for (const auto* bad : {"", " ", ",", "unknown", "203.0.113.7,", "203.0.113.7, unknown",
                          "203.0.113.7, _hidden", "[2001:db8::7", "[203.0.113.7]", "[2001:db8::7]x",
                          "[2001:db8::7]:99999", "203.0.113.7:", "203.0.113.7:x", "203.0.113.7:70000",
                          "fe80::1%eth0", "203.0.113.7 203.0.113.8", "203.0.113.7, ,10.0.0.1"}) {
    INFO(bad);
    CHECK(client_of(bad) == "");
  }
}

TEST_CASE("an IPv6 address is counted as its /64, loopback not at all") {
  const auto key = [](const char* text) { return limit_key_of(*ip_address::parse(text)); };
  CHECK(key("127.0.0.1") == 0);
  CHECK(key("::1") == 0);
  CHECK(key("203.0.113.7") == 0xcb007107);
  CHECK(key("::ffff:203.0.113.7") == key("203.0.113.7"));
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
  CHECK(key("::2") != 0);
}

TEST_CASE("a connection that turns out to be another address's is counted there") {
  connection_limits limits(100, 2);
  CHECK(limits.enter(0));
  {
    connection_place place(limits, 0);
    CHECK(place.move_to(7));
    CHECK(limits.enter(7));
    CHECK_FALSE(limits.enter(7));
    CHECK(limits.enter(8));
    CHECK(place.move_to(8));
    CHECK(limits.enter(7));
    CHECK_FALSE(place.move_to(7));
    CHECK_FALSE(limits.enter(8));
    CHECK(limits.open() == 4);
  }
  CHECK(limits.open() == 3);
  CHECK(limits.enter(8));
}

namespace {

// Every request of this test comes from the loopback.
struct behind_a_proxy {
  std::mutex mutex;
  std::string seen;
  std::unique_ptr<test_server> server;

  explicit behind_a_proxy(std::initializer_list<const char*> trusted, std::size_t per_address_max = 100) {
    server_options options;
    options.trusted_proxies = networks(trusted);
    options.connections_per_address_max = per_address_max;
    server = std::make_unique<test_server>(options);
    server->gateway.on_execute = [this](const graphql_request& request, completion done, thread_context&) {
      const std::lock_guard lock(mutex);
      seen = request.remote_address;
      done(data(R"({"data":1})"));
    };
  }
  std::string post(http_client& by, const std::map<std::string, std::string>& more) {
    std::map<std::string, std::string> headers = {{"Content-Type", "application/json"},
                                                  {"Authorization", "Bearer " + token_for()}};
    headers.insert(more.begin(), more.end());
    CHECK(by.request("POST", "/graphql", headers, R"({"query":"{a}"})").status == 200);
    const std::lock_guard lock(mutex);
    return seen;
  }
  std::string ask(ws_client& by) {
    by.text(subscribe("1", "{a}"));
    CHECK(by.receive().is_text());
    by.receive();
    const std::lock_guard lock(mutex);
    return seen;
  }
};

} // namespace

TEST_CASE("each request of a trusted proxy's connection is its own client's, and nobody else is believed") {
  behind_a_proxy trusted({"127.0.0.0/8"});
  http_client client(trusted.server->port);
  CHECK(trusted.post(client, {{"X-Forwarded-For", "203.0.113.7"}}) == "203.0.113.7");
  CHECK(trusted.post(client, {{"x-forwarded-for", "1.1.1.1, 2001:db8::9"}}) == "2001:db8::9");
  CHECK(trusted.post(client, {}) == "127.0.0.1");
  CHECK(trusted.post(client, {{"X-Forwarded-For", "garbage"}}) == "127.0.0.1");
  CHECK(trusted.post(client, {{"X-Forwarded-For",
                               "203.0.113.8\r\nX-Forwarded-For: 203.0.113.9, 127.0.0.5"}}) == "203.0.113.9");
  CHECK(trusted.post(client, {{"Forwarded", "for=203.0.113.7"}}) == "127.0.0.1");

  behind_a_proxy untrusted({"10.0.0.0/8"});
  http_client other(untrusted.server->port);
  CHECK(untrusted.post(other, {{"X-Forwarded-For", "203.0.113.7"}}) == "127.0.0.1");
}

TEST_CASE("a WebSocket through a trusted proxy is its client's, and counts for it") {
  behind_a_proxy is({"127.0.0.1"}, 2);
  const auto from = [&](const char* address) {
    return ws_client(is.server->port, with_headers({{"X-Forwarded-For", address}}));
  };
  auto first = from("203.0.113.7");
  REQUIRE(first.initialise(token_for()));
  CHECK(is.ask(first) == "203.0.113.7");
  auto second = std::make_unique<ws_client>(from("198.51.100.1, 203.0.113.7"));
  CHECK(second->upgrade_status == 101);
  auto third = from("203.0.113.7");
  CHECK(third.upgrade_status == 429);
  CHECK(is.server->running->totals().refused_address_limit == 1);
  CHECK(from("203.0.113.8").upgrade_status == 101);
  auto v6 = from("2001:db8::1"), same_64 = from("2001:db8::2");
  CHECK(v6.upgrade_status == 101);
  CHECK(same_64.upgrade_status == 101);
  CHECK(from("2001:db8::3").upgrade_status == 429);
  auto unreadable = from("nobody");
  REQUIRE(unreadable.initialise(token_for()));
  CHECK(is.ask(unreadable) == "127.0.0.1");
  second.reset(); // its place is free again
  CHECK(eventually([&] { return from("203.0.113.7").upgrade_status == 101; }));
}
