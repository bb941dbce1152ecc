// TLS: the same sessions over certificates from files, which can be replaced while the server runs.
#include <doctest/doctest.h>

#include "tests/net/certificate_files.hpp"
#include "tests/net/test_server.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

server_options with(const certificate_files& files) {
  server_options options;
  options.tls_certificate_file = files.certificate;
  options.tls_key_file = files.key;
  return options;
}

ws_client::options over_tls() {
  ws_client::options out;
  out.is_tls = true;
  return out;
}

} // namespace

TEST_CASE("HTTP and WebSockets work over TLS, with large messages both ways") {
  certificate_files files;
  files.write("one.example.com");
  test_server server(with(files));
  const std::string large = R"({"data":")" + std::string(3 << 20, 'y') + R"("})";
  std::size_t seen = 0;
  server.gateway.on_execute = [&](const graphql_request& request, completion done, thread_context& thread) {
    if (request.query != "{large}") return done(data("{}"));
    seen = request.variables.find("x").string().size();
    thread.post([&large, done = std::move(done)] { done(data(large)); });
  };
  http_client http(server.port, true);
  CHECK(http.wire.certificate_name() == "one.example.com");
  CHECK(http.request("GET", "/healthz").status == 200);
  CHECK(http.request("GET", "/healthz").status == 200);

  auto client = server.connect(over_tls());
  client.text(subscribe("1", "{a}"));
  CHECK(client.receive().payload == R"({"id":"1","type":"next","payload":{}})");
  CHECK(client.receive().payload == R"({"id":"1","type":"complete"})");
  client.text(R"({"id":"2","type":"subscribe","payload":{"query":"{large}","variables":{"x":")" +
              std::string(2 << 20, 'x') + R"("}}})");
  CHECK(client.receive().payload == R"({"id":"2","type":"next","payload":)" + large + "}");
  CHECK(seen == 2 << 20);
  CHECK(client.receive().payload == R"({"id":"2","type":"complete"})");

  // Many small ones in one TLS record: OpenSSL holds them where no poll sees them.
  std::string all;
  for (int i = 0; i < 200; ++i) all += ws_client::frame_bytes(1, subscribe(std::to_string(i), "{a}"));
  client.wire.send(all);
  for (int i = 0; i < 200; ++i) {
    REQUIRE(client.receive().payload ==
            R"({"id":")" + std::to_string(i) + R"(","type":"next","payload":{}})");
    REQUIRE(client.receive().payload == R"({"id":")" + std::to_string(i) + R"(","type":"complete"})");
  }
  client.text("{");
  CHECK(client.receive_close().close_code() == 4400);
  CHECK(client.wire.is_closed_within(1s));
  CHECK(eventually([&] { return server.running->totals().tls_connections == 1; }));
}

TEST_CASE("a reloaded certificate is shown to new connections, and open ones go on") {
  certificate_files files;
  files.write("one.example.com");
  test_server server(with(files));
  auto before = server.connect(over_tls());
  CHECK(before.wire.certificate_name() == "one.example.com");
  files.write("two.example.com");
  REQUIRE(server.running->reload_certificates().ok());
  CHECK(wire_client(server.port, true).certificate_name() == "two.example.com");
  before.text(R"({"type":"ping"})");
  CHECK(before.receive().payload == R"({"type":"pong"})");

  std::filesystem::remove(files.key);
  const auto failed = server.running->reload_certificates();
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.failure().message.find("key.pem") != std::string::npos);
  CHECK(wire_client(server.port, true).certificate_name() == "two.example.com");
}

TEST_CASE("files that are no certificate and key of each other change nothing, until they are") {
  certificate_files files;
  certificate_files other;
  files.write("one.example.com");
  other.write("two.example.com");
  test_server server(with(files));
  const auto overwrite = [](const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  };
  const auto refused = [&](std::string_view file) {
    const auto reloaded = server.running->reload_certificates();
    REQUIRE_FALSE(reloaded.ok());
    CHECK(reloaded.failure().code == error_code::bad_user_input);
    CHECK(reloaded.failure().message.find(file) != std::string::npos);
    CHECK(wire_client(server.port, true).certificate_name() == "one.example.com");
  };
  const auto whole = std::filesystem::file_size(files.certificate);
  std::filesystem::resize_file(files.certificate, whole / 2); // as it is being written
  refused("certificate.pem");
  std::filesystem::resize_file(files.certificate, 0);
  refused("certificate.pem");
  overwrite(other.certificate, files.certificate); // the key is still the old one
  refused("key.pem");
  overwrite(other.key, files.key);
  REQUIRE(server.running->reload_certificates().ok());
  CHECK(wire_client(server.port, true).certificate_name() == "two.example.com");
}

TEST_CASE("a handshake that drips in is cut off, however long it goes on") {
  certificate_files files;
  files.write("one.example.com");
  auto options = with(files);
  options.header_timeout_ms = 500;
  test_server server(options);
  wire_client dripping(server.port);
  // The head of a ClientHello of 512 bytes, and then a byte at a time.
  REQUIRE(dripping.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)));
  const auto start = std::chrono::steady_clock::now();
  while (!dripping.is_at_end() && std::chrono::steady_clock::now() - start < 3s) {
    dripping.send("x");
    dripping.receive(20ms);
  }
  CHECK(dripping.is_at_end());
  CHECK(std::chrono::steady_clock::now() - start > 300ms);
  CHECK(std::chrono::steady_clock::now() - start < 1'500ms);
  CHECK(server.running->totals().deadline_closes == 1);
  CHECK(eventually([&] { return server.running->totals().tls_connections == 0; }));
}

TEST_CASE("a server does not start with a certificate that cannot be used") {
  certificate_files files;
  const auto fault = [&] {
    server one(
        with(files), verifier(), [](thread_context&) { return std::unique_ptr<gateway>(); }, nullptr);
    const auto started = one.start();
    REQUIRE_FALSE(started.ok());
    return started.failure().message;
  };
  CHECK(fault().find("certificate.pem") != std::string::npos);
  certificate_files other;
  files.write("a");
  other.write("b");
  std::filesystem::copy_file(other.key, files.key, std::filesystem::copy_options::overwrite_existing);
  CHECK(fault().find("key") != std::string::npos);
}

TEST_CASE("who does not speak TLS, speaks an old one or is silent is let go") {
  certificate_files files;
  files.write("one.example.com");
  auto options = with(files);
  options.header_timeout_ms = 500;
  test_server server(options);
  wire_client plain(server.port);
  plain.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(plain.is_closed_within(1s));
  wire_client silent(server.port);
  CHECK(silent.is_closed_within(2s));
  {
    wire_client old(server.port);
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, old.descriptor());
    CHECK(SSL_connect(ssl) != 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  CHECK(eventually([&] { return server.running->totals().refused_handshakes == 2; }));
  CHECK(http_client(server.port, true).request("GET", "/healthz").status == 200);
  CHECK(eventually([&] { return server.running->totals().tls_connections == 0; }));
}

TEST_CASE("a client that asks over TLS and never reads is closed") {
  certificate_files files;
  files.write("one.example.com");
  auto options = with(files);
  options.write_timeout_ms = 600;
  test_server server(options);
  const std::string answer = R"({"data":")" + std::string(8 << 20, 'y') + R"("})";
  server.gateway.on_execute = [&](const graphql_request&, completion done, thread_context&) {
    done(data(answer));
  };
  auto client = server.connect(over_tls());
  client.text(subscribe("1", "{a}"));
  CHECK(eventually([&] { return server.gateway.closed_count() == 1; }));
}
