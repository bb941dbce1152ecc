#include "graphql/execution.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "graphql/error_json.hpp"
#include "graphql/operation_start.hpp"
#include "graphql/responses.hpp"

namespace mooring::graphql {

namespace {

// Introspection walks a graph with cycles; this bounds what one of its fields may write. The whole schema is
// far below.
constexpr std::size_t introspection_bytes_max = 2 * 1024 * 1024;

// The last answer's size is where the next one's string begins, up to here.
constexpr std::size_t answer_bytes_hint_max = 256 * 1024;

} // namespace

execution::execution(const input_types& types, const bindings& bound,
                     std::shared_ptr<const prepared_document> document, std::shared_ptr<void> context,
                     std::uint64_t request_id, response_handler done)
    : types_(types)
    , bound_(bound)
    , document_(std::move(document))
    , context_(std::move(context))
    , request_id_(request_id)
    , done_(std::move(done))
    , to_(out_, context_.get(), *this)
    , memory_(first_, first_bytes) {}

execution::~execution() {
  if (finished_ || plan_ == nullptr) return;
  // Nobody is left who could answer.
  for (auto& each : slots_)
    if (!each.answered.exchange(true))
      each.failure = error{error_code::internal, "the resolver gave up without an answer"};
  if (serial())
    while (completed_ < slots_.size() && !data_is_null_) complete(completed_);
  finish();
}

bool execution::begin(const json_value& variables, std::size_t variable_errors_max) {
  const auto& facts = document_->facts();
  // Arguments that are coerced after execute has returned must not point into the request's buffers.
  const bool later = facts.nested_variables || (serial() && facts.root_fields.size() > 1);
  operation_start begun;
  if (const auto errors =
          start_operation(types_, *document_, memory_, variables, {later, variable_errors_max}, begun);
      !errors.empty()) {
    finished_ = true;
    const auto done = std::move(done_);
    done(refused(errors, request_id_));
    return false;
  }
  scope_ = begun.scope;
  plan_owner_ = std::move(begun.plan_owner);
  plan_ = begun.plan;
  arguments_ = memory_.array<std::span<const value>>(plan_->argument_slots);
  return true;
}

void execution::run() {
  slots_ = std::vector<slot>(plan_->fields.size());
  out_.reserve(document_->answer_bytes.load(std::memory_order_relaxed) + 128);
  out_.append("{\"data\":{");
  if (serial()) {
    run_from(0);
    return;
  }
  waiting_.store(slots_.size() + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < slots_.size(); ++i) start(i);
  if (waiting_.fetch_sub(1, std::memory_order_acq_rel) == 1) finish();
}

// Mutations: starts one root field, if one is left; its answer goes on from there.
void execution::run_from(std::size_t at) {
  if (at == slots_.size())
    finish();
  else
    start(at);
}

void execution::start(std::size_t at) {
  const auto& field = plan_->fields[at];
  if (field.root == nullptr) { // __typename, __schema, __type: written when their turn comes
    slots_[at].answered.store(true, std::memory_order_relaxed);
    settled(at);
    return;
  }
  if (auto why = coerce_arguments(field)) {
    slots_[at].failed_at = why->offset;
    answer(at, error{error_code::bad_user_input, std::move(why->message)});
    return;
  }
  field.root->resolve({field.declared->name, arguments_of(field), context_.get()},
                      responder(shared_from_this(), at));
}

void execution::answer(std::size_t at, result<resolved> is) {
  auto& to = slots_[at];
  if (to.answered.exchange(true, std::memory_order_acq_rel)) return;
  if (is)
    to.value = std::move(*is);
  else
    to.failure = is.failure();
  settled(at);
}

void execution::settled(std::size_t at) {
  if (!serial()) {
    if (waiting_.fetch_sub(1, std::memory_order_acq_rel) == 1) finish();
    return;
  }
  complete(at);
  // A field that may not be null and failed has taken `data` with it: nothing that follows could be told
  // (6.2.2).
  if (data_is_null_)
    finish();
  else
    run_from(at + 1);
}

void execution::complete(std::size_t at) {
  const auto& field = plan_->fields[at];
  completed_ = at + 1;
  out_.append(field.key);
  path_step here{nullptr, &field, 0};
  to_.path = &here;
  const auto ended = complete_value(field, slots_[at]);
  if (ended != completion::written) {
    if ((field.non_null & 1) == 0) {
      out_.append("null");
    } else {
      if (ended == completion::null) fail_null(to_, field);
      data_is_null_ = true;
    }
  }
  to_.path = nullptr;
}

completion execution::complete_value(const plan_field& field, slot& with) {
  if (with.failure) {
    auto& failure = *with.failure;
    to_.fail(field, failure.code, {});
    auto& recorded = to_.errors.back();
    if (failure.code == error_code::internal) {
      log::error("request {:x}: {}: {}", request_id_, field.declared->name, failure.message);
      recorded.message = internal_message;
    } else {
      recorded.message = std::move(failure.message);
    }
    recorded.input_field = std::move(failure.field);
    recorded.retry_after_ms = failure.retry_after_ms;
    recorded.offset = with.failed_at;
    return completion::failed;
  }
  if (field.root != nullptr) return complete_root(to_, field, with.value, request_id_);
  to_.output_bytes_max = out_.size() + introspection_bytes_max;
  const auto ended = to_.one(field, &bound_.of());
  to_.output_bytes_max = SIZE_MAX;
  return ended;
}

void execution::finish() {
  finished_ = true;
  if (!serial())
    for (std::size_t i = 0; i < slots_.size() && !data_is_null_; ++i) complete(i);
  out_.push_back('}');
  response answer;
  answer.body = answer_body(std::move(out_), data_is_null_, to_.errors, document_->document(), request_id_);
  document_->answer_bytes.store(
      static_cast<std::uint32_t>(std::min(answer.body.size(), answer_bytes_hint_max)),
      std::memory_order_relaxed);
  const auto done = std::move(done_);
  done(std::move(answer));
}

std::optional<argument_fault> execution::coerce_arguments(const plan_field& field) {
  if (field.arguments_constant) return std::nullopt;
  auto& kept = arguments_[field.argument_slot];
  if (!kept.empty()) return std::nullopt;
  return coerce_field_arguments(types_, memory_, scope_, field, kept);
}

std::span<const value> execution::arguments_of(const plan_field& field) const {
  return field.arguments_constant ? field.constants : arguments_[field.argument_slot];
}

void responder::operator()(result<resolved> answer) const {
  run_->answer(slot_, std::move(answer));
}

} // namespace mooring::graphql
