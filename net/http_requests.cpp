#include <algorithm>

#include "base/json_writer.hpp"
#include "base/log.hpp"
#include "net/http_session.hpp"
#include "net/protocol_message.hpp"
#include "net/text.hpp"

namespace mooring::net {

bool is_allowed_origin(const server_options& options, std::string_view origin) {
  for (const auto& allowed : options.allowed_origins)
    if (allowed == "*" || equal_ignoring_case(allowed, origin)) return true;
  return false;
}

void http_session::dispatch() {
  if (target_ == "/graphql") return dispatch_graphql();
  if (target_ == "/backup") return dispatch_backup();
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

// Everything that the node holds, for its operator. A web page has no business here, so there is no preflight either.
void http_session::dispatch_backup() {
  const auto method = parser_->get().method();
  if (method != http::verb::get) return refuse(405, error_code::bad_user_input, "only GET", "Allow: GET\r\n");
  if (!header(http::field::origin).empty()) {
    thread_.counters().refused_origins.add();
    return refuse(403, error_code::forbidden, "web pages get no backup");
  }
  if (!who_) {
    const bool sent = !header(http::field::authorization).empty();
    if (sent) thread_.counters().refused_tokens.add();
    return refuse(401, error_code::unauthenticated, token_fault_,
                  sent ? "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
                       : "WWW-Authenticate: Bearer\r\n");
  }
  if (!who_->is_operator)
    return refuse(403, error_code::forbidden, "a backup needs a token with the role operator");
  if (is_http_1_0_) return refuse(400, error_code::bad_user_input, "a backup needs HTTP/1.1");
  if (thread_.is_stopping()) return refuse(503, error_code::unavailable, "the node is stopping");
  if (thread_.status() == nullptr) return refuse(404, error_code::not_found, "there are no backups here");
  auto source = thread_.status()->begin_backup();
  if (!source) {
    const auto& why = source.failure();
    const auto status = why.code == error_code::not_found ? 404U : status_of(why.code);
    return refuse(status, why.code, why.message, status == 503 ? "Retry-After: 10\r\n" : "");
  }
  if (auto begun = stream("application/vnd.mooring.backup", std::move(*source)); !begun) {
    log::warning("request {}: {}", hexadecimal(request_id_), begun.failure().message);
    return refuse(503, begun.failure().code, begun.failure().message, "Retry-After: 10\r\n");
  }
  log::info("request {}: user {} of tenant {} takes a backup", hexadecimal(request_id_), who_->user,
            who_->tenant);
}

// ── long bodies ──

result<void> http_session::stream(std::string_view content_type, std::unique_ptr<body_source> source) {
  auto started =
      thread_.start_body(std::move(source), [held = std::weak_ptr(self()),
                                             type = std::string(content_type)](result<std::string> piece) {
        if (const auto one = held.lock()) one->take_piece(std::move(piece), type);
      });
  if (!started) return started.failure();
  pump_ = std::move(*started);
  pump_->want();
  return {};
}

void http_session::take_piece(result<std::string> piece, const std::string& content_type) {
  if (ended_ || pump_ == nullptr) return;
  if (state_ == state::executing) { // the first one
    if (piece && thread_.is_stopping()) piece = error{error_code::unavailable, "the node is stopping"};
    if (!piece) {
      pump_->cancel();
      pump_ = nullptr;
      log::warning("request {}: {}", hexadecimal(request_id_), piece.failure().message);
      refuse(status_of(piece.failure().code), piece.failure().code, piece.failure().message);
      return go_on();
    }
    begin_response(200, content_type);
    wire_.outgoing() += "Transfer-Encoding: chunked\r\n";
    end_headers({});
    state_ = state::streaming;
  }
  if (state_ != state::streaming) return;
  if (!piece) {
    log::error("request {}: the answer was cut: {}", hexadecimal(request_id_), piece.failure().message);
    pump_ = nullptr;
    return abort(); // without the last chunk: nobody takes it for the whole
  }
  auto& out = wire_.outgoing();
  if (piece->empty()) {
    pump_ = nullptr;
    out += "0\r\n\r\n";
    log::info("request {}: the whole answer was sent", hexadecimal(request_id_));
    if (keep_alive_)
      next_request();
    else
      close_gracefully();
    return go_on();
  }
  out += hexadecimal(piece->size());
  out += "\r\n";
  out += *piece;
  out += "\r\n";
  wire_.flush();
  if (!ended_ && state_ == state::streaming && wire_.queued_bytes() == 0) pump_->want();
}

// After an answer that came later than its request's turn.
void http_session::go_on() {
  if (processing_ || ended_) return;
  if (state_ == state::waiting)
    process();
  else
    wire_.flush();
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
  const auto media = choose_media(header_list(http::field::accept));
  if (method != http::verb::get && method != http::verb::post)
    return refuse(405, error_code::bad_user_input, "only GET and POST", "Allow: GET, POST, OPTIONS\r\n");
  if (!media)
    return refuse(406, error_code::bad_user_input,
                  "an answer is application/graphql-response+json or application/json");
  media_ = *media;
  if (!who_) { // before its body costs anything
    const bool sent = !header(http::field::authorization).empty();
    if (sent) thread_.counters().refused_tokens.add();
    return refuse(401, error_code::unauthenticated, token_fault_,
                  sent ? "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
                       : "WWW-Authenticate: Bearer\r\n");
  }

  graphql_request request;
  request.who = who_;
  request.via = method == http::verb::post ? transport::http_post : transport::http_get;
  request.remote_address = connection_.remote_address;
  std::string forwarded;
  if (connection_.is_proxy)
    if (const auto client = forwarded_client_of_request())
      request.remote_address = forwarded = client->text();
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
  if (parameters && parameters->query.empty() && !parameters->is_persisted) {
    refuse(400, error_code::bad_user_input, "the parameter 'query' is missing");
    return false;
  }
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
  go_on();
}

void http_session::refuse(unsigned status, error_code code, std::string_view message,
                          std::string_view extra_headers) {
  log::debug("request {}: refused with {}: {}", hexadecimal(request_id_), status, to_string(code));
  respond(status, content_type_of(media_), error_body(code, message, request_id_), extra_headers);
}

void http_session::refuse_and_close(unsigned status, error_code code, std::string_view message,
                                    std::string_view extra) {
  keep_alive_ = false;
  refuse(status, code, message, extra);
}

void http_session::respond(unsigned status, std::string_view content_type, std::string_view body,
                           std::string_view extra_headers) {
  std::string compressed;
  if (wants_gzip_ && body.size() >= thread_.options().gzip_bytes_min) {
    compressed = thread_.gzip().compress(body);
    body = compressed;
  }
  begin_response(status, content_type);
  auto& out = wire_.outgoing();
  if (status != 204) {
    out += "Content-Length: ";
    append_json_integer(out, static_cast<std::int64_t>(body.size()));
    out += "\r\n";
  }
  if (!compressed.empty()) out += "Content-Encoding: gzip\r\n";
  end_headers(extra_headers);
  if (!is_head_) out += body;
  if (keep_alive_)
    next_request();
  else
    close_gracefully();
}

// The status line and the first headers; what frames the body comes between here and end_headers.
void http_session::begin_response(unsigned status, std::string_view content_type) {
  auto& counters = thread_.counters();
  (status < 400 ? counters.http_2xx : status < 500 ? counters.http_4xx : counters.http_5xx).add();
  if (thread_.is_stopping()) keep_alive_ = false;
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
}

void http_session::end_headers(std::string_view extra_headers) {
  auto& out = wire_.outgoing();
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
}

} // namespace mooring::net
