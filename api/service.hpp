// The public API: api/schema.graphql bound to the structs of sync and to a backend.
//
// One per process, shared by all network threads. `execute` never blocks; `done` is called once, on the calling thread
// (now, or when the backend completes).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/backend.hpp"
#include "api/rate_limiter.hpp"
#include "base/json.hpp"
#include "base/time.hpp"
#include "graphql/engine.hpp"
#include "sync/rules.hpp"

namespace mooring::api {

struct service_options {
  std::string version; // of the server
  std::string node_id;
  bool introspection = true;
  graphql::document_limits limits;
  std::size_t document_bytes_max = 64 * 1024;
  std::size_t documents_cached_max = 1024;
  sync::rate_limits rates; // a rate of 0 switches one off, and the one of new documents with it
  // Bytes of documents that are not in the cache. Apps have a few dozen, each of which is new once.
  sync::rate_limits new_documents{
      {64 * 1024, 512 * 1024}, {1024 * 1024, 8 * 1024 * 1024}, {1024 * 1024, 8 * 1024 * 1024}};
  sync::rule_settings rules; // for serverInfo.limits
  const clock* time = &system_clock();
};

// A request that was authenticated. Views are valid until execute returns.
struct service_request {
  origin from;
  api::backend* backend = nullptr;
  std::string_view query, operation_name;
  json_value variables, extensions;
  std::string_view address; // for the rate limit
  bool may_mutate = true;   // false: HTTP GET
  bool may_stream = false;  // true: a WebSocket, which can take events
  std::uint64_t bytes = 0;
  std::uint64_t request_id = 0;
};

struct service_answer {
  graphql::response response;      // with a source: a subscription has begun, of what the backend made
  bool method_not_allowed = false; // a mutation by GET
};

// Root fields in the order of the schema: Query's, then Mutation's; for the metrics.
struct field_outcomes {
  std::string name; // "Mutation.syncBatch"
  std::atomic<std::uint64_t> succeeded{0}, failed{0};
  static constexpr std::array<std::int64_t, 14> bounds_us = {
      100,    250,    500,     1'000,   2'500,     5'000,     10'000,
      25'000, 50'000, 100'000, 250'000, 1'000'000, 2'500'000, 10'000'000};
  std::array<std::atomic<std::uint64_t>, bounds_us.size() + 1> latency{}; // the last: beyond all bounds
  std::atomic<std::uint64_t> latency_sum_us{0};
};

class service {
 public:
  explicit service(service_options options);
  ~service();

  void execute(const service_request& request, std::function<void(service_answer)> done) const;

  // The body of an answer to a request that has no caller.
  static std::string unauthenticated_body(std::uint64_t request_id);

  const graphql::engine& engine() const;
  // Stable addresses; written by any thread.
  const std::vector<std::unique_ptr<field_outcomes>>& outcomes() const;
  std::uint64_t rate_limited() const;
  // What clients were told: by fields, and by requests that were refused before execution.
  std::uint64_t errors(error_code code) const;

  // What is missing or mistyped between SDL, bindings and argument readers; empty when all is well.
  static std::vector<std::string> check();
  static std::string_view sdl();

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace mooring::api
