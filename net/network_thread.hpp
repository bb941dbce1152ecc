// One network thread: an io_context, what its sessions share, and the queue through which other threads reach
// it.
//
// Internal to net. Everything here but `post`, `adopt_later` and `begin_stop` runs on the thread itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/json.hpp"
#include "net/asio.hpp"
#include "net/body_pump.hpp"
#include "net/connection_limits.hpp"
#include "net/counters.hpp"
#include "net/gateway.hpp"
#include "net/gzip.hpp"
#include "net/operation_table.hpp"
#include "net/server_options.hpp"
#include "net/thread_context.hpp"
#include "net/timer_wheel.hpp"
#include "net/tls.hpp"
#include "net/token_cache.hpp"

namespace mooring::net {

class session;

// A socket that was accepted and its place in the limits.
struct accepted_socket {
  int descriptor; // closed with this struct, unless taken
  connection_place place;
  bool is_v6;
  std::string remote_address; // without port
  bool is_proxy = false;      // a trusted one
  tls_context tls;            // null: plain

  accepted_socket(int socket, connection_place&& held, bool v6, std::string address, tls_context context);
  accepted_socket(accepted_socket&& other) noexcept;
  accepted_socket& operator=(accepted_socket&&) = delete;
  ~accepted_socket();
  int take();
};

// Where other threads leave work. Outlives the thread for those who still hold it; work is then dropped.
class thread_inbox {
 public:
  thread_inbox(asio::io_context& io, std::function<void()> drain)
      : io_(&io)
      , drain_(std::move(drain)) {}
  void post(std::function<void()> work);
  void take(std::vector<std::function<void()>>& into);
  void close();

 private:
  std::mutex mutex_;
  asio::io_context* io_; // null: closed
  std::function<void()> drain_;
  std::vector<std::function<void()>> work_;
};

class network_thread final : public thread_context {
 public:
  network_thread(unsigned index, const server_options& options, std::shared_ptr<const jwt_verifier> tokens,
                 status_source* status);
  ~network_thread();

  // ── from any thread ──
  void post(std::function<void()> work) override;
  unsigned index() const override { return index_; }
  void at_rest(std::function<void()> work) override {
    at_rest_ = std::move(work);
  } // not from any thread: see there
  void adopt_later(accepted_socket socket);
  std::size_t session_count() const { return session_count_.load(std::memory_order_relaxed); }
  net_counters& counters() { return counters_; }

  // ── start and stop ──
  void set_gateway(std::unique_ptr<gateway> made) { gateway_ = std::move(made); }
  void run();        // starts the thread
  void begin_stop(); // from any thread; the thread ends when its sessions have, or at the deadline
  void join();
  bool is_running() const { return thread_.joinable(); }

  // ── on the thread ──
  asio::io_context& io() { return io_; }
  const server_options& options() const { return options_; }
  gateway& target() { return *gateway_; }
  status_source* status() { return status_; }
  json_parser& parser() { return parser_; }
  json_parser& second_parser() { return second_parser_; }
  token_cache& tokens() { return tokens_; }
  gzip_codec& gzip() { return gzip_; }
  std::string& scratch() { return scratch_; } // for one call's text; keeps its memory
  timer_wheel& wheel() { return wheel_; }
  operation_table& operations() { return operations_; }
  bool is_stopping() const { return stopping_; }
  std::int64_t now_ms() const { return now_ms_; } // monotonic, as of the last tick: off by up to 100 ms
  std::uint64_t next_request_id();
  std::uint64_t next_connection_id();
  const std::string& http_date(); // for the header Date

  void adopt(accepted_socket socket);
  void enter(std::shared_ptr<session> one); // keeps it until `leave`
  void leave(session& one);
  // Another session takes the first one's place: an upgrade.
  void replace(session& old, std::shared_ptr<session> by);
  // Closes a WebSocket by connection id, if it is still there.
  void close_connection(std::uint64_t connection_id, std::uint16_t code, const std::string& reason);
  void register_connection(std::uint64_t connection_id, session& one) { connections_[connection_id] = &one; }
  void forget_connection(std::uint64_t connection_id) { connections_.erase(connection_id); }

  // Gives the request to the gateway; the answer comes to session::on_answer with the ticket.
  void execute(const graphql_request& request, operation_table::ticket ticket);
  // Starts a long body; the first piece comes when it is wanted.
  result<std::shared_ptr<body_pump>> start_body(std::unique_ptr<body_source> source, body_pump::taker take);
  // Destroys it on this thread in a turn of its own: for what may be running as this is called.
  void drop_later(std::shared_ptr<void> what);
  // The session has bytes to send that the current turn's end will flush.
  void mark_dirty(std::shared_ptr<session> one);

  // For handles that may outlive the thread.
  const std::shared_ptr<thread_inbox>& inbox() const { return inbox_; }

 private:
  void main();
  // How many handlers make a turn under constant load: half of the requests in flight, so that what the one half
  // gathered is worked on elsewhere while the other half is read.
  std::size_t turn_length() const;
  void drain_inbox();
  void flush_dirty();
  void clear_dropped();
  void tick();
  void answer(operation_table::ticket ticket, graphql_answer&& from_gateway);
  void on_stop();
  void for_each_session(const std::function<void(session&)>& f);
  void end_if_empty();

  const unsigned index_;
  const server_options& options_;
  status_source* const status_;
  net_counters counters_;
  std::atomic<std::size_t> session_count_{0};

  std::vector<std::function<void()>> draining_;

  json_parser parser_;
  json_parser second_parser_;
  token_cache tokens_;
  gzip_codec gzip_;
  std::string scratch_;
  operation_table operations_;
  std::int64_t now_ms_;
  timer_wheel wheel_;
  std::uint64_t request_ids_;
  std::uint64_t connection_ids_;
  std::string http_date_;
  std::int64_t http_date_s_ = -1;
  bool stopping_ = false;
  std::function<void()> at_rest_;
  bool in_turn_ = false;
  bool flush_is_posted_ = false;
  bool forced_ = false;
  std::int64_t drain_deadline_ms_ = 0;
  std::int64_t stop_deadline_ms_ = 0;

  std::unique_ptr<gateway> gateway_;
  std::unordered_map<body_pump*, std::shared_ptr<body_pump>> bodies_; // until their threads have ended
  std::vector<std::shared_ptr<void>> dropped_; // before the gateway, which they may use as they end
  std::vector<std::shared_ptr<session>> dirty_;
  std::vector<std::shared_ptr<session>> flushing_;
  std::unordered_map<session*, std::shared_ptr<session>> sessions_;
  std::unordered_map<std::uint64_t, session*> connections_;

  // Last: its pending handlers hold sessions, and those use all of the above while they end.
  asio::io_context io_{1};
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             executor>
      timer_;
  asio::executor_work_guard<executor> work_;
  std::shared_ptr<thread_inbox> inbox_;
  std::thread thread_;
};

} // namespace mooring::net
