// A WebSocket connection that speaks graphql-transport-ws (PROTOCOL.md of the npm package graphql-ws).
//
//   accepting ─► unacknowledged ──connection_init──► acknowledged ─► closing ─► ended
//                      └── 3 s: 4408
//
// Beast reads the frames, answers pings and does the closing handshake. Our messages are written as whole
// frames into the channel's outgoing buffer, several in one system call; Beast's own frames go through the
// same buffer (channel::async_write_some takes a frame whole), so the two never mix.
//
// Reading pauses while requests_in_flight_max requests run or much is queued for a slow reader: the client
// feels it as TCP backpressure.
#include "net/websocket_session.hpp"

#include <algorithm>
#include <optional>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "base/json_writer.hpp"
#include "base/log.hpp"
#include "net/message_buffer.hpp"
#include "net/protocol_message.hpp"
#include "net/text.hpp"

namespace mooring::net {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

// The channel as Beast's next layer: a pointer, since the channel came from the HTTP session.
struct channel_link {
  using executor_type = executor;
  channel* to;
  std::uint16_t* close_code; // the code of a close frame that Beast writes, unless one is there

  executor_type get_executor() { return to->get_executor(); }
  template<class Buffers, class Handler> void async_read_some(const Buffers& buffers, Handler&& handler) {
    to->async_read_some(buffers, std::forward<Handler>(handler));
  }
  template<class Buffers, class Handler> void async_write_some(const Buffers& buffers, Handler&& handler) {
    asio::const_buffer first;
    if (asio::buffer_sequence_begin(buffers) != asio::buffer_sequence_end(buffers))
      first = *asio::buffer_sequence_begin(buffers);
    const auto* const frame = static_cast<const unsigned char*>(first.data());
    if (first.size() >= 4 && frame[0] == 0x88 && *close_code == 0)
      *close_code = static_cast<std::uint16_t>((frame[2] << 8) | frame[3]);
    to->async_write_some(buffers, std::forward<Handler>(handler));
  }
};

void beast_close_socket(channel_link& link) {
  link.to->close();
}

template<class Handler> void async_teardown(beast::role_type, channel_link& link, Handler&& handler) {
  // Beast's handlers can only be moved; std::function copies.
  auto shared = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
  link.to->async_finish(
      [shared](io_error failure) { (*shared)(failure == asio::error::eof ? io_error() : failure); });
}

namespace {

constexpr std::size_t idle_buffer_bytes_max = 4
                                              << 10;  // a read buffer above this is not kept between messages
constexpr std::size_t unflushed_bytes_max = 64 << 10; // pipelined answers leave at the latest here

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// What the gateway holds to close a connection from any thread.
class remote_handle final : public connection_handle {
 public:
  remote_handle(std::shared_ptr<thread_inbox> inbox, network_thread& thread, std::uint64_t connection_id)
      : inbox_(std::move(inbox))
      , thread_(thread)
      , connection_id_(connection_id) {}
  void close(std::uint16_t code, std::string reason) override {
    inbox_->post([&thread = thread_, id = connection_id_, code, reason = std::move(reason)] {
      thread.close_connection(id, code, reason);
    });
  }

 private:
  std::shared_ptr<thread_inbox> inbox_;
  network_thread& thread_; // used only by work that runs on it
  std::uint64_t connection_id_;
};

class websocket_session final : public session {
 public:
  websocket_session(network_thread& thread, connection parts, std::shared_ptr<const identity> who);
  ~websocket_session() override { thread_.counters().websocket_connections.subtract(); }

  void accept(upgrade_request request, std::string_view leftover);

  void on_answer(operation_table::ticket ticket, operation_table::operation& operation,
                 graphql_answer&& answer) override;
  void begin_stop() override;
  void force_close() override { close(close_code::going_away, "the node is stopping"); }
  void close_by_gateway(std::uint16_t code, const std::string& reason) override { close(code, reason); }
  void on_drained() override;
  void on_read_waits() override;

 protected:
  std::int64_t next_deadline_ms() const override;
  void check_deadlines(std::int64_t now_ms) override;
  void on_end() override;

 private:
  enum class state : std::uint8_t { accepting, unacknowledged, acknowledged, closing };

  std::shared_ptr<websocket_session> self() {
    return std::static_pointer_cast<websocket_session>(shared_from_this());
  }
  void read();
  void on_read(io_error failure);
  void on_message();
  void on_connection_init(const client_message& message);
  void on_ping(const client_message& message);
  void on_subscribe(const client_message& message);
  void on_complete(const client_message& message);
  bool may_read() const;
  void sent(std::size_t messages);
  void close(std::uint16_t code, std::string_view reason);
  std::int64_t expiry_in_ms() const;
  std::optional<std::size_t> find_operation(std::string_view id_json) const;

  std::uint16_t counted_code_ = 0; // of the close that was sent
  websocket::stream<channel_link, false> stream_;
  message_buffer in_;
  std::shared_ptr<const identity> who_; // before the acknowledgement: of the upgrade's header, or null
  std::vector<operation_table::ticket> running_;
  std::shared_ptr<remote_handle> handle_;
  std::string id_scratch_;
  std::uint64_t id_;
  std::int64_t since_ms_;         // of the state
  std::int64_t pinged_at_ms_ = 0; // 0: no ping is out
  state state_ = state::accepting;
  bool subprotocol_ok_ = false;
  bool reading_ = false;
  bool in_read_turn_ = false; // a message is being handled; flushed at the turn's end
  bool beast_closing_ = false;
  bool queue_was_over_ = false; // the queue was above its limit before the latest answer
  bool opened_ = false;         // the gateway knows of the connection
};

websocket_session::websocket_session(network_thread& thread, connection parts,
                                     std::shared_ptr<const identity> who)
    : session(thread, std::move(parts))
    , stream_(channel_link{&wire_, &counted_code_})
    , who_(std::move(who))
    , id_(thread.next_connection_id())
    , since_ms_(thread.now_ms()) {
  thread_.counters().websocket_connections.add();
  stream_.read_message_max(thread_.options().first_message_bytes_max);
  // Control frames are no part of a message: between messages they do not start the clock of one.
  stream_.control_callback([this](websocket::frame_type, beast::string_view) {
    if (in_.size() == 0) receiving_.since_ms = 0;
  });
}

void websocket_session::accept(upgrade_request request, std::string_view leftover) {
  const auto offered = request.find(beast::http::field::sec_websocket_protocol);
  if (offered != request.end()) {
    for (const auto& name : beast::http::token_list(offered->value()))
      if (view(name) == websocket_subprotocol) subprotocol_ok_ = true;
  }
  stream_.set_option(
      websocket::stream_base::decorator([ok = subprotocol_ok_](websocket::response_type& response) {
        if (ok)
          response.set(beast::http::field::sec_websocket_protocol,
                       beast::string_view(websocket_subprotocol.data(), websocket_subprotocol.size()));
        response.set(beast::http::field::server, "mooring");
      }));
  wire_.unread(leftover);
  arm();
  stream_.async_accept(request, [this, held = self()](io_error failure) {
    if (ended_) return;
    if (failure) return abort();
    // The decorator is not needed again, and holds memory.
    stream_.set_option(websocket::stream_base::decorator([](websocket::response_type&) {}));
    state_ = state::unacknowledged;
    since_ms_ = thread_.now_ms();
    receiving_.since_ms = 0;
    arm();
    if (!subprotocol_ok_) return close(close_code::subprotocol_not_acceptable, "Subprotocol not acceptable");
    if (thread_.is_stopping()) return close(close_code::going_away, "the node is stopping");
    read();
  });
}

// ── reading ──

bool websocket_session::may_read() const {
  const auto& options = thread_.options();
  return running_.size() < options.requests_in_flight_max &&
         wire_.queued_bytes() <= options.queued_bytes_max / 4 &&
         !(thread_.is_stopping() && state_ == state::acknowledged);
}

void websocket_session::read() {
  if (reading_ || ended_ || beast_closing_ || !may_read()) return;
  reading_ = true;
  stream_.async_read(in_, [held = self()](io_error failure, std::size_t) { held->on_read(failure); });
}

void websocket_session::on_read(io_error failure) {
  reading_ = false;
  if (ended_) return;
  if (failure) {
    // The connection is gone, or the closing that the client or Beast began is done.
    if (beast_closing_) return; // async_close's own handler ends the session
    return abort();
  }
  receiving_.since_ms = 0;
  pinged_at_ms_ = 0;
  thread_.counters().messages_received.add();
  in_read_turn_ = true;
  if (stream_.got_text())
    on_message();
  else
    close(close_code::unsupported_data, "messages must be text");
  if (ended_) return;
  in_.consume(in_.size());
  in_.release(idle_buffer_bytes_max);
  // While the next message is here already, the turn goes on; many answers then leave in one write. The turn
  // ends when the channel has to wait for the client (on_read_waits), or here.
  read();
  if (!in_read_turn_) return;
  if (!reading_ || wire_.queued_bytes() > unflushed_bytes_max) {
    in_read_turn_ = false;
    wire_.flush();
    if (!reading_) read(); // there may be room now
  }
}

void websocket_session::on_read_waits() {
  if (in_read_turn_) {
    in_read_turn_ = false;
    wire_.flush();
  }
  session::on_read_waits();
}

void websocket_session::on_message() {
  auto& buffer = in_;
  const auto message =
      parse_client_message(thread_.parser(), static_cast<const char*>(buffer.data().data()), buffer.size());
  if (state_ == state::closing) return;
  if (!message) return close(close_code::bad_request, message.failure().message);
  switch (message->type) {
  case client_message_type::connection_init: return on_connection_init(*message);
  case client_message_type::ping: return on_ping(*message);
  case client_message_type::pong: return;
  case client_message_type::subscribe: return on_subscribe(*message);
  case client_message_type::complete: return on_complete(*message);
  }
}

void websocket_session::on_connection_init(const client_message& message) {
  if (state_ == state::acknowledged)
    return close(close_code::too_many_init_requests, "Too many initialisation requests");
  if (const auto authorization = authorization_of(message.payload); !authorization.empty()) {
    auto verified = thread_.tokens().verify(bearer_token(authorization), thread_.options().time->now());
    if (!verified) {
      thread_.counters().refused_tokens.add();
      return close(close_code::forbidden, "Forbidden: " + verified.failure().message);
    }
    who_ = std::move(*verified);
  }
  if (!who_)
    return close(close_code::unauthorized,
                 "Unauthorized: connection_init needs `authorization` in its payload");
  if (expiry_in_ms() <= 0) return close(close_code::forbidden, "token expired");
  state_ = state::acknowledged;
  since_ms_ = thread_.now_ms();
  stream_.read_message_max(thread_.options().message_bytes_max);
  thread_.register_connection(id_, *this);
  handle_ = std::make_shared<remote_handle>(thread_.inbox(), thread_, id_);
  append_connection_ack_frame(wire_.outgoing());
  sent(1);
  opened_ = true;
  thread_.target().connection_opened(id_, who_, handle_);
  arm();
}

void websocket_session::on_ping(const client_message& message) {
  const auto authorization = authorization_of(message.payload);
  if (authorization.empty()) {
    append_pong_frame(wire_.outgoing(), message.payload);
    return sent(1);
  }
  // A fresh token. Only the same person on the same device may come in by it: the rest of the connection's
  // state is theirs.
  if (state_ != state::acknowledged) return close(close_code::unauthorized, "Unauthorized");
  auto verified = thread_.tokens().verify(bearer_token(authorization), thread_.options().time->now());
  if (!verified) {
    thread_.counters().refused_tokens.add();
    return close(close_code::forbidden, "Forbidden: " + verified.failure().message);
  }
  const auto& fresh = **verified;
  if (fresh.tenant != who_->tenant || fresh.user != who_->user || fresh.device != who_->device)
    return close(close_code::forbidden, "Forbidden: the token is another user's or device's");
  who_ = std::move(*verified);
  append_pong_frame(wire_.outgoing(), {}); // without the payload: a token is not echoed
  sent(1);
  thread_.target().connection_opened(id_, who_, handle_);
  arm();
}

std::optional<std::size_t> websocket_session::find_operation(std::string_view id_json) const {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const auto* const operation = thread_.operations().find(running_[i]);
    if (operation != nullptr && !operation->cancelled && operation->id_json == id_json) return i;
  }
  return std::nullopt;
}

void websocket_session::on_subscribe(const client_message& message) {
  if (state_ != state::acknowledged) return close(close_code::unauthorized, "Unauthorized");
  id_scratch_.clear();
  append_json_string(id_scratch_, message.id);
  if (find_operation(id_scratch_)) {
    std::string reason = "Subscriber for ";
    reason += cut_utf8(message.id, 80);
    reason += " already exists";
    return close(close_code::subscriber_exists, reason);
  }
  const auto ticket = thread_.operations().open(*this);
  thread_.operations().find(ticket)->id_json = id_scratch_;
  running_.push_back(ticket);

  graphql_request request;
  request.who = who_;
  request.via = transport::websocket;
  request.query = message.query;
  request.operation_name = message.operation_name;
  request.variables = message.variables;
  request.extensions = message.extensions;
  request.remote_address = connection_.remote_address;
  request.bytes = in_.size();
  request.request_id = thread_.next_request_id();
  request.arrived_us = system_clock().monotonic_us();
  thread_.execute(request, ticket);
}

void websocket_session::on_complete(const client_message& message) {
  id_scratch_.clear();
  append_json_string(id_scratch_, message.id);
  // It still runs and still counts as in flight, but its id is free and its answer is dropped.
  if (const auto at = find_operation(id_scratch_)) thread_.operations().find(running_[*at])->cancelled = true;
}

// ── answering ──

void websocket_session::on_answer(operation_table::ticket ticket, operation_table::operation& operation,
                                  graphql_answer&& answer) {
  const bool was_full = !may_read();
  const bool is_wanted = !operation.cancelled && state_ == state::acknowledged;
  if (is_wanted) {
    auto& out = wire_.outgoing();
    const std::string_view body = answer.body;
    if (answer.executed) {
      append_next_frame(out, operation.id_json, body);
      append_complete_frame(out, operation.id_json);
    } else {
      // gateway.hpp: the body of a refusal is {"errors":[…]} and nothing else.
      constexpr std::string_view head = R"({"errors":)";
      MOORING_CHECK(body.starts_with(head) && body.ends_with("]}"),
                    "a refused answer's body is {\"errors\":[…]}");
      append_error_frame(out, operation.id_json, body.substr(head.size(), body.size() - head.size() - 1));
    }
  }
  thread_.operations().close(ticket);
  running_.erase(std::find(running_.begin(), running_.end(), ticket));
  if (is_wanted) sent(answer.executed ? 2 : 1);
  if (ended_ || state_ == state::closing) return;
  if (thread_.is_stopping() && running_.empty()) return close(close_code::going_away, "the node is stopping");
  if (was_full && !in_read_turn_) read();
}

// Bytes were appended for the client.
void websocket_session::sent(std::size_t messages) {
  thread_.counters().messages_sent.add(messages);
  if (wire_.queued_bytes() > thread_.options().queued_bytes_max) {
    wire_.flush();
    // What a single answer holds may always wait; a queue on top of a full one may not.
    if (ended_) return;
    if (wire_.is_write_blocked() && queue_was_over_) {
      thread_.counters().queue_overflows.add();
      return close(close_code::try_again_later, "too much is waiting to be read; reconnect and resume");
    }
    queue_was_over_ = wire_.queued_bytes() > thread_.options().queued_bytes_max;
    return;
  }
  queue_was_over_ = false;
  if (!in_read_turn_) thread_.mark_dirty(shared_from_this());
}

void websocket_session::on_drained() {
  session::on_drained();
  queue_was_over_ = false;
  // The answer to our close can be waited for only now.
  if (state_ == state::closing) since_ms_ = thread_.now_ms();
  arm();
  read();
}

// ── ending ──

void websocket_session::close(std::uint16_t code, std::string_view reason) {
  if (ended_ || state_ == state::closing) return;
  if (state_ == state::accepting) return abort(); // there is no WebSocket yet
  state_ = state::closing;
  since_ms_ = thread_.now_ms();
  receiving_.since_ms = 0;
  counted_code_ = code;
  arm();
  if (!stream_.is_open()) return; // Beast is closing already; on_read ends the session
  beast_closing_ = true;
  const auto short_reason = cut_utf8(reason, 123);
  stream_.async_close(websocket::close_reason(static_cast<websocket::close_code>(code),
                                              beast::string_view(short_reason.data(), short_reason.size())),
                      [this, held = self()](io_error) { abort(); });
}

void websocket_session::on_end() {
  for (const auto ticket : running_) thread_.operations().close(ticket);
  running_.clear();
  thread_.counters().closes[close_code_index(counted_code_)].add();
  if (!opened_) return;
  thread_.forget_connection(id_);
  handle_.reset();
  thread_.target().connection_closed(id_);
}

void websocket_session::begin_stop() {
  if (state_ == state::accepting) return abort();
  if (running_.empty()) close(close_code::going_away, "the node is stopping");
}

// ── deadlines ──

std::int64_t websocket_session::expiry_in_ms() const {
  return who_->expires + thread_.tokens().expiry_leeway_ms() - thread_.options().time->now();
}

std::int64_t websocket_session::next_deadline_ms() const {
  const auto& options = thread_.options();
  auto at = write_deadline_ms();
  switch (state_) {
  case state::accepting: return std::min(at, since_ms_ + options.header_timeout_ms);
  case state::closing: return wire_.is_write_blocked() ? at : since_ms_ + options.close_timeout_ms;
  case state::unacknowledged: at = std::min(at, since_ms_ + options.init_timeout_ms); break;
  case state::acknowledged:
    at = std::min(at, thread_.now_ms() + std::max<std::int64_t>(expiry_in_ms(), 0));
    break;
  }
  at = std::min(at, receive_deadline_ms());
  // While reading is paused, silence is ours and says nothing about the client.
  if (reading_)
    at = std::min(at, pinged_at_ms_ == 0 ? last_received_ms_ + options.ping_interval_ms
                                         : pinged_at_ms_ + options.ping_interval_ms);
  else
    at = std::min(at, thread_.now_ms() + options.ping_interval_ms);
  return at;
}

void websocket_session::check_deadlines(std::int64_t now_ms) {
  const auto& options = thread_.options();
  auto& counters = thread_.counters();
  if (write_is_overdue(now_ms) ||
      (state_ == state::accepting && now_ms >= since_ms_ + options.header_timeout_ms)) {
    counters.deadline_closes.add();
    return abort();
  }
  if (state_ == state::closing) {
    // The other side did not answer our close in time.
    if (!wire_.is_write_blocked() && now_ms >= since_ms_ + options.close_timeout_ms) abort();
    return;
  }
  if (state_ == state::unacknowledged && now_ms >= since_ms_ + options.init_timeout_ms) {
    counters.deadline_closes.add();
    return close(close_code::init_timeout, "Connection initialisation timeout");
  }
  if (state_ == state::acknowledged && expiry_in_ms() <= 0)
    return close(close_code::forbidden, "token expired");
  if (receive_is_overdue(now_ms)) {
    counters.deadline_closes.add();
    return close(close_code::try_again_later, "the message took too long to arrive");
  }
  if (!reading_ || state_ != state::acknowledged) return;
  if (pinged_at_ms_ != 0 && last_received_ms_ >= pinged_at_ms_)
    pinged_at_ms_ = 0; // any byte is a sign of life
  if (pinged_at_ms_ != 0 && now_ms >= pinged_at_ms_ + options.ping_interval_ms) {
    counters.deadline_closes.add();
    return abort(); // the client is gone: nobody would read a close
  }
  if (pinged_at_ms_ == 0 && now_ms >= last_received_ms_ + options.ping_interval_ms && stream_.is_open()) {
    pinged_at_ms_ = now_ms;
    append_control_ping(wire_.outgoing());
    wire_.flush();
  }
}

} // namespace

void upgrade_to_websocket(network_thread& thread, session& from, connection parts, upgrade_request request,
                          std::shared_ptr<const identity> who, std::string_view leftover) {
  auto made = std::make_shared<websocket_session>(thread, std::move(parts), std::move(who));
  thread.replace(from, made);
  made->accept(std::move(request), leftover);
}

} // namespace mooring::net
