#include "net/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <linux/sockios.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace mooring::net {

namespace {
io_error from_errno(int number) {
  return {number, boost::system::system_category()};
}
} // namespace

channel::channel(tcp_socket socket, const tls_context& tls, net_counters& counters, std::size_t queue_max)
    : socket_(std::move(socket))
    , counters_(counters)
    , queue_max_(queue_max) {
  io_error ignored;
  socket_.non_blocking(true, ignored);
  socket_.native_non_blocking(true, ignored);
  if (tls == nullptr) return;
  tls_ = SSL_new(tls.get());
  MOORING_CHECK(tls_ != nullptr, "memory for a TLS connection");
  BIO* bio = BIO_new_socket(socket_.native_handle(), BIO_NOCLOSE);
  SSL_set_bio(tls_, bio, bio);
  SSL_set_accept_state(tls_);
  counters_.tls_connections.add();
}

channel::~channel() {
  queue_.clear();
  count_queued();
  if (tls_ != nullptr) {
    SSL_free(tls_);
    counters_.tls_connections.subtract();
  }
}

void channel::close() {
  io_error ignored;
  socket_.close(ignored);
  complete_held_write();
}

void channel::cancel_read() {
  io_error ignored;
  socket_.cancel(ignored);
}

channel::attempt channel::tls_outcome(int result) {
  const auto number = errno;
  switch (SSL_get_error(tls_, result)) {
  case SSL_ERROR_WANT_READ: return {0, want::read, {}};
  case SSL_ERROR_WANT_WRITE: return {0, want::write, {}};
  case SSL_ERROR_ZERO_RETURN: return {0, want::nothing, asio::error::eof};
  case SSL_ERROR_SYSCALL:
    return {0, want::nothing, number != 0 ? from_errno(number) : io_error(asio::error::eof)};
  default: return {0, want::nothing, asio::error::connection_aborted}; // the peer broke the protocol
  }
}

channel::attempt channel::try_tls_read(void* to, std::size_t bytes) {
  if (!socket_.is_open()) return {0, want::nothing, asio::error::operation_aborted};
  ERR_clear_error();
  errno = 0;
  std::size_t got = 0;
  const auto result = SSL_read_ex(tls_, to, bytes, &got);
  if (result == 1) return {got, want::nothing, {}};
  return tls_outcome(result);
}

channel::attempt channel::try_write(const char* from, std::size_t bytes) {
  if (!socket_.is_open()) return {0, want::nothing, asio::error::operation_aborted};
  if (tls_ != nullptr) {
    ERR_clear_error();
    errno = 0;
    std::size_t written = 0;
    const auto result = SSL_write_ex(tls_, from, bytes, &written);
    if (result == 1) return {written, want::nothing, {}};
    return tls_outcome(result);
  }
  for (;;) {
    const auto written = ::send(socket_.native_handle(), from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) return {static_cast<std::size_t>(written), want::nothing, {}};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {0, want::write, {}};
    return {0, want::nothing, from_errno(errno)};
  }
}

void channel::wait_for(want what, std::function<void(io_error)> then) {
  socket_.async_wait(what == want::write ? tcp_socket::wait_write : tcp_socket::wait_read, std::move(then));
}

void channel::async_handshake(std::function<void(io_error)> done) {
  step_handshake(std::move(done));
}

void channel::step_handshake(std::function<void(io_error)> done) {
  if (!socket_.is_open()) return done(asio::error::operation_aborted);
  ERR_clear_error();
  errno = 0;
  const auto result = SSL_do_handshake(tls_);
  if (result == 1) return done({});
  const auto outcome = tls_outcome(result);
  if (outcome.waits_for == want::nothing) return done(outcome.failure);
  wait_for(outcome.waits_for,
           [this, held = owner_->keep_alive(), done = std::move(done)](io_error failure) mutable {
             if (failure) return done(failure);
             step_handshake(std::move(done));
           });
}

std::uint64_t channel::bytes_delivered() {
  int unacknowledged = 0;
  if (!socket_.is_open() || ::ioctl(socket_.native_handle(), SIOCOUTQ, &unacknowledged) != 0)
    unacknowledged = 0;
  return bytes_sent_ - std::min(bytes_sent_, static_cast<std::uint64_t>(std::max(unacknowledged, 0)));
}

void channel::flush() {
  if (is_broken_) return;
  if (write_waits_) return count_queued();
  for (auto next = queue_.front(); !next.empty(); next = queue_.front()) {
    const auto wrote = try_write(next.data(), next.size());
    if (wrote.failure) return broken();
    if (wrote.waits_for != want::nothing) {
      count_queued();
      return wait_to_write(wrote.waits_for);
    }
    queue_.take(wrote.bytes);
    bytes_sent_ += wrote.bytes;
    counters_.bytes_sent.add(wrote.bytes);
  }
  count_queued();
  if (finishing_) finish_when_drained();
}

void channel::wait_to_write(want what) {
  write_waits_ = true;
  owner_->on_write_blocked();
  wait_for(what, [this, held = owner_->keep_alive()](io_error failure) {
    write_waits_ = false;
    // cancel_read cancels this wait too; what is queued has still to leave.
    if (failure && (failure != asio::error::operation_aborted || !socket_.is_open())) return broken();
    flush();
    if (is_broken_) return;
    if (held_write_ && !is_full()) complete_held_write();
    owner_->on_sent();
  });
}

// What waits for slow peers; what a turn appends and flushes at once does not show.
void channel::count_queued() {
  const auto bytes = queue_.bytes();
  if (bytes == counted_queued_) return;
  counters_.queued_bytes.add(bytes - counted_queued_); // modulo 2^64: it may be less
  counted_queued_ = bytes;
}

void channel::complete_held_write() {
  if (!held_write_) return;
  const auto failure = socket_.is_open() ? io_error() : io_error(asio::error::operation_aborted);
  asio::post(socket_.get_executor(),
             [held = owner_->keep_alive(), done = std::shared_ptr(std::move(held_write_)), failure] {
               (*done)(failure);
             });
}

void channel::broken() {
  if (is_broken_) return;
  is_broken_ = true;
  queue_.clear();
  count_queued();
  close();
  const auto held = owner_->keep_alive();
  if (finishing_) {
    asio::post(socket_.get_executor(),
               [held, done = std::exchange(finishing_, nullptr)] { done(asio::error::broken_pipe); });
  }
  owner_->on_broken();
}

void channel::async_finish(std::function<void(io_error)> done) {
  finishing_ = std::move(done);
  if (is_broken_ || !socket_.is_open()) {
    asio::post(socket_.get_executor(),
               [held = owner_->keep_alive(), then = std::exchange(finishing_, nullptr)] {
                 then(asio::error::operation_aborted);
               });
    return;
  }
  owner_->on_finishing();
  flush();
  if (finishing_ && queued_bytes() == 0 && !write_waits_) finish_when_drained();
}

void channel::finish_when_drained() {
  auto done = std::exchange(finishing_, nullptr);
  if (tls_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(
        tls_); // sends close_notify; a full socket loses it, which the peer sees as an end all the same
    ERR_clear_error();
  }
  ::shutdown(socket_.native_handle(), SHUT_WR);
  discard(owner_->keep_alive(), std::move(done));
}

void channel::discard(std::shared_ptr<void> held, std::function<void(io_error)> done) {
  socket_.async_wait(tcp_socket::wait_read,
                     [this, held = std::move(held), done = std::move(done)](io_error failure) mutable {
                       if (failure) return done(failure);
                       char bytes[4096];
                       // A fast sender does not get the thread for itself: after 256 KiB others have their
                       // turn.
                       for (int round = 0; round < 64; ++round) {
                         const auto got = ::recv(socket_.native_handle(), bytes, sizeof bytes, MSG_DONTWAIT);
                         if (got > 0) continue;
                         if (got < 0 && errno == EINTR) continue;
                         if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                           return discard(std::move(held), std::move(done));
                         return done(got == 0 ? io_error(asio::error::eof) : from_errno(errno));
                       }
                       discard(std::move(held), std::move(done));
                     });
}

} // namespace mooring::net
