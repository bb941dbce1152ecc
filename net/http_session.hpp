// An HTTP/1.1 connection: one request at a time, in the order they came (pipelining needs no more), until it
// is upgraded or closed.
//
//   handshaking ─► waiting ─► headers ─► body ─► executing ─┬─► (streaming ─►) waiting …
//        (TLS)                                              └─► closing
//
// A long body (body_source) streams in chunks; nothing is read from the socket meanwhile.
//
// Who asks on and does not read is not read from either, from queued_bytes_max on. Who ends its own direction
// still gets what it has asked for.
//
// Cross-site requests: nothing here is authorised by a cookie, only by a bearer token that a foreign page
// does not have; so a forged request gains nothing. Still, a request that carries an Origin must carry an
// allowed one, and a GET without Origin is refused when the browser says that another site made it
// (Sec-Fetch-Site). A POST must be application/json, which makes a browser ask first (preflight).
//
// Internal to net. http_session.cpp is the connection, http_requests.cpp what a request gets.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/ip.hpp"
#include "net/http_negotiation.hpp"
#include "net/message_buffer.hpp"
#include "net/session.hpp"

namespace mooring::net {

namespace http = boost::beast::http;

inline std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

// True when a browser's page of this origin may come in.
bool is_allowed_origin(const server_options& options, std::string_view origin);

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
  void on_end() override;
  void on_sent() override;

 private:
  enum class state : std::uint8_t { handshaking, waiting, headers, body, executing, streaming, closing };

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
  void dispatch_backup();
  bool prepare_post(graphql_request& request);
  bool prepare_get(graphql_request& request);
  bool check_token();

  std::string_view header(http::field name) const; // its first line
  std::string header_list(http::field name) const;
  std::string header_list(std::string_view name) const;
  std::optional<ip_address> forwarded_client_of_request() const;
  void refuse(unsigned status, error_code code, std::string_view message,
              std::string_view extra_headers = {});
  void refuse_and_close(unsigned status, error_code code, std::string_view message,
                        std::string_view extra = {});
  void respond(unsigned status, std::string_view content_type, std::string_view body,
               std::string_view extra_headers = {});
  result<void> stream(std::string_view content_type, std::unique_ptr<body_source> source);
  void take_piece(result<std::string> piece, const std::string& content_type);
  void begin_response(unsigned status, std::string_view content_type);
  void end_headers(std::string_view extra_headers);
  void go_on();
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
  std::shared_ptr<body_pump> pump_; // of a long body
  std::int64_t since_ms_ = 0;       // when the state's deadline started
};

} // namespace mooring::net
