// echo_gateway: the network layer with nothing behind it. What it costs by itself is measured with it
// (`mooring_load --case voice --secret FILE --port P --pid …`), and client suites can be pointed at it.
//
// echo_gateway PORT SECRET_FILE [--threads N] [--later] [--open] [--tls CERTIFICATE KEY]
//   --later  answers from another turn of the loop, as a gateway with actors behind it does
//   --open   answers without a token, as the audit suite of graphql-http needs
// Prints `listening on PORT`, ends on SIGTERM, reloads the certificate on SIGHUP.
//
// Its GraphQL is a joke that suits the audits: a query that has balanced braces and starts like an operation
// is executed, unless it asks for a field that the joke does not know. A subscription stays open: to `idle`
// nothing is ever said, any other gets one event for each mutation of the same network thread that says
// `publish`.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <unordered_set>
#include <utility>

#include "net/server.hpp"

namespace {

using namespace mooring;

constexpr std::string_view voice_answer =
    R"({"data":{"syncVoiceData":{"success":true,"syncedItems":1,"failedItems":0,"items":[{"itemId":)"
    R"("6f1c1d1e-0000-4000-8000-000000000001","success":true,"duplicate":false,"error":null}],"errors":[],)"
    R"("serverTimestamp":"2025-09-28T12:00:00.123Z","idempotencyKey":"6f1c1d1e-0000-4000-8000-000000000001",)"
    R"("replayed":false}}})";

constexpr std::string_view published_event =
    R"({"data":{"syncEvents":{"__typename":"DataUpdateEvent","cursor":"AAAAAAAAAAAAAAAAAAAAAAAA","domain":"TASK",)"
    R"("operation":"UPDATE","priority":"NORMAL","entity":{"entityId":"6f1c1d1e-0000-4000-8000-000000000001",)"
    R"("version":7,"deleted":false,"data":{"title":"a task","priority":3,"done":false},)"
    R"("modifiedAt":"2025-09-28T12:00:00.123Z"},"serverTimestamp":"2025-09-28T12:00:00.123Z"}}})";

class listener final : public net::event_source {
 public:
  explicit listener(std::unordered_set<listener*>* among)
      : among_(among) {}
  ~listener() override {
    if (among_ != nullptr) among_->erase(this);
  }
  void start(net::event_sink& to) override {
    to_ = &to;
    if (among_ != nullptr) among_->insert(this);
  }
  void resume() override {
    if (owed_ > 0 && to_->has_room()) hear(std::exchange(owed_, 0));
  }
  void hear(std::uint64_t events) {
    for (; events > 0 && to_->has_room(); --events) to_->next(published_event);
    owed_ += events;
  }

 private:
  std::unordered_set<listener*>* among_; // null: idle
  net::event_sink* to_ = nullptr;
  std::uint64_t owed_ = 0;
};

std::string refusal(std::string_view message) {
  return R"({"errors":[{"message":")" + std::string(message) +
         R"(","extensions":{"code":"BAD_USER_INPUT"}}]})";
}

class joke final : public net::gateway {
 public:
  joke(net::thread_context& thread, bool is_later, bool is_open)
      : thread_(thread)
      , is_later_(is_later)
      , is_open_(is_open) {}

  void execute(const net::graphql_request& request, net::completion done) override {
    auto answer = answer_to(request);
    if (!is_later_) return done(std::move(answer));
    thread_.post([done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
  }
  void connection_opened(std::uint64_t, std::shared_ptr<const net::identity>,
                         std::weak_ptr<net::connection_handle>) override {}
  void connection_closed(std::uint64_t) override {}

 private:
  net::graphql_answer answer_to(const net::graphql_request& request) {
    net::graphql_answer answer;
    if (!request.who && !is_open_) {
      answer.body = refusal("the request needs a token");
      answer.executed = false;
      answer.refused = error_code::unauthenticated;
      return answer;
    }
    const auto query = request.query;
    const bool is_mutation = query.starts_with("mutation");
    if (is_mutation && request.via == net::transport::http_get) {
      answer.body = refusal("mutations go by POST");
      answer.executed = false;
      answer.method_not_allowed = true;
      return answer;
    }
    int depth = 0;
    for (const char c : query) depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    const bool is_unknown_field = query.find("8f31403dfe404bccbb0e835f2629c6a7") != query.npos;
    const bool has_bad_variable = query.find("CoerceFailure") != query.npos;
    if (depth != 0 || query.find('{') == query.npos || is_unknown_field || has_bad_variable) {
      answer.body = refusal("the document does not parse or validate");
      answer.executed = false;
      answer.refused = error_code::bad_user_input;
      return answer;
    }
    if (query.starts_with("subscription") && request.via == net::transport::websocket) {
      answer.events = std::make_shared<listener>(query.find("idle") == query.npos ? &listeners_ : nullptr);
      return answer;
    }
    if (is_mutation && query.find("publish") != query.npos)
      for (auto* each : listeners_) each->hear(1);
    if (query.find("syncVoiceData") != query.npos)
      answer.body = voice_answer;
    else if (query.find("serverInfo") != query.npos)
      answer.body = R"({"data":{"serverInfo":{"version":"echo"}}})";
    else
      answer.body = R"({"data":{"__typename":"Query"}})";
    return answer;
  }
  net::thread_context& thread_;
  bool is_later_;
  bool is_open_;
  std::unordered_set<listener*> listeners_;
};

} // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(
        stderr,
        "usage: echo_gateway PORT SECRET_FILE [--threads N] [--later] [--open] [--tls CERTIFICATE KEY]\n");
    return 2;
  }
  net::server_options options;
  options.listen = {{"127.0.0.1", static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10))}};
  bool is_later = false;
  bool is_open = false;
  for (int i = 3; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--later") is_later = true;
    if (flag == "--open") is_open = true;
    if (flag == "--threads" && i + 1 < argc) options.threads = static_cast<unsigned>(std::atoi(argv[++i]));
    if (flag == "--tls" && i + 2 < argc) {
      options.tls_certificate_file = argv[++i];
      options.tls_key_file = argv[++i];
    }
  }
  std::ifstream file(argv[2], std::ios::binary);
  const std::string secret((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  net::jwt_options jwt;
  jwt.keys.push_back({"", net::jwt_algorithm::hs256, secret});
  auto verifier = net::jwt_verifier::create(std::move(jwt));
  if (!verifier) {
    std::fprintf(stderr, "echo_gateway: %s\n", verifier.failure().message.c_str());
    return 2;
  }
  sigset_t waited;
  sigemptyset(&waited);
  for (const int one : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&waited, one);
  pthread_sigmask(SIG_BLOCK, &waited, nullptr);

  net::server server(
      options, *verifier,
      [&](net::thread_context& thread) { return std::make_unique<joke>(thread, is_later, is_open); },
      nullptr);
  if (auto started = server.start(); !started) {
    std::fprintf(stderr, "echo_gateway: %s\n", started.failure().message.c_str());
    return 1;
  }
  std::printf("listening on %u\n", static_cast<unsigned>(server.ports().front()));
  std::fflush(stdout);
  for (int signal = 0; sigwait(&waited, &signal) == 0 && signal == SIGHUP;)
    if (auto reloaded = server.reload_certificates(); !reloaded)
      std::fprintf(stderr, "echo_gateway: %s\n", reloaded.failure().message.c_str());
  server.stop();
  return 0;
}
