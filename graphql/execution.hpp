// execution: one request under way, from coerced variables to the response (October 2021, 6.2 and 6.3).
//
// Query roots are started all at once and answer in any order; mutation roots one after the other, each
// completed before the next is started (6.2.2). Owned by its responders: when the last of them is gone
// without an answer, what is missing fails and the response goes out. Answers may come from any thread, for
// one slot once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graphql/completer.hpp"
#include "graphql/engine.hpp"
#include "graphql/prepared.hpp"
#include "graphql/request_arena.hpp"
#include "graphql/resolved.hpp"

namespace mooring::graphql {

class execution final : public argument_source, public std::enable_shared_from_this<execution> {
 public:
  execution(const input_types& types, const bindings& bound,
            std::shared_ptr<const prepared_document> document, std::shared_ptr<void> context,
            std::uint64_t request_id, response_handler done);
  ~execution() override;
  execution(const execution&) = delete;
  execution& operator=(const execution&) = delete;

  // Coerces the variables and picks the plan. False: the request is refused, and the response has gone out.
  bool begin(const json_value& variables, std::size_t variable_errors_max);
  // Starts the root fields. REQUIRES: begin() was true
  void run();
  void answer(std::size_t slot, result<resolved> is);

  std::optional<argument_fault> coerce_arguments(const plan_field& field) override;
  std::span<const value> arguments_of(const plan_field& field) const override;

 private:
  struct slot {
    std::atomic<bool> answered{false};
    resolved value;
    std::optional<error> failure;
    std::optional<std::uint32_t> failed_at = {}; // offset in the document, when it is not the field's
  };

  bool serial() const { return document_->kind() == ast::operation_kind::mutation; }
  void start(std::size_t at);
  void run_from(std::size_t at);
  void settled(std::size_t at);
  void complete(std::size_t at);
  completion complete_value(const plan_field& field, slot& with);
  void finish();

  const input_types& types_;
  const bindings& bound_;
  const std::shared_ptr<const prepared_document> document_;
  const std::shared_ptr<void> context_;
  const std::uint64_t request_id_;
  response_handler done_;

  const operation_plan* plan_ = nullptr;
  std::shared_ptr<const operation_plan> plan_owner_;
  variable_scope scope_;
  std::span<std::span<const value>> arguments_; // by slot of plan_field::argument_slot
  std::vector<slot> slots_;
  std::atomic<std::size_t> waiting_{0}; // queries: root fields without an answer, and one for run() itself
  std::size_t completed_ = 0;           // root fields whose value is in the output
  bool data_is_null_ = false;
  bool finished_ = false;
  std::string out_;
  completer to_;

  request_arena memory_;
  // Last, and uninitialised: where the arena begins, so that an ordinary request asks the heap once.
  static constexpr std::size_t first_bytes = 8 * 1024;
  alignas(16) char first_[first_bytes];
};

} // namespace mooring::graphql
