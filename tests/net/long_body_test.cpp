// /backup: a body that is made piece by piece off the network thread, and the client that fetches it.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_download.hpp"
#include "tests/net/certificate_files.hpp"
#include "tests/net/test_server.hpp"
#include "tests/no_thread_left.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

std::string operator_token(std::vector<std::string> roles = {"operator"}) {
  token_claims claims;
  claims.tenant = "t1";
  claims.user = "op";
  claims.roles = std::move(roles);
  claims.issued = system_clock().now();
  auto made = make_token(claims, secret);
  REQUIRE(made.ok());
  return *made;
}

// What a scripted source does, and what was seen of it.
struct made_body {
  std::function<result<std::string>(int n)> piece; // the n-th
  std::atomic<int> pulled{0}, cancelled{0}, ended{0};
  std::atomic<std::thread::id> thread{};
};

class scripted_source final : public body_source {
 public:
  explicit scripted_source(made_body& by)
      : by_(by) {}
  ~scripted_source() override { ++by_.ended; }
  result<std::string> next() override {
    by_.thread = std::this_thread::get_id();
    return by_.piece(by_.pulled++);
  }
  void cancel() override { ++by_.cancelled; }

 private:
  made_body& by_;
};

class backup_status final : public status_source {
 public:
  explicit backup_status(made_body& by)
      : by_(by) {}
  bool is_ready(std::string&) override { return true; }
  std::string metrics_text() override { return {}; }
  result<std::unique_ptr<body_source>> begin_backup() override {
    begun_on = std::this_thread::get_id();
    if (refuse) return error{error_code::unavailable, "another one is running"};
    return std::unique_ptr<body_source>(std::make_unique<scripted_source>(by_));
  }
  bool refuse = false;
  std::atomic<std::thread::id> begun_on{};

 private:
  made_body& by_;
};

std::string pattern(int n) {
  std::string out(100'000 + static_cast<std::size_t>(n) * 1'000, static_cast<char>('a' + n % 26));
  return out;
}

// `pieces` pieces and the end.
std::function<result<std::string>(int)> counted(int pieces) {
  return [pieces](int n) -> result<std::string> { return n < pieces ? pattern(n) : std::string(); };
}

download_options from(const test_server& server, std::string token = operator_token()) {
  download_options out;
  out.from = {false, "127.0.0.1", server.port, ""};
  out.target = "/backup";
  out.bearer = std::move(token);
  return out;
}

result<std::string> fetch(const download_options& options) {
  std::string all;
  const auto done = download(options, [&](std::string_view piece) -> result<void> {
    all += piece;
    return {};
  });
  if (!done) return done.failure();
  return all;
}

void ask(wire_client& wire) {
  wire.send(http_client::text_of("GET", "/backup", {{"Authorization", "Bearer " + operator_token()}}));
}

} // namespace

TEST_CASE("a long body comes whole, made on a thread of its own, and the connection goes on") {
  made_body body;
  body.piece = counted(50);
  backup_status status(body);
  test_server server({}, &status);
  std::string expected;
  for (int n = 0; n < 50; ++n) expected += pattern(n);
  const auto got = fetch(from(server));
  REQUIRE(got.ok());
  CHECK((*got == expected));
  CHECK(body.pulled == 51);
  CHECK(body.thread.load() != status.begun_on.load());
  CHECK(eventually([&] { return body.ended == 1; }));
  CHECK(body.cancelled == 0);

  // In chunks, and two on one connection.
  body.pulled = 0;
  body.piece = [](int n) -> result<std::string> {
    return std::string(n == 0 ? "first" : n == 1 ? "second one" : "");
  };
  wire_client wire(server.port);
  for (int i = 0; i < 2; ++i) {
    body.pulled = 0;
    ask(wire);
    std::string text;
    while (!text.ends_with("\r\n0\r\n\r\n")) {
      const auto more = wire.receive();
      REQUIRE(!more.empty());
      text += more;
    }
    CHECK(text.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(text.find("Content-Type: application/vnd.mooring.backup\r\n") != std::string::npos);
    CHECK(text.find("Content-Length") == std::string::npos);
    CHECK(text.ends_with("Transfer-Encoding: chunked\r\nVary: Accept, Accept-Encoding, "
                         "Origin\r\nCache-Control: no-store\r\n\r\n"
                         "5\r\nfirst\r\na\r\nsecond one\r\n0\r\n\r\n"));
  }
  CHECK(server.running->totals().http_2xx == 3);
}

TEST_CASE("only an operator gets a backup, and everybody is told why not") {
  made_body body;
  body.piece = counted(1);
  backup_status status(body);
  test_server server({}, &status);
  const struct {
    int status;
    std::string method;
    std::map<std::string, std::string> headers;
    std::string code;
  } cases[] = {
      {401, "GET", {}, "UNAUTHENTICATED"},
      {401, "GET", {{"Authorization", "Bearer nonsense"}}, "UNAUTHENTICATED"},
      {401, "GET", {{"Authorization", "Bearer " + operator_token() + "x"}}, "UNAUTHENTICATED"},
      {403, "GET", {{"Authorization", "Bearer " + token_for()}}, "FORBIDDEN"},
      {403, "GET", {{"Authorization", "Bearer " + operator_token({"admin"})}}, "FORBIDDEN"},
      {403,
       "GET",
       {{"Authorization", "Bearer " + operator_token()}, {"Origin", "https://evil.example"}},
       "FORBIDDEN"},
      {405, "POST", {{"Authorization", "Bearer " + operator_token()}}, "BAD_USER_INPUT"},
      {405, "DELETE", {{"Authorization", "Bearer " + operator_token()}}, "BAD_USER_INPUT"},
  };
  http_client client(server.port);
  for (const auto& one : cases) {
    const auto got = client.request(one.method, "/backup", one.headers);
    INFO(one.status, " ", got.body);
    CHECK(got.status == one.status);
    CHECK(got.body.find("\"code\":\"" + one.code + "\"") != std::string::npos);
    CHECK(got.headers.contains("www-authenticate") == (one.status == 401));
  }
  CHECK(body.pulled == 0);

  const auto refused = [&](std::string token) {
    const auto got = fetch(from(server, std::move(token)));
    REQUIRE(!got.ok());
    return got.failure();
  };
  CHECK(refused("nonsense").code == error_code::unauthenticated);
  CHECK(refused(token_for()).code == error_code::forbidden);
  CHECK(refused(token_for()).message.find("role operator") != std::string::npos);
  status.refuse = true;
  CHECK(client.request("GET", "/backup", {{"Authorization", "Bearer " + operator_token()}})
            .headers["retry-after"] == "10");
  CHECK(refused(operator_token()).code == error_code::unavailable);
  CHECK(refused(operator_token()).message.find("503: another one is running") != std::string::npos);

  test_server without;
  CHECK(fetch(from(without)).failure().code == error_code::not_found);
}

TEST_CASE("a body that cannot begin is an error; one that fails later is cut, and never looks whole") {
  made_body body;
  backup_status status(body);
  test_server server({}, &status);
  body.piece = [](int) -> result<std::string> {
    return error{error_code::unavailable, "shard 0 is being loaded"};
  };
  auto got = fetch(from(server));
  REQUIRE(!got.ok());
  CHECK(got.failure().code == error_code::unavailable);
  CHECK(got.failure().message.find("503: shard 0 is being loaded") != std::string::npos);

  int ended = 1;
  for (const int after : {1, 5}) {
    CHECK(eventually([&] { return body.ended == ended; })); // before the next one is made of it
    ++ended;
    body.pulled = 0;
    body.piece = [after](int n) -> result<std::string> {
      if (n == after) return error{error_code::internal, "the disk is gone"};
      return pattern(n);
    };
    got = fetch(from(server));
    REQUIRE(!got.ok());
    CHECK(got.failure().code == error_code::unavailable);
    CHECK(got.failure().message.find("ended before it was whole") != std::string::npos);
  }
  CHECK(eventually([&] { return body.ended == 3; }));
}

TEST_CASE("without a thread for its body a request is refused, and the next one is not") {
  made_body body;
  body.piece = counted(3);
  backup_status status(body);
  test_server server({}, &status);
  http_client client(server.port);
  CHECK(client.request("GET", "/backup").status == 401); // the connection stands
  {
    const mooring::testing::no_thread_left none;
    const auto got = client.request("GET", "/backup", {{"Authorization", "Bearer " + operator_token()}});
    CHECK(got.status == 503);
    CHECK(got.body.find("\"code\":\"UNAVAILABLE\"") != std::string::npos);
    CHECK(body.ended == 1);
    CHECK(body.pulled == 0);
  }
  CHECK(fetch(from(server)).ok());
}

TEST_CASE("who does not read holds a few pieces, and a source that nobody waits for is ended") {
  made_body body;
  body.piece = [](int) -> result<std::string> { return std::string(256 << 10, 'x'); }; // for ever
  backup_status status(body);
  server_options options;
  test_server server(options, &status);
  {
    wire_client wire(server.port);
    wire.set_receive_buffer(16 << 10);
    ask(wire);
    REQUIRE(eventually([&] { return body.pulled >= 1; }));
    std::this_thread::sleep_for(300ms);
    const int held = body.pulled;
    CHECK(held < 40); // what the kernel's buffers take, and one more
    std::this_thread::sleep_for(300ms);
    CHECK(body.pulled <= held + 1);
    CHECK(body.ended == 0);
    // Reading goes on where it stopped.
    std::size_t bytes = 0;
    while (bytes < (20 << 20)) {
      const auto more = wire.receive();
      REQUIRE(!more.empty());
      bytes += more.size();
    }
    CHECK(body.pulled > held);
  }
  CHECK(eventually([&] { return body.ended == 1; }));
  CHECK(body.cancelled == 1);
  CHECK(eventually([&] { return server.running->totals().http_connections == 0; }));
}

TEST_CASE("who reads nothing at all for the write timeout is cut") {
  made_body body;
  body.piece = [](int) -> result<std::string> { return std::string(256 << 10, 'x'); };
  backup_status status(body);
  server_options options;
  options.write_timeout_ms = 300;
  test_server server(options, &status);
  wire_client wire(server.port);
  wire.set_receive_buffer(16 << 10);
  ask(wire);
  CHECK(eventually([&] { return body.ended == 1; }));
  CHECK(server.running->totals().deadline_closes == 1);
}

TEST_CASE("a stop cuts a body that streams, waits for its source, and takes no time for it") {
  for (const bool streaming : {true, false}) {
    made_body body;
    std::atomic<bool> let_go{false};
    body.piece = [&](int n) -> result<std::string> {
      // A source that is in the middle of something returns soon when it is cancelled.
      while (n == (streaming ? 3 : 0) && body.cancelled == 0 && !let_go) std::this_thread::sleep_for(1ms);
      return std::string(1'000, 'x');
    };
    backup_status status(body);
    auto server = std::make_unique<test_server>(server_options{}, &status);
    wire_client wire(server->port);
    ask(wire);
    REQUIRE(eventually([&] { return body.pulled == (streaming ? 4 : 1); }));
    if (!streaming) let_go = true; // the first piece comes while the node stops, or just before
    const auto start = std::chrono::steady_clock::now();
    server->running->stop();
    CHECK(std::chrono::steady_clock::now() - start < 3s);
    CHECK(body.ended == 1);
    CHECK(!wire.receive_all().ends_with("0\r\n\r\n"));
  }
}

TEST_CASE("over TLS the certificate and its name are verified") {
  certificate_files files, others;
  files.write("node", "DNS:localhost,IP:127.0.0.1");
  others.write("node", "DNS:localhost,IP:127.0.0.1");
  made_body body;
  body.piece = counted(20);
  backup_status status(body);
  server_options options;
  options.tls_certificate_file = files.certificate;
  options.tls_key_file = files.key;
  test_server server(options, &status);
  auto by = from(server);
  by.from.is_tls = true;
  by.ca_file = files.certificate;
  for (const auto* host : {"127.0.0.1", "localhost"}) {
    body.pulled = 0;
    by.from.host = host;
    const auto got = fetch(by);
    REQUIRE_MESSAGE(got.ok(), (got.ok() ? std::string() : got.failure().message));
    CHECK(got->size() > 2'000'000);
  }
  body.pulled = 0;
  by.ca_file = others.certificate;
  auto got = fetch(by);
  REQUIRE(!got.ok());
  CHECK(got.failure().message.find("not trusted") != std::string::npos);
  by.ca_file.clear(); // the system's
  CHECK(fetch(by).failure().message.find("not trusted") != std::string::npos);
  by.ca_file = "/no/such.pem";
  CHECK(fetch(by).failure().code == error_code::bad_user_input);
  CHECK(body.pulled == 0);

  files.write("node", "DNS:another.example");
  REQUIRE(server.running->reload_certificates().ok());
  by.ca_file = files.certificate;
  for (const auto* host : {"127.0.0.1", "localhost"}) {
    by.from.host = host;
    CHECK(fetch(by).failure().message.find("mismatch") != std::string::npos);
  }
  CHECK(body.pulled == 0);
}

TEST_CASE("a download says what is wrong with the other side, and waits for nobody for ever") {
  auto nobody = download_options{};
  nobody.from = {false, "127.0.0.1", 1, ""};
  CHECK(fetch(nobody).failure().code == error_code::unavailable);
  nobody.from.host = "no.such.host.invalid";
  CHECK(fetch(nobody).failure().code == error_code::unavailable);

  // A server that says just this.
  const auto says = [](std::string answer, std::int64_t silence_ms = 5'000) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    std::atomic<bool> finished{false};
    std::thread serving([&] {
      const int one = ::accept(listener, nullptr, nullptr);
      char request[2048];
      (void)!::recv(one, request, sizeof request, 0);
      (void)!::send(one, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (silence_ms < 5'000)
        while (!finished) std::this_thread::sleep_for(5ms);
      ::close(one);
    });
    download_options by;
    by.from = {false, "127.0.0.1", ntohs(address.sin_port), ""};
    by.target = "/backup";
    by.silence_timeout_ms = silence_ms;
    auto got = fetch(by);
    finished = true;
    serving.join();
    ::close(listener);
    return got;
  };
  CHECK(*says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc") == "abc");
  CHECK(*says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") == "abc");
  for (const auto* cut : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"}) {
    INFO(cut);
    const auto got = says(cut);
    REQUIRE(!got.ok());
    CHECK(got.failure().code == error_code::unavailable);
  }
  CHECK(says("HTTP/1.1 200 OK\r\n\r\nabc").failure().message.find("where it ends") != std::string::npos);
  CHECK(says("SSH-2.0-OpenSSH_9.2\r\n").ok() == false);
  CHECK(says("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n")
            .failure()
            .message.find("answered 302: Found") != std::string::npos);
  const auto late = says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 200);
  REQUIRE(!late.ok());
  CHECK(late.failure().message.find("no answer in time") != std::string::npos);
}

TEST_CASE("the URLs of nodes") {
  const auto url = parse_http_url("https://sync.example.org/behind/proxy/");
  REQUIRE(url.ok());
  CHECK(url->is_tls);
  CHECK(url->host == "sync.example.org");
  CHECK(url->port == 443);
  CHECK(url->path == "/behind/proxy");
  CHECK(parse_http_url("http://[::1]:8440")->host == "::1");
  CHECK(parse_http_url("http://[::1]:8440")->port == 8440);
  CHECK(parse_http_url("http://localhost/")->path == "");
  CHECK(parse_http_url("http://localhost")->port == 80);
  for (const auto* bad : {"", "localhost:8440", "ws://localhost", "http://", "http://:80", "http://a:b",
                          "http://a:0", "http://a:65536", "http://[::1", "http://[1.2.3.4]", "http://[::1]x",
                          "http://a b", "http://user@a", "http://a/?x=1", "http://a\r\nb"}) {
    INFO(bad);
    CHECK(parse_http_url(bad).ok() == false);
  }
}
