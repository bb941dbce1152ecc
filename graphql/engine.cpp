#include "graphql/engine.hpp"

#include "base/check.hpp"
#include "base/hash.hpp"
#include "graphql/bounded_cache.hpp"
#include "graphql/coercion.hpp"
#include "graphql/error_json.hpp"
#include "graphql/execution.hpp"
#include "graphql/persisted.hpp"
#include "graphql/prepared.hpp"
#include "graphql/responses.hpp"
#include "graphql/subscription_start.hpp"

namespace mooring::graphql {

namespace {

bindings checked(bindings bound) {
  for (const auto& why : bound.check()) MOORING_CHECK(why.empty(), why.c_str());
  return bound;
}

// The two answers that Apollo's clients know by their codes.
response persisted_answer(std::string_view message, std::string_view code, std::uint64_t request_id) {
  response out;
  out.executed = false;
  out.body = "{\"errors\":[";
  append_error(out.body, {message, code, false}, {}, request_id);
  out.body.append("]}");
  return out;
}

} // namespace

struct engine::parts {
  parts(const schema& of, bindings with, engine_options settings)
      : bound(checked(std::move(with)))
      , options(std::move(settings))
      , types(of, options.scalars)
      , preparing{options.parse, options.validation, options.limits, options.introspection}
      , prepared(options.prepared_max, options.prepared_bytes_max)
      , persisted(options.persisted_max, options.persisted_bytes_max) {}

  const bindings bound;
  const engine_options options;
  const input_types types;
  prepare_options preparing;
  bounded_cache<std::uint64_t, prepared_document> prepared;
  persisted_queries persisted;
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> refusals{0};

  prepare_outcome find_or_prepare(std::string_view text, std::string_view operation_name, void* context) {
    auto key = hash64(text, process_seed()); // nobody can aim at another document's place in the cache
    if (!operation_name.empty()) key = hash64(operation_name, key);
    auto found = prepared.find(key);
    if (found && found->source() == text && found->operation_name() == operation_name) {
      hits.fetch_add(1, std::memory_order_relaxed);
      return {std::move(found), {}};
    }
    misses.fetch_add(1, std::memory_order_relaxed);
    if (options.admit_new)
      if (auto why = options.admit_new(text.size(), context))
        return {.document = nullptr, .errors = {}, .not_admitted = std::move(why)};
    auto made = prepare(bound, types, text, operation_name, preparing);
    if (!made.document)
      refusals.fetch_add(1, std::memory_order_relaxed);
    else
      prepared.insert(key, made.document, made.document->bytes());
    return made;
  }
};

engine::engine(const schema& of, bindings bound, engine_options options)
    : parts_(std::make_unique<parts>(of, std::move(bound), std::move(options))) {}
engine::~engine() = default;

void engine::execute(const request& what, response_handler done) const {
  using finding = persisted_queries::finding;
  auto& in = *parts_;
  // A text that is too long to be prepared is not worth its hash.
  auto asked = what.query.size() <= in.options.parse.source_bytes_max
                   ? in.persisted.look_up(what.query, what.extensions)
                   : persisted_queries::outcome{finding::not_asked, what.query, nullptr, {}};
  switch (asked.what) {
  case finding::not_asked:
    if (what.query.empty()) {
      done(refused(
          error{error_code::bad_user_input,
                "GraphQL operations must contain a non-empty `query` or a `persistedQuery` extension."},
          what.request_id));
      return;
    }
    break;
  case finding::text: break;
  case finding::not_found:
    done(persisted_answer("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND", what.request_id));
    return;
  case finding::not_supported:
    done(persisted_answer("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED", what.request_id));
    return;
  case finding::unsupported_version:
    done(refused(error{error_code::bad_user_input, "Unsupported persisted query version"}, what.request_id));
    return;
  case finding::malformed:
    done(
        refused(error{error_code::bad_user_input, "Malformed persistedQuery extension: sha256Hash must be 64 "
                                                  "hexadecimal digits"},
                what.request_id));
    return;
  case finding::mismatch:
    done(refused(error{error_code::bad_user_input, "provided sha does not match query"}, what.request_id));
    return;
  }

  auto prepared = in.find_or_prepare(asked.text, what.operation_name, what.context.get());
  if (prepared.not_admitted) {
    done(refused(*prepared.not_admitted, what.request_id));
    return;
  }
  if (!prepared.document) {
    done(refused(prepared.errors, what.request_id));
    return;
  }
  if (!asked.remember_as.empty()) in.persisted.remember(asked.remember_as, asked.text);
  const auto& facts = prepared.document->facts();
  if (in.options.admit) {
    const auto& name = facts.operation->name;
    if (const auto why =
            in.options.admit({facts.operation->kind, facts.root_fields, name.text, what.context.get()})) {
      done(refused(*why, what.request_id));
      return;
    }
  }
  if (facts.operation->kind == ast::operation_kind::subscription) {
    if (what.may_stream && prepared.document->bytes() > in.options.subscribed_bytes_max)
      done(refused(error{error_code::query_too_complex,
                         "The document is too large for a subscription, which keeps it."},
                   what.request_id));
    else if (what.may_stream)
      start_subscription(in.types, std::move(prepared.document), what, in.options.variable_errors_max,
                         std::move(done));
    else
      done(refused(error{error_code::bad_user_input, "subscriptions need a WebSocket"}, what.request_id));
    return;
  }
  const auto run = std::make_shared<execution>(in.types, in.bound, std::move(prepared.document), what.context,
                                               what.request_id, std::move(done));
  if (run->begin(what.variables, in.options.variable_errors_max)) run->run();
}

std::string engine::error_body(const error& failure, std::uint64_t request_id) {
  return refusal_body(failure, request_id);
}

const bindings& engine::bound() const {
  return parts_->bound;
}

engine_counters engine::counters() const {
  const auto& in = *parts_;
  return {in.hits.load(std::memory_order_relaxed),
          in.misses.load(std::memory_order_relaxed),
          in.prepared.evictions(),
          in.refusals.load(std::memory_order_relaxed),
          in.prepared.count(),
          in.prepared.bytes(),
          in.persisted.hits(),
          in.persisted.misses(),
          in.persisted.count(),
          in.persisted.bytes()};
}

} // namespace mooring::graphql
