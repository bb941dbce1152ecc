#include "net/http_session.hpp"

#include <algorithm>
#include <limits>

#include <boost/beast/websocket/rfc6455.hpp>
#include <fmt/core.h>

#include "base/log.hpp"
#include "net/client_address.hpp"
#include "net/protocol_message.hpp"
#include "net/text.hpp"
#include "net/websocket_upgrade.hpp"

namespace mooring::net {

namespace {

// For headers.
constexpr std::size_t read_bytes = 2048;
// For bodies: never what a header claims, only what has come.
constexpr std::size_t body_read_bytes = 64 << 10;
// A body up to here is read before its request is refused; beyond: refused and closed.
constexpr std::size_t refused_body_bytes_max = 64 << 10;

} // namespace

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
                          if (failure == asio::error::eof && wire_.queued_bytes() != 0)
                            return close_gracefully();
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
      if (is_held_back(0)) { // on_sent goes on
        processing_ = false;
        return;
      }
      more = !ended_ && parse_headers();
      break;
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
  if (failure) { // what is kept of the request before is none of this one's
    request_id_ = thread_.next_request_id();
    is_head_ = wants_gzip_ = false;
    media_ = answer_media::json;
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

// Of all its lines, as one (RFC 9110, 5.3).
std::string http_session::header_list(http::field name) const {
  return header_list(view(http::to_string(name)));
}
std::string http_session::header_list(std::string_view name) const {
  const auto [first, last] = parser_->get().equal_range({name.data(), name.size()});
  std::string joined;
  for (auto at = first; at != last; ++at) {
    if (!joined.empty()) joined += ',';
    joined += view(at->value());
  }
  return joined;
}

std::optional<ip_address> http_session::forwarded_client_of_request() const {
  return forwarded_client(thread_.options().trusted_proxies, header_list("X-Forwarded-For"));
}

void http_session::on_headers() {
  auto& request = parser_->get();
  thread_.counters().http_requests.add();
  request_id_ = thread_.next_request_id();
  keep_alive_ = request.keep_alive() && !thread_.is_stopping();
  is_http_1_0_ = request.version() < 11;
  is_head_ = request.method() == http::verb::head;
  wants_gzip_ = accepts_gzip(header_list(http::field::accept_encoding));
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
  const bool needs_token = target_ == "/graphql" || target_ == "/backup";
  if (needs_token && !check_token() && body_bytes_ > refused_body_bytes_max)
    return refuse_and_close(401, error_code::unauthenticated, token_fault_, "WWW-Authenticate: Bearer\r\n");
  if (target_ == "/graphql" && boost::beast::websocket::is_upgrade(request)) {
    if (body_bytes_ != 0) return refuse_and_close(400, error_code::bad_user_input, "an upgrade has no body");
    return on_upgrade();
  }

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
  if (parser_->get().count(http::field::authorization) > 1) { // a proxy may have believed the other one
    token_fault_ = "the request has more than one Authorization header";
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
  if (connection_.is_proxy) {
    const auto client = forwarded_client_of_request();
    if (client && !connection_.place.move_to(limit_key_of(*client))) {
      thread_.counters().refused_address_limit.add();
      return refuse_and_close(429, error_code::rate_limited, "this address holds too many connections");
    }
    if (client) connection_.remote_address = client->text();
  }
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
  switch (state_) {
  case state::waiting:
  case state::headers:
    if (wire_.queued_bytes() != 0) return close_gracefully(); // answers that a slow peer has still to take
    return abort();
  case state::handshaking:
  case state::streaming: return abort(); // a long body could take for ever
  case state::body:
  case state::executing:
  case state::closing: return;
  }
}

void http_session::on_end() {
  thread_.operations().close(ticket_);
  if (pump_ == nullptr) return;
  std::exchange(pump_, nullptr)->cancel();
  if (state_ == state::streaming)
    log::warning("request {}: the connection ended before the whole answer was sent",
                 hexadecimal(request_id_));
}

void http_session::on_sent() {
  session::on_sent();
  if (state_ == state::streaming && !wire_.is_write_blocked()) pump_->want();
  if (state_ != state::waiting) return;
  if (!wire_.is_write_blocked()) {
    since_ms_ = thread_.now_ms(); // the silence between two requests begins when the answer has left
    arm();
  }
  if (held_back_ && !reading_) process();
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
    if (wire_.is_write_blocked()) break; // the last answer is still on its way
    at = std::min(at, since_ms_ + (is_first_ ? options.header_timeout_ms : options.keep_alive_timeout_ms));
    break;
  case state::body: at = std::min(at, receive_deadline_ms()); break;
  case state::executing: break; // the gateway answers in its time
  case state::streaming: break; // only the peer can be slow
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
  case state::executing:
  case state::streaming: return;
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

std::shared_ptr<session> make_http_session(network_thread& thread, connection parts) {
  auto made = std::make_shared<http_session>(thread, std::move(parts));
  // Started from the loop, when the thread knows the session.
  asio::post(thread.io(), [made] { made->start(); });
  return made;
}

} // namespace mooring::net
