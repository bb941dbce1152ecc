// A prepared document: one operation of one text, parsed, measured, validated and planned, ready to be run
// many times.
//
// Immutable but for its table of plans; shared by all threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graphql/limits.hpp"
#include "graphql/parser.hpp"
#include "graphql/plan.hpp"
#include "graphql/validation.hpp"

namespace mooring::graphql {

struct prepare_options {
  parse_options parse = {};
  validation_options validation = {};
  document_limits limits = {};
  bool introspection = true;
};

struct prepare_outcome;

class prepared_document {
 public:
  const operation_facts& facts() const { return facts_; }
  const ast::document& document() const { return *document_; }
  ast::operation_kind kind() const { return facts_.operation->kind; }
  std::string_view source() const { return document_->source(); }
  std::string_view operation_name() const { return operation_name_; } // as it was asked for
  std::size_t bytes() const { return bytes_; } // an estimate of the memory that it takes, plans included

  // The condition bits of a request: bit i is the value of variable facts().conditions[i]. Nothing when one
  // of them is null; then `variable` names it.
  std::optional<std::uint64_t> condition_bits(std::span<const value> variables,
                                              std::string_view& variable) const;

  // The plan for an assignment of the conditions. At most `plans_max` are kept; others are made for one
  // request.
  struct plan_or_error {
    const operation_plan* plan = nullptr;        // null: `error` says why
    std::shared_ptr<const operation_plan> owner; // when the document does not own it
    document_error error;
  };
  plan_or_error plan_for(std::uint64_t condition_bits) const;

  // The size of the last answer, so that the next is written into a string that need not grow.
  mutable std::atomic<std::uint32_t> answer_bytes{256};

 private:
  friend prepare_outcome prepare(const bindings&, const input_types&, std::string_view, std::string_view,
                                 const prepare_options&);
  static constexpr std::size_t plans_max = 16;

  const bindings* bound_ = nullptr;
  const input_types* types_ = nullptr;
  std::unique_ptr<const ast::document> document_;
  std::string operation_name_;
  request_arena constants_;
  operation_facts facts_;
  std::unique_ptr<const operation_plan> only_; // when there are no conditions
  mutable std::mutex lock_;                    // of plans_
  mutable std::vector<std::pair<std::uint64_t, std::shared_ptr<const operation_plan>>> plans_;
  std::size_t bytes_ = 0;
};

// Either the document or, when it is null, what is wrong with it.
struct prepare_outcome {
  std::shared_ptr<const prepared_document> document;
  std::vector<document_error> errors;
  std::optional<error> not_admitted = {}; // it was not even tried
};

// `operation_name` empty: the only operation. The bindings and tables outlive the document.
prepare_outcome prepare(const bindings& bound, const input_types& types, std::string_view source,
                        std::string_view operation_name, const prepare_options& options);

} // namespace mooring::graphql
