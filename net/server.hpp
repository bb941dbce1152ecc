// The network server: listeners, network threads, sessions.
//
// Each network thread has its own io_context, its own gateway and its own sessions; a session lives and ends
// on one thread. Sockets are accepted on the first thread and go to the thread that has the fewest.
//
// Endpoints: /graphql (HTTP POST and GET, WebSocket upgrade with graphql-transport-ws), /healthz, /readyz,
// /metrics, /backup (for operators).
//
// Threads: start, stop and the destructor from one thread; the rest from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "net/counters.hpp"
#include "net/gateway.hpp"
#include "net/jwt.hpp"
#include "net/server_options.hpp"
#include "net/thread_context.hpp"

namespace mooring::net {

// Called once per network thread, from `start`, before the thread runs. The context outlives the gateway, and
// lives until the server's destructor. The gateway is destroyed on its thread when the server stops.
using gateway_factory = std::function<std::unique_ptr<gateway>(thread_context&)>;

class server {
 public:
  // `status` may be null (/readyz answers 200, /metrics 404); else it outlives the server.
  server(server_options options, std::shared_ptr<const jwt_verifier> tokens, gateway_factory make_gateway,
         status_source* status);
  ~server(); // stops

  // Validates the options, loads the certificate, binds, and starts the threads. bad_user_input for what the
  // operator can mend (an address in use, a missing certificate). Raises the soft limit of open files to the
  // hard one and ignores SIGPIPE for the process.
  result<void> start();

  // Stops accepting, answers what is in flight, closes WebSockets with 1001, and returns when all threads
  // ended: within stop_timeout_ms. Idempotent.
  void stop();

  // Reads the TLS files again, for connections to come. On failure the old certificate stays.
  result<void> reload_certificates();

  // The ports in the order of options.listen; the real ones when 0 was asked for.
  std::vector<std::uint16_t> ports() const;

  net_totals totals() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace mooring::net
