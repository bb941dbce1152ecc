// fleet: N client connections on one epoll thread, and the closed loop that drives them.
//
// Each connection has at most one operation in flight; an operation ends with its `complete` message (echo:
// with the frame that came back; a workload may let it last longer, or end it itself). Beside it a connection
// may hold one subscription, whose events a listener gets. Every answer and event is checked by the workload
// or the listener. One thread; blocking calls; failures are counted and the first one is kept as text,
// because a benchmark of wrong answers measures nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "bench/load/histogram.hpp"
#include "bench/load/process_stats.hpp"

namespace mooring::bench {

enum class protocol : std::uint8_t { graphql_transport_ws, echo };

// What the operations are. Called on the fleet's thread only.
class workload {
 public:
  virtual ~workload() = default;
  // Appends the frame of this connection's next operation, which carries `operation` (ten digits) as its id.
  // False: this connection has nothing more to do.
  virtual bool write(std::size_t connection, std::string_view operation, std::string& out) = 0;
  // Looks at a `next` message. Returns the number of items it stands for, or -1 with the reason.
  virtual std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) = 0;
  // How the operations end.
  enum class ending : std::uint8_t {
    answered, // one `next`, then `complete`
    released, // the same, and fleet::release was called, in any order
    over,     // a subscription: any number of `next`, until is_over; then the client completes it
  };
  virtual ending ends() const { return ending::answered; }
  virtual bool is_over(std::size_t) { return true; }
  // From here on it is measured.
  virtual void recording_begins() {}
};

// Who gets the events of the subscriptions that fleet::subscribe began. Called on the fleet's thread only.
class listener {
 public:
  virtual ~listener() = default;
  // One `next` message. False with the reason: it is a failure, and ends the connection.
  virtual bool hear(std::size_t connection, std::string_view message, std::string& why) = 0;
};

struct fleet_options {
  std::uint16_t port = 0;
  protocol speaks = protocol::graphql_transport_ws;
  std::size_t source_addresses = 1; // spreads connections over 127.0.0.2 and up when above 1
  std::function<std::string(std::size_t)> token_of = {}; // the token of a connection
};

struct run_options {
  std::size_t in_flight = 1;  // operations at the same time, over all connections
  double warm_up_seconds = 0; // not measured
  double seconds = 0;         // 0: until the workload has nothing more to do
  pid_t server = 0;           // whose CPU time is read; 0: nobody's
};

struct run_stats {
  std::uint64_t operations = 0;
  std::uint64_t items = 0;
  double seconds = 0;
  std::int64_t server_cpu_ns = 0;
  double server_system_share = 0; // of its CPU time
  std::int64_t own_cpu_ns = 0;
  double other_cores = 0; // kept busy by neither the server nor us
  histogram latency;
  std::uint64_t failures = 0;
  std::string first_failure;
};

class fleet {
 public:
  explicit fleet(fleet_options options);
  ~fleet();
  fleet(const fleet&) = delete;
  fleet& operator=(const fleet&) = delete;

  // Opens and authenticates connections until there are `count`. False with the reason.
  bool open(std::size_t count, std::string& why);
  // Closes all but the first `kept`, with a close frame each.
  void close_all(std::size_t kept = 0);
  std::size_t size() const { return connections_.size(); }
  // Answers pings for so long and sends nothing else. False when a connection was lost.
  bool idle(double seconds, std::string& why);
  // Begins the subscription of a connection; `query` and `variables` are JSON. The listener is asked for by
  // each event and must be set before.
  void subscribe(std::size_t connection, std::string_view query, std::string_view variables);
  void set_listener(listener* who) { listener_ = who; }
  // Handles what comes until `done` says true. False: a connection was lost, or nothing came for 30 s.
  bool wait_until(const std::function<bool()>& done, std::string& why);
  // Runs over the first `connections` connections.
  void run(workload& what, std::size_t connections, const run_options& options, run_stats& stats);

  // ── for workloads and listeners ──
  // The operation in flight of this connection has had all its effects.
  void release(std::size_t connection);
  bool is_recording() const { return recording_; }
  // When the bytes that are being handled were read.
  std::int64_t received_ns() const { return received_ns_; }

 private:
  enum class phase : std::uint8_t { connecting, upgrading, authenticating, ready, busy, closed };
  struct connection {
    int socket = -1;
    phase at = phase::closed;
    bool subscribed = false;
    bool answered = false;  // a `next` of the operation in flight has come
    bool completed = false; // and its `complete`
    bool released = false;
    bool writable_wanted = false;
    std::uint64_t operation = 0;
    std::int64_t items = 0; // of the operation in flight, once answered
    std::int64_t began_ns = 0;
    std::string received; // the rest of a frame that has not come whole
    std::string message;  // the fragments of a message so far
    bool fragmented = false;
    std::string unsent;
    std::size_t sent = 0;
  };

  bool start_connecting(std::size_t index, std::string& why);
  void poll(int timeout_ms);
  void readable(std::size_t index);
  void upgrade(std::size_t index);
  std::size_t consume(std::size_t index, std::string_view bytes);
  void message(std::size_t index, std::string_view text);
  void send(std::size_t index, std::string_view bytes);
  void flush(std::size_t index);
  void want(std::size_t index, bool writable);
  void start_next();
  void finish(std::size_t index, std::int64_t items);
  void fail(std::size_t index, const std::string& why);
  void close(std::size_t index);

  fleet_options options_;
  int epoll_ = -1;
  std::vector<connection> connections_;
  std::vector<char> buffer_;
  std::string scratch_;
  std::string failure_; // the first, while opening or idle
  std::size_t opening_ = 0;
  std::size_t lost_ = 0;
  listener* listener_ = nullptr;
  std::int64_t received_ns_ = 0;

  // while run() runs
  workload* work_ = nullptr;
  run_stats* stats_ = nullptr;
  std::deque<std::uint32_t> ready_;
  std::size_t in_flight_ = 0;
  bool recording_ = false;
  bool starting_ = false;
  std::int64_t last_progress_ns_ = 0;
};

std::int64_t monotonic_ns();

} // namespace mooring::bench
