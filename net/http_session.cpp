// An HTTP/1.1 connection: one request at a time, in the order they came (pipelining needs no more), until it
// is upgraded or closed.
//
//   handshaking ─► waiting ─► headers ─► body ─► executing ─┬─► waiting …
//        (TLS)                                              └─► closing
//
// Cross-site requests: nothing here is authorised by a cookie, only by a bearer token that a foreign page
// does not have; so a forged request gains nothing. Still, a request that carries an Origin must carry an
// allowed one, and a GET without Origin is refused when the browser says that another site made it
// (Sec-Fetch-Site). A POST must be application/json, which makes a browser ask first (preflight).
#include "net/session.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <fmt/core.h>

#include "base/json_writer.hpp"
#include "net/http_negotiation.hpp"
#include "net/message_buffer.hpp"
#include "net/protocol_message.hpp"
#include "net/text.hpp"
#include "net/websocket_session.hpp"

namespace mooring::net {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t read_bytes = 2048; // for headers
constexpr std::size_t body_read_bytes = 64
                                        << 10; // for bodies: never what a header claims, only what has come
constexpr std::size_t refused_body_bytes_max =
    64 << 10; // read to the end before a refusal; larger: refuse and close

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_allowed_origin(const server_options& options, std::string_view origin) {
  for (const auto& allowed : options.allowed_origins)
    if (allowed == "*" || equal_ignoring_case(allowed, origin)) return true;
  return false;
}

class http_session final : public session {
 public:
  http_session(network_thread& thread, connection parts)
      : session(thread, std::move(parts)) {
    thread_.counters().http_connections.add();
    since_ms_ = thread_.now_ms();
  }
  ~http_session() override { thread_.counters().http_connections.subtract(); }

  void start();

  void on_answer(operation_table::ticket ticket, operation_table::operation& operation,
                 graphql_answer&& answer) override;
  void begin_stop() override;
  void force_close() override;
  void close_by_gateway(std::uint16_t, const std::string&) override {
  } // only WebSockets are handed to the gateway

 protected:
  std::int64_t next_deadline_ms() const override;
  void check_deadlines(std::int64_t now_ms) override;
  void on_end() override { thread_.operations().close(ticket_); }

 private:
  enum class state : std::uint8_t { handshaking, waiting, headers, body, executing, closing };

  std::shared_ptr<http_session> self() { return std::static_pointer_cast<http_session>(shared_from_this()); }
  void read();
  void process();
  bool parse_headers(); // the steps of process: true when there may be more to do with what is here
  bool collect_body();
  void on_headers();
  void on_upgrade();
  void dispatch();
  void dispatch_graphql();
  void dispatch_status(std::string_view path);
  bool prepare_post(graphql_request& request);
  bool prepare_get(graphql_request& request);
  bool check_token();

  std::string_view header(http::field name) const;
  void refuse(unsigned status, error_code code, std::string_view message,
              std::string_view extra_headers = {});
  void refuse_and_close(unsigned status, error_code code, std::string_view message,
                        std::string_view extra = {});
  void respond(unsigned status, std::string_view content_type, std::string_view body,
               std::string_view extra_headers = {});
  void next_request();
  void close_gracefully();
  void finish();

  state state_ = state::waiting;
  message_buffer in_;
  std::optional<http::request_parser<http::empty_body>> parser_;
  std::uint64_t body_bytes_ = 0;
  std::string target_; // path of the request
  std::string query_string_;
  std::string body_; // inflated
  std::vector<std::pair<std::string, std::string>> get_parameters_;
  std::shared_ptr<const identity> who_;
  std::string token_fault_; // why the token that came does not verify
  answer_media media_ = answer_media::json;
  bool keep_alive_ = false;
  bool wants_gzip_ = false;
  bool is_head_ = false;
  bool is_http_1_0_ = false;
  bool is_first_ = true;
  bool processing_ = false;
  bool reading_ = false;
  std::uint64_t request_id_ = 0;
  operation_table::ticket ticket_ = ~operation_table::ticket{0};
  std::int64_t since_ms_ = 0; // when the state's deadline started
};

void http_session::start() {
  arm();
  if (!wire_.is_tls()) return read();
  state_ = state::handshaking;
  arm();
  wire_.async_handshake([this, held = self()](io_error failure) {
    if (ended_) return;
    if (failure) {
      thread_.counters().refused_handshakes.add();
      return abort();
    }
    state_ = state::waiting;
    since_ms_ = thread_.now_ms();
    arm();
    read();
  });
}

void http_session::read() {
  if (reading_ || ended_) return;
  reading_ = true;
  const auto room = state_ == state::body
                        ? std::min<std::uint64_t>(
                              body_bytes_ - std::min<std::uint64_t>(body_bytes_, in_.size()), body_read_bytes)
                        : read_bytes;
  wire_.async_read_some(in_.prepare(std::max<std::size_t>(static_cast<std::size_t>(room), 1)),
                        [this, held = self()](io_error failure, std::size_t bytes) {
                          reading_ = false;
                          if (ended_) return;
                          if (state_ == state::closing) return finish();
                          if (failure) return abort();
                          in_.commit(bytes);
                          process();
                        });
}

void http_session::process() {
  // Answers that come at once, inside of this loop, do not recurse.
  processing_ = true;
  for (bool more = true; more && !ended_;) {
    switch (state_) {
    case state::waiting:
    case state::headers: more = parse_headers(); break;
    case state::body: more = collect_body(); break;
    default: more = false; break;
    }
  }
  processing_ = false;
  if (ended_) return;
  wire_.flush();
  if (ended_) return;
  if (state_ == state::waiting || state_ == state::headers || state_ == state::body) read();
}

bool http_session::parse_headers() {
  if (in_.size() == 0) {
    in_.release(0);
    return false;
  }
  if (state_ == state::waiting) {
    state_ = state::headers;
    since_ms_ = thread_.now_ms();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(thread_.options().header_bytes_max));
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max()); // on_headers looks
    arm();
  }
  io_error failure;
  const auto used = parser_->put(in_.data(), failure);
  in_.consume(used);
  if (failure == http::error::need_more) {
    return false;
  }
  if (failure == http::error::header_limit) {
    refuse_and_close(431, error_code::payload_too_large, "the headers are too large");
    return false;
  }
  if (failure) {
    refuse_and_close(400, error_code::bad_user_input, "the request is not valid HTTP/1.1");
    return false;
  }
  if (!parser_->is_header_done()) return in_.size() != 0;
  on_headers();
  return state_ == state::body || state_ == state::waiting;
}

std::string_view http_session::header(http::field name) const {
  const auto& fields = parser_->get();
  const auto at = fields.find(name);
  return at == fields.end() ? std::string_view{} : view(at->value());
}

void http_session::on_headers() {
  auto& request = parser_->get();
  thread_.counters().http_requests.add();
  request_id_ = thread_.next_request_id();
  keep_alive_ = request.keep_alive() && !thread_.is_stopping();
  is_http_1_0_ = request.version() < 11;
  is_head_ = request.method() == http::verb::head;
  wants_gzip_ = accepts_gzip(header(http::field::accept_encoding));
  media_ = answer_media::json;
  who_.reset();
  token_fault_.clear();

  // No chunked bodies: their limits have holes in this Beast (trailers, chunk extensions), and a client that
  // knows its body, as every GraphQL client does, knows its length.
  if (request.count(http::field::transfer_encoding) != 0)
    return refuse_and_close(411, error_code::bad_user_input, "send the body with a Content-Length");
  if (!is_http_1_0_ && request.count(http::field::host) != 1)
    return refuse_and_close(400, error_code::bad_user_input, "the request needs one Host header");

  auto target = view(request.target());
  if (const auto scheme = target.find("://"); scheme != std::string_view::npos && !target.starts_with('/')) {
    const auto path = target.find('/', scheme + 3);
    target = path == std::string_view::npos ? std::string_view("/") : target.substr(path);
  }
  const auto question = target.find('?');
  target_.assign(target.substr(0, question));
  query_string_.assign(question == std::string_view::npos ? std::string_view{} : target.substr(question + 1));

  const auto length = parser_->content_length();
  body_bytes_ = length ? *length : 0;
  if (body_bytes_ > thread_.options().message_bytes_max)
    return refuse_and_close(
        413, error_code::payload_too_large,
        fmt::format("the body is larger than {} bytes", thread_.options().message_bytes_max));
  if (target_ == "/graphql" && !check_token() && body_bytes_ > refused_body_bytes_max)
    return refuse_and_close(401, error_code::unauthenticated, token_fault_, "WWW-Authenticate: Bearer\r\n");
  if (target_ == "/graphql" && beast::websocket::is_upgrade(request)) return on_upgrade();

  if (const auto expect = header(http::field::expect); !expect.empty()) {
    if (!equal_ignoring_case(expect, "100-continue"))
      return refuse_and_close(417, error_code::bad_user_input, "only 100-continue can be expected");
    if (body_bytes_ > in_.size() && !is_http_1_0_) wire_.outgoing() += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  state_ = state::body;
  receiving_ = {std::max<std::int64_t>(thread_.now_ms(), 1), received_bytes_};
  arm();
}

// The Authorization header into who_ or token_fault_. False when there is no valid token.
bool http_session::check_token() {
  const auto authorization = header(http::field::authorization);
  if (authorization.empty()) {
    token_fault_ = "the request needs a bearer token";
    return false;
  }
  auto verified = thread_.tokens().verify(bearer_token(authorization), thread_.options().time->now());
  if (!verified) {
    token_fault_ = verified.failure().message;
    return false;
  }
  who_ = std::move(*verified);
  return true;
}

bool http_session::collect_body() {
  if (in_.size() < body_bytes_) return false;
  state_ = state::executing;
  receiving_.since_ms = 0;
  dispatch();
  return state_ == state::waiting;
}

void http_session::dispatch() {
  if (target_ == "/graphql") return dispatch_graphql();
  if (target_ == "/healthz" || target_ == "/readyz" || target_ == "/metrics") return dispatch_status(target_);
  respond(404, "text/plain; charset=utf-8", "There is nothing here. The API is at /graphql.\n");
}

void http_session::dispatch_status(std::string_view path) {
  const auto method = parser_->get().method();
  constexpr std::string_view text = "text/plain; charset=utf-8";
  if (method != http::verb::get && method != http::verb::head)
    return respond(405, text, "Only GET.\n", "Allow: GET, HEAD\r\n");
  if (path == "/healthz") return respond(200, text, "ok\n");
  if (path == "/readyz") {
    std::string why_not;
    if (thread_.is_stopping()) why_not = "the node is stopping";
    if (why_not.empty() && (thread_.status() == nullptr || thread_.status()->is_ready(why_not)))
      return respond(200, text, "ready\n");
    return respond(503, text, why_not + "\n");
  }
  if (thread_.status() == nullptr || !thread_.options().serve_metrics)
    return respond(404, text, "No metrics here.\n");
  respond(200, "text/plain; version=0.0.4; charset=utf-8", thread_.status()->metrics_text());
}

void http_session::dispatch_graphql() {
  const auto method = parser_->get().method();
  const auto origin = header(http::field::origin);
  if (!origin.empty() && !is_allowed_origin(thread_.options(), origin)) {
    thread_.counters().refused_origins.add();
    return refuse(403, error_code::forbidden, "requests from this origin are not allowed");
  }
  if (method == http::verb::options) {
    return respond(
        204, {}, {},
        "Allow: GET, POST, OPTIONS\r\n"
        "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
        "Access-Control-Allow-Headers: authorization, content-type, content-encoding, accept, *\r\n"
        "Access-Control-Max-Age: 86400\r\n");
  }
  const auto media = choose_media(header(http::field::accept));
  if (method != http::verb::get && method != http::verb::post)
    return refuse(405, error_code::bad_user_input, "only GET and POST", "Allow: GET, POST, OPTIONS\r\n");
  if (!media)
    return refuse(406, error_code::bad_user_input,
                  "an answer is application/graphql-response+json or application/json");
  media_ = *media;
  if (!token_fault_.empty() && !header(http::field::authorization).empty()) {
    thread_.counters().refused_tokens.add();
    return refuse(401, error_code::unauthenticated, token_fault_,
                  "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
  }

  graphql_request request;
  request.who = who_;
  request.via = method == http::verb::post ? transport::http_post : transport::http_get;
  request.remote_address = connection_.remote_address;
  request.request_id = request_id_;
  request.arrived_us = system_clock().monotonic_us();
  if (!(method == http::verb::post ? prepare_post(request) : prepare_get(request))) return;
  ticket_ = thread_.operations().open(*this);
  thread_.execute(request, ticket_);
}

bool http_session::prepare_post(graphql_request& request) {
  if (!is_json_content(header(http::field::content_type))) {
    refuse(415, error_code::bad_user_input, "a POST must be application/json in UTF-8");
    return false;
  }
  const auto encoding = trimmed(header(http::field::content_encoding));
  const std::string_view sent(static_cast<const char*>(in_.data().data()),
                              static_cast<std::size_t>(body_bytes_));
  auto text = sent;
  request.bytes = sent.size();
  if (equal_ignoring_case(encoding, "gzip") || equal_ignoring_case(encoding, "x-gzip")) {
    auto inflated = thread_.gzip().inflate(sent, thread_.options().message_bytes_max, json_padding);
    if (!inflated) {
      refuse(status_of(inflated.failure().code), inflated.failure().code, inflated.failure().message);
      return false;
    }
    body_ = std::move(*inflated);
    text = body_;
    request.bytes = body_.size();
  } else if (!encoding.empty() && !equal_ignoring_case(encoding, "identity")) {
    refuse(415, error_code::bad_user_input, "a body may be encoded as gzip only",
           "Accept-Encoding: gzip\r\n");
    return false;
  }
  if (text.empty()) {
    refuse(400, error_code::bad_user_input, "the body is missing");
    return false;
  }
  const auto parsed = thread_.parser().parse_padded(text.data(), text.size());
  if (!parsed) {
    refuse(400, error_code::bad_user_input, parsed.failure().message);
    return false;
  }
  const auto parameters = request_parameters_of(*parsed);
  if (!parameters) {
    refuse(400, error_code::bad_user_input, parameters.failure().message);
    return false;
  }
  request.query = parameters->query;
  request.operation_name = parameters->operation_name;
  request.variables = parameters->variables;
  request.extensions = parameters->extensions;
  return true;
}

bool http_session::prepare_get(graphql_request& request) {
  const auto bad = [&](std::string_view message) {
    refuse(400, error_code::bad_user_input, message);
    return false;
  };
  if (header(http::field::origin).empty()) {
    const auto& fields = parser_->get();
    if (const auto site = fields.find("Sec-Fetch-Site"); site != fields.end()) {
      const auto from = view(site->value());
      if (from != "same-origin" && from != "none") {
        thread_.counters().refused_origins.add();
        refuse(403, error_code::forbidden, "a GET that another site makes needs an allowed Origin");
        return false;
      }
    }
  }
  auto parameters = parse_query_string(query_string_);
  if (!parameters) return bad("the query string is not valid percent-encoded UTF-8");
  get_parameters_ = std::move(*parameters);
  request.bytes = query_string_.size();
  for (const auto& [name, value] : get_parameters_) {
    if (name == "query")
      request.query = value;
    else if (name == "operationName")
      request.operation_name = value;
    else if (name == "variables" || name == "extensions") {
      if (value.empty()) continue;
      const bool is_variables = name == "variables";
      const auto parsed = (is_variables ? thread_.parser() : thread_.second_parser()).parse(value);
      if (!parsed || (parsed->kind() != json_kind::object && parsed->kind() != json_kind::null))
        return bad(is_variables ? "the parameter 'variables' is not a JSON object"
                                : "the parameter 'extensions' is not a JSON object");
      (is_variables ? request.variables : request.extensions) = *parsed;
    }
  }
  if (request.query.empty() &&
      (request.extensions.absent() || request.extensions.kind() != json_kind::object ||
       request.extensions.find("persistedQuery").absent()))
    return bad("the parameter 'query' is missing");
  return true;
}

void http_session::on_answer(operation_table::ticket ticket, operation_table::operation&,
                             graphql_answer&& answer) {
  thread_.operations().close(ticket);
  if (ended_ || state_ != state::executing) return;
  std::string extra;
  const auto status = status_of(answer, media_);
  if (status == 405) extra += "Allow: POST\r\n";
  if (status == 401) extra += "WWW-Authenticate: Bearer\r\n";
  if (answer.retry_after_ms && (status == 429 || status == 503)) {
    extra += "Retry-After: ";
    append_json_integer(extra, std::max<std::int64_t>(1, (*answer.retry_after_ms + 999) / 1000));
    extra += "\r\n";
  }
  respond(status, content_type_of(media_), answer.body, extra);
  if (!processing_ && state_ == state::waiting && !ended_)
    process();
  else if (!processing_ && !ended_)
    wire_.flush();
}

void http_session::refuse(unsigned status, error_code code, std::string_view message,
                          std::string_view extra_headers) {
  respond(status, content_type_of(media_), error_body(code, message, request_id_), extra_headers);
}

void http_session::refuse_and_close(unsigned status, error_code code, std::string_view message,
                                    std::string_view extra) {
  keep_alive_ = false;
  refuse(status, code, message, extra);
}

void http_session::respond(unsigned status, std::string_view content_type, std::string_view body,
                           std::string_view extra_headers) {
  auto& counters = thread_.counters();
  (status < 400 ? counters.http_2xx : status < 500 ? counters.http_4xx : counters.http_5xx).add();
  if (thread_.is_stopping()) keep_alive_ = false;
  std::string compressed;
  if (wants_gzip_ && body.size() >= thread_.options().gzip_bytes_min) {
    compressed = thread_.gzip().compress(body);
    body = compressed;
  }
  auto& out = wire_.outgoing();
  out += "HTTP/1.1 ";
  append_json_integer(out, status);
  out += ' ';
  out += reason_of(status);
  out += "\r\nDate: ";
  out += thread_.http_date();
  out += "\r\n";
  if (!content_type.empty()) {
    out += "Content-Type: ";
    out += content_type;
    out += "\r\nX-Content-Type-Options: nosniff\r\n";
  }
  if (status != 204) {
    out += "Content-Length: ";
    append_json_integer(out, static_cast<std::int64_t>(body.size()));
    out += "\r\n";
  }
  if (!compressed.empty()) out += "Content-Encoding: gzip\r\n";
  out += "Vary: Accept, Accept-Encoding, Origin\r\nCache-Control: no-store\r\n";
  if (parser_ && parser_->is_header_done()) {
    if (const auto origin = header(http::field::origin);
        !origin.empty() && is_allowed_origin(thread_.options(), origin)) {
      out += "Access-Control-Allow-Origin: ";
      out += origin;
      out += "\r\nAccess-Control-Expose-Headers: Retry-After\r\n";
    }
  }
  out += extra_headers;
  if (!keep_alive_)
    out += "Connection: close\r\n";
  else if (is_http_1_0_)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  if (!is_head_) out += body;
  if (keep_alive_)
    next_request();
  else
    close_gracefully();
}

void http_session::next_request() {
  in_.consume(static_cast<std::size_t>(body_bytes_));
  if (in_.size() == 0) in_.release(read_bytes + json_padding);
  body_bytes_ = 0;
  body_ = std::string();
  get_parameters_ = {};
  parser_.reset();
  is_first_ = false;
  state_ = state::waiting;
  receiving_.since_ms = 0;
  since_ms_ = thread_.now_ms();
  arm();
}

void http_session::close_gracefully() {
  if (state_ == state::closing) return;
  state_ = state::closing;
  since_ms_ = thread_.now_ms();
  arm();
  // A pending read must end before the rest is discarded.
  if (reading_)
    wire_.cancel_read();
  else
    finish();
}

void http_session::finish() {
  wire_.async_finish([this, held = self()](io_error) { abort(); });
}

void http_session::on_upgrade() {
  const auto origin = header(http::field::origin);
  if (!origin.empty() && !is_allowed_origin(thread_.options(), origin)) {
    thread_.counters().refused_origins.add();
    return refuse_and_close(403, error_code::forbidden, "connections from this origin are not allowed");
  }
  if (!who_ && !header(http::field::authorization).empty()) {
    thread_.counters().refused_tokens.add();
    return refuse_and_close(401, error_code::unauthenticated, token_fault_,
                            "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
  }
  if (thread_.is_stopping()) return refuse_and_close(503, error_code::unavailable, "the node is stopping");
  const auto held = self();
  auto request = parser_->release();
  parser_.reset();
  const std::string leftover(in_.view());
  in_.consume(in_.size());
  in_.release(0);
  ended_ = true;
  thread_.wheel().cancel(*this);
  upgrade_to_websocket(thread_, *this, std::move(connection_), std::move(request), std::move(who_), leftover);
}

void http_session::begin_stop() {
  keep_alive_ = false;
  if (state_ == state::waiting || state_ == state::headers || state_ == state::handshaking) abort();
}

void http_session::force_close() {
  if (state_ == state::executing) {
    thread_.operations().close(ticket_);
    refuse_and_close(503, error_code::unavailable, "the node is stopping; retry with the same key");
  } else if (state_ != state::closing) {
    abort();
  }
}

std::int64_t http_session::next_deadline_ms() const {
  const auto& options = thread_.options();
  std::int64_t at = write_deadline_ms();
  switch (state_) {
  case state::handshaking:
  case state::headers: at = std::min(at, since_ms_ + options.header_timeout_ms); break;
  case state::waiting:
    at = std::min(at, since_ms_ + (is_first_ ? options.header_timeout_ms : options.keep_alive_timeout_ms));
    break;
  case state::body: at = std::min(at, receive_deadline_ms()); break;
  case state::executing: break; // the gateway answers in its time
  case state::closing: at = wire_.is_write_blocked() ? at : since_ms_ + options.close_timeout_ms; break;
  }
  return at;
}

void http_session::check_deadlines(std::int64_t now_ms) {
  auto& counters = thread_.counters();
  const auto& options = thread_.options();
  if (write_is_overdue(now_ms)) {
    counters.deadline_closes.add();
    return abort();
  }
  switch (state_) {
  case state::executing: return;
  case state::closing:
    if (!wire_.is_write_blocked() && now_ms >= since_ms_ + options.close_timeout_ms) abort();
    return;
  case state::waiting: // nobody asked anything: nothing to say
    if (now_ms >= next_deadline_ms()) abort();
    return;
  case state::handshaking:
    if (now_ms < since_ms_ + options.header_timeout_ms) return;
    counters.deadline_closes.add();
    return abort();
  case state::headers:
    if (now_ms < since_ms_ + options.header_timeout_ms) return;
    break;
  case state::body:
    if (!receive_is_overdue(now_ms)) return;
    break;
  }
  counters.deadline_closes.add();
  if (state_ == state::headers) request_id_ = thread_.next_request_id();
  refuse_and_close(408, error_code::bad_user_input, "the request took too long to arrive");
}

} // namespace

std::shared_ptr<session> make_http_session(network_thread& thread, connection parts) {
  auto made = std::make_shared<http_session>(thread, std::move(parts));
  // Started from the loop, when the thread knows the session.
  asio::post(thread.io(), [made] { made->start(); });
  return made;
}

} // namespace mooring::net
