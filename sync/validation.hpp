// Checks of one uploaded item (domain.md, "Validation is per item"). Pure.
//
// Each returns the first thing that is wrong, in the order in which the API declares the fields, or nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "sync/commands.hpp"
#include "sync/rules.hpp"

namespace mooring::sync {

struct problem {
  error_code code = error_code::validation_error;
  std::string_view field; // the API's name of the input field; a literal or a part of the item
  std::string message;
  document details = {}; // for programs; absent: none
};

std::optional<problem> check_item(const voice_item&, instant now, const rule_settings&);
std::optional<problem> check_item(const behavioral_item&, instant now, const rule_settings&);
std::optional<problem> check_item(const session_item&, instant now, const rule_settings&);
std::optional<problem> check_item(const metrics_item&, instant now, const rule_settings&);
std::optional<problem> check_item(const edit_item&, instant now, const rule_settings&);

// An entity's data may have `entity_data_bytes_max` bytes of JSON text, however the edit that made it was
// sent.
std::optional<problem> check_size(std::string_view field, const document& data, const rule_settings&);

// The shape of a request: key, device, number of items, size. BAD_USER_INPUT or PAYLOAD_TOO_LARGE.
result<void> check_shape(const upload&, const rule_settings&);
// Not empty and at most `id_bytes_max` bytes, else BAD_USER_INPUT.
result<void> check_id_argument(std::string_view field, std::string_view id, const rule_settings&);

std::size_t items_of(const upload&);

} // namespace mooring::sync
