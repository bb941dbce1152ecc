#include "net/session.hpp"

#include <algorithm>

namespace mooring::net {

session::session(network_thread& thread, connection parts)
    : thread_(thread)
    , connection_(std::move(parts))
    , wire_(*connection_.wire)
    , last_received_ms_(thread.now_ms()) {
  wire_.set_owner(*this);
}

session::~session() = default;

void session::abort() {
  if (ended_) return;
  ended_ = true;
  const auto held = shared_from_this();
  thread_.wheel().cancel(*this);
  on_end();
  if (connection_.wire) wire_.close(); // an upgrade took it along
  thread_.leave(*this);
}

void session::flush() {
  dirty = false;
  if (!ended_) wire_.flush();
}

void session::on_received(std::size_t bytes) {
  last_received_ms_ = thread_.now_ms();
  if (!is_receiving()) receiving_ = {std::max<std::int64_t>(last_received_ms_, 1), received_bytes_};
  received_bytes_ += bytes;
}

// Only a message that is partly here needs an earlier look at the clock than before.
void session::on_read_waits() {
  if (is_receiving()) arm();
}

void session::on_write_blocked() {
  if (sending_.since_ms != 0) return;
  sending_ = {std::max<std::int64_t>(thread_.now_ms(), 1), wire_.bytes_delivered()};
  arm();
}

bool session::is_held_back(std::size_t more) {
  const auto most = thread_.options().queued_bytes_max;
  // A peer that reads takes at once what this turn made; only what then stays has to wait.
  if (wire_.queued_bytes() + more > most && !wire_.is_write_blocked()) wire_.flush();
  const auto queued = wire_.queued_bytes();
  const bool was = held_back_;
  // Below the low mark there is room for any answer, also for one that is larger than the bound.
  held_back_ = queued > most / 4 && (was || queued + more > most);
  if (held_back_ && !was) thread_.counters().read_pauses.add();
  return held_back_;
}

void session::on_sent() {
  if (wire_.is_write_blocked()) return;
  sending_.since_ms = 0;
  if (finishing_since_ms_ != 0) on_finishing(); // the other side's time starts when it has everything
}

void session::on_broken() {
  abort();
}

void session::on_finishing() {
  finishing_since_ms_ = std::max<std::int64_t>(thread_.now_ms(), 1);
  arm();
}

void session::on_timer(std::int64_t now_ms) {
  const auto held = shared_from_this();
  if (finishing_since_ms_ != 0 && !wire_.is_write_blocked() &&
      now_ms >= finishing_since_ms_ + thread_.options().close_timeout_ms)
    return abort();
  check_deadlines(now_ms);
  arm();
}

void session::arm() {
  if (ended_) return;
  auto at = next_deadline_ms();
  if (finishing_since_ms_ != 0 && !wire_.is_write_blocked())
    at = std::min(at, finishing_since_ms_ + thread_.options().close_timeout_ms);
  if (at != never) thread_.wheel().set_earlier(*this, at);
}

bool session::is_overdue(stretch& of, std::uint64_t bytes, std::int64_t timeout_ms,
                         std::int64_t now_ms) const {
  if (of.since_ms == 0 || now_ms < of.since_ms + timeout_ms) return false;
  const auto needed = thread_.options().bytes_per_second_min * static_cast<std::uint64_t>(timeout_ms) / 1000;
  if (bytes - of.bytes < needed) return true;
  of = {now_ms, bytes};
  return false;
}

std::int64_t session::receive_deadline_ms() const {
  return is_receiving() ? receiving_.since_ms + thread_.options().message_timeout_ms : never;
}

bool session::receive_is_overdue(std::int64_t now_ms) {
  return is_overdue(receiving_, received_bytes_, thread_.options().message_timeout_ms, now_ms);
}

std::int64_t session::write_deadline_ms() const {
  return sending_.since_ms != 0 ? sending_.since_ms + thread_.options().write_timeout_ms : never;
}

bool session::write_is_overdue(std::int64_t now_ms) {
  return now_ms >= write_deadline_ms() &&
         is_overdue(sending_, wire_.bytes_delivered(), thread_.options().write_timeout_ms, now_ms);
}

} // namespace mooring::net
