// Errors as clients see them (October 2021, 7.1.2; domain.md, "Errors"):
// {"message":…,"locations":[…],"path":[…],"extensions":{"code":…,"retryable":…,"requestId":…,…}}
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "graphql/source.hpp"

namespace mooring::graphql {

struct error_view {
  std::string_view message;
  std::string_view code; // as clients see it
  bool retryable = false;
  std::string_view path = {}; // JSON; empty: none
  std::string_view field = {};
  std::optional<std::int64_t> retry_after_ms = {};
};

void append_error(std::string& out, const error_view& is, std::span<const source_location> locations,
                  std::uint64_t request_id);

// What clients are told instead of the detail of an INTERNAL error.
inline constexpr std::string_view internal_message =
    "Internal error. The server's log has it under this requestId.";

// {"errors":[…]} of one error. An INTERNAL error's message is replaced.
std::string refusal_body(const error& failure, std::uint64_t request_id);

} // namespace mooring::graphql
