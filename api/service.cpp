#include "api/service.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include <fmt/format.h>

#include "api/arguments.hpp"
#include "api/bindings.hpp"
#include "api/events.hpp"
#include "base/log.hpp"
#include "graphql/schema.hpp"
#include "sync/limits.hpp"

namespace mooring::api {

using graphql::field_call;
using graphql::resolved;
using graphql::responder;

namespace {

constexpr char schema_text[] =
#include "schema_text.inc"
    ;

// What a request carries through the engine. Starts with what the output bindings ask for.
struct request_context : output_context {
  origin from;
  api::backend* backend = nullptr;
  std::string address;
  bool may_mutate = true;
  bool method_not_allowed = false;
  bool is_noted = false; // the error of a stream that its field refused
  std::uint64_t bytes = 0;
};

request_context& context_of(const field_call& call) {
  return *static_cast<request_context*>(call.context);
}

std::unique_ptr<const graphql::schema> build() {
  auto built = graphql::build_schema(schema_text);
  MOORING_CHECK(built.ok(), "api/schema.graphql is a valid schema");
  return std::move(built).value();
}

void count(field_outcomes& to, bool ok, std::int64_t took_us) {
  (ok ? to.succeeded : to.failed).fetch_add(1, std::memory_order_relaxed);
  const auto& bounds = field_outcomes::bounds_us;
  const auto bucket =
      static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), took_us) - bounds.begin());
  to.latency[bucket].fetch_add(1, std::memory_order_relaxed);
  to.latency_sum_us.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(took_us, 0)),
                              std::memory_order_relaxed);
}

// Counts the errors that clients are told, and leaves a trace of them under the request's id, which they are told too.
class error_notes {
 public:
  explicit error_notes(const clock& time)
      : time_(time) {}

  void note(const error& why, std::uint64_t request_id, std::string_view where) {
    counts_[static_cast<std::size_t>(why.code)].fetch_add(1, std::memory_order_relaxed);
    switch (why.code) {
    case error_code::internal: // the client is told no more than the request's id
      return log::error("request {:x}: {}: {}", request_id, where, why.message);
    case error_code::unavailable:
    case error_code::storage_full: // each of many requests may meet it
      if (may_warn()) return log::warning("request {:x}: {}: {}", request_id, where, why.message);
      [[fallthrough]];
    default: return log::debug("request {:x}: {}: {}", request_id, where, to_string(why.code));
    }
  }
  std::uint64_t count_of(error_code code) const {
    return counts_[static_cast<std::size_t>(code)].load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t warnings_per_second = 10;

  bool may_warn() {
    const auto second = static_cast<std::uint64_t>(time_.monotonic_us() / 1'000'000);
    auto seen = warned_.load(std::memory_order_relaxed);
    for (;;) {
      const auto in_second = seen >> 8 == second ? seen & 0xff : 0;
      if (in_second == warnings_per_second) return false;
      if (warned_.compare_exchange_weak(seen, second << 8 | (in_second + 1), std::memory_order_relaxed))
        return true;
    }
  }

  const clock& time_;
  std::array<std::atomic<std::uint64_t>, error_code_count> counts_{};
  std::atomic<std::uint64_t> warned_{0}; // the second, and how often in it
};

// Answers a root field and counts how it went.
struct answerer {
  responder to;
  field_outcomes* outcome;
  error_notes* errors;
  const clock* time;
  std::int64_t began_us;
  std::uint64_t request_id;
  void operator()(result<resolved> answer) const {
    count(*outcome, answer.ok(), time->monotonic_us() - began_us);
    if (!answer.ok()) errors->note(answer.failure(), request_id, outcome->name);
    to(std::move(answer));
  }
};

sync::rate_limits where_limited(const service_options& options) {
  auto out = options.new_documents;
  if (options.rates.per_user.off()) out.per_user = {};
  if (options.rates.per_tenant.off()) out.per_tenant = {};
  if (options.rates.per_address.off()) out.per_address = {};
  return out;
}

} // namespace

struct service::parts {
  explicit parts(service_options given)
      : options(std::move(given))
      , limiter(options.rates)
      , new_documents(where_limited(options))
      , schema(build())
      , errors(*options.time) {}

  graphql::bindings bind();
  std::optional<error> admit(const graphql::admission& what);
  std::optional<error> admit_new(std::size_t document_bytes, request_context& at);
  std::optional<error> take(rate_limiter& from, request_context& at, double cost);

  template<class T>
  void root(graphql::bindings& to, std::string_view type, std::string_view field,
            void (parts::*resolve)(const field_call&, request_context&, answerer));

  // One per root field.
  void sync_voice_data(const field_call&, request_context&, answerer);
  void sync_operations(const field_call&, request_context&, answerer);
  void sync_batch(const field_call&, request_context&, answerer);
  void resolve_conflict(const field_call&, request_context&, answerer);
  void register_device(const field_call&, request_context&, answerer);
  void deactivate_device(const field_call&, request_context&, answerer);
  void acknowledge(const field_call&, request_context&, answerer);
  void set_conflict_policy(const field_call&, request_context&, answerer);
  void set_push_subscription(const field_call&, request_context&, answerer);
  void trigger_sync(const field_call&, request_context&, answerer);
  void broadcast(const field_call&, request_context&, answerer);
  void server_info(const field_call&, request_context&, answerer);
  void entity(const field_call&, request_context&, answerer);
  void changes(const field_call&, request_context&, answerer);
  void conflict(const field_call&, request_context&, answerer);
  void conflicts(const field_call&, request_context&, answerer);
  void devices(const field_call&, request_context&, answerer);
  void device(const field_call&, request_context&, answerer);
  void push_subscriptions(const field_call&, request_context&, answerer);
  void device_sync_state(const field_call&, request_context&, answerer);
  void conflict_policies(const field_call&, request_context&, answerer);
  void queue_status(const field_call&, request_context&, answerer);
  void sync_health(const field_call&, request_context&, answerer);
  void optimal_sync_time(const field_call&, request_context&, answerer);
  void sync_analytics(const field_call&, request_context&, answerer);

  // Submits, and answers with what `finish` makes of the answer's alternative A.
  template<class A, class F> void submit(request_context& at, command what, answerer answer, F finish) {
    at.backend->submit(at.from, std::move(what),
                       [answer = std::move(answer), finish = std::move(finish)](result<command_answer> done) {
                         if (!done) return answer(done.failure());
                         answer(finish(std::move(std::get<A>(*done))));
                       });
  }
  // Counts the devices that `what` is meant for, then submits it with their number.
  template<class C>
  void submit_counted(request_context& at, sync::count_devices whom, C what, answerer answer) {
    at.backend->read(at.from, std::move(whom),
                     [this, &at, what = std::move(what),
                      answer = std::move(answer)](result<sync::query_answer> found) mutable {
                       if (!found) return answer(found.failure());
                       const auto devices = std::get<std::int64_t>(*found);
                       what.devices = static_cast<std::int32_t>(std::min<std::int64_t>(devices, INT32_MAX));
                       submit<std::int32_t>(at, std::move(what), std::move(answer),
                                            [](std::int32_t done) { return resolved::of(done); });
                     });
  }
  // Reads, and answers with the alternative A as it is. An empty optional is null.
  template<class A> void read(request_context& at, sync::query what, answerer answer) {
    at.backend->read(at.from, std::move(what), [answer = std::move(answer)](result<sync::query_answer> done) {
      if (!done) return answer(done.failure());
      answer(resolved::of<A>(std::move(std::get<A>(*done))));
    });
  }

  service_options options;
  rate_limiter limiter;
  rate_limiter new_documents;
  std::atomic<std::uint64_t> refused_for_rate{0};
  std::unique_ptr<const graphql::schema> schema;
  std::vector<std::unique_ptr<field_outcomes>> outcomes;
  error_notes errors;
  std::unique_ptr<graphql::engine> engine;
};

template<class T>
void service::parts::root(graphql::bindings& to, std::string_view type, std::string_view field,
                          void (parts::*resolve)(const field_call&, request_context&, answerer)) {
  outcomes.push_back(std::make_unique<field_outcomes>());
  auto* const outcome = outcomes.back().get();
  outcome->name = fmt::format("{}.{}", type, field);
  to.root<T>(type, field, [this, resolve, outcome](const field_call& call, responder answer) {
    auto& at = context_of(call);
    (this->*resolve)(
        call, at,
        answerer{std::move(answer), outcome, &errors, options.time, at.from.arrived_us, at.from.request_id});
  });
}

namespace {

// The answer of an upload of one kind: its only section.
resolved one_section(sync::upload_answer answer,
                     std::optional<sync::section_answer> sync::upload_answer::*section) {
  auto whole = std::make_shared<const sync::upload_answer>(std::move(answer));
  const auto& part = (*whole).*section;
  MOORING_CHECK(part.has_value(), "an upload's answer has the section of its kind");
  return resolved::of(section_view{whole, &*part});
}

} // namespace

void service::parts::sync_voice_data(const field_call& call, request_context& at, answerer answer) {
  auto what = read_voice_upload(call.arguments, at.bytes);
  if (!what) return answer(what.failure());
  submit<sync::upload_answer>(at, std::move(*what), std::move(answer), [](sync::upload_answer done) {
    return one_section(std::move(done), &sync::upload_answer::voice);
  });
}

void service::parts::sync_operations(const field_call& call, request_context& at, answerer answer) {
  auto what = read_operations_upload(call.arguments, at.bytes);
  if (!what) return answer(what.failure());
  submit<sync::upload_answer>(at, std::move(*what), std::move(answer), [](sync::upload_answer done) {
    return one_section(std::move(done), &sync::upload_answer::operations);
  });
}

void service::parts::sync_batch(const field_call& call, request_context& at, answerer answer) {
  auto what = read_batch_upload(call.arguments, at.bytes);
  if (!what) return answer(what.failure());
  submit<sync::upload_answer>(at, std::move(*what), std::move(answer), [](sync::upload_answer done) {
    return resolved::of(batch_view{std::make_shared<const sync::upload_answer>(std::move(done))});
  });
}

void service::parts::resolve_conflict(const field_call& call, request_context& at, answerer answer) {
  auto what = read_resolution(call.arguments);
  if (!what) return answer(what.failure());
  submit<sync::resolution_answer>(at, std::move(*what), std::move(answer),
                                  [](sync::resolution_answer done) { return resolved::of(std::move(done)); });
}

void service::parts::register_device(const field_call& call, request_context& at, answerer answer) {
  auto what = read_registration(call.arguments);
  auto id = what.device_id;
  // Registered first, then read as anybody would read it: with presence and pending changes.
  at.backend->submit(
      at.from, std::move(what),
      [&at, id = std::move(id), answer = std::move(answer)](result<command_answer> done) {
        if (!done) return answer(done.failure());
        at.backend->read(at.from, sync::get_device{id}, [answer](result<sync::query_answer> found) {
          if (!found) return answer(found.failure());
          auto& device = std::get<std::optional<sync::device_answer>>(*found);
          if (!device) return answer(error{error_code::unavailable, "the device is not to be read yet"});
          answer(resolved::of(std::move(*device)));
        });
      });
}

void service::parts::deactivate_device(const field_call& call, request_context& at, answerer answer) {
  submit<bool>(at, read_deactivation(call.arguments), std::move(answer),
               [](bool done) { return resolved::of(done); });
}

void service::parts::acknowledge(const field_call& call, request_context& at, answerer answer) {
  auto what = read_acknowledgement(call.arguments, at.tenant);
  if (!what) return answer(what.failure());
  submit<bool>(at, std::move(*what), std::move(answer), [](bool done) { return resolved::of(done); });
}

void service::parts::set_conflict_policy(const field_call& call, request_context& at, answerer answer) {
  submit<sync::policy>(at, read_policy(call.arguments), std::move(answer),
                       [](sync::policy done) { return resolved::of(done); });
}

void service::parts::set_push_subscription(const field_call& call, request_context& at, answerer answer) {
  submit<sync::push_answer>(at, read_push_subscription(call.arguments), std::move(answer),
                            [](sync::push_answer done) { return resolved::of(std::move(done)); });
}

void service::parts::trigger_sync(const field_call& call, request_context& at, answerer answer) {
  auto what = read_trigger(call.arguments);
  sync::count_devices whom{what.user_id, std::nullopt};
  submit_counted(at, std::move(whom), std::move(what), std::move(answer));
}

void service::parts::broadcast(const field_call& call, request_context& at, answerer answer) {
  auto what = read_broadcast(call.arguments);
  if (!what) return answer(what.failure());
  sync::count_devices whom{what->user_id, what->device_id};
  submit_counted(at, std::move(whom), std::move(*what), std::move(answer));
}

void service::parts::server_info(const field_call&, request_context&, answerer answer) {
  server_view out;
  out.version = options.version;
  out.node_id = options.node_id;
  out.api_versions = {"1"};
  out.now = options.time->now();
  out.limits.batch_items_max = static_cast<std::int32_t>(options.rules.batch_items_max);
  out.limits.payload_bytes_max = static_cast<std::int32_t>(options.rules.payload_bytes_max);
  out.limits.depth_max = static_cast<std::int32_t>(options.limits.depth);
  out.limits.complexity_max = options.limits.complexity;
  out.limits.idempotency_window_seconds =
      static_cast<std::int32_t>(options.rules.idempotency_window_ms / 1000);
  answer(resolved::of(std::move(out)));
}

void service::parts::entity(const field_call& call, request_context& at, answerer answer) {
  read<std::optional<sync::entity_answer>>(at, read_get_entity(call.arguments), std::move(answer));
}

void service::parts::changes(const field_call& call, request_context& at, answerer answer) {
  auto what = read_get_changes(call.arguments, at.tenant);
  if (!what) return answer(what.failure());
  read<sync::change_page>(at, *what, std::move(answer));
}

void service::parts::conflict(const field_call& call, request_context& at, answerer answer) {
  read<std::optional<sync::conflict>>(at, sync::get_conflict{read_id(call.arguments)}, std::move(answer));
}

void service::parts::conflicts(const field_call& call, request_context& at, answerer answer) {
  auto what = read_list_conflicts(call.arguments, at.tenant);
  if (!what) return answer(what.failure());
  read<sync::conflict_page>(at, *what, std::move(answer));
}

void service::parts::devices(const field_call&, request_context& at, answerer answer) {
  read<std::vector<sync::device_answer>>(at, sync::list_devices{}, std::move(answer));
}

void service::parts::device(const field_call& call, request_context& at, answerer answer) {
  read<std::optional<sync::device_answer>>(at, sync::get_device{read_id(call.arguments)}, std::move(answer));
}

void service::parts::push_subscriptions(const field_call& call, request_context& at, answerer answer) {
  at.backend->read(at.from, sync::list_push_subscriptions{read_id(call.arguments)},
                   [answer = std::move(answer)](result<sync::query_answer> found) {
                     if (!found) return answer(found.failure());
                     auto& set = std::get<sync::push_subscriptions>(*found);
                     std::vector<sync::push_answer> out;
                     out.reserve(set.settings.size());
                     for (const auto& one : set.settings) out.push_back({set.device_id, one});
                     answer(resolved::of(std::move(out)));
                   });
}

void service::parts::device_sync_state(const field_call& call, request_context& at, answerer answer) {
  read<sync::device_sync_state>(at, sync::get_device_sync_state{read_id(call.arguments)}, std::move(answer));
}

void service::parts::conflict_policies(const field_call&, request_context& at, answerer answer) {
  read<std::vector<sync::policy>>(at, sync::list_policies{}, std::move(answer));
}

void service::parts::queue_status(const field_call& call, request_context& at, answerer answer) {
  read<sync::queue_status>(at, sync::get_queue_status{read_id(call.arguments)}, std::move(answer));
}

void service::parts::sync_health(const field_call&, request_context& at, answerer answer) {
  read<sync::sync_health>(at, sync::get_sync_health{}, std::move(answer));
}

void service::parts::optimal_sync_time(const field_call&, request_context& at, answerer answer) {
  read<sync::sync_advice>(at, sync::get_sync_advice{}, std::move(answer));
}

void service::parts::sync_analytics(const field_call& call, request_context& at, answerer answer) {
  const auto what = read_get_analytics(call.arguments);
  if (!what) return answer(what.failure());
  read<std::vector<sync::analytics_hour>>(at, *what, std::move(answer));
}

graphql::bindings service::parts::bind() {
  graphql::bindings to(*schema);
  bind_output(to);
  bind_events(to);
  root<server_view>(to, "Query", "serverInfo", &parts::server_info);
  root<std::optional<sync::entity_answer>>(to, "Query", "entity", &parts::entity);
  root<sync::change_page>(to, "Query", "changes", &parts::changes);
  root<std::optional<sync::conflict>>(to, "Query", "conflict", &parts::conflict);
  root<sync::conflict_page>(to, "Query", "conflicts", &parts::conflicts);
  root<std::vector<sync::device_answer>>(to, "Query", "devices", &parts::devices);
  root<std::optional<sync::device_answer>>(to, "Query", "device", &parts::device);
  root<std::vector<sync::push_answer>>(to, "Query", "pushSubscriptions", &parts::push_subscriptions);
  root<sync::device_sync_state>(to, "Query", "deviceSyncState", &parts::device_sync_state);
  root<std::vector<sync::policy>>(to, "Query", "conflictPolicies", &parts::conflict_policies);
  root<sync::queue_status>(to, "Query", "queueStatus", &parts::queue_status);
  root<sync::sync_health>(to, "Query", "syncHealth", &parts::sync_health);
  root<sync::sync_advice>(to, "Query", "optimalSyncTime", &parts::optimal_sync_time);
  root<std::vector<sync::analytics_hour>>(to, "Query", "syncAnalytics", &parts::sync_analytics);
  root<section_view>(to, "Mutation", "syncVoiceData", &parts::sync_voice_data);
  root<section_view>(to, "Mutation", "syncOperations", &parts::sync_operations);
  root<batch_view>(to, "Mutation", "syncBatch", &parts::sync_batch);
  root<sync::resolution_answer>(to, "Mutation", "resolveConflict", &parts::resolve_conflict);
  root<sync::device_answer>(to, "Mutation", "registerDevice", &parts::register_device);
  root<bool>(to, "Mutation", "deactivateDevice", &parts::deactivate_device);
  root<bool>(to, "Mutation", "acknowledge", &parts::acknowledge);
  root<sync::push_answer>(to, "Mutation", "setPushSubscription", &parts::set_push_subscription);
  root<sync::policy>(to, "Mutation", "setConflictPolicy", &parts::set_conflict_policy);
  root<std::int32_t>(to, "Mutation", "triggerSync", &parts::trigger_sync);
  root<std::int32_t>(to, "Mutation", "broadcast", &parts::broadcast);
  outcomes.push_back(std::make_unique<field_outcomes>());
  auto* const opened = outcomes.back().get();
  opened->name = "Subscription.syncEvents";
  to.stream<sync_event>("syncEvents", [this, opened](const field_call& call,
                                                     std::shared_ptr<const graphql::event_writer> writer,
                                                     graphql::stream_responder answer) {
    auto& at = context_of(call);
    auto what = read_open_events(call.arguments, at.tenant);
    const auto begun = [this, opened, arrived_us = at.from.arrived_us,
                        request_id = at.from.request_id](const error* why) {
      count(*opened, why == nullptr, options.time->monotonic_us() - arrived_us);
      if (why) errors.note(*why, request_id, opened->name);
    };
    auto source = what ? at.backend->open_events(at.from, std::move(what->device_id), what->after,
                                                 std::move(writer), begun)
                       : result<std::shared_ptr<void>>(what.failure());
    if (!source) {
      begun(&source.failure());
      at.is_noted = true;
    }
    answer(std::move(source));
  });
  return to;
}

std::optional<error> service::parts::admit(const graphql::admission& what) {
  auto& at = *static_cast<request_context*>(what.context);
  const bool mutates = what.kind == graphql::ast::operation_kind::mutation;
  if (mutates && !at.may_mutate) {
    at.method_not_allowed = true;
    return error{error_code::bad_user_input, "a mutation needs POST"};
  }
  double cost = 0;
  for (const auto field : what.root_fields)
    cost += mutates ? sync::weight_of_mutation(field) : sync::weight_of_query;
  return take(limiter, at, cost);
}

// Parsing and validating what nobody sent lately costs most of all, also when it turns out not to be valid.
std::optional<error> service::parts::admit_new(std::size_t document_bytes, request_context& at) {
  constexpr std::size_t least = 256;
  return take(
      new_documents, at,
      static_cast<double>(std::clamp<std::size_t>(document_bytes, least, options.document_bytes_max)));
}

std::optional<error> service::parts::take(rate_limiter& from, request_context& at, double cost) {
  const auto retry_after_ms =
      from.take(at.from.who.tenant, at.from.who.user, at.address, cost, options.time->monotonic_us());
  if (!retry_after_ms) return std::nullopt;
  refused_for_rate.fetch_add(1, std::memory_order_relaxed);
  return error{
      error_code::rate_limited, "too many requests; come back after retryAfterMs", {}, retry_after_ms};
}

service::service(service_options options)
    : parts_(std::make_unique<parts>(std::move(options))) {
  auto bound = parts_->bind();
  for (const auto& wrong : bound.check()) log::error("the API does not fit its schema: {}", wrong);
  MOORING_CHECK(bound.check().empty(), "every field of the schema is bound");
  MOORING_CHECK(check_layout(*parts_->schema).empty(), "arguments are read in the schema's order");

  graphql::engine_options engine;
  engine.admit = [at = parts_.get()](const graphql::admission& what) { return at->admit(what); };
  engine.admit_new = [at = parts_.get()](std::size_t document_bytes, void* context) {
    return at->admit_new(document_bytes, *static_cast<request_context*>(context));
  };
  engine.scalars = {{"DateTime", graphql::custom_scalar::opaque_string},
                    {"Cursor", graphql::custom_scalar::opaque_string},
                    {"JSON", graphql::custom_scalar::json_any_depth}};
  engine.introspection = parts_->options.introspection;
  engine.limits = parts_->options.limits;
  engine.parse.source_bytes_max = static_cast<std::uint32_t>(parts_->options.document_bytes_max);
  engine.prepared_max = parts_->options.documents_cached_max;
  parts_->engine = std::make_unique<graphql::engine>(*parts_->schema, std::move(bound), std::move(engine));
}

service::~service() = default;

void service::execute(const service_request& request, std::function<void(service_answer)> done) const {
  auto context = std::make_shared<request_context>();
  context->tenant = request.from.who.tenant;
  context->from = request.from;
  context->backend = request.backend;
  context->address = request.address;
  context->may_mutate = request.may_mutate;
  context->bytes = request.bytes;

  graphql::request what;
  what.query = request.query;
  what.operation_name = request.operation_name;
  what.variables = request.variables;
  what.extensions = request.extensions;
  what.request_id = request.request_id;
  what.context = context;
  what.may_stream = request.may_stream;
  parts_->engine->execute(what, [at = std::move(context), done = std::move(done),
                                 errors = &parts_->errors](graphql::response response) {
    // A subscription that its field refuses was noted there.
    if (response.refused && !at->is_noted)
      errors->note({*response.refused, {}}, at->from.request_id, "before execution");
    done({std::move(response), at->method_not_allowed});
  });
}

std::string service::unauthenticated_body(std::uint64_t request_id) {
  return graphql::engine::error_body({error_code::unauthenticated, "a valid token is needed"}, request_id);
}

const graphql::engine& service::engine() const {
  return *parts_->engine;
}

const std::vector<std::unique_ptr<field_outcomes>>& service::outcomes() const {
  return parts_->outcomes;
}

std::uint64_t service::errors(error_code code) const {
  return parts_->errors.count_of(code);
}

std::uint64_t service::rate_limited() const {
  return parts_->refused_for_rate;
}

std::vector<std::string> service::check() {
  parts all(service_options{});
  auto wrong = all.bind().check();
  for (auto& one : check_layout(*all.schema)) wrong.push_back(std::move(one));
  return wrong;
}

std::string_view service::sdl() {
  return schema_text;
}

} // namespace mooring::api
