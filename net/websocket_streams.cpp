// The subscriptions of a WebSocket.
#include <algorithm>

#include "net/http_negotiation.hpp"
#include "net/websocket_session.hpp"

namespace mooring::net {

// ── what a source calls ──

void stream_operation::next(std::string_view body) {
  if (session_ != nullptr) session_->send_event(*this, body);
}

bool stream_operation::has_room() const {
  if (session_ == nullptr) return false;
  if (session_->has_room()) return true;
  waits_ = true;
  return false;
}

void stream_operation::complete() {
  if (session_ != nullptr) session_->complete_stream(*this);
}

void stream_operation::fail(std::string_view body) {
  if (session_ != nullptr) session_->fail_stream(*this, body);
}

// ── the session's side ──

std::string_view errors_of(std::string_view body) {
  // gateway.hpp: the body of a refusal is {"errors":[…]} and nothing else.
  constexpr std::string_view head = R"({"errors":)";
  MOORING_CHECK(body.starts_with(head) && body.ends_with("]}"), "a refusal's body is {\"errors\":[…]}");
  return body.substr(head.size(), body.size() - head.size() - 1);
}

// The answer to a subscribe message is a source of events.
void websocket_session::begin_stream(std::string id_json, std::uint64_t request_id,
                                     std::shared_ptr<event_source> source) {
  const auto& options = thread_.options();
  if (streams_.size() >= options.subscriptions_max) {
    thread_.drop_later(std::move(source));
    const auto body = error_body(error_code::rate_limited,
                                 "a connection can hold " + std::to_string(options.subscriptions_max) +
                                     " subscriptions, and this one does",
                                 request_id, 10'000);
    append_error_frame(wire_.outgoing(), id_json, errors_of(body));
    return sent(1);
  }
  const auto made = std::make_shared<stream_operation>(*this, std::move(id_json), std::move(source));
  streams_.push_back(made);
  thread_.counters().subscriptions.add();
  made->start();
}

void websocket_session::send_event(const stream_operation& from, std::string_view body) {
  append_next_frame(wire_.outgoing(), from.id_json(), body);
  thread_.counters().events_sent.add();
  sent(1);
}

// False only when the socket is full too: on_drained comes, or the connection's end.
bool websocket_session::has_room() {
  // Below what pauses reading, so that a client can always complete a subscription that is too fast for it.
  const auto& options = thread_.options();
  const auto most = std::min(options.stream_queued_bytes_max, options.queued_bytes_max / 4);
  if (wire_.queued_bytes() <= most) return true;
  if (!wire_.is_write_blocked()) wire_.flush();
  return !ended_ && wire_.queued_bytes() <= most;
}

void websocket_session::complete_stream(stream_operation& one) {
  append_complete_frame(wire_.outgoing(), one.id_json());
  end_stream(one);
  sent(1);
}

void websocket_session::fail_stream(stream_operation& one, std::string_view body) {
  append_error_frame(wire_.outgoing(), one.id_json(), errors_of(body));
  end_stream(one);
  sent(1);
}

std::optional<std::size_t> websocket_session::find_stream(std::string_view id_json) const {
  for (std::size_t i = 0; i < streams_.size(); ++i)
    if (streams_[i]->id_json() == id_json) return i;
  return std::nullopt;
}

std::shared_ptr<stream_operation> websocket_session::take_stream(std::size_t at) {
  auto taken = std::move(streams_[at]);
  streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(at));
  taken->detach();
  thread_.counters().subscriptions.subtract();
  return taken;
}

// The source's own code may be what calls: it is destroyed in a turn of its own.
void websocket_session::end_stream(const stream_operation& one) {
  const auto found =
      std::find_if(streams_.begin(), streams_.end(), [&](const auto& each) { return each.get() == &one; });
  MOORING_CHECK(found != streams_.end(), "a subscription that sends is one of its session's");
  thread_.drop_later(take_stream(static_cast<std::size_t>(found - streams_.begin())));
}

void websocket_session::end_streams() {
  while (!streams_.empty()) thread_.drop_later(take_stream(streams_.size() - 1));
  streams_.shrink_to_fit();
}

// There is room: whoever waits may go on, in turn, until there is none again.
void websocket_session::resume_streams() {
  for (auto left = streams_.size(); left > 0 && !streams_.empty(); --left) {
    const auto next =
        std::find_if(streams_.begin(), streams_.end(), [](const auto& each) { return each->waits(); });
    if (next == streams_.end() || !has_room()) return;
    const auto one = *next;
    std::rotate(next, next + 1, streams_.end()); // the last in line for the next time
    one->resume();
  }
}

} // namespace mooring::net
