// Puts responses together: refusals before execution, and the answers of an operation or an event.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "graphql/completer.hpp"
#include "graphql/engine.hpp"

namespace mooring::graphql {

// {"errors":[…]}, not executed. REQUIRES: there is an error.
response refused(const std::vector<document_error>& errors, std::uint64_t request_id);
response refused(const error& why, std::uint64_t request_id);

// The errors, with commas between them.
void append_errors(std::string& out, const std::vector<execution_error>& errors,
                   const ast::document& document, std::uint64_t request_id);

// `data` is `{"data":{…}`, without the last brace. Without errors it becomes the answer, else it is copied
// behind them, or left out when `data` is null.
std::string answer_body(std::string&& data, bool data_is_null, const std::vector<execution_error>& errors,
                        const ast::document& document, std::uint64_t request_id);

// A root field's value. The C++ type must be the one that the field was bound with.
completion complete_root(completer& to, const plan_field& field, const resolved& is,
                         std::uint64_t request_id);

// Records that a field which may not be null is.
void fail_null(completer& to, const plan_field& field);

} // namespace mooring::graphql
