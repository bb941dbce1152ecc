#include "graphql/error_list.hpp"

#include <algorithm>

#include "graphql/utf8.hpp"

namespace mooring::graphql {

void error_list::add(std::string_view rule, std::string message, std::span<const std::uint32_t> offsets) {
  if (full_) return;
  if (errors_.size() == errors_max_) {
    full_ = true;
    errors_.push_back({error_code::bad_user_input,
                       "Too many validation errors, error limit reached. Validation aborted.",
                       {},
                       "Limit"});
    return;
  }
  document_error error{error_code::bad_user_input, std::move(message), {}, rule};
  truncate(error.message, message_bytes_max);
  for (const auto offset : offsets.first(std::min(offsets.size(), locations_max)))
    error.locations.push_back(document_.locate(offset));
  errors_.push_back(std::move(error));
}

void error_list::stop(std::string message) {
  if (full_) return;
  full_ = true;
  errors_.push_back({error_code::query_too_complex, std::move(message), {}, "Limit"});
}

} // namespace mooring::graphql
