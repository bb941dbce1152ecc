#include "graphql/subscription_start.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "base/json_writer.hpp"
#include "base/log.hpp"
#include "graphql/error_json.hpp"
#include "graphql/operation_start.hpp"
#include "graphql/responses.hpp"
#include "graphql/sha256.hpp"

namespace mooring::graphql {

namespace {

// ── the shape ──

void append_number(std::string& out, std::uint64_t is) {
  char bytes[sizeof is];
  std::memcpy(bytes, &is, sizeof is);
  out.append(bytes, sizeof bytes);
}

// So that different values differ: kinds, and lengths before what has one.
void append_value(std::string& out, const value& is) {
  out.push_back(static_cast<char>(is.kind()));
  switch (is.kind()) {
  case value_kind::absent:
  case value_kind::null: return;
  case value_kind::boolean: out.push_back(is.boolean() ? 1 : 0); return;
  case value_kind::integer: return append_number(out, static_cast<std::uint64_t>(is.integer()));
  case value_kind::number: {
    std::uint64_t bits = 0;
    const auto number = is.number();
    static_assert(sizeof bits == sizeof number);
    std::memcpy(&bits, &number, sizeof bits);
    return append_number(out, bits);
  }
  case value_kind::enumeration: return append_number(out, is.ordinal());
  case value_kind::string:
    append_number(out, is.string().size());
    out.append(is.string());
    return;
  case value_kind::json:
    append_number(out, is.json().size());
    out.append(is.json());
    return;
  case value_kind::list:
  case value_kind::object:
    append_number(out, is.items().size());
    for (const auto& each : is.items()) append_value(out, each);
    return;
  }
}

// ── the events ──

class subscription_writer final : public event_writer {
 public:
  subscription_writer(std::shared_ptr<const prepared_document> document, std::shared_ptr<void> context)
      : document_(std::move(document))
      , context_(std::move(context)) {}

  // Everything that an event's answer needs of the request. Afterwards nothing changes.
  void settle(const input_types& types, operation_start&& begun) {
    plan_ = begun.plan;
    plan_owner_ = std::move(begun.plan_owner);
    // Whoever could write a document of the same shape would decide what others are sent.
    const auto text = sha256_128(document_->source());
    std::string seen;
    append_number(seen, text.low);
    append_number(seen, text.high);
    append_number(seen, begun.condition_bits);
    seen.append(document_->operation_name()).push_back('\0');
    if (document_->facts().nested_variables) {
      arguments_.resize(plan_->argument_slots);
      for (const auto& selection : root().selections) coerce(types, begun.scope, selection.fields, seen);
    }
    shape_ = sha256_128(seen);
  }

  // Where the variables live when fields below the root take some.
  request_arena& memory() { return memory_; }
  const plan_field& root() const { return plan_->fields.front(); }
  const ast::document& document() const { return document_->document(); }
  void* context() const { return context_.get(); }

  std::string write(const resolved& event) const override {
    std::string out;
    out.reserve(document_->answer_bytes.load(std::memory_order_relaxed) + std::size_t{16});
    out.append("{\"data\":{").append(root().key);
    kept_arguments arguments(*this);
    completer to(out, context_.get(), arguments);
    path_step here{nullptr, &root(), 0};
    to.path = &here;
    bool data_is_null = false;
    const auto ended = complete_root(to, root(), event, 0);
    if (ended != completion::written) {
      if ((root().non_null & 1) == 0) {
        out.append("null");
      } else {
        if (ended == completion::null) fail_null(to, root());
        data_is_null = true;
      }
    }
    out.push_back('}');
    // The largest so far decides the next one's first size: the sizes of one subscription's events vary
    // widely.
    const auto bytes = static_cast<std::uint32_t>(std::min<std::size_t>(out.size(), size_hint_max));
    if (bytes > document_->answer_bytes.load(std::memory_order_relaxed))
      document_->answer_bytes.store(bytes, std::memory_order_relaxed);
    return answer_body(std::move(out), data_is_null, to.errors, document_->document(), 0);
  }
  std::string write_refusal(const error& why, std::uint64_t request_id) const override {
    return refusal_at_root(why, request_id, {});
  }
  std::string refusal_at_root(const error& why, std::uint64_t request_id,
                              std::optional<std::uint32_t> offset) const {
    execution_error is{why.code, why.message, &root(), "["};
    if (why.code == error_code::internal) is.message = internal_message;
    append_json_string(is.path, root().response_name);
    is.path.push_back(']');
    is.input_field = why.field;
    is.retry_after_ms = why.retry_after_ms;
    is.offset = offset;
    std::string out = "{\"errors\":[";
    append_errors(out, {std::move(is)}, document(), request_id);
    return out.append("]}");
  }
  const digest128& shape() const override { return shape_; }

 private:
  static constexpr std::size_t size_hint_max = 4 * 1024;

  struct kept {
    std::span<const value> values;
    std::optional<argument_fault> fault;
  };
  // One event's view of what was coerced when the subscription began.
  class kept_arguments final : public argument_source {
   public:
    explicit kept_arguments(const subscription_writer& of)
        : of_(of) {}
    std::optional<argument_fault> coerce_arguments(const plan_field& field) override {
      return of_.arguments_[field.argument_slot].fault;
    }
    std::span<const value> arguments_of(const plan_field& field) const override {
      return field.arguments_constant ? field.constants : of_.arguments_[field.argument_slot].values;
    }

   private:
    const subscription_writer& of_;
  };

  void coerce(const input_types& types, const variable_scope& scope, std::span<const plan_field> fields,
              std::string& seen) {
    for (const auto& field : fields) {
      if (!field.arguments_constant) {
        auto& to = arguments_[field.argument_slot];
        to.fault = coerce_field_arguments(types, memory_, scope, field, to.values);
        seen.push_back(to.fault ? '!' : '=');
        if (to.fault) {
          append_number(seen, to.fault->message.size());
          seen.append(to.fault->message);
        } else {
          for (const auto& each : to.values) append_value(seen, each);
        }
      }
      for (const auto& selection : field.selections) coerce(types, scope, selection.fields, seen);
    }
  }

  const std::shared_ptr<const prepared_document> document_;
  const std::shared_ptr<void> context_;
  const operation_plan* plan_ = nullptr;
  std::shared_ptr<const operation_plan> plan_owner_;
  std::vector<kept> arguments_; // by plan_field::argument_slot; empty when no field below the root needs any
  digest128 shape_;
  request_arena memory_;
};

// ── the beginning ──

// Waits for the source. Gone without one: the request fails.
class beginning {
 public:
  beginning(std::shared_ptr<const subscription_writer> writer, std::uint64_t request_id,
            response_handler done)
      : writer_(std::move(writer))
      , request_id_(request_id)
      , done_(std::move(done)) {}
  beginning(const beginning&) = delete;
  beginning& operator=(const beginning&) = delete;
  ~beginning() {
    if (!answered_.load(std::memory_order_acquire))
      fail({error_code::internal, "the resolver gave up without an answer"});
  }

  void answer(result<std::shared_ptr<void>> is) {
    if (answered_.exchange(true, std::memory_order_acq_rel)) return;
    if (!is) return fail(is.failure());
    if (*is == nullptr) return fail({error_code::internal, "the resolver answered without a source"});
    response out;
    out.source = std::move(*is);
    const auto done = std::move(done_);
    writer_.reset();
    done(std::move(out));
  }

  // A request error (6.2.3.1), which says nonetheless where it comes from.
  void fail(const error& why, std::optional<std::uint32_t> offset = {}) {
    answered_.store(true, std::memory_order_release);
    if (why.code == error_code::internal)
      log::error("request {:x}: {}: {}", request_id_, writer_->root().declared->name, why.message);
    response out;
    out.executed = false;
    out.refused = why.code;
    out.retry_after_ms = why.retry_after_ms;
    out.body = writer_->refusal_at_root(why, request_id_, offset);
    const auto done = std::move(done_);
    done(std::move(out));
  }

 private:
  std::shared_ptr<const subscription_writer> writer_;
  const std::uint64_t request_id_;
  response_handler done_;
  std::atomic<bool> answered_{false};
};

} // namespace

void start_subscription(const input_types& types, std::shared_ptr<const prepared_document> document,
                        const request& what, std::size_t variable_errors_max, response_handler done) {
  const bool kept = document->facts().nested_variables;
  const auto made = std::make_shared<subscription_writer>(document, what.context);
  char first[4 * 1024];
  request_arena only_now(first, sizeof first);
  auto& memory = kept ? made->memory() : only_now;
  operation_start begun;
  if (const auto errors =
          start_operation(types, *document, memory, what.variables, {kept, variable_errors_max}, begun);
      !errors.empty())
    return done(refused(errors, what.request_id));
  // Validation bounds the root fields to one that is no introspection; directives may leave none.
  if (begun.plan->fields.size() != 1 || begun.plan->fields.front().root == nullptr)
    return done(refused({{error_code::bad_user_input,
                          "The subscription must select one top level field.",
                          {document->document().locate(document->facts().operation->offset)},
                          {}}},
                        what.request_id));
  const auto scope = begun.scope;
  made->settle(types, std::move(begun));
  const auto& field = made->root();
  auto waiting = std::make_shared<beginning>(made, what.request_id, std::move(done));
  auto arguments = field.constants;
  if (!field.arguments_constant)
    if (auto why = coerce_field_arguments(types, memory, scope, field, arguments))
      return waiting->fail({error_code::bad_user_input, std::move(why->message)}, why->offset);
  field.root->stream(
      {field.declared->name, arguments, made->context()}, made,
      [waiting = std::move(waiting)](result<std::shared_ptr<void>> is) { waiting->answer(std::move(is)); });
}

} // namespace mooring::graphql
