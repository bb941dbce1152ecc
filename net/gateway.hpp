// What the network layer calls, and what it needs to know of a request: the border between sockets and the
// rest.
//
// `net` knows nothing of actors, GraphQL or sync. One gateway per network thread; every call and every
// completion of it happens on that thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/body_source.hpp"
#include "net/event_stream.hpp"

namespace mooring::net {

// A verified token's claims. Shared by all requests of a connection until it is renewed.
struct identity {
  std::string tenant;                // claim `tenant`
  std::string user;                  // claim `sub`
  std::optional<std::string> device; // claim `device`
  bool is_admin = false;             // claim `roles` has "admin"
  bool is_operator = false;          // claim `roles` has "operator"
  instant expires;                   // claim `exp`
};

enum class transport : std::uint8_t { websocket, http_get, http_post };

// A GraphQL request as it came. Every view is valid only during gateway::execute.
struct graphql_request {
  std::shared_ptr<const identity> who; // null: no token was sent (HTTP); the gateway answers UNAUTHENTICATED
  transport via = transport::websocket;
  std::string_view query;          // may be empty when `extensions` names a persisted query
  std::string_view operation_name; // empty: not given
  json_value variables;            // absent, null or an object
  json_value extensions;           // absent, null or an object
  std::string_view remote_address; // without port, for the rate limit per address
  std::uint64_t bytes = 0;         // of the frame or body
  std::uint64_t connection_id = 0; // of a WebSocket, as in connection_opened; 0 for HTTP
  std::uint64_t request_id = 0;    // unique in the node's life; as hexadecimal in logs and errors
  std::int64_t arrived_us = 0;     // monotonic
};

struct graphql_answer {
  std::string body;                  // the ExecutionResult: {"data":…} and/or {"errors":[…]}
  bool executed = true;              // false: refused before execution; the body is exactly {"errors":[…]}
  bool method_not_allowed = false;   // a mutation by GET
  std::optional<error_code> refused; // the code of the refusal, for the HTTP status
  std::optional<std::int64_t> retry_after_ms;
  // Not null: a subscription has begun. The operation stays open, and the body is empty. WebSocket only.
  std::shared_ptr<event_source> events;
};

using completion = std::function<void(graphql_answer)>;

// Closes one connection from outside its own traffic (deactivation). Thread-safe.
class connection_handle {
 public:
  virtual ~connection_handle() = default;
  virtual void close(std::uint16_t code, std::string reason) = 0;
};

class gateway {
 public:
  virtual ~gateway() = default;
  // Calls `done` exactly once, now or later, on this thread. Never blocks.
  virtual void execute(const graphql_request& request, completion done) = 0;
  // A WebSocket connection was authenticated or renewed, and has ended. For closing on deactivation and for
  // presence.
  virtual void connection_opened(std::uint64_t connection_id, std::shared_ptr<const identity> who,
                                 std::weak_ptr<connection_handle> connection) = 0;
  virtual void connection_closed(std::uint64_t connection_id) = 0;
};

// What the plain HTTP endpoints serve; thread-safe.
class status_source {
 public:
  virtual ~status_source() = default;
  virtual bool is_ready(std::string& why_not) = 0; // /readyz: 200 or 503
  virtual std::string metrics_text() = 0;          // /metrics: Prometheus text format
  // /backup, for a caller who is an operator: what streams the node's data. Does not block. unavailable: not now, one is
  // running already; not_found: this node offers none.
  virtual result<std::unique_ptr<body_source>> begin_backup() {
    return error{error_code::not_found, "there are no backups here"};
  }
};

} // namespace mooring::net
