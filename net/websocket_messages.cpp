#include <algorithm>

#include "base/json_writer.hpp"
#include "net/text.hpp"
#include "net/websocket_session.hpp"

namespace mooring::net {

namespace {

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

} // namespace

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

// Good until the next call.
std::string& websocket_session::json_of(std::string_view id) {
  auto& out = thread_.scratch();
  out.clear();
  append_json_string(out, id);
  return out;
}

void websocket_session::on_subscribe(const client_message& message) {
  if (state_ != state::acknowledged) return close(close_code::unauthorized, "Unauthorized");
  auto& id = json_of(message.id);
  if (find_operation(id) || find_stream(id)) {
    std::string reason = "Subscriber for ";
    reason += cut_utf8(message.id, 80);
    reason += " already exists";
    return close(close_code::subscriber_exists, reason);
  }
  const auto ticket = thread_.operations().open(*this);
  running_.push_back(ticket);

  graphql_request request;
  request.who = who_;
  request.via = transport::websocket;
  request.query = message.query;
  request.operation_name = message.operation_name;
  request.variables = message.variables;
  request.extensions = message.extensions;
  request.remote_address = connection_.remote_address;
  request.connection_id = id_;
  request.bytes = in_.size();
  request.request_id = thread_.next_request_id();
  auto& operation = *thread_.operations().find(ticket);
  operation.id_json = id;
  operation.request_id = request.request_id;
  request.arrived_us = system_clock().monotonic_us();
  thread_.execute(request, ticket);
}

void websocket_session::on_complete(const client_message& message) {
  const auto& id = json_of(message.id);
  // A subscription ends at once: its source with it. Events that crossed this message are allowed by the
  // protocol.
  if (const auto at = find_stream(id)) {
    take_stream(*at);
    return;
  }
  // It still runs and still counts as in flight, but its id is free and its answer is dropped.
  if (const auto at = find_operation(id)) thread_.operations().find(running_[*at])->cancelled = true;
}

// ── answering ──

void websocket_session::on_answer(operation_table::ticket ticket, operation_table::operation& operation,
                                  graphql_answer&& answer) {
  const bool is_wanted = !operation.cancelled && state_ == state::acknowledged;
  const bool begins = answer.events != nullptr;
  std::string id_json;
  const auto request_id = operation.request_id;
  if (is_wanted && begins) {
    id_json = operation.id_json;
  } else if (is_wanted) {
    auto& out = wire_.outgoing();
    const auto before = wire_.queued_bytes();
    if (answer.executed) {
      append_next_frame(out, operation.id_json, answer.body);
      append_complete_frame(out, operation.id_json);
    } else {
      append_error_frame(out, operation.id_json, errors_of(answer.body));
    }
    answer_bytes_ = std::max(wire_.queued_bytes() - before, answer_bytes_ - answer_bytes_ / 8);
  }
  thread_.operations().close(ticket);
  running_.erase(std::find(running_.begin(), running_.end(), ticket));
  if (begins) {
    if (is_wanted && !thread_.is_stopping())
      begin_stream(std::move(id_json), request_id, std::move(answer.events));
    else
      thread_.drop_later(std::move(answer.events));
  } else if (is_wanted) {
    sent(answer.executed ? 2 : 1);
  }
  if (ended_ || state_ == state::closing) return;
  if (thread_.is_stopping() && running_.empty()) return close(close_code::going_away, "the node is stopping");
  if (!in_read_turn_) read();
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
  if (!in_read_turn_ && !dirty) thread_.mark_dirty(shared_from_this());
}

} // namespace mooring::net
