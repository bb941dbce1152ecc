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
  if (receiving_since_ms_ == 0) {
    receiving_since_ms_ = last_received_ms_;
    receiving_bytes_ = 0;
  }
  receiving_bytes_ += bytes;
}

// Only a message that is partly here needs an earlier look at the clock than before.
void session::on_read_waits() {
  if (receiving_since_ms_ != 0) arm();
}

void session::on_write_blocked() {
  if (write_blocked_since_ms_ != 0) return;
  write_blocked_since_ms_ = std::max<std::int64_t>(thread_.now_ms(), 1);
  sent_when_blocked_ = wire_.bytes_delivered();
  arm();
}

void session::on_drained() {
  write_blocked_since_ms_ = 0;
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

std::int64_t session::progress_deadline(std::int64_t since_ms, std::uint64_t bytes,
                                        std::int64_t timeout_ms) const {
  return since_ms + timeout_ms +
         static_cast<std::int64_t>(bytes * 1000 / thread_.options().bytes_per_second_min);
}

std::int64_t session::write_deadline_ms() const {
  if (write_blocked_since_ms_ == 0) return never;
  return progress_deadline(write_blocked_since_ms_, wire_.bytes_delivered() - sent_when_blocked_,
                           thread_.options().write_timeout_ms);
}

} // namespace mooring::net
