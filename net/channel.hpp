// A connected socket, plain or TLS, as the sessions and Beast see it.
//
// Reading: async_read_some, one at a time. Writing: bytes are appended to one outgoing queue and leave with
// the next flush, in one system call; whoever appends whole frames at once (our answers, Beast's pongs and
// closes through async_write_some) can therefore never end up inside another's frame. Flushing is synchronous
// and non-blocking; what the kernel does not take waits for the socket to become writable.
//
// The queue is bounded by those who append: a session that finds it full (is_full) starts nothing that would
// add to it until on_sent finds room. Beast's own writes are held up here in the same way, or a peer
// that pings and never reads would fill the memory with pongs.
//
// TLS runs OpenSSL directly on the non-blocking socket: Asio's ssl::stream holds 34 KiB of buffers per
// connection.
//
// Owner: one session. Threads: that of its io_context. Errors: a channel that failed is closed, tells its
// owner once (on_broken), and completes the pending read with an error.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include "net/asio.hpp"
#include "net/counters.hpp"
#include "net/send_queue.hpp"
#include "net/tls.hpp"

struct ssl_st;

namespace mooring::net {

// What the owner of a channel hears from it.
class channel_owner {
 public:
  virtual std::shared_ptr<void> keep_alive() = 0; // held while an operation of the channel is pending
  virtual void on_received(std::size_t bytes) = 0;
  virtual void on_read_waits() = 0;    // a read found nothing and waits for the socket
  virtual void on_write_blocked() = 0; // the socket is full; a write deadline should be set
  virtual void on_sent() = 0;      // of what was blocked some has left; everything, unless is_write_blocked
  virtual void on_finishing() = 0; // async_finish began; its time should be bounded
  virtual void on_broken() = 0;    // writing failed; the channel is closed

 protected:
  ~channel_owner() = default;
};

class channel {
 public:
  using executor_type = executor;

  // tls null: plain. `queue_max`: bytes from which on the queue is full.
  channel(tcp_socket socket, const tls_context& tls, net_counters& counters, std::size_t queue_max);
  ~channel();
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  void set_owner(channel_owner& owner) { owner_ = &owner; }
  executor_type get_executor() { return socket_.get_executor(); }
  bool is_open() const { return socket_.is_open(); }
  bool is_tls() const { return tls_ != nullptr; }
  // Cancels everything that is pending.
  void close();

  // TLS only: the server's side of the handshake.
  void async_handshake(std::function<void(io_error)> done);

  // ── reading ──
  // As Asio's AsyncReadStream, into the first non-empty buffer. The handler is never called from inside.
  template<class Buffers, class Handler> void async_read_some(const Buffers& buffers, Handler&& handler);
  // The pending read completes with operation_aborted.
  void cancel_read();
  // True while a read waits for the socket: no further message is at hand.
  bool read_waits() const { return read_waits_; }
  // Gives bytes back that were read and belong to who reads next.
  void unread(std::string_view bytes) { unread_.assign(bytes); }

  // ── writing ──
  // Append whole frames here, then flush.
  std::string& outgoing() { return queue_.tail(); }
  std::size_t queued_bytes() const { return queue_.bytes(); }
  bool is_full() const { return queued_bytes() >= queue_max_; }
  bool is_write_blocked() const { return write_waits_; }
  // Bytes that the other side's kernel has acknowledged (with TLS about that). Asks the kernel.
  std::uint64_t bytes_delivered();
  void flush();
  // As Asio's AsyncWriteStream: takes all bytes at once, flushes, completes later; when the queue is full, as
  // soon as it no longer is. For Beast's own frames.
  template<class Buffers, class Handler> void async_write_some(const Buffers& buffers, Handler&& handler);

  // Ends our direction when everything is written, then discards what comes until the other side ends too, so
  // that the last bytes are not lost to a reset. `done` gets eof, or the error; the owner bounds the time by
  // `close`.
  void async_finish(std::function<void(io_error)> done);

 private:
  template<class Handler> struct plain_read;
  template<class Handler> struct tls_read;
  template<class Handler> struct immediate;

  enum class want : std::uint8_t { nothing, read, write };
  struct attempt {
    std::size_t bytes = 0;
    want waits_for = want::nothing;
    io_error failure;
  };
  attempt try_tls_read(void* to, std::size_t bytes);
  attempt try_write(const char* from, std::size_t bytes);
  attempt tls_outcome(int result);
  void received(std::size_t bytes) {
    counters_.bytes_received.add(bytes);
    owner_->on_received(bytes);
  }
  void wait_for(want what, std::function<void(io_error)> then);
  void wait_to_write(want what);
  void step_handshake(std::function<void(io_error)> done);
  void finish_when_drained();
  void complete_held_write();
  void count_queued();
  void discard(std::shared_ptr<void> held, std::function<void(io_error)> done);
  void broken();

  tcp_socket socket_;
  ssl_st* tls_ = nullptr;
  net_counters& counters_;
  channel_owner* owner_ = nullptr;
  send_queue queue_;
  const std::size_t queue_max_;
  std::size_t counted_queued_ = 0; // of queue_, in counters_
  std::uint64_t bytes_sent_ = 0;
  std::unique_ptr<std::function<void(io_error)>> held_write_; // of Beast, while the queue is full
  std::string unread_;
  std::function<void(io_error)> finishing_;
  bool read_waits_ = false;
  bool write_waits_ = false;
  bool is_broken_ = false;
};

// ── templates ──

namespace detail {
template<class Buffers> asio::mutable_buffer first_buffer(const Buffers& buffers) {
  for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
    const asio::mutable_buffer one = *at;
    if (one.size() != 0) return one;
  }
  return {};
}
} // namespace detail

template<class Handler> struct channel::plain_read {
  channel* self;
  Handler handler;
  using allocator_type = asio::associated_allocator_t<Handler>;
  using executor_type = executor;
  allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
  executor_type get_executor() const noexcept { return self->socket_.get_executor(); }
  void operator()(io_error failure, std::size_t bytes) {
    self->read_waits_ = false;
    if (bytes != 0) self->received(bytes);
    handler(failure, bytes);
  }
};

template<class Handler> struct channel::tls_read {
  channel* self;
  asio::mutable_buffer to;
  Handler handler;
  using allocator_type = asio::associated_allocator_t<Handler>;
  using executor_type = executor;
  allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
  executor_type get_executor() const noexcept { return self->socket_.get_executor(); }
  void operator()(io_error failure) {
    self->read_waits_ = false;
    if (failure) return handler(failure, std::size_t{0});
    auto* const on = self;
    const auto got = on->try_tls_read(to.data(), to.size());
    if (got.waits_for == want::nothing) {
      if (got.bytes != 0) on->received(got.bytes);
      return handler(got.failure, got.bytes);
    }
    on->read_waits_ = true;
    on->socket_.async_wait(got.waits_for == want::read ? tcp_socket::wait_read : tcp_socket::wait_write,
                           std::move(*this));
  }
};

template<class Handler> struct channel::immediate {
  channel* self;
  Handler handler;
  io_error failure;
  std::size_t bytes;
  bool is_read;
  using allocator_type = asio::associated_allocator_t<Handler>;
  using executor_type = executor;
  executor_type bound;
  allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
  executor_type get_executor() const noexcept { return bound; }
  void operator()() {
    if (is_read && bytes != 0) self->received(bytes);
    handler(failure, bytes);
  }
};

template<class Buffers, class Handler>
void channel::async_read_some(const Buffers& buffers, Handler&& handler) {
  using handler_type = std::decay_t<Handler>;
  const auto to = detail::first_buffer(buffers);
  const auto ex = socket_.get_executor();
  if (!unread_.empty() || to.size() == 0) {
    const auto bytes = std::min(unread_.size(), to.size());
    if (bytes != 0) std::memcpy(to.data(), unread_.data(), bytes);
    unread_.erase(0, bytes);
    if (unread_.empty()) std::string().swap(unread_);
    asio::post(immediate<handler_type>{this, std::forward<Handler>(handler), {}, bytes, true, ex});
    return;
  }
  if (tls_ != nullptr) {
    const auto got = try_tls_read(to.data(), to.size());
    if (got.waits_for == want::nothing) {
      asio::post(
          immediate<handler_type>{this, std::forward<Handler>(handler), got.failure, got.bytes, true, ex});
      return;
    }
    read_waits_ = true;
    owner_->on_read_waits();
    socket_.async_wait(got.waits_for == want::read ? tcp_socket::wait_read : tcp_socket::wait_write,
                       tls_read<handler_type>{this, to, std::forward<Handler>(handler)});
    return;
  }
  read_waits_ = true;
  owner_->on_read_waits();
  socket_.async_read_some(to, plain_read<handler_type>{this, std::forward<Handler>(handler)});
}

template<class Buffers, class Handler>
void channel::async_write_some(const Buffers& buffers, Handler&& handler) {
  using handler_type = std::decay_t<Handler>;
  auto& out = outgoing();
  std::size_t bytes = 0;
  for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
    const asio::const_buffer one = *at;
    out.append(static_cast<const char*>(one.data()), one.size());
    bytes += one.size();
  }
  flush();
  if (!is_broken_ && is_full()) {
    MOORING_CHECK(held_write_ == nullptr, "Beast writes one frame at a time");
    // Beast's handlers can only be moved; std::function copies.
    auto held = std::make_shared<handler_type>(std::forward<Handler>(handler));
    held_write_ = std::make_unique<std::function<void(io_error)>>(
        [held, bytes](io_error failure) { (*held)(failure, failure ? std::size_t{0} : bytes); });
    return;
  }
  const auto failure = is_broken_ ? io_error(asio::error::broken_pipe) : io_error();
  asio::post(immediate<handler_type>{this, std::forward<Handler>(handler), failure, failure ? 0 : bytes,
                                     false, socket_.get_executor()});
}

} // namespace mooring::net
