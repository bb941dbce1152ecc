// completer: writes one answer's JSON from C++ values, following a plan (GraphQL October 2021, 6.4.3 "Value
// Completion"), with null propagation. The templates in binding.hpp stamp out the functions that call it.
//
// One per response, on one thread. Nothing is allocated per field: values go straight to the output string; a
// value that turns out to be an error is taken back by cutting the string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"
#include "base/time.hpp"
#include "graphql/value.hpp"

namespace mooring::graphql {

struct plan_field;
class completer;

// What writing a value ended in. After `null` and `failed` nothing of the value stands in the output.
enum class completion : std::uint8_t {
  written,
  null,   // there is no value: null is written if the type allows it, else it is an error
  failed, // as null, but the error is recorded already
};

// Writes one field of `object` (or, for a root field, the value itself).
using field_writer = completion (*)(completer&, const plan_field&, const void* object);

// Where in the response the writer is; a chain on the stack, read only when an error is recorded.
struct path_step {
  const path_step* parent;
  const plan_field* field; // null: a list index
  std::size_t index;
};

struct execution_error {
  error_code code = error_code::internal;
  std::string message;
  const plan_field* field = nullptr; // for the locations
  std::string path;                  // as JSON, for example ["syncBatch","items",3,"version"]
  std::string input_field = {};      // error::field
  std::optional<std::int64_t> retry_after_ms = {};
  std::optional<std::uint32_t> offset = {}; // where in the document, when not at the field's nodes
};

struct argument_fault {
  std::string message;
  std::uint32_t offset = 0; // of the argument's value in the document
};

// The coerced arguments of fields that take any. Those that depend on variables are coerced once per request
// and field.
class argument_source {
 public:
  virtual ~argument_source() = default;
  // What is wrong with the arguments; nothing: arguments_of may be called.
  virtual std::optional<argument_fault> coerce_arguments(const plan_field& field) = 0;
  virtual std::span<const value> arguments_of(const plan_field& field) const = 0;
};

class completer {
 public:
  completer(std::string& to, const void* call_context, argument_source& arguments)
      : out(to)
      , context(call_context)
      , arguments_(arguments) {}

  std::string& out;
  const void* const context; // what engine::execute was given

  // Writers of single values. The schema's type decides the form (Int or Float, ID as text…).
  completion boolean(bool is) {
    append_json_boolean(out, is);
    return completion::written;
  }
  completion integer(const plan_field& field, std::int64_t is);
  completion unsigned_integer(const plan_field& field, std::uint64_t is);
  completion number(const plan_field& field, double is);
  completion string(std::string_view is) {
    append_json_string(out, is);
    return completion::written;
  }
  completion at(instant is) {
    append_json_instant(out, is);
    return completion::written;
  }
  completion json(const document& is);
  completion enumeration(const plan_field& field, std::uint64_t is);
  // An object of the field's type, concrete or abstract.
  completion object(const plan_field& field, const void* is);
  // The fields that a selection takes of a concrete object.
  completion selection(std::span<const plan_field> fields, const void* is);

  // Lists call this for an item that was not written, at this list depth (1: items of the outer list). True:
  // the item may be null, and `null` was appended. False: the whole list is to be taken back.
  bool item_may_be_null(const plan_field& field, unsigned depth, completion ended);

  // Records an error at the present path.
  completion fail(const plan_field& field, error_code code, std::string message);

  std::span<const value> arguments(const plan_field& field) { return arguments_.arguments_of(field); }

  // When the output has grown beyond this, the next field is a QUERY_TOO_COMPLEX and whatever follows fails,
  // until the bound is set anew.
  std::size_t output_bytes_max = SIZE_MAX;
  const path_step* path = nullptr;
  std::vector<execution_error> errors;

  // One field's value, without its key. Anything but `written` leaves the output as it was.
  completion one(const plan_field& field, const void* object);

 private:
  argument_source& arguments_;
};

} // namespace mooring::graphql
