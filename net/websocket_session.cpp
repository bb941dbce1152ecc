#include "net/websocket_session.hpp"

#include <algorithm>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "net/text.hpp"
#include "net/websocket_upgrade.hpp"

namespace mooring::net {

namespace {

// What an idle connection holds for its next message; a read buffer above it is not kept between messages.
constexpr std::size_t first_read_bytes = 256;
// The rest of a message: never what its header claims, only what has come.
constexpr std::size_t next_read_bytes = 64 << 10;
// Pipelined answers leave at the latest here.
constexpr std::size_t unflushed_bytes_max = 64 << 10;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

} // namespace

websocket_session::websocket_session(network_thread& thread, connection parts,
                                     std::shared_ptr<const identity> who)
    : session(thread, std::move(parts))
    , stream_(channel_link{&wire_, &counted_code_})
    , who_(std::move(who))
    , id_(thread.next_connection_id())
    , since_ms_(thread.now_ms())
    , answer_bytes_(thread.options().queued_bytes_max / 4) {
  thread_.counters().websocket_connections.add();
  stream_.read_message_max(thread_.options().first_message_bytes_max);
  // Control frames are no part of a message: between messages they do not start the clock of one.
  stream_.control_callback([this](websocket::frame_type, beast::string_view) {
    if (in_.size() == 0) receiving_.since_ms = 0;
  });
}

void websocket_session::accept(upgrade_request request, std::string_view leftover) {
  const auto [first, last] = request.equal_range(beast::http::field::sec_websocket_protocol);
  for (auto offered = first; offered != last; ++offered)
    for (const auto& name : beast::http::token_list(offered->value()))
      if (view(name) == websocket_subprotocol) subprotocol_ok_ = true;
  stream_.set_option(
      websocket::stream_base::decorator([ok = subprotocol_ok_](websocket::response_type& response) {
        if (ok)
          response.set(beast::http::field::sec_websocket_protocol,
                       beast::string_view(websocket_subprotocol.data(), websocket_subprotocol.size()));
        response.set(beast::http::field::server, "mooring");
      }));
  wire_.unread(leftover);
  // Answers to requests before this one may still wait for the peer; their deadline is ours now.
  if (wire_.is_write_blocked()) on_write_blocked();
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

bool websocket_session::may_read() {
  const auto& options = thread_.options();
  if (running_.size() >= options.requests_in_flight_max) return false;
  if (thread_.is_stopping() && state_ == state::acknowledged) return false;
  if (is_held_back(answer_bytes_)) return false;
  return running_.empty() ||
         wire_.queued_bytes() + (running_.size() + 1) * answer_bytes_ <= options.queued_bytes_max;
}

void websocket_session::read() {
  if (reading_ || ended_ || beast_closing_ || !may_read() || ended_) return;
  reading_ = true;
  read_on();
}

// Not Beast's async_read: it holds 1.5 KiB for each message that may come.
void websocket_session::read_on() {
  const auto room =
      in_.size() == 0 ? first_read_bytes : std::min(stream_.read_size_hint(next_read_bytes), next_read_bytes);
  stream_.async_read_some(in_.prepare(room), [held = self()](io_error failure, std::size_t bytes) {
    held->on_read(failure, bytes);
  });
}

void websocket_session::on_read(io_error failure, std::size_t bytes) {
  if (!failure && !ended_) {
    in_.commit(bytes);
    if (!stream_.is_message_done()) return read_on();
  }
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
  in_.release(first_read_bytes + json_padding);
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

void websocket_session::on_sent() {
  session::on_sent();
  if (wire_.queued_bytes() <= thread_.options().queued_bytes_max) queue_was_over_ = false;
  if (!wire_.is_write_blocked()) {
    // The answers to our close and to our ping can be waited for only now.
    if (state_ == state::closing) since_ms_ = thread_.now_ms();
    if (pinged_at_ms_ != 0) pinged_at_ms_ = thread_.now_ms();
    arm();
  }
  read();
  if (!wire_.is_write_blocked()) resume_streams();
}

// ── ending ──

void websocket_session::close(std::uint16_t code, std::string_view reason) {
  if (ended_ || state_ == state::closing) return;
  if (state_ == state::accepting) return abort(); // there is no WebSocket yet
  state_ = state::closing;
  end_streams();
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
  end_streams();
  thread_.counters().closes[close_code_index(counted_code_)].add();
  if (!opened_) return;
  thread_.forget_connection(id_);
  handle_.reset();
  thread_.target().connection_closed(id_);
}

void websocket_session::begin_stop() {
  if (state_ == state::accepting) return abort();
  end_streams();
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
  // While reading is paused, silence is ours and says nothing about the client; nor does it while much is on
  // its way to it, for a ping would arrive behind all of that.
  if (reading_ && !wire_.is_write_blocked())
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
  if (!reading_ || wire_.is_write_blocked() || state_ != state::acknowledged) return;
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

void upgrade_to_websocket(network_thread& thread, session& from, connection parts, upgrade_request request,
                          std::shared_ptr<const identity> who, std::string_view leftover) {
  auto made = std::make_shared<websocket_session>(thread, std::move(parts), std::move(who));
  thread.replace(from, made);
  made->accept(std::move(request), leftover);
}

} // namespace mooring::net
