// What every connection has: its channel, its place on the thread and in the limits, its deadlines.
//
// Internal to net. Lives on one network thread, kept by network_thread::sessions_ and by pending operations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/channel.hpp"
#include "net/network_thread.hpp"

namespace mooring::net {

// A connection's parts, handed on at an upgrade.
struct connection {
  std::unique_ptr<channel> wire;
  std::string remote_address; // of a WebSocket the client's, also behind a trusted proxy
  connection_place place;
  bool is_proxy = false; // remote_address is a trusted proxy's, and each request says whose it is
};

class session : public std::enable_shared_from_this<session>, public channel_owner, public wheel_timer {
 public:
  session(network_thread& thread, connection parts);
  virtual ~session();

  virtual void on_answer(operation_table::ticket ticket, operation_table::operation& operation,
                         graphql_answer&& answer) = 0;
  virtual void begin_stop() = 0;  // the server stops: finish what is in flight, then close
  virtual void force_close() = 0; // the drain time is over: close now, whatever is in flight
  virtual void close_by_gateway(std::uint16_t code, const std::string& reason) = 0;
  // Cuts the connection and leaves the thread.
  void abort();

  void flush();
  bool dirty = false;

  std::shared_ptr<void> keep_alive() final { return shared_from_this(); }
  void on_received(std::size_t bytes) override;
  void on_read_waits() override;
  void on_write_blocked() override;
  void on_sent() override;
  void on_broken() override;
  void on_finishing() override;

 protected:
  // Sets the deadline again from what the session waits for now; a deadline that passed acts.
  void on_timer(std::int64_t now_ms) final;
  // The earliest moment the session must look at the clock; and the look itself. check_deadlines may end the
  // session.
  virtual std::int64_t next_deadline_ms() const = 0;
  virtual void check_deadlines(std::int64_t now_ms) = 0;
  virtual void on_end() {}
  void arm();

  // The progress rule of server_options, for what is being received and for a blocked queue.
  bool is_receiving() const { return receiving_.since_ms != 0; }
  std::int64_t receive_deadline_ms() const;
  bool receive_is_overdue(std::int64_t now_ms);
  std::int64_t write_deadline_ms() const;
  bool write_is_overdue(std::int64_t now_ms);

  // The bound on what waits for the peer (server_options::queued_bytes_max), with a low mark: true from when
  // another `more` bytes would pass the bound until three quarters of it are free again. May flush, and so
  // end the session.
  bool is_held_back(std::size_t more);

  static constexpr std::int64_t never = INT64_MAX;

  network_thread& thread_;
  connection connection_;
  channel& wire_;
  std::int64_t last_received_ms_;
  // A stretch of time in which a number of bytes must move; then the next one begins.
  struct stretch {
    std::int64_t since_ms = 0; // 0: nothing is watched
    std::uint64_t bytes = 0;   // at its start
  };
  bool is_overdue(stretch& of, std::uint64_t bytes, std::int64_t timeout_ms, std::int64_t now_ms) const;
  stretch receiving_;
  stretch sending_;
  std::uint64_t received_bytes_ = 0;
  std::int64_t finishing_since_ms_ = 0;
  bool ended_ = false;
  bool held_back_ = false;
};

std::shared_ptr<session> make_http_session(network_thread& thread, connection parts);

} // namespace mooring::net
