// engine: GraphQL requests in, JSON answers out (October 2021, section 6). Knows nothing of sync.
//
// One per process, shared by all network threads; everything but construction is thread-safe. A request is:
// text → prepared document (parsed, validated, measured and planned once, then cached) → admission → coerced
// variables → root resolvers → one JSON string.
//
// Errors: what is wrong with the request itself (syntax, validation, limits, variables, admission) is
// answered without `data` and with `executed` false; what goes wrong in a field is in `errors` beside `data`.
// Every error has extensions.code, extensions.retryable and extensions.requestId (domain.md, "Errors"). The
// detail of an INTERNAL error goes to the log, never to the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/json.hpp"
#include "graphql/ast.hpp"
#include "graphql/binding.hpp"
#include "graphql/limits.hpp"
#include "graphql/parser.hpp"
#include "graphql/scalars.hpp"
#include "graphql/subscription.hpp"
#include "graphql/validation.hpp"

namespace mooring::graphql {

// What `admit` may decide upon. Every root field that the document mentions counts, also when a directive
// skips it.
struct admission {
  ast::operation_kind kind = ast::operation_kind::query;
  std::span<const std::string_view> root_fields; // the schema's names, in order, aliases of one field each
  std::string_view operation_name;               // empty: anonymous
  void* context = nullptr;
};
// An error refuses the request before anything is coerced or run.
using admit_hook = std::function<std::optional<error>(const admission&)>;
// The same before a document that is not in the cache is parsed and validated, which costs most of all.
using admit_new_hook = std::function<std::optional<error>(std::size_t document_bytes, void* context)>;

struct engine_options {
  admit_hook admit;                                           // none: everything is admitted
  admit_new_hook admit_new;                                   // likewise
  std::vector<std::pair<std::string, custom_scalar>> scalars; // by name
  bool introspection = true;                                  // false: __schema and __type are refused
  parse_options parse = {};
  validation_options validation = {};
  document_limits limits = {};
  std::size_t variable_errors_max = 50; // then one more, and an end
  // Prepared documents. Invalid ones are not kept: whoever sends them can always send another.
  std::size_t prepared_max = 1024;
  std::size_t prepared_bytes_max = 64 * 1024 * 1024;
  // A subscription keeps its document for as long as it lasts: a larger one (prepared_document::bytes) is
  // refused.
  std::size_t subscribed_bytes_max = 128 * 1024;
  // Automatic persisted queries: texts by their SHA-256. `persisted_max` 0 switches them off.
  std::size_t persisted_max = 4096;
  std::size_t persisted_bytes_max = 16 * 1024 * 1024;
};

// Every view must stay valid until execute returns, not until the response.
struct request {
  std::string_view query;          // may be empty when `extensions` names a persisted query
  std::string_view operation_name; // empty: not given
  json_value variables;            // absent, null or an object
  json_value extensions;           // absent, null or an object
  std::uint64_t request_id = 0;    // in errors as hexadecimal; 0: none
  std::shared_ptr<void> context;   // handed to admit and to every resolver; kept until the response, or the
                                   // subscription's end
  bool may_stream = false;         // true: whoever asks can take the events of a subscription
};

struct response {
  std::string body;     // {"data":…}, {"errors":[…],"data":…} or {"errors":[…]}
  bool executed = true; // false: refused before execution, no `data`
  // The code of the refusal. Empty when executed, and for PersistedQueryNotFound, which is no failure but
  // asks for the text (Apollo's clients expect HTTP 200).
  std::optional<error_code> refused;
  std::optional<std::int64_t> retry_after_ms;
  // A subscription has begun: what its stream_resolver answered with. The body is empty then.
  std::shared_ptr<void> source;
};
using response_handler = std::function<void(response)>;

struct engine_counters {
  std::uint64_t prepared_hits = 0, prepared_misses = 0, prepared_evictions = 0;
  std::uint64_t documents_refused = 0;
  std::size_t prepared_documents = 0, prepared_bytes = 0;
  std::uint64_t persisted_hits = 0, persisted_misses = 0;
  std::size_t persisted_documents = 0, persisted_bytes = 0;
};

class engine {
 public:
  // REQUIRES: bindings.check() is empty; the schema outlives the engine.
  engine(const schema& of, bindings bound, engine_options options = {});
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  // Calls `done` exactly once: before it returns, or on the thread of the last resolver's answer. Never
  // blocks. The engine must outlive the response, and the event_writers. A subscription is answered when its
  // source is there, which is in response::source then, or why there is none; who cannot take its events
  // (request::may_stream) gets BAD_USER_INPUT.
  void execute(const request& what, response_handler done) const;

  // The body of an answer that holds this one error, for requests that never get as far as execute.
  static std::string error_body(const error& failure, std::uint64_t request_id);

  const bindings& bound() const;
  engine_counters counters() const;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace mooring::graphql
